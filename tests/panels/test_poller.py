"""One question for all panels, only while somebody looks, and a message only for news."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from scnet_hub.client.panels.poller import Pace, Poller, ask
from scnet_hub.client.panels.state import state
from scnet_hub.errors import BrokerError
from tests.fakes.broker import FakeBroker, until

from . import samples as s

QUICK = Pace(fast=0.01, steady=0.01, longest=0.02)


class Asked:
    """A question that answers the next of `answers`, the last one for ever; waits can be counted on `count`."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.count = 0
        self.turn = threading.Condition()

    def __call__(self):
        with self.turn:
            answer = self.answers[min(self.count, len(self.answers) - 1)]
            self.count += 1
            self.turn.notify_all()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reaches(self, count: int) -> None:
        with self.turn:
            assert self.turn.wait_for(lambda: self.count >= count, 10)


def listener() -> tuple[list, Callable]:
    heard: list = []
    return heard, heard.append


def test_pace_is_fast_while_something_moves_and_backs_off_after_errors():
    pace = Pace()
    assert pace.pause(moving=True, failures=0) == 3
    assert pace.pause(moving=False, failures=0) == 30
    assert [pace.pause(moving=True, failures=n) for n in (1, 2, 3, 7, 99)] == [3, 6, 12, 120, 120]


def test_no_news_no_message():
    question, (heard, hear) = Asked(state([s.centre()], now=s.NOW)), listener()
    poller = Poller(question, QUICK)
    poller.watch(hear)
    question.reaches(5)
    poller.leave(hear)
    assert len(heard) == 1


def test_one_message_for_each_change():
    states = [state([s.centre(cores_free=free)], now=s.NOW) for free in (1, 1, 2, 2, 3)]
    question, (heard, hear) = Asked(*states), listener()
    poller = Poller(question, QUICK)
    poller.watch(hear)
    question.reaches(8)
    poller.leave(hear)
    assert [one["centres"][0]["cores_free"] for one in heard] == [1, 2, 3]


def test_an_unchanged_state_is_repeated_now_and_then_to_say_it_holds():
    question, (heard, hear) = Asked(state(now=s.NOW)), listener()
    poller = Poller(question, Pace(fast=0.01, steady=0.01, repeat=0.0))
    poller.watch(hear)
    question.reaches(4)
    poller.leave(hear)
    assert len(heard) >= 3


def test_two_panels_share_one_thread_and_one_question():
    question = Asked(state(now=s.NOW))
    poller = Poller(question, QUICK)
    (_, hear_first), (_, hear_second) = listener(), listener()
    poller.watch(hear_first)
    poller.watch(hear_second)
    assert sum(thread.name == "scnet-panels" for thread in threading.enumerate()) == 1
    poller.leave(hear_first)
    poller.leave(hear_second)
    until(lambda: not poller.running, 5)


def test_it_stops_when_the_last_panel_leaves_and_starts_again_for_a_new_one():
    question, (_, hear) = Asked(state(now=s.NOW)), listener()
    poller = Poller(question, Pace(steady=60, fast=60))
    poller.watch(hear)
    question.reaches(1)
    poller.leave(hear)
    until(lambda: not poller.running, 5)
    poller.watch(hear)
    question.reaches(2)
    poller.leave(hear)


def test_it_stops_when_nobody_has_looked_for_long():
    question, (_, hear) = Asked(state(now=s.NOW)), listener()
    poller = Poller(question, Pace(fast=0.01, steady=0.01, patience=0.05))
    poller.watch(hear)
    until(lambda: not poller.running, 5)


@pytest.mark.parametrize("error", [BrokerError("No answer.", hint="Wait."), KeyError("centres")])
def test_an_error_is_shown_beside_the_last_facts_and_goes_away(error):
    known = state([s.centre()], now=s.NOW)
    question, (heard, hear) = Asked(known, error, known), listener()
    poller = Poller(question, QUICK)
    poller.watch(hear)
    question.reaches(4)
    poller.leave(hear)
    assert [bool(one["problem"]) for one in heard] == [False, True, False]
    assert heard[1]["centres"] == known["centres"]


def test_one_look_is_three_calls():
    with FakeBroker() as broker, broker.client() as client:
        shown = ask(client)
        assert [path for _, path in broker.calls] == ["centres", "sessions", "balances"]
    assert [row["name"] for row in shown["centres"]] == ["Alpha", "Beta"]
