"""Defects found in the code of other projects (each of them billed people wrongly), as tests that this project
passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.jobs import Ending, UsageRecord
from scnet_hub.domain.pricing.rates import segment_cost
from scnet_hub.domain.pricing.tariffs import Rates
from scnet_hub.domain.usage.runs import Usage, live, usage_of
from scnet_hub.domain.usage.segments import meters, segments

from .runs import AT, HOUR, MINUTE, SECOND, run

RATES = Rates(prices={"core-second": 1_200_000, "gib-second": 0})


def accounted(
    state: str = "COMPLETED", elapsed: int = 60, tres: str = "billing=2,cpu=2,mem=4G,node=1", start: int = 1795400000
) -> UsageRecord:
    line = f"7|{state}|2|{tres}|64G|{start}|{start}|{start + elapsed}|{elapsed}|00:01|n1|0:0|main|scnet-a\n"
    (record,) = Slurm("sacct", Cycle()).records(Completed(Command(("x",)), 0, line, ""))
    return record


def usage(record: UsageRecord, **changes: str) -> Usage:
    return usage_of(
        record,
        **{"centre": "alpha", "birth": "1", "session": "a", **changes},
        copy=1,
        seen_at=datetime(2027, 1, 1, tzinfo=UTC),
    )  # type: ignore[arg-type]


def test_defect_5_what_was_allocated_is_charged_not_what_was_asked_for() -> None:
    """A SLURM report that reads ReqTRES: people pay for what they asked for and did not get."""
    record = accounted(tres="billing=2,cpu=2,gres/gpu=1,mem=4G,node=1")  # 64 GiB were asked for
    assert (record.cores, record.gpus, record.memory) == (2, 1, 4 * 2**30)


@pytest.mark.parametrize("days", [31, 32, 40, 100, 400])
def test_defect_5_a_run_of_more_than_31_days_has_all_its_days(days: int) -> None:
    """And the elapsed time as `%d-%H:%M:%S`, which ends with the month."""
    record = accounted(elapsed=days * 86400 + 1)
    assert record.elapsed == timedelta(days=days, seconds=1)
    assert sum(meters(part)["core-second"] for part in segments(usage(record))) == 2 * (days * 86400 + 1)


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("OUT_OF_MEMORY", Ending.OUT_OF_MEMORY), ("DEADLINE", Ending.DEADLINE), ("CANCELLED by 1000", Ending.CANCELLED),
        ("CANCELLED", Ending.CANCELLED), ("PREEMPTED", Ending.PREEMPTED), ("BOOT_FAIL", Ending.BOOT_FAILURE),
    ],
)  # fmt: skip
def test_defect_6_every_state_in_which_a_job_ends_is_a_record(word: str, ending: Ending) -> None:
    """A parser that knows six words of State exactly: all other jobs are never billed."""
    record = accounted(word)
    assert record.ending is ending and usage(record).final


def test_defect_6_the_hour_that_the_clock_shows_twice_is_told_apart() -> None:
    """And local times through mktime: an hour too much or too little in the night in which the clock is put back."""
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in Paris, and an hour later 02:30 again
    record = accounted(start=int(first.timestamp()), elapsed=3600)
    assert (record.started_at, record.ended_at) == (first, first + HOUR)
    (part,) = segments(usage(record), "Europe/Paris")
    assert part.length == HOUR


def test_defect_7_a_job_id_alone_is_no_identity() -> None:
    """The bare job id as key: jobs of two clusters, after the ids begin anew or after a requeue overwrite each
    other."""
    same_id = [run(), run(centre="beta"), run(birth="2"), run(submitted_at=AT - 2 * MINUTE), run(restart=1)]
    assert all(one.job_id == "77" for one in same_id)
    assert len(live(same_id).records) == len(same_id)


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 119])
def test_defect_8_no_second_is_free(seconds: int) -> None:
    """Minutes cut off to whole ones: 59 s are free, as often as you like."""
    (part,) = segments(run(length=seconds * SECOND))
    cost = segment_cost(meters(part), RATES, part.length).amount.micros
    assert cost == -(-4 * 1_200_000 * seconds // 3600) > 0


def test_defect_8_cutting_a_run_makes_it_no_cheaper() -> None:
    cuts = [AT + number * 59 * SECOND for number in range(1, 61)]
    whole, parts = segments(run()), segments(run(), cuts=cuts)
    price = [
        sum(segment_cost(meters(part), RATES, part.length).amount.micros for part in some) for some in (whole, parts)
    ]
    assert price[0] <= price[1] < price[0] + len(parts)
