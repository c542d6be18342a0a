"""Tests usage: which of all received records count, how usage is cut, what it holds, and which parts are not charged or
not believed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scnet_hub.domain.jobs import Ending, JobState, UsageRecord
from scnet_hub.domain.months import period_of
from scnet_hub.domain.pricing.rates import segment_cost
from scnet_hub.domain.pricing.tariffs import Rates
from scnet_hub.domain.usage.refunds import CHARGED, NOT_CHARGED, Outage, refund
from scnet_hub.domain.usage.runs import Usage, live, revised, usage_of
from scnet_hub.domain.usage.segments import amounts, meters, segments
from scnet_hub.domain.usage.suspense import SKEW, SubmittedJob, check

from .examples import examples
from .runs import AT, DAY, HOUR, MINUTE, SECOND, ZONES, instants, interim, run, runs

NOW = AT + 2 * HOUR
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
COPY = SubmittedJob(session="abcdefghijkm", number=1, centre="alpha", asked_at=AT - 2 * MINUTE, job_id="77")


# ---- from a centre's accounting


def record(**changes: Any) -> UsageRecord:
    facts: dict[str, Any] = {
        "job_id": "77",
        "name": "scnet-abcdefghijkm",
        "state": JobState.COMPLETED,
        "cores": 4,
        **changes,
    }
    return UsageRecord(**facts)


def taken_in(told: UsageRecord, seen_at: datetime = NOW) -> Usage:
    return usage_of(told, centre="alpha", birth="1", session="abcdefghijkm", copy=1, seen_at=seen_at)


def test_gpus_of_which_the_model_is_not_told_are_counted_beside_those_of_which_it_is() -> None:
    assert taken_in(record(gpus=3, gpu_models=(("a100", 2),))).gpus == (("", 1), ("a100", 2))
    assert taken_in(record(gpus=2, gpu_models=(("a100", 2),))).gpus == (("a100", 2),)
    assert taken_in(record(gpus=2)).gpus == (("", 2),)


def test_a_running_job_whose_scheduler_does_not_count_is_counted_until_it_was_seen() -> None:
    runs_on = taken_in(record(state=JobState.RUNNING, started_at=AT))
    assert (runs_on.final, runs_on.elapsed, runs_on.end, runs_on.through) == (False, 2 * HOUR, None, NOW)
    counted = taken_in(record(state=JobState.RUNNING, started_at=AT, elapsed=HOUR))
    assert counted.elapsed == HOUR
    ended = taken_in(record(started_at=AT, ended_at=AT, ending=Ending.COMPLETED))
    assert (ended.final, ended.elapsed) == (True, timedelta())


def test_a_record_that_could_not_be_read_is_no_usage() -> None:
    with pytest.raises(ValueError, match="half a row"):
        taken_in(record(trouble="half a row"))


def test_another_word_on_an_ended_run_is_its_next_revision() -> None:
    first = run()
    again, later = run(seen_at=NOW), run(length=HOUR + SECOND)
    assert revised(None, first) == first
    assert revised(first, again).revision == 0 and revised(first, later).revision == 1
    assert revised(revised(first, later), replace(later, revision=0)).revision == 1
    assert revised(interim(), first).revision == 0  # it has ended since
    assert live([first, revised(first, interim())]).records[first.identity] == first  # an old answer is no correction


# ---- what counts

identities = st.tuples(
    st.sampled_from(("alpha", "beta")), st.sampled_from(("1", "2")), st.sampled_from("78"), st.integers(0, 1)
)


@st.composite
def deliveries(draw: st.DrawFn) -> list[Usage]:
    """Records of few runs, with several revisions, interim and final, some contradictory."""
    found = []
    for centre, birth, job_id, restart in draw(st.lists(identities, min_size=1, max_size=8)):
        length = draw(st.integers(0, 3)) * HOUR
        final, seen = draw(st.booleans()), AT + draw(st.integers(0, 3)) * HOUR
        submitted = {} if final or draw(st.booleans()) else {"submitted_at": None}
        found.append(
            (run if final else interim)(
                AT,
                length,
                centre=centre,
                birth=birth,
                job_id=job_id,
                restart=restart,
                revision=draw(st.integers(0, 1)),
                seen_at=seen,
                **submitted,
            )
        )
    return found


@given(deliveries(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=examples(200))
def test_any_order_and_any_number_of_times_gives_the_same_usage(sent: list[Usage], chance: Any) -> None:
    """I7: replaying all usage in any order, any number of times, yields the same."""
    once = live(sent)
    again = [*sent, *(chance.choice(sent) for _ in range(4))]
    chance.shuffle(again)
    twice = live(again)
    assert twice == once
    assert {key: one.seen_at for key, one in twice.records.items()} == {
        key: one.seen_at for key, one in once.records.items()
    }
    assert live([*once.records.values()]).records == once.records


@given(deliveries())
@settings(deadline=None, max_examples=examples(200))
def test_each_run_counts_once_or_is_suspended_with_a_reason(sent: list[Usage]) -> None:
    """I8 for usage: what came is either the live record of its run, beaten by one, or suspended in words."""
    found = live(sent)
    told = {(one.centre, one.birth, one.job_id, one.restart) for one in sent}
    counted = {(*tuple(key)[:3], key.restart) for key in {*found.records, *found.suspended}}
    assert counted == told
    assert not set(found.records) & set(found.suspended)
    assert all(reason.endswith(".") and "revision" in reason for reason in found.suspended.values())
    for key, one in found.records.items():
        rivals = [other for other in sent if other.identity == key]
        assert (one.revision, one.final) == max((other.revision, other.final) for other in rivals)


def test_a_correction_that_comes_before_what_it_corrects_counts() -> None:
    first, corrected = run(), run(length=2 * HOUR, revision=1)
    for order in ((first, corrected), (corrected, first), (corrected, first, corrected, first)):
        assert live(order).records == {first.identity: corrected}


def test_a_final_record_counts_before_an_interim_one_that_comes_late() -> None:
    first, late = run(), interim(length=59 * MINUTE, seen_at=NOW)
    assert live([first, late]).records == live([late, first]).records == {first.identity: first}


def test_of_a_final_record_that_comes_again_the_first_telling_counts_and_of_an_interim_one_the_last() -> None:
    early, late = run(seen_at=AT + 2 * HOUR), run(seen_at=AT + 3 * HOUR)
    assert {live(order).records[early.identity].seen_at for order in ((early, late), (late, early))} == {early.seen_at}
    shorter, longer = interim(length=HOUR, seen_at=AT + HOUR), interim(length=2 * HOUR, seen_at=AT + 2 * HOUR)
    assert live([longer, shorter]).records == live([shorter, longer]).records == {longer.identity: longer}


def test_two_final_records_that_differ_wait_for_a_correction() -> None:
    one, other = run(), run(length=2 * HOUR)
    found = live([one, other])
    assert found.records == {} and "two final records of job 77" in found.suspended[one.identity]
    resolved = live([one, other, run(length=3 * HOUR, revision=1)])
    assert resolved.suspended == {} and resolved.records[one.identity].elapsed == 3 * HOUR


def test_the_same_job_id_in_another_life_of_the_cluster_or_submitted_anew_is_another_run() -> None:
    ours = [run(), run(birth="2"), run(centre="beta"), run(submitted_at=AT - 2 * MINUTE), run(restart=1)]
    assert len(live(ours).records) == len({str(one.identity) for one in ours}) == 5


def test_a_running_job_without_its_submission_is_the_same_run_as_the_ended_one() -> None:
    """Grid Engine tells when a running job started, and only at its end when it was submitted."""
    assert list(live([interim(submitted_at=None), run()]).records.values()) == [run()]
    assert list(live([interim(submitted_at=None)]).records.values()) == [interim(submitted_at=None)]


# ---- segments


@given(runs(), st.sampled_from(ZONES), st.lists(instants, max_size=4))
@settings(deadline=None, max_examples=examples(200))
def test_segments_follow_each_other_within_months_and_sum_to_the_elapsed_time(
    usage: Usage, zone: str, cuts: list[datetime]
) -> None:
    """I12: no segment crosses the end of a month, half-open, in whatever zone and through all changes of its clock."""
    parts = segments(usage, zone, cuts)
    assert sum((part.length for part in parts), timedelta()) == usage.elapsed
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert parts[0].start == usage.start and parts[-1].end == usage.through
    assert all(before.end == after.start for before, after in pairwise(parts))
    for part in parts:
        month = period_of(part.start, zone)
        assert month.start <= part.start <= part.end <= month.end
        assert part.length > timedelta() or len(parts) == 1
        assert not any(part.start < cut < part.end for cut in cuts)


@given(runs(), st.sampled_from(ZONES), st.lists(instants, max_size=4))
@settings(deadline=None, max_examples=200)
def test_cutting_changes_no_quantity(usage: Usage, zone: str, cuts: list[datetime]) -> None:
    whole: dict[str, Fraction] = {}
    for part in segments(usage, zone, cuts):
        for meter, quantity in meters(part).items():
            whole[meter] = whole.get(meter, Fraction(0)) + quantity
    seconds = int(usage.elapsed.total_seconds())
    assert whole == {meter: amount * seconds for meter, amount in amounts(usage).items()}


def test_a_run_over_the_end_of_a_month_is_cut_there() -> None:
    """MET-04: midnight in Shanghai is 16:00 UTC."""
    edge = datetime(2026, 11, 30, 16, tzinfo=UTC)
    parts = segments(run(edge - HOUR, 3 * HOUR))
    assert [(part.start, part.end) for part in parts] == [(edge - HOUR, edge), (edge, edge + 2 * HOUR)]
    assert [str(part) for part in parts] == [f"{run(edge - HOUR).identity}/{number}/0" for number in (1, 2)]


def test_a_run_that_ends_at_midnight_has_nothing_in_the_new_month_and_one_that_starts_then_nothing_in_the_old() -> None:
    edge = datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert [(part.start, part.end) for part in segments(run(edge - HOUR))] == [(edge - HOUR, edge)]
    assert [(part.start, part.end) for part in segments(run(edge))] == [(edge, edge + HOUR)]


def test_a_run_of_forty_days_has_every_second() -> None:
    """MET-08."""
    parts = segments(run(datetime(2026, 1, 20, tzinfo=UTC), 40 * DAY))
    assert len(parts) == 3 and sum(meters(part)["core-second"] for part in parts) == 4 * 40 * 86400


@pytest.mark.parametrize(
    ("zone", "start", "lengths"),
    [
        ("Europe/Paris", datetime(2026, 10, 24, 22, tzinfo=UTC), [25 + 6 * 24]),  # the 25th has 25 hours
        ("America/Sao_Paulo", datetime(2018, 10, 31, 3, tzinfo=UTC), [24, 24]),
        ("Asia/Beirut", datetime(2026, 3, 31, 21, tzinfo=UTC), [48]),
    ],
)
def test_the_clock_that_is_put_forward_or_back_neither_loses_nor_doubles_an_hour(
    zone: str, start: datetime, lengths: list[int]
) -> None:
    """MET-09."""
    parts = segments(run(start, sum(lengths) * HOUR), zone)
    assert [part.length / HOUR for part in parts] == lengths


def test_a_run_of_no_length_is_one_segment_and_what_never_ran_none() -> None:
    """MET-11 and JOB-11."""
    (part,) = segments(run(length=timedelta()))
    assert (part.length, meters(part)) == (timedelta(), {"core-second": 0})
    assert segments(run(start=None, ending=Ending.CANCELLED, elapsed=timedelta())) == ()


def test_time_in_which_a_job_was_suspended_is_in_no_segment() -> None:
    parts = segments(run(AT, HOUR, end=AT + 3 * HOUR))
    assert [(part.start, part.end) for part in parts] == [(AT, AT + HOUR)]


def test_meters_name_the_gpu_model_and_count_memory_exactly() -> None:
    """MET-13."""
    (part,) = segments(run(length=90 * SECOND, gpus=(("", 1), ("A100", 2)), memory=3 * 2**29))
    assert meters(part) == {"core-second": 360, "gpu-second": 90, "gpu-second:a100": 180, "gib-second": 135}
    (part,) = segments(run(length=SECOND, memory=1))
    assert meters(part)["gib-second"] == Fraction(1, 2**30)


# ---- refunds


@pytest.mark.parametrize("ending", list(Ending))
def test_the_table_says_of_every_ending_whether_it_is_charged(ending: Ending) -> None:
    assert (ending in CHARGED) != (ending in NOT_CHARGED)
    usage = run(ending=ending, state_raw=ending.name)
    told = refund(usage)
    free = ending in (Ending.NODE_FAILURE, Ending.BOOT_FAILURE, Ending.PREEMPTED, Ending.SITE_FAILURE)
    assert all(told.covers(part) is free for part in segments(usage, cuts=told.cuts))
    assert told.reason.startswith("Not charged: " if free else "Charged for the time that it was allocated: ")
    assert not free or ending.name in told.reason


def test_who_cancelled_a_job_is_told() -> None:
    assert refund(run(ending=Ending.CANCELLED, ended_by="1000")).reason.endswith("it was cancelled by 1000.")


def test_what_only_waited_is_free() -> None:
    assert refund(run(start=None, ending=Ending.CANCELLED)).reason == "It never ran: nothing to charge."


def test_an_outage_refunds_just_the_time_that_overlaps() -> None:
    usage = run(AT, 3 * HOUR)
    outages = [
        Outage(centre="alpha", start=AT - HOUR, end=AT + HOUR, words="cooling"),
        Outage(centre="alpha", start=AT + 30 * MINUTE, end=AT + 90 * MINUTE, words="cooling"),
        Outage(centre="alpha", start=AT + 40 * MINUTE, end=AT + 50 * MINUTE),  # within the one before
        Outage(centre="alpha", start=AT + 150 * MINUTE),  # it lasts
        Outage(centre="beta", start=AT, end=AT + 3 * HOUR),
        Outage(centre="alpha", partition="debug", start=AT, end=AT + 3 * HOUR),
    ]
    told = refund(usage, outages)
    parts = segments(usage, cuts=told.cuts)
    assert [part.length for part in parts if not told.covers(part)] == [HOUR] and told.length == 2 * HOUR
    assert (
        told.reason.startswith("2 h of it are not charged")
        and "(cooling)" in told.reason
        and "ran to its end" in told.reason
    )


@given(runs(), st.lists(st.tuples(instants, st.integers(0, 10**7)), max_size=5), st.sampled_from(ZONES))
@settings(deadline=None, max_examples=200)
def test_each_second_is_charged_or_refunded_and_never_both(
    usage: Usage, drawn: list[tuple[datetime, int]], zone: str
) -> None:
    outages = [Outage(centre="alpha", start=start, end=start + seconds * SECOND) for start, seconds in drawn]
    told = refund(usage, outages)
    parts = segments(usage, zone, told.cuts)
    charged = [part for part in parts if not told.covers(part)]
    assert sum((part.length for part in charged), timedelta()) + told.length == usage.elapsed
    if usage.ending not in NOT_CHARGED:
        assert not any(
            max(part.start, one.start) < min(part.end, one.end or NOW) for part in charged for one in outages
        )


# ---- what is not to be believed


def test_an_ordinary_record_is_charged() -> None:
    assert check(run(), NOW, copy=COPY, since=SINCE) == ""
    assert check(interim(), NOW, copy=COPY, since=SINCE) == ""
    waited = run(start=None, cores=0, elapsed=timedelta(), ending=Ending.CANCELLED)
    assert check(waited, NOW, copy=COPY, since=SINCE) == ""


@pytest.mark.parametrize(
    ("usage", "word"),
    [
        (run(cores=-4), "less than nothing"),
        (run(cores=math.nan), "no whole number"),
        (run(cores=True), "no whole number"),
        (run(gpus=(("a100", -1),)), "GPUs a100"),
        (run(gpus=(("a100", 1), ("a100", 1))), "twice"),
        (run(memory=-1), "memory"),
        (run(cores=10**12), "more than any centre has"),
        (run(elapsed=-HOUR), "less than no time"),
        (run(cpu=-HOUR), "less than no time"),
        (run(elapsed=10**6 * DAY), "longer than any centre"),
        (run(AT, HOUR, end=AT - HOUR), "before it started"),
        (run(AT + 5 * HOUR), "ahead of the hub's clock"),
        (interim(AT + 5 * HOUR), "ahead of the hub's clock"),
        (run(AT + HOUR, HOUR + 6 * MINUTE), "ahead of the hub's clock"),
        (run(datetime(2019, 1, 1, tzinfo=UTC)), "before the federation began"),
        (run(submitted_at=datetime(1970, 1, 2, tzinfo=UTC)), "before the federation began"),
        (run(elapsed=2 * HOUR), "lie between its start and its end"),
        (interim(elapsed=9 * HOUR), "lie between its start and its end"),
        (run(end=None), "doesn't say when"),
        (run(ending=None), "no state in which a job ends"),
        (run(submitted_at=None), "when it was submitted"),
        (run(submitted_at=AT + HOUR), "before it was submitted"),
        (run(start=None, end=None), "never started"),
        (run(start=AT.replace(tzinfo=None), submitted_at=AT), "no time zone"),
        (run(name="other"), "says that it is of session"),
    ],
)
def test_a_record_that_cannot_be_is_suspended_with_a_sentence(usage: Usage, word: str) -> None:
    copy = replace(COPY, session="nmkjihgfedcb") if usage.name == "other" else COPY
    reason = check(usage, NOW, copy=copy, since=SINCE)
    assert word in reason and reason.endswith(".") and "77" in reason and "alpha" in reason


@pytest.mark.parametrize(
    ("copy", "word"),
    [
        (None, "no session of that name"),
        (replace(COPY, centre="beta"), "was sent to beta"),
        (replace(COPY, job_id="78"), "is job 78 there"),
    ],
)
def test_a_job_that_only_bears_the_name_of_a_session_is_suspended(copy: SubmittedJob | None, word: str) -> None:
    assert word in check(run(), NOW, copy=copy, since=SINCE)


def test_two_runs_of_a_copy_at_the_same_time_are_suspended_and_one_after_the_other_are_not() -> None:
    first, second = run(), run(AT + HOUR, restart=1)
    assert check(second, NOW, copy=COPY, since=SINCE, others=[first, second]) == ""
    double = run(AT + 59 * MINUTE, restart=1, elapsed=MINUTE)
    assert "at the same time" in check(double, NOW, copy=COPY, since=SINCE, others=[first])
    assert check(first, NOW, copy=COPY, since=SINCE, others=[run(revision=1)]) == ""  # a revision of itself


@given(runs(), st.integers(-(10**6), 10**6).map(lambda count: count * SECOND))
@settings(deadline=None, max_examples=examples(200))
def test_what_is_charged_ended_after_it_started_and_not_after_the_hubs_clock(usage: Usage, apart: timedelta) -> None:
    """I19: clock skew up to five minutes is taken, more is suspended."""
    now = (usage.end or usage.through or AT) + apart
    copy = replace(COPY, asked_at=usage.submitted_at or AT)
    reason = check(usage, now, copy=copy, since=datetime(2023, 1, 1, tzinfo=UTC))
    late = (usage.end or usage.start or AT) > now + SKEW or (usage.submitted_at or AT) > now + SKEW
    if late:
        assert reason
    elif usage.final:
        assert reason == "" and usage.start is not None and usage.end is not None and usage.start <= usage.end


def test_any_nonsense_is_a_sentence_and_never_a_crash() -> None:
    odd: list[Any] = [None, "4", 4.5, math.inf, -1, 2**80, [], True]
    for value in odd:
        for name in ("cores", "memory", "restart", "revision"):
            assert check(replace(run(), **{name: value}), NOW, copy=COPY, since=SINCE).endswith(".")


def test_a_charge_can_be_made_of_each_segment() -> None:
    rates = Rates(prices={"core-second": 1_200_000, "gpu-second": 20_000_000, "gib-second": 0})
    usage = run(length=750 * SECOND, gpus=(("a100", 1),), memory=2**30)
    (part,) = segments(usage)
    cost = segment_cost(meters(part), rates, part.length)
    assert cost.amount.micros == -(-(4 * 1_200_000 + 20_000_000) * 750 // 3600)
    assert cost.formula.startswith("(4 cores x 1.2")
