"""Tests times and ages in words: one form each for pages, panels and commands; the caller chooses the word for a
missing time."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scnet_hub.display import times

PACKAGE = Path(__file__).resolve().parents[3] / "scnet_hub"
AT = "2026-11-23T20:00:05.000Z"
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "never"), (-3, "now"), (0.4, "now"), (59.9, "59 s ago"), (61, "1 min ago"), (7300, "2 h 2 min ago"),
        (172800, "2 d ago"),
    ],
)  # fmt: skip
def test_an_age(seconds: float | None, words: str) -> None:
    assert times.age(seconds, never="never") == words


def test_an_age_is_the_same_of_two_times() -> None:
    assert times.ago(AT, "2026-11-23T20:05:05.000Z", never="never") == "5 min ago"
    assert times.ago(AT, AT, never="never") == times.ago("2026-11-23T20:00:06Z", AT, never="never") == "now"
    assert times.ago(None, AT, never="none yet") == times.ago(AT, None, never="none yet") == "none yet"


@pytest.mark.parametrize(
    ("form", "utc", "there"),
    [
        (times.minute, "23 Nov 20:00 UTC", "24 Nov 04:00"),
        (times.second, "23 Nov 20:00:05 UTC", "24 Nov 04:00:05"),
        (times.dated, "23 Nov 2026 20:00 UTC", "24 Nov 2026 04:00"),
        (times.dated_second, "23 Nov 2026 20:00:05 UTC", "24 Nov 2026 04:00:05"),
    ],
)
def test_a_time_names_utc_unless_a_zone_is_chosen(form: object, utc: str, there: str) -> None:
    assert callable(form)
    assert form(AT) == form(datetime(2026, 11, 23, 20, 0, 5, tzinfo=UTC)) == utc
    assert form(AT, SHANGHAI) == there
    assert (form(None), form("", SHANGHAI), form(None, none="never")) == ("–", "–", "never")


def test_a_day_is_that_of_the_zone() -> None:
    assert (times.day(AT), times.day(AT, SHANGHAI), times.day(None, none="-")) == ("23 Nov 2026", "24 Nov 2026", "-")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0, "< 0.1 s"), (0.04, "< 0.1 s"), (2.44, "2.4 s"), (9.99, "10.0 s"), (310.2, "310 s")],
)
def test_a_measured_span(seconds: float | None, words: str) -> None:
    assert times.waited(seconds) == words
    assert times.waited(None, none="-") == "-"


def test_no_other_file_writes_a_time_with_its_month_by_itself() -> None:
    found = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("demo", "node", "simulator", "display")
        and re.search(r"%b.*%H", path.read_text())
    ]
    assert not found, f"use display/times.py: {found}"


def test_no_other_file_says_ago_by_itself() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "times.py" and " ago" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.JoinedStr)
        and any(isinstance(part, ast.Constant) and part.value == " ago" for part in node.values)
    ]
    assert not found, f"use display/times.py: {found}"
