"""One table of a session's states: each file takes their names, words and icons from it, and each live state leads
on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scnet_hub.display import endings, session_states
from scnet_hub.display.session_states import LIVE, MOVING, ON_NODE, STATES, UNKNOWN, UNTIL_READY, WITHOUT_NODE
from scnet_hub.domain.sessions.lifecycle import ARROWS

PACKAGE = Path(__file__).resolve().parents[3] / "scnet_hub"
OTHERS = {
    "display/session_states.py",
    "services/projects/allocations.py",  # the states of an allocation
}

OF_STATE = re.compile(r"""(\.|^|['"])state\b(?!\.)""")


def test_no_other_file_names_a_state_by_itself() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if str(path.relative_to(PACKAGE)) not in OTHERS and "migrations" not in path.parts
        if any(f'"{state}"' in (text := path.read_text()) for state in STATES)
        for line in literals(ast.parse(text))
    ]
    assert not found, f"take the state's name from display/session_states.py: {found}"


def literals(tree: ast.AST) -> Iterator[int]:
    """The lines where a session's state is compared with, or set to, a literal, and those of tables and lists of
    states."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(map(named, ast.walk(node))) and OF_STATE.search(ast.unparse(node)):
            yield node.lineno
        if isinstance(node, ast.keyword) and node.arg == "state" and named(node.value):
            yield node.lineno
        if isinstance(node, ast.Dict) and any(
            isinstance(key, ast.Constant) and key.value == "state" and named(value)
            for key, value in zip(node.keys, node.values, strict=True)
        ):
            yield node.lineno
        several = (
            node.keys
            if isinstance(node, ast.Dict)
            else node.elts
            if isinstance(node, ast.Tuple | ast.List | ast.Set)
            else []
        )
        if sum(key is not None and named(key) for key in several) > 1:
            yield node.lineno


def named(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in STATES


@pytest.mark.parametrize(
    "code",
    [
        'if session.state == "ready": pass',
        'if one["state"] in ("queued", "x"): pass',
        'change(tx, state="ended")',
        'if row.copy.state == "ready": pass',
        'x = {"state": "intent"}',
        'PROGRESS = {"intent": 10, "queued": 30}',
        'WAITING = ("intent", "submitted")',
    ],
)
def test_a_literal_is_found(code: str) -> None:
    assert list(literals(ast.parse(code)))


def test_each_live_state_is_left_by_an_arrow_and_each_other_state_is_reached() -> None:
    assert {arrow.before for arrow in ARROWS} >= set(LIVE)
    assert {arrow.then for arrow in ARROWS} == set(STATES) - {session_states.INTENT}


def test_each_state_says_by_word_and_icon_what_its_colour_says() -> None:
    looks = [state.look for state in STATES.values()]
    assert len({look.word for look in looks}) == len(looks)
    assert all(look.icon and look.tone for look in looks)
    for icon in {look.icon for look in looks}:
        assert len({look.tone for look in looks if look.icon == icon}) == 1


def test_progress_grows_until_ready() -> None:
    grows = [session_states.progress(state) for state in (*UNTIL_READY, session_states.READY)]
    assert grows == sorted(set(grows)) and grows[-1] < 100
    assert session_states.progress("from a newer broker") == session_states.progress(session_states.STOPPING)


def test_the_groups_of_states_fit_together() -> None:
    assert set(MOVING) == set(LIVE) - {session_states.READY}
    assert set(WITHOUT_NODE) | set(ON_NODE) == set(UNTIL_READY) | {session_states.READY}


@pytest.mark.parametrize("state", LIVE)
def test_pages_panels_and_commands_show_a_live_state_alike(state: str) -> None:
    session = {"state": state, "live": True, "kind": "lab"}
    assert endings.look_of(session) == session_states.STATES[state].look
    assert endings.outcome(session) == endings.look_of(session).word


def test_a_batch_job_runs_as_soon_as_it_starts() -> None:
    assert endings.outcome({"state": "starting", "live": True, "kind": "batch"}) == "running"


def test_an_ended_session_is_shown_by_its_outcome() -> None:
    ended = {"state": "charged", "live": False, "kind": "lab", "end_reason": "The job failed."}
    assert endings.look_of(ended) == session_states.OUTCOMES["failed"]


def test_a_state_of_a_newer_broker_is_shown_as_unknown() -> None:
    assert session_states.look("from a newer broker") == UNKNOWN
