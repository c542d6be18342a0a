"""When a session is left alone for too long: the decision, with seconds as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.node.idle import Action, Idle, Signs, judge, lead, stops_at

TIMEOUT = 7200.0  # warned at 6600
CELL = Signs(("a cell runs",))
NOTHING = Signs()


@pytest.mark.parametrize(
    ("now", "warned_at", "signs", "action"),
    [
        (0, None, NOTHING, Action.NOTHING),
        (6599, None, NOTHING, Action.NOTHING),
        (6600, None, NOTHING, Action.WARN),
        (6630, 6600, NOTHING, Action.NOTHING),  # once
        (7199, 6600, NOTHING, Action.NOTHING),
        (7200, 6600, NOTHING, Action.STOP),
        (9000, 6600, NOTHING, Action.STOP),  # again, until it is stopped
        (90_000, None, CELL, Action.NOTHING),  # a cell of a day
        (7200, 6600, CELL, Action.NOTHING),  # something began after the warning
        (7200, 6600, Signs(last=7190), Action.NOTHING),  # somebody came back
        (7200, 6600, Signs(last=-5), Action.STOP),  # what happened before counts no more
        (9000, None, NOTHING, Action.WARN),  # nobody looked for long (the job was suspended): first the warning
        (9000, 8900, NOTHING, Action.NOTHING),  # and that for its whole lead
        (9500, 8900, NOTHING, Action.STOP),
    ],
)
def test_it_warns_then_stops(now: float, warned_at: float | None, signs: Signs, action: Action) -> None:
    assert judge(Idle(0, warned_at), signs, now, TIMEOUT)[1] is action


def test_use_after_the_warning_takes_it_back_and_a_next_one_comes() -> None:
    idle, action = judge(Idle(0, 6600), Signs(last=6700), 6710, TIMEOUT)
    assert (idle, action) == (Idle(6700), Action.NOTHING)
    assert judge(idle, NOTHING, 6700 + 6600, TIMEOUT) == (Idle(6700, 13300), Action.WARN)


def test_a_timeout_of_nothing_never_stops() -> None:
    assert judge(Idle(0), NOTHING, 1e9, 0)[1] is Action.NOTHING
    assert stops_at(Idle(0), 0) is None


def test_the_lead_is_ten_minutes_or_half() -> None:
    assert (lead(7200), lead(600), lead(60)) == (600, 300, 30)


def test_a_sign_of_the_future_is_now() -> None:
    assert judge(Idle(0), Signs(last=500), 100, TIMEOUT)[0] == Idle(100)


looks = st.lists(st.tuples(st.floats(1, 4000), st.booleans(), st.floats(0, 5000)), max_size=60)


@given(looks, st.floats(1, 20_000))
def test_no_stop_without_a_warning_that_stood_and_never_while_something_runs(
    looks: list[tuple[float, bool, float]], timeout: float
) -> None:
    idle, now, used = Idle(0.0), 0.0, 0.0
    warned: float | None = None
    for pause, runs, ago in looks:
        now += pause
        signs = Signs(("a cell runs",) if runs else (), now - ago)
        used = max(used, now if runs else now - ago)
        idle, action = judge(idle, signs, now, timeout)
        if idle.warned_at is None:
            warned = None
        if action is Action.WARN:
            warned = now
        if action is Action.STOP:
            assert not runs and now - used >= timeout
            assert warned is not None and now - warned >= lead(timeout)
