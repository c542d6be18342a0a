"""Tests that the time until sessions are ready is learned from recent sessions, by centre and environment."""

from __future__ import annotations

from scnet_hub.domain.placement import startup_times


def test_fewer_than_five_say_nothing() -> None:
    assert startup_times.learn([("alpha", "", 3.0)] * 4) == {}
    assert startup_times.learn([("alpha", "", 3.0)] * 5) == {("alpha", ""): 3.0}


def test_only_the_last_fifty_count_and_one_that_hung_does_not() -> None:
    newest = [("alpha", "", 2.0)] * 49 + [("alpha", "", 900.0)]
    assert startup_times.learn([*newest, *[("alpha", "", 60.0)] * 200]) == {("alpha", ""): 2.0}


def test_each_environment_has_its_own() -> None:
    learned = startup_times.learn([("alpha", "", 2.0), ("alpha", "torch", 9.0), ("beta", "", 4.0)] * 5)
    assert startup_times.of_app(learned, "") == {"alpha": 2.0, "beta": 4.0}
    assert startup_times.of_app(learned, "torch") == {"alpha": 9.0}
