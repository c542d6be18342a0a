"""Tests a centre's scheduler: first come first served, and EASY's rules for jobs that may go before."""

from __future__ import annotations

from scnet_hub.simulator.machine import Machine, next_pass
from scnet_hub.simulator.model import Job


def job(number: int, cores: int, estimate: float = 100.0) -> Job:
    return Job(number, 0, cores, estimate, estimate, None, 0.0)


def machine(*running: tuple[int, float], cores: int = 10) -> Machine:
    """Running jobs by cores and limit."""
    made = Machine(0, cores)
    for number, (used, limit) in enumerate(running, 1000):
        assert made.submit(job(number, used, limit), 0.0)
    return made


def numbers(jobs: list[Job]) -> list[int]:
    return [one.number for one in jobs]


def test_the_first_that_does_not_fit_holds_up_those_behind_it() -> None:
    one = machine((8, 50))
    assert not one.submit(job(1, 4), 0) and not one.submit(job(2, 2), 0)
    assert one.serve(0) == [] and one.queued_cores == 6
    one.finish(one.running[1000])
    assert numbers(one.serve(50)) == [1, 2] and one.free == 4 and one.queued_cores == 0 and one.conserved()


def test_what_is_over_before_the_first_would_start_goes_before() -> None:
    one = machine((8, 50))
    one.submit(job(1, 10), 0)
    one.submit(job(2, 2, 51), 0)
    one.submit(job(3, 2, 50), 0)
    assert numbers(one.backfill(0)) == [3] and list(one.queue) == [1, 2] and one.conserved()


def test_what_lasts_longer_goes_beside_the_first_only() -> None:
    """At 50 ten cores are free, the first takes seven: three are beside it, for ever."""
    one = machine((8, 50))
    for number, (cores, estimate) in enumerate([(7, 100), (1, 1000), (1, 1000), (1, 1000)], 1):
        one.submit(job(number, cores, estimate), 0)
    assert numbers(one.backfill(0)) == [2, 3]  # two fit now
    beside = machine((6, 50))
    for number, (cores, estimate) in enumerate([(9, 100), (1, 1000), (1, 1000), (1, 20)], 1):
        beside.submit(job(number, cores, estimate), 0)
    assert numbers(beside.backfill(0)) == [2, 4]  # one is beside; the last is over in time


def test_backfill_never_delays_the_first() -> None:
    one = machine((5, 50), (3, 80))
    one.submit(job(1, 7), 0)
    for number in range(2, 30):
        one.submit(job(number, 1 + number % 3, 10.0 * number), 0)
    before = one.shadow(7)
    one.backfill(0)
    assert one.shadow(7)[0] <= before[0] == 50


def test_a_pass_looks_at_a_hundred() -> None:
    one = machine((9, 50))
    one.submit(job(1, 10), 0)
    for number in range(2, 101):
        one.submit(job(number, 2), 0)
    one.submit(job(101, 1, 10), 0)
    assert one.backfill(0) == []
    one.withdraw(one.queue[50])
    assert numbers(one.backfill(0)) == [101]


def test_a_copy_can_be_played_on_without_harm() -> None:
    one = machine((8, 50))
    one.submit(job(1, 4), 0)
    other = one.copy()
    other.finish(other.running[1000])
    other.serve(50)
    assert (one.free, len(one.queue), len(one.running)) == (2, 1, 1) and one.conserved() and other.conserved()


def test_one_that_is_down_starts_nothing() -> None:
    one = Machine(0, 10)
    one.up = False
    assert not one.submit(job(1, 1), 0) and one.serve(0) == []
    one.up = True
    assert numbers(one.serve(1)) == [1]


def test_withdrawing_says_whether_it_was_the_first() -> None:
    one = machine((10, 50))
    for number in (1, 2):
        one.submit(job(number, 1), 0)
    assert not one.withdraw(one.queue[2]) and one.withdraw(one.queue[1]) and one.conserved()


def test_passes_come_every_half_minute_at_the_centre_s_own_second() -> None:
    assert [next_pass(7.0, now, 30.0) for now in (0.0, 6.9, 7.0, 36.0)] == [7.0, 7.0, 37.0, 37.0]
