"""Tests the warnings of a live session: only those that concern it, the most urgent first, with readable times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from scnet_hub.domain.centres.health import Hop
from scnet_hub.domain.centres.session_warnings import Notice, notices
from scnet_hub.domain.standard.centre import CentreSpec, parse_centre

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
PAGE = """
id = "alpha"
name = "Alpha Centre"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
[[partition]]
name = "cpu"
cores = 8
[[maintenance]]
start = 2026-11-23T12:00:00Z
end = 2026-11-24T06:00:00Z
reason = "new switches"
[[announcement]]
message = "The scratch disk is slow."
start = 2026-11-23T07:00:00Z
end = 2026-11-23T10:00:00Z
[[announcement]]
message = "Courses have the GPUs."
start = 2026-11-23T09:00:00Z
end = 2026-11-23T11:00:00Z
blocks_starts = true
"""


def spec() -> CentreSpec:
    return parse_centre(PAGE, source="alpha")


def told(*, hours: float = 1, now: datetime = NOW, failing: Hop | None = None, unknown: bool = False) -> list[Notice]:
    return notices(
        spec(),
        failing,
        ends_at=now + timedelta(hours=hours),
        unknown_since=now - timedelta(minutes=5) if unknown else None,
        unknown_why="no answer",
        now=now,
    )


def test_maintenance_warns_only_the_sessions_that_it_would_end() -> None:
    assert [one.code for one in told(hours=3.9)] == ["announcement"]
    warned = told(hours=4.1)[0]
    assert (warned.code, warned.at) == ("maintenance", datetime(2026, 11, 23, 12, tzinfo=UTC))
    window = "Alpha Centre is in maintenance from 12:00 UTC to 24 Nov 06:00 UTC (new switches)"
    assert warned.message == f"{window}: this session will end then. Save your work before."


def test_an_announcement_is_told_while_it_counts() -> None:
    assert [one.message for one in told()] == ["Alpha Centre: The scratch disk is slow."]
    later = told(now=datetime(2026, 11, 23, 10, 30, tzinfo=UTC))
    assert [one.message for one in later] == ["Alpha Centre: Courses have the GPUs."]


def test_a_centre_that_cannot_be_asked_is_told_first_with_what_fails_there() -> None:
    hop = Hop("scheduler", NOW, NOW, "Unable to contact slurm controller")
    assert [one.code for one in told(hours=8, failing=hop, unknown=True)] == ["unknown", "maintenance", "announcement"]
    assert told(failing=hop, unknown=True)[0].message == (
        "Alpha Centre has not reported on this session since 07:55 UTC (its scheduler fails). The session is "
        "kept and its work continues."
    )
    assert "(no answer)" in told(unknown=True)[0].message
    assert [one.code for one in told(failing=hop)] == ["announcement"], (
        "a session that is known to be well is not alarmed"
    )


def test_announcements_that_are_over_are_gone() -> None:
    assert len(spec().announced(NOW)) == 2 and spec().announced(NOW + timedelta(hours=4)) == []
