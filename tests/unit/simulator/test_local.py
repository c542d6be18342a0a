"""Tests that a centre played on by itself has the same events as a centre that is followed event by event."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scnet_hub.simulator import POLICIES, Run, Scenario, Workload, workload_of
from scnet_hub.simulator.local import CYCLE, Local
from scnet_hub.simulator.machine import DEPTH, Machine, by_limit, next_pass
from scnet_hub.simulator.model import Job, Request, State
from scnet_hub.simulator.run import Router
from scnet_hub.simulator.workload import Arrival

CORES, UNTIL = 8, 2000.0
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, CORES), st.integers(1, 300), st.integers(0, 200)),
    min_size=1,
    max_size=60,
)


def arrivals_of(drawn: list[tuple[int, int, int, int]]) -> list[Arrival]:
    """Many at the same second, many that end at the same second."""
    at, made = 0.0, []
    for gap, cores, run, more in drawn:
        at += gap
        made.append(Arrival(at, cores, float(run), float(run + more)))
    return made


def plainly(arrivals: list[Arrival], phase: float) -> list[float]:
    """The waits by a list of events that is sorted anew for each, and a scan of all that runs: the reference. Those
    that still wait at the end come last."""
    events: list[tuple[float, int, str, int]] = [(arrivals[0].at, 0, "arrives", 0)]
    queue: list[int] = []
    running: dict[int, float] = {}
    waits, order, looks = [], 0, False
    free = CORES

    def foresee(at: float, what: str, which: int) -> None:
        nonlocal order
        order += 1
        events.append((at, order, what, which))

    def start(which: int, now: float) -> None:
        nonlocal free
        free -= arrivals[which].cores
        running[which] = now + arrivals[which].estimate
        foresee(now + arrivals[which].run, "ends", which)
        waits.append(now - arrivals[which].at)

    while events and min(events)[0] <= UNTIL:
        events.sort()
        now, _, what, which = events.pop(0)
        if what == "arrives":
            if which + 1 < len(arrivals):
                foresee(arrivals[which + 1].at, "arrives", which + 1)
            queue.append(which)
        elif what == "ends":
            free += arrivals[which].cores
            del running[which]
        else:
            looks = False
            if len(queue) < 2 or not free:
                continue
            when, beside = first_starts(arrivals, free, running, arrivals[queue[0]].cores)
            begun: list[int] = []
            for one in queue[1:DEPTH]:
                job = arrivals[one]
                over = now + job.estimate <= when
                if job.cores <= free - sum(arrivals[other].cores for other in begun) and (over or job.cores <= beside):
                    beside -= 0 if over else job.cores
                    begun.append(one)
            for one in begun:
                queue.remove(one)
                start(one, now)
            if not begun:
                continue
        while what != "looks" and queue and arrivals[queue[0]].cores <= free and (what == "ends" or len(queue) == 1):
            start(queue.pop(0), now)
        if not looks and free and len(queue) > 1:
            looks = True
            foresee(next_pass(phase, now, CYCLE), "looks", -1)
    return waits + [UNTIL - arrivals[one].at for one in queue]


def first_starts(arrivals: list[Arrival], free: int, running: dict[int, float], cores: int) -> tuple[float, int]:
    for limit, which in sorted((limit, which) for which, limit in running.items()):
        free += arrivals[which].cores
        if free >= cores:
            return limit, free - cores
    raise AssertionError("it would start now")


def alone(arrivals: list[Arrival], phase: float) -> Local:
    def never(job: Job, now: float) -> None:
        raise AssertionError

    return Local(Machine(0, CORES, phase), arrivals, (0.0, UNTIL), never, check=True)


@given(ARRIVALS, st.integers(0, 29), st.lists(st.floats(0, UNTIL), max_size=20))
def test_in_whatever_parts_it_is_played_it_does_what_the_reference_does(
    drawn: list[tuple[int, int, int, int]], phase: int, parts: list[float]
) -> None:
    arrivals = arrivals_of(drawn)
    local = alone(arrivals, float(phase))
    for until in [*sorted(parts), UNTIL]:
        local.play(until)
    local.close(UNTIL)
    assert local.waits == plainly(arrivals, float(phase)) and local.place == sum(one.at <= UNTIL for one in arrivals)


@given(ARRIVALS, st.lists(st.floats(0, UNTIL), min_size=1, max_size=10))
def test_a_snapshot_s_running_jobs_can_be_had_later(drawn: list[tuple[int, int, int, int]], times: list[float]) -> None:
    local = alone(arrivals_of(drawn), 0.0)
    kept = []
    for at in sorted(times):
        local.play(at)
        kept.append((local.machine.remember(), by_limit(local.machine.running)))
    local.play(UNTIL)
    assert all(local.machine.ran(since) == ran for since, ran in kept)


def test_it_stops_where_a_copy_of_a_request_starts() -> None:
    told: list[float] = []
    local = Local(
        Machine(0, 4),
        [Arrival(0.0, 4, 50.0, 60.0), Arrival(100.0, 1, 5.0, 5.0)],
        (0.0, 1.0),
        lambda job, now: told.append(now),
    )
    local.play(10.0)
    request = Request(10.0, 1, 60.0, 30.0, 1, True)
    copy = local.job(1, 30.0, 60.0, request, 10.0)
    assert not local.take(copy, 10.0) and local.copies == 1 and local.next == 50.0
    local.play(1000.0)
    assert told == [50.0] and local.copies == 0 and copy.state == State.RUNNING and local.next == 80.0
    local.play(1000.0)
    assert copy.state == State.OVER and local.place == 2 and local.machine.free == 4


SMALL = Scenario(centres=4, load="hot", days=0.4, seed=6, snapshot_age=60, outages=True)


@cache
def small() -> Workload:
    return workload_of(SMALL)


def curious(policy: Callable[[Run], Router]) -> Callable[[Run], Router]:
    """The same policy, while the run touches centres at other times too."""

    def made(run: Run) -> Router:
        rng = Random(1)

        def touch(_: object) -> None:
            run.centre(rng.randrange(len(run.machines)))
            run.at(run.now + rng.expovariate(1 / 5), touch, None)

        run.at(0.5, touch, None)
        return policy(run)

    return made


def outcome(run: Run) -> list[Any]:
    copies = [[(copy.machine, copy.state, copy.arrived, copy.ends) for copy in one.copies] for one in run.requests]
    return [[one.started_at for one in run.requests], copies, run.background, run.background_waits]


@pytest.mark.parametrize("policy", POLICIES)
def test_when_centres_are_touched_changes_nothing(policy: str) -> None:
    assert outcome(Run(small(), POLICIES[policy]).go()) == outcome(Run(small(), curious(POLICIES[policy])).go())
