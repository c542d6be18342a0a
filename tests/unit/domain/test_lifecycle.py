"""The arrows of a copy's life, and the fold of a session over its copies; the page of the reference says the same."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scnet_hub.display.session_states import LIVE, READY, STATES, UNTIL_READY
from scnet_hub.domain.jobs import JobState, JobStatus
from scnet_hub.domain.sessions import lifecycle
from scnet_hub.domain.sessions.lifecycle import ARROWS, EVENTS, Arrow
from scnet_hub.domain.sessions.records import SessionCopy
from tests.builders.copies import session_copy

ROOT = Path(__file__).resolve().parents[3]
T0 = datetime(2026, 11, 23, 9, tzinfo=UTC)
SAYS = {"waits": JobState.QUEUED, "runs": JobState.RUNNING, "ends": JobState.FAILED}


def copy(state: str = "queued", **given: Any) -> SessionCopy:
    fields: dict[str, Any] = {
        "id": "s", "number": 1, "lead": 1, "live": True, "copy_live": state not in ("ended", "charged"),
        "copy_state": state, "reason": "", "request": {"walltime_s": 3600, "memory": 2**31},
        "place_in_queue": 0, "node": "", "unknown_why": "", "asked_at": T0, "centre": "a", "copy_end_reason": "",
        "secret": "x",
    }  # fmt: skip
    return session_copy(**(fields | given))


def said(state: JobState, **more: Any) -> JobStatus:
    return JobStatus(state=state, seen_at=T0, **more)


@pytest.mark.parametrize("arrow", ARROWS, ids=str)
def test_every_arrow_leads_where_the_table_says(arrow: Arrow) -> None:
    assert lifecycle.step(arrow.before, arrow.event) == arrow.then
    if arrow.event in SAYS:
        assert lifecycle.after(copy(arrow.before), said(SAYS[arrow.event]))["state"] == arrow.then


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_what_is_no_arrow_changes_nothing(state: str, event: str) -> None:
    if not any((one.before, one.event) == (state, event) for one in ARROWS):
        assert lifecycle.step(state, event) == state


def test_every_live_state_can_be_stopped_and_comes_to_an_end() -> None:
    for state in list(STATES)[:-1]:
        seen = {state}
        for _ in STATES:
            seen |= {one.then for one in ARROWS if one.before in seen}
        assert "charged" in seen
    assert {one.before for one in ARROWS if one.event == "stop"} == set(UNTIL_READY) | {READY}


@pytest.mark.parametrize("state", LIVE)
def test_unknown_is_a_mark_that_keeps_the_state_and_its_since(state: str) -> None:
    marked = lifecycle.after(copy(state), said(JobState.UNKNOWN, reason="the network is cut"))
    assert marked == {"unknown_since": T0, "unknown_why": "the network is cut"}
    again = copy(state, unknown_since=T0 - timedelta(hours=1), unknown_why="the network is cut")
    change = lifecycle.after(again, said(JobState.UNKNOWN, reason="it answers, and has no such job"))
    assert change == {"unknown_why": "it answers, and has no such job"} and not lifecycle.event_line(again.copy, change)


def test_forgotten_counts_from_the_first_answer_without_it_and_ends_with_an_answer_that_is_none() -> None:
    first = lifecycle.after(copy(), said(JobState.UNKNOWN, forgotten=True))
    assert first["forgotten_since"] == T0
    row = copy(unknown_since=T0, unknown_why="w", forgotten_since=T0)
    assert lifecycle.after(row, said(JobState.UNKNOWN, forgotten=True)) == {}
    assert lifecycle.after(row, said(JobState.UNKNOWN)) == {"forgotten_since": None}
    assert lifecycle.after(row, said(JobState.QUEUED))["unknown_since"] is None


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        ([copy("queued"), copy("starting", number=2)], 2),
        ([copy("queued"), copy("submitted", number=2)], 1),
        ([copy("queued", unknown_since=T0), copy("submitted", number=2)], 2),
        ([copy("queued"), copy("queued", number=2)], 1),
        ([copy("ended", copy_ended_at=T0), copy("intent", number=2)], 2),
        (
            [
                copy("ready", ready_at=T0, unknown_since=T0),
                copy("stopping", number=2, ready_at=T0, copy_cancelled_at=T0),
            ],
            1,
        ),
        ([copy("stopping", copy_cancelled_at=T0), copy("submitted", number=2)], 2),
        ([copy("ended", copy_ended_at=T0 + timedelta(1)), copy("ended", number=2, copy_ended_at=T0)], 1),
    ],
)
def test_which_copy_leads(rows: list[SessionCopy], number: int) -> None:
    assert lifecycle.lead(rows).number == number


def test_a_session_is_where_its_leading_copy_is_until_a_stop_is_wished() -> None:
    assert lifecycle.state_of([copy("queued"), copy("starting", number=2)]) == "starting"
    assert (
        lifecycle.state_of([copy("stopping", cancelled_at=T0), copy("queued", number=2, cancelled_at=T0)]) == "stopping"
    )


def test_the_page_has_every_arrow_with_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "reference" / "lifecycle.md").read_text()
    rows = re.findall(r"^\| ([a-z ]+) \| ([a-z ]+) \| ([a-z ]+) \| `(test_\w+)` \|$", page, re.MULTILINE)
    assert [Arrow(*row[:3]) for row in rows] == list(ARROWS)
    assert all(f"- **{event}**: {words}." in page for event, words in EVENTS.items())
    written = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {row[3] for row in rows} - written
