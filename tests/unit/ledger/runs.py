"""Runs of jobs, written by hand and drawn by Hypothesis: the input of the tests of metering."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.usage.runs import Usage

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR, MINUTE, SECOND, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)
ZONES = (
    "Asia/Shanghai",
    "Europe/Paris",
    "America/New_York",
    "UTC",
    "Pacific/Auckland",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Asia/Beirut",
)


def run(start: datetime | None = AT, length: timedelta = HOUR, **changes: Any) -> Usage:
    """A run of 4 cores that ended after `length`."""
    facts: dict[str, Any] = {
        "centre": "alpha", "birth": "1", "job_id": "77",
        "submitted_at": AT - MINUTE if start is None else start - MINUTE, "name": "scnet-abcdefghijkm",
        "session": "abcdefghijkm", "copy": 1, "partition": "batch", "cores": 4, "start": start,
        "end": None if start is None else start + length, "elapsed": length, "ending": Ending.COMPLETED,
        "seen_at": AT if start is None else start + length + MINUTE,
    }  # fmt: skip
    return Usage(**{**facts, **changes})


def interim(start: datetime = AT, length: timedelta = HOUR, **changes: Any) -> Usage:
    return run(start, length, **{"end": None, "ending": None, **changes})


instants = st.integers(0, 4 * 365 * 86400).map(lambda second: datetime(2024, 1, 1, tzinfo=UTC) + second * SECOND)
lengths = st.one_of(st.just(0), st.integers(1, 120), st.integers(1, 100 * 86400)).map(lambda count: count * SECOND)
gpus = st.dictionaries(st.sampled_from(("", "a100", "v100")), st.integers(1, 64), max_size=3).map(
    lambda found: tuple(sorted(found.items()))
)


@st.composite
def runs(draw: st.DrawFn) -> Usage:
    """Of any size and length; perhaps suspended, perhaps still running."""
    start, length, ending = draw(instants), draw(lengths), draw(st.sampled_from((None, *Ending)))
    suspended = draw(st.integers(0, 3600)) * SECOND
    return run(
        start, length, end=start + length + suspended if ending else None, ending=ending,
        cores=draw(st.integers(0, 1024)), gpus=draw(gpus), memory=draw(st.integers(0, 2**42)),
        cpu=draw(st.integers(0, 10**6)) * timedelta(milliseconds=1), restart=draw(st.integers(0, 2)),
        revision=draw(st.integers(0, 2)), birth=draw(st.sampled_from(("1", "2026-11-23T08:00", "b:/é"))),
    )  # fmt: skip
