"""Tests that each question is sent once for all panels, only while a panel is visible, and that only changes cause a
message."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

from scnet_hub.client.panels import centres, overview, sessions, usage
from scnet_hub.client.panels.poller import Pace, Poller, question
from scnet_hub.client.panels.state import NOTHING, shown
from scnet_hub.client.rest import Client
from scnet_hub.errors import BrokerError, NotEntitled
from tests.builders.fakes.broker import FakeBroker, until

QUICK = Pace(fast=0.01, steady=0.01, longest=0.02)
FREE, MINE, OTHER = question("free"), question("mine", of="ada"), question("mine", of="bob")


class Broker:
    """Answers each question with the next of its `answers`, the last one for ever; turns can be waited for."""

    def __init__(self, **answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.turn = threading.Condition()

    def __call__(self, one: Any) -> Any:
        with self.turn:
            listed = self.answers[one.method]
            answer = listed[min(self.asked.count(one.method), len(listed) - 1)]
            self.asked.append(one.method)
            self.turn.notify_all()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def reaches(self, method: str, count: int) -> None:
        with self.turn:
            assert self.turn.wait_for(lambda: self.asked.count(method) >= count, 10)


class Panel:
    """Shows its answers as they come, and keeps every state it was sent."""

    def __init__(self, *questions: Any) -> None:
        self.questions, self.state, self.heard = questions, NOTHING, []

    def draw(self, answers: Any, now: datetime) -> Any:
        return shown(now, "", answers=[one + 0 for one in answers])

    def show(self, state: Any) -> None:
        self.state = state
        self.heard.append(state)


def test_pace_is_fast_while_something_moves_and_backs_off_after_errors():
    pace = Pace()
    assert pace.pause(moving=True, failures=0) == 3
    assert pace.pause(moving=False, failures=0) == 30
    assert [pace.pause(moving=True, failures=n) for n in (1, 2, 3, 7, 99)] == [3, 6, 12, 120, 120]


def test_no_news_no_message():
    broker, panel = Broker(free=[1]), Panel(FREE)
    poller = Poller(broker, QUICK)
    poller.watch(panel)
    broker.reaches("free", 5)
    poller.leave(panel)
    assert len(panel.heard) == 1


def test_one_message_for_each_change():
    broker, panel = Broker(free=[1, 1, 2, 2, 3]), Panel(FREE)
    poller = Poller(broker, QUICK)
    poller.watch(panel)
    broker.reaches("free", 8)
    poller.leave(panel)
    assert [one["answers"] for one in panel.heard] == [[1], [2], [3]]


def test_an_unchanged_state_is_repeated_now_and_then_to_say_it_holds():
    broker, panel = Broker(free=[1]), Panel(FREE)
    poller = Poller(broker, Pace(fast=0.01, steady=0.01, repeat=0.0))
    poller.watch(panel)
    broker.reaches("free", 4)
    poller.leave(panel)
    assert len(panel.heard) >= 3


def test_two_panels_share_one_thread_and_the_questions_that_both_ask():
    broker, first, second = Broker(free=[1], mine=[2]), Panel(FREE), Panel(MINE, FREE)
    poller = Poller(broker, Pace(steady=60, fast=60))
    poller.watch(first)
    broker.reaches("free", 1)
    poller.watch(second)
    poller.soon()
    broker.reaches("mine", 1)
    until(lambda: second.heard, 5)
    assert sum(thread.name == "scnet-panels" for thread in threading.enumerate()) == 1
    assert (broker.asked, second.state["answers"]) == (["free", "free", "mine"], [2, 1])
    poller.leave(first)
    poller.leave(second)
    until(lambda: not poller.running, 5)


def test_questions_that_differ_in_an_option_are_two():
    assert (
        question("usage", by="day", project="p")
        == question("usage", project="p", by="day")
        != question("usage", by="centre", project="p")
    )


def test_it_stops_when_the_last_panel_leaves_and_starts_again_for_a_new_one():
    broker, panel = Broker(free=[1]), Panel(FREE)
    poller = Poller(broker, Pace(steady=60, fast=60))
    poller.watch(panel)
    broker.reaches("free", 1)
    poller.leave(panel)
    until(lambda: not poller.running, 5)
    poller.watch(panel)
    broker.reaches("free", 2)
    poller.leave(panel)


def test_it_stops_when_no_panel_was_visible_for_long():
    poller = Poller(Broker(free=[1]), Pace(fast=0.01, steady=0.01, patience=0.05))
    poller.watch(Panel(FREE))
    until(lambda: not poller.running, 5)


@pytest.mark.parametrize("wrong", [BrokerError("No answer.", hint="Wait."), KeyError("centres"), "no number"])
def test_an_error_is_shown_beside_the_last_facts_and_goes_away(wrong):
    broker, panel = Broker(free=[1, wrong, 1]), Panel(FREE)
    poller = Poller(broker, QUICK)
    poller.watch(panel)
    broker.reaches("free", 4)
    poller.leave(panel)
    assert [bool(one["problem"]) for one in panel.heard] == [False, True, False]
    assert panel.heard[1]["answers"] == [1] and panel.heard[1]["problem"]["stale"]


def test_a_refused_question_greys_the_panels_that_ask_it_and_no_other():
    broker, calm, refused = Broker(free=[1], mine=[NotEntitled("Not yours.")]), Panel(FREE), Panel(FREE, MINE)
    poller = Poller(broker, QUICK)
    assert poller.ask(calm)["problem"] is None
    assert poller.ask(refused)["problem"]["title"] == "Not yours."


def test_a_broker_that_does_not_answer_is_not_asked_the_rest():
    broker = Broker(free=[BrokerError("No answer.")], mine=[1])
    assert Poller(broker).ask(Panel(FREE, MINE, OTHER))["problem"]["title"] == "No answer."
    assert broker.asked == ["free"]


@pytest.mark.parametrize(
    ("kind", "paths"),
    [
        (overview.OverviewPanel, ["centres", "sessions", "balances"]),
        (centres.CentresPanel, ["centres"]),
        (sessions.SessionsPanel, ["sessions"]),
    ],
)
def test_one_look_asks_what_the_panel_needs_and_nothing_else(kind, paths):
    with FakeBroker() as broker, broker.client() as client:
        for one in kind.questions:
            one.ask(client)
        assert [path for _, path in broker.calls] == paths


def test_every_question_is_a_call_of_the_client():
    asked = [*overview.OverviewPanel.questions, usage.asked("centre", "")]
    assert all(callable(getattr(Client, one.method, None)) for one in asked)
