"""Tests manifests: a late or incomplete centre is noticed before the month closes, and reported in sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.usage.manifests import Manifest, day_span, digest, manifest, missing
from scnet_hub.domain.usage.runs import Usage

from .runs import DAY, HOUR, interim, run, runs

DATE = date(2026, 11, 23)
START, END = day_span(DATE)
ENDED = run(START + HOUR)
OVER_NIGHT = run(END - HOUR, 2 * HOUR, job_id="78")
GOES_ON = interim(START, HOUR, job_id="79")
QUEUED = run(
    start=None,
    job_id="80",
    submitted_at=START - DAY,
    end=START + HOUR,
    elapsed=timedelta(),
    ending=Ending.CANCELLED,
    cores=0,
)
ALL = (ENDED, OVER_NIGHT, GOES_ON, QUEUED, run(START - 2 * HOUR, job_id="81"), run(START + HOUR, centre="beta"))


def told(records: Sequence[Usage] = ALL, *, ids: bool = True) -> Manifest:
    return manifest(records, centre="alpha", day=DATE, watermark=END + HOUR, ids=ids)


def test_a_day_is_the_federations_and_half_open() -> None:
    assert (datetime(2026, 11, 22, 16, tzinfo=UTC), datetime(2026, 11, 23, 16, tzinfo=UTC)) == (START, END)
    ends = (run(START - HOUR), run(END - HOUR, job_id="78"))  # both end at a midnight
    assert told(ends).ids == ("alpha/1/77/1795359540/0/0",)
    assert (
        day_span(date(2026, 10, 25), "Europe/Paris")[1] - day_span(date(2026, 10, 25), "Europe/Paris")[0] == 25 * HOUR
    )


def test_a_manifest_counts_what_ended_and_names_what_goes_on() -> None:
    one = told()
    assert (one.finals, one.records, one.open_jobs) == (2, 4, (str(OVER_NIGHT.identity), str(GOES_ON.identity)))
    assert one.sums == {"core-second": 4 * 3600}
    lines = "".join(f"{line}\n" for line in sorted(f"{record.identity}/0" for record in (ENDED, QUEUED)))
    assert one.digest == hashlib.sha256(lines.encode()).hexdigest()


def test_what_starts_at_midnight_is_of_the_next_day() -> None:
    assert told([interim(END)]).records == 0 and told([interim(END - timedelta(seconds=1))]).records == 1


def test_a_day_of_which_all_came_lacks_nothing_and_a_day_without_jobs_too() -> None:
    assert missing(told(), ALL) == () and missing(told(ids=False), ALL) == ()
    assert missing(told(()), ()) == ()


def test_a_record_that_did_not_come_is_counted_and_named() -> None:
    """MET-12."""
    (reason,) = missing(told(), ALL[1:])
    assert (
        reason == f"2026-11-23: its manifest lists 2 ended runs; there are records of 1; not here: {ENDED.identity}/0"
    )
    assert missing(told(ids=False), ALL[1:]) == ("2026-11-23: its manifest lists 2 ended runs; there are records of 1",)


def test_a_record_that_the_centre_does_not_know_of_is_named() -> None:
    extra = run(START, job_id="99")
    (reason,) = missing(told(), (*ALL, extra))
    assert f"not in the manifest: {extra.identity}/0" in reason


def test_another_revision_is_not_the_same_record() -> None:
    (reason,) = missing(told(), (replace(ENDED, revision=1), *ALL[1:]))
    assert "different runs or revisions" in reason and f"{ENDED.identity}/1" in reason


def test_the_same_runs_with_other_amounts_are_seen() -> None:
    (reason,) = missing(told(), (replace(ENDED, cores=3), *ALL[1:]))
    assert reason == "2026-11-23: the same runs, but different sums (core-second: 14400 in its manifest, 10800 here)"


def test_a_run_that_goes_on_and_is_not_known_here_is_named() -> None:
    (reason,) = missing(told(), (ENDED, OVER_NIGHT, *ALL[3:]))
    assert reason.endswith(f"no record of: {GOES_ON.identity}")


def test_a_run_that_went_on_then_and_has_ended_since_is_no_fault() -> None:
    since = replace(GOES_ON, end=END + HOUR, elapsed=END + HOUR - START, ending=Ending.COMPLETED)
    assert missing(told(), (ENDED, OVER_NIGHT, since, *ALL[3:])) == ()


def test_a_manifest_of_a_day_that_was_not_over_is_seen() -> None:
    (reason,) = missing(replace(told(), watermark=END - HOUR), ALL)
    assert "before the day was over" in reason


def test_a_manifest_whose_digest_is_not_of_its_identities_contradicts_itself() -> None:
    (reason,) = missing(replace(told(), digest=digest(["x"])), ALL)
    assert "contradicts itself" in reason


@given(st.lists(runs(), max_size=6, unique_by=lambda one: one.identity), st.data())
@settings(deadline=None, max_examples=100)
def test_the_manifest_of_what_came_lacks_nothing_and_each_lost_record_is_told(
    records: list[Usage], data: st.DataObject
) -> None:
    seen = [one for record in records for one in (record.end, record.through) if one is not None]
    day = max(seen).date() if seen else DATE
    said = manifest(records, centre="alpha", day=day, watermark=day_span(day)[1])
    assert missing(said, reversed(records)) == ()
    if said.finals:
        lost = data.draw(
            st.sampled_from([record for record in records if f"{record.identity}/{record.revision}" in said.ids])
        )
        reasons = missing(said, [record for record in records if record is not lost])
        assert reasons and str(lost.identity) in reasons[0]
