"""Tests that every client uses the same words about a centre and a session: what fails since when, announcements,
warnings."""

from __future__ import annotations

from typing import Any

from scnet_hub.cli.commands.centres import print_centres
from scnet_hub.client.panels.state import centre_row, session_row
from scnet_hub.display import centre_status
from scnet_hub.hub.views.start_form import view
from tests.unit.cli import federation as answers

HOPS = [
    {"name": "login", "ok": True, "since": "2026-11-23T06:00:00.000Z", "age_s": 4.0, "why": ""},
    {
        "name": "scheduler",
        "ok": False,
        "since": "2026-11-23T14:02:11.000Z",
        "age_s": 4.0,
        "why": "Unable to contact slurm controller",
    },
]
NOW = {
    "message": "Scratch is slow.",
    "start": "2026-11-23T06:00:00.000Z",
    "end": "2026-11-23T18:00:00.000Z",
    "now": True,
}
SOON = {
    "message": "A course has the GPUs.",
    "start": "2026-11-24T08:00:00.000Z",
    "end": "2026-11-24T10:00:00.000Z",
    "now": False,
}
CLOSED = {"start": "2026-12-01T06:00:00.000Z", "end": "2026-12-01T18:00:00.000Z", "reason": "new switches"}


def centre(**facts: Any) -> dict[str, Any]:
    return answers.centre("alpha", state="down", why="Alpha does not answer", hops=HOPS, **facts)


def announcing() -> dict[str, Any]:
    return centre(
        announcements=[{**NOW, "blocks_starts": False}, {**SOON, "blocks_starts": True}], maintenance=[CLOSED]
    )


def test_a_failing_hop_is_named_with_its_since_and_its_own_words() -> None:
    assert centre_status.trouble(centre()) == "scheduler failing since 23 Nov 14:02 UTC"
    assert centre_status.why(centre()) == "scheduler failing since 23 Nov 14:02 UTC: Unable to contact slurm controller"
    assert centre_status.trouble(answers.centre("alpha")) == centre_status.why(answers.centre("alpha")) == "", (
        "an older broker says no hops"
    )


def test_announcements_say_until_when_and_what_they_stop() -> None:
    assert centre_status.told(announcing()) == [
        "Scratch is slow (until 23 Nov 18:00 UTC)",
        "A course has the GPUs (no new sessions from 24 Nov 08:00 UTC to 24 Nov 10:00 UTC)",
        "Maintenance from 1 Dec 06:00 UTC to 1 Dec 18:00 UTC: new switches",
    ]


def test_the_start_page_the_panel_and_the_command_line_say_so(capsys: Any) -> None:
    row = view([announcing()], None, [], None)["rows"][0]
    assert row["trouble"] == "scheduler failing since 23 Nov 14:02 UTC" and row["told"].startswith(
        "Scratch is slow (until"
    )
    panel = centre_row(announcing())
    assert (
        "scheduler failing since 23 Nov 14:02 UTC: Unable" in panel["why"] and "Maintenance from 1 Dec" in panel["why"]
    )
    print_centres([announcing()])
    said = capsys.readouterr()
    assert "down; scheduler failing since 23 Nov 14:02 UTC" in said.out and "alpha: Scratch is slow (until" in said.out
    assert "alpha: scheduler failing since 23 Nov 14:02 UTC: Unable" in said.err


def test_what_blocks_starts_is_not_said_twice_in_a_row() -> None:
    blocking = centre(announcements=[{**NOW, "blocks_starts": True}])
    reason = "it starts no sessions until 23 Nov 18:00 UTC: Scratch is slow"
    placement = {"best": None, "ranked": [], "refusals": [{"centre": "alpha", "partition": "cpu", "reason": reason}]}
    row = view([blocking], placement, [], None)["rows"][0]
    assert row["note"] == reason and row["told"] == ""


def test_a_live_session_shows_its_warnings_and_an_ended_one_none() -> None:
    warnings = [{"code": "unknown", "message": "Alpha has not reported on this session since 07:55 UTC.", "at": None}]
    facts = {"unknown_since": "2026-11-23T07:55:00Z", "unknown_why": "no answer", "warnings": warnings}
    live = session_row(answers.session(**facts))
    assert live["detail"] == warnings[0]["message"] and live["word"] == "unknown"
    assert session_row(answers.session(**facts, live=False, end_reason="Over."))["detail"] == "Over."


def test_the_command_line_shows_a_sessions_warnings() -> None:
    warned = answers.session(
        warnings=[{"code": "maintenance", "message": "Alpha is in maintenance from 12:00 UTC", "at": None}]
    )
    said = answers.run("sessions", broker=answers.Broker(GET_sessions={"as_of": None, "sessions": [warned]}))
    assert said.exit_code == 0 and "s-1: Alpha is in maintenance from 12:00 UTC" in said.output
