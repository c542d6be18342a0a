"""Tests records that arrive late, repeatedly, out of order, corrected or forged: the books are the same, and
disbelieved records get a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.db.queries import usage as usage_rows
from scnet_hub.domain.jobs import Ending, JobState, UsageRecord
from scnet_hub.domain.pricing.tariffs import Sale, Tariff, Version
from scnet_hub.domain.usage import serialisation
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.domain.usage.serialisation import Terms
from scnet_hub.domain.usage.suspense import SubmittedJob, overlap
from scnet_hub.domain.usage.verdicts import Arrived, weigh
from scnet_hub.errors import BadOption, NotFound, Refused
from scnet_hub.services.accounting import books, charging, intake, outages, suspense_decisions
from scnet_hub.units import Amount, credits
from tests.builders.copies import change, session_copy
from tests.builders.postgres import undone
from tests.unit.ledger import story
from tests.unit.ledger.examples import examples, wired
from tests.unit.ledger.runs import AT, DAY, HOUR, MINUTE, SECOND, interim, run, runs

from .ended import NOW, PAGE, SESSION, Ended, pages

HOURLY = credits("4.8").micros  # of the 4 cores of `run`


@pytest.fixture
def ended(engine: Engine) -> Iterator[Ended]:
    with engine.connect() as tx, tx.begin() as work:
        yield Ended(tx).begin()
        work.rollback()


# ---- what is kept reads back


@settings(max_examples=max(examples(2000) // 10, 1), deadline=None)
@given(runs())
def test_a_record_reads_back_as_it_was(one: Usage) -> None:
    again = serialisation.usage_from(serialisation.usage_document(one))
    assert again == one and again.seen_at == one.seen_at and again.identity == one.identity


def test_prices_read_back_as_they_were() -> None:
    tariff = Tariff(
        versions=(Version(prices={"core-second": 12, "gpu-second:a100": 7}, minimum=3),
        Version(prices={"core-second": 0}, since=AT)),
        sales=(Sale(name="nights", opens=1320, closes=360, off=400_000, days=frozenset({0, 6}), first=AT.date()),),
        zone="Asia/Shanghai", place="Partition batch of Alpha", gpu_model="a100",
    )  # fmt: skip
    terms = Terms(tariff=tariff, fee=25_000, zone="Europe/Paris")
    document = serialisation.terms_document(terms)
    assert serialisation.terms_from(document) == terms and serialisation.digest_of(document) == serialisation.digest_of(
        serialisation.terms_document(serialisation.terms_from(document))
    )


def _row(partition: str) -> Any:
    return session_copy(id=SESSION, partition=partition, centre="alpha")


# ---- any order, any number of times (I7), each counted once or in suspense (I8)

_lengths = st.integers(0, 5400).map(lambda count: count * SECOND)
_bad = st.sampled_from(
    (
        {"cores": -4}, {"elapsed": -HOUR}, {"job_id": "78"}, {"centre": "beta"}, {"name": "scnet-nopqrstuvwxy"},
        {"name": "mine"}, {"end": AT + 40 * DAY, "elapsed": 40 * DAY}, {"submitted_at": AT - DAY},
        {"elapsed": 3 * HOUR, "end": AT + HOUR},
    )
)  # fmt: skip


@st.composite
def _records(draw: st.DrawFn) -> Usage:
    """Of one of two runs of the session's job, which overlap if the first is long; final or interim; perhaps not to be
    believed."""
    restart, length = draw(st.integers(0, 1)), draw(_lengths)
    start = AT + restart * HOUR
    facts: dict[str, Any] = {"restart": restart, "revision": draw(st.integers(0, 2)), "submitted_at": start - MINUTE}
    one = run(start, length, **facts) if draw(st.integers(0, 3)) else interim(start, length, **facts)
    if draw(st.integers(0, 5)) == 0:
        one = replace(one, **draw(_bad))
    return replace(one, seen_at=AT + length, ending=draw(st.sampled_from((*Ending,))) if one.final else None)


_bags = st.lists(_records(), min_size=1, max_size=6)


def test_i7_i8_any_order_and_any_repetition_give_the_same_books(engine: Engine) -> None:
    @settings(max_examples=wired(40, engine), deadline=None)
    @given(_bags, st.randoms(use_true_random=False))
    def holds(bag: list[Usage], chance: Any) -> None:
        told = []
        for again in (list(bag), [*bag, *bag]):
            chance.shuffle(again)
            with story.undone(engine) as tx:
                ended = Ended(tx).begin()
                ended.came(*again)
                told.append(ended.books())
                _each_is_counted_or_explained(ended)
        assert told[0] == told[1]

    holds()


@settings(max_examples=examples(200), deadline=None)
@given(_bags, st.randoms(use_true_random=False))
def test_i7_what_is_thought_of_records_does_not_depend_on_their_order(bag: list[Usage], chance: Any) -> None:
    copies = {1: SubmittedJob(session=SESSION, number=1, centre="alpha", asked_at=AT - 2 * MINUTE, job_id="77")}
    told = []
    for order in (list(bag), list(bag)):
        chance.shuffle(order)
        arrived = [Arrived(id=number, usage=one, seen_at=NOW) for number, one in enumerate(dict.fromkeys(order))]
        verdicts = weigh(arrived, copies, AT - 200 * DAY)
        assert all(bool(one.reason) == (one.state == "suspense") for one in verdicts.values())
        counted = [one.usage for one in arrived if verdicts[one.id].state == "counted"]
        assert not any(overlap(one, other) for one in counted for other in counted)
        told.append({one.usage: verdicts[one.id] for one in arrived})
    assert told[0] == told[1]


def _each_is_counted_or_explained(ended: Ended) -> None:
    for one in ended.rows:
        assert one.state in (usage_rows.COUNTED, usage_rows.SUSPENSE, usage_rows.REPLACED)
        assert bool(one.reason) == (one.state == usage_rows.SUSPENSE), one
    counted = [one for one in ended.rows if one.state == usage_rows.COUNTED]
    assert len({one.identity for one in counted}) == len(counted)
    if ended.charged:
        runs = sorted((serialisation.usage_from(one.record) for one in counted), key=lambda run: run.restart)
        copy = (session_rows.get(ended.tx, SESSION) or _row("batch")).copy
        terms, _ = charging.terms_of(ended.tx, copy, ended.pages)
        assert charging.price(runs, terms).total == Amount(ended.charged)
        assert sum(micros for _, (_, micros) in ended.charges()) == ended.charged  # type: ignore[misc]


def test_the_same_books_on_both_databases(database: Database) -> None:
    right, wrong = run(), run(length=2 * HOUR, revision=1)
    for order in ((right, wrong, right), (wrong, right)):
        with undone(database) as tx:
            ended = Ended(tx, pages(fee=5)).begin()
            ended.came(*order)
            assert ended.charged == 2 * HOURLY and ended.sums()["fee:federation"] == 2 * HOURLY // 20
            assert ended.books()[1] == [
                (AT, ("centre:alpha", 2 * HOURLY * 19 // 20), ("fee:federation", 2 * HOURLY // 20))
            ]


def test_any_number_of_duplicates_are_one_record(ended: Ended) -> None:
    ended.came(run())
    before = ended.books()
    ended.came(*[run()] * 300)
    assert ended.books() == before and len(ended.rows) == 1


# ---- corrections


def test_a_corrected_record_is_charged_instead_and_the_log_says_why(ended: Ended) -> None:
    ended.came(run())
    assert ended.charged == HOURLY and ended.sums()["held:p/x"] == 0
    intake.settle(ended.tx, "alpha", [], [told(elapsed=30 * MINUTE, ended_at=AT + 30 * MINUTE)], ended.pages, NOW)
    assert ended.charged == HOURLY // 2
    assert (
        "Charged 2.40 credits instead of 4.80 credits, because its centre's accounting has corrected its usage record"
        in ended.log
    )
    assert [one.state for one in ended.rows] == ["replaced", "counted"]
    ended.books()


def test_a_node_failure_that_was_called_completed_first_is_paid_back_whole(ended: Ended) -> None:
    ended.came(run())
    intake.settle(
        ended.tx,
        "alpha",
        [],
        [told(state=JobState.LOST, ending=Ending.NODE_FAILURE, state_raw="NODE_FAIL")],
        ended.pages,
        NOW,
    )
    assert ended.charged == 0 and ended.sums() == {
        "project:p/x": credits(1000).micros,
        "held:p/x": 0,
        "centre:alpha": 0,
        "fee:federation": 0,
    }
    assert "a node of the centre failed (NODE_FAIL)" in ended.log


def test_a_correction_that_is_taken_back_is_charged_as_at_first(ended: Ended) -> None:
    for length in (HOUR, 2 * HOUR, HOUR, 2 * HOUR):
        intake.settle(ended.tx, "alpha", [], [told(elapsed=length, ended_at=AT + length)], ended.pages, NOW)
        assert ended.charged == HOURLY * (length // HOUR)
        ended.books()


def test_an_accounting_that_tells_one_thing_and_another_in_turn_is_listened_to_for_a_while(ended: Ended) -> None:
    def said(hours: int) -> None:
        intake.settle(ended.tx, "alpha", [], [told(elapsed=hours * HOUR, ended_at=AT + hours * HOUR)], ended.pages, NOW)

    for turn in range(40):
        said(1 + turn % 2)
    assert [one.state for one in ended.rows] == ["replaced"] * 4 + ["counted", "suspense"]
    assert "tells one thing and another of job 77 in turn" in ended.rows[-1].reason
    assert ended.charged == HOURLY and len(entry_rows.charges_of(ended.tx, SESSION, reversed_too=True)) == 5
    said(3)
    assert ended.charged == 3 * HOURLY and ended.rows[-2].state == "replaced", "what it never said before is heard"
    for turn in range(40):
        said(1 + turn % 3)
    assert len(ended.rows) < 12 and ended.rows[-1].state == "suspense"
    counted = ended.charged
    suspense_decisions.decide(ended.tx, ended.rows[-1].id, "believe", "by telephone", "op", ended.pages, NOW)
    assert ended.charged != counted
    for turn in range(5):
        said(1 + turn % 3)
        assert ended.rows[-1].state == "counted" and usage_rows.suspended(ended.tx) == []
    ended.books()


def test_a_turn_that_is_dropped_leaves_what_counted_before(ended: Ended) -> None:
    for turn in range(12):
        if turn == 9:
            suspense_decisions.decide(ended.tx, ended.rows[-1].id, "drop", "by telephone", "op", ended.pages, NOW)
        length = (1 + turn % 2) * HOUR
        intake.settle(ended.tx, "alpha", [], [told(elapsed=length, ended_at=AT + length)], ended.pages, NOW)
    assert ended.charged == HOURLY and len(ended.rows) == 6 and usage_rows.suspended(ended.tx) == []
    ended.books()


def test_words_that_differ_in_nothing_that_costs_are_not_kept_for_ever(ended: Ended) -> None:
    for number in range(40):
        intake.settle(ended.tx, "alpha", [], [told(cpu=number * SECOND)], ended.pages, NOW)
    assert len(ended.rows) == 10 and ended.charged == HOURLY and usage_rows.suspended(ended.tx) == []
    intake.settle(ended.tx, "alpha", [], [told(elapsed=30 * MINUTE, ended_at=AT + 30 * MINUTE)], ended.pages, NOW)
    assert ended.charged == HOURLY // 2


def test_a_record_that_differs_in_nothing_that_costs_changes_no_entry(ended: Ended) -> None:
    ended.came(run())
    before = ended.charges()
    ended.came(run(revision=1, node="n2", cpu=MINUTE))
    assert ended.charges() == before and ended.charged == HOURLY and "instead of" not in ended.log


def told(**changes: Any) -> UsageRecord:
    """The accounting's own word of `run()`."""
    facts: dict[str, Any] = {
        "job_id": "77", "name": f"scnet-{SESSION}", "state": JobState.COMPLETED, "ending": Ending.COMPLETED, "cores": 4,
        "partition": "batch", "submitted_at": AT - MINUTE, "started_at": AT, "ended_at": AT + HOUR, "elapsed": HOUR,
    }  # fmt: skip
    return UsageRecord(**(facts | changes))


def test_an_outage_that_is_declared_later_is_paid_back_once_and_stays_so(ended: Ended) -> None:
    ended.came(run())
    page = (
        PAGE + f"[[maintenance]]\nstart = {AT.isoformat()}\nend = {(AT + 30 * MINUTE).isoformat()}\nreason = 'the "
        "cooling failed'\n"
    )
    with_outage = pages(page).centres["alpha"].spec
    assert outages.declare(ended.tx, with_outage, ended.pages, NOW) == 1
    assert (
        ended.charged == HOURLY // 2
        and "the cooling failed" in ended.log
        and "its centre declared an outage" in ended.log
    )
    assert outages.declare(ended.tx, with_outage, ended.pages, NOW) == 0
    charging.recharge(ended.tx, SESSION, ended.pages, NOW)  # by a page that names it no more
    assert ended.charged == HOURLY // 2
    ended.books()


# ---- prices (I11, I12)


def test_i11_an_edited_page_never_changes_a_past_price(ended: Ended) -> None:
    ended.came(run())
    dearer = pages(PAGE.replace("core_hour = 1.2", "core_hour = 9"), fee=10)
    ended.pages = dearer
    ended.came(run(length=2 * HOUR, revision=1))
    assert ended.charged == 2 * HOURLY and ended.sums()["fee:federation"] == 0
    said = outages.past_prices(ended.tx, dearer.centres["alpha"].spec, NOW + DAY)
    assert len(said) == 1 and "the price of core-second differs" in said[0] and "tariff_from" in said[0]
    assert outages.past_prices(ended.tx, pages().centres["alpha"].spec, NOW + DAY) == []


def test_what_has_no_price_waits_and_is_charged_once_the_page_is_mended(ended: Ended) -> None:
    ended.pages = pages(PAGE.replace('name = "batch"', 'name = "other"'))
    ended.came(run())
    assert "no longer has the partition batch" in ended.log
    assert ended.charged is None and ended.rows[0].state == "counted"
    charging.recharge(ended.tx, SESSION, pages(), NOW)
    assert ended.charged == HOURLY


def test_each_month_has_its_own_charge_and_what_runs_over_its_end_is_charged_before(engine: Engine) -> None:
    start = datetime(2026, 11, 30, 15, tzinfo=AT.tzinfo)  # 23:00 in Shanghai
    with story.undone(engine) as tx:
        ended = Ended(tx, now=start + 2 * HOUR).begin(
            copy_state="ready", copy_live=True, live=True, state="ready", asked_at=start - HOUR
        )
        ended.came(interim(start, 2 * HOUR))
        charging.charge_interim(tx, SESSION, ended.pages, start + HOUR, ended.now)
        charging.charge_interim(tx, SESSION, ended.pages, start + HOUR, ended.now)
        assert ended.charges() == [(start, ("centre:alpha", HOURLY))] and ended.charged is None
        change(tx, SESSION, copy_state="ended", copy_live=False, live=False, state="ended")
        ended.now = start + 4 * HOUR
        ended.came(run(start, 3 * HOUR))
        assert ended.charges() == [(start, ("centre:alpha", HOURLY)), (start + HOUR, ("centre:alpha", 2 * HOURLY))]
        assert ended.charged == 3 * HOURLY and ended.sums()["held:p/x"] == 0
        ended.books()


# ---- bad input

BAD = {
    "forged: another job bears its name": (run(job_id="78"), "its name is forged, or it was copied"),
    "forged: sent to another centre": (run(centre="beta"), "its name is forged"),
    "unknown account": (run(name="scnet-nopqrstuvwxy"), "no session of that name is known"),
    "negative": (run(cores=-1), "less than nothing"),
    "not a number": (run(cores=float("nan")), "no whole number"),  # type: ignore[arg-type]
    "endless": (run(memory=float("inf")), "no whole number"),  # type: ignore[arg-type]
    "future": (run(AT + 9 * DAY), "ahead of the hub's clock"),
    "ancient": (run(AT - timedelta(days=900)), "before the federation began"),
    "longer than its time": (run(elapsed=9 * HOUR), "lie between its start and its end"),
    "without a zone": (run(end=datetime(2026, 11, 23, 9)), "has no time zone"),  # noqa: DTZ001
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_in_suspense_with_a_sentence_and_the_books_are_unchanged(ended: Ended, what: str) -> None:
    record, reason = BAD[what]
    before = ended.sums()
    ended.came(record)
    assert [one.state for one in ended.rows] == ["suspense"] and reason in ended.rows[0].reason
    assert ended.sums() == before and ended.charged is None
    ended.came(run())
    strange = (
        record.job_id != "77"
        or record.centre != "alpha"
        or record.submitted_at != run().submitted_at
        or "nopq" in record.name
    )
    assert ended.charged == HOURLY, "a good record of the same run counts"
    assert sum(one.state == "suspense" for one in ended.rows) >= strange


def test_a_clock_that_is_a_little_ahead_is_believed_and_one_that_is_more_waits_for_the_time_to_come(
    ended: Ended,
) -> None:
    ended.now = AT + 56 * MINUTE
    ended.came(run())
    assert ended.charged == HOURLY
    other = Ended(ended.tx, now=AT + 30 * MINUTE)
    other.begin("bcdefghijkmn", job_id="78")
    late = run(name="scnet-bcdefghijkmn", session="bcdefghijkmn", job_id="78")
    other.came(late)
    assert usage_rows.of_session(ended.tx, "bcdefghijkmn")[0].state == "suspense"
    other.now = AT + 2 * HOUR
    other.came(late)
    assert usage_rows.of_session(ended.tx, "bcdefghijkmn")[0].state == "counted"


@pytest.mark.parametrize("job_id", ["77", ""])
def test_a_clock_that_was_ahead_when_the_session_was_asked_for_leaves_no_hold_standing(
    ended: Ended, job_id: str
) -> None:
    """The hub's clock was an hour ahead then; since it is right, what the centre says lies before the session was asked
    for."""
    change(ended.tx, SESSION, asked_at=AT + HOUR, job_id=job_id)
    ended.came(run())
    assert (
        [one.state for one in ended.rows] == ["counted"] and ended.charged == HOURLY and ended.sums()["held:p/x"] == 0
    )


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_records_the_one_from_before_the_session_waits_whichever_came_first(ended: Ended, first: int) -> None:
    early = run(AT - DAY)
    ended.came(*((early, run()), (run(), early))[first])
    states = {one.record["submitted_at"]: (one.state, one.reason) for one in ended.rows}
    assert sorted(state for state, _ in states.values()) == ["counted", "suspense"] and ended.charged == HOURLY
    assert any("before session" in reason for _, reason in states.values())


def test_runs_that_overlap_wait_and_what_was_charged_by_one_of_them_is_taken_back(ended: Ended) -> None:
    ended.came(run())
    ended.came(run(AT + 30 * MINUTE, restart=1))
    assert ended.charged is None and {one.state for one in ended.rows} == {"suspense"} and "is taken back" in ended.log
    assert all("ran at the same time" in one.reason for one in ended.rows)
    suspense_decisions.decide(ended.tx, ended.rows[1].id, "drop", "a copy of the row", "op", ended.pages, NOW)
    assert ended.charged == HOURLY and ended.rows[1].state == "dropped"
    ended.books()


def _second_run_dropped(ended: Ended) -> None:
    """A session of which a second run, at the same time as the first, does not count."""
    ended.came(run(), run(AT + 30 * MINUTE, restart=1, submitted_at=AT - MINUTE))
    suspense_decisions.decide(ended.tx, ended.rows[1].id, "drop", "a copy of the row", "op", ended.pages, NOW)
    assert ended.charged == HOURLY


def _second_run(ended: Ended, **changes: Any) -> None:
    facts: dict[str, Any] = {"restart": 1, "started_at": AT + 30 * MINUTE, "ended_at": AT + 90 * MINUTE}
    intake.settle(ended.tx, "alpha", [], [told(**(facts | changes))], ended.pages, NOW)


def test_what_was_dropped_stays_so_when_it_is_told_again_in_other_words(ended: Ended) -> None:
    _second_run_dropped(ended)
    before = ended.charges()
    for number in range(3):
        _second_run(ended, cpu=number * MINUTE, node=f"n{number}", exit_code=f"{number}:0")
        assert (ended.charges(), ended.rows[-1].state) == (before, "dropped")
    assert (
        len(ended.rows) == 5
        and usage_rows.suspended(ended.tx) == []
        and "is taken back" not in ended.log.partition("dropped")[2]
    )
    ended.books()


@pytest.mark.parametrize("changes", [{"cores": 8}, {"elapsed": 20 * MINUTE}, {"ending": Ending.FAILED}])
def test_a_word_that_changes_what_was_dropped_waits_alone(ended: Ended, changes: dict[str, Any]) -> None:
    _second_run_dropped(ended)
    before = ended.charges()
    _second_run(ended, **changes)
    assert ended.charges() == before and [one.state for one in ended.rows] == ["counted", "dropped", "suspense"]
    suspense_decisions.decide(ended.tx, ended.rows[2].id, "believe", "this one ran", "op", ended.pages, NOW)
    assert ended.charged is None, "now the first one needs a decision"
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", "a copy of the row", "op", ended.pages, NOW)
    assert ended.charged and ended.charges()[0][0] == AT + 30 * MINUTE
    ended.books()


def test_a_correction_of_what_was_dropped_counts_if_it_can_be_believed(ended: Ended) -> None:
    ended.came(run(cores=-1))
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", "nonsense", "op", ended.pages, NOW)
    ended.came(run(cores=-2, revision=1))
    assert ended.charged == 0 and ended.rows[1].state == "suspense"
    ended.came(run(revision=2))
    assert ended.charged == HOURLY and [one.state for one in ended.rows] == ["dropped", "replaced", "counted"]
    ended.books()


def test_two_runs_that_are_both_believed_stay_so_when_they_are_told_again_in_other_words(ended: Ended) -> None:
    ended.came(run(), run(AT + 30 * MINUTE, restart=1, submitted_at=AT - MINUTE))
    for one in ended.rows:
        suspense_decisions.decide(ended.tx, one.id, "believe", "it did run twice", "op", ended.pages, NOW)
    _second_run(ended, node="n2")
    assert ended.charged == 2 * HOURLY and [one.state for one in ended.rows] == ["counted", "replaced", "counted"]
    ended.books()


def test_of_two_that_contradict_each_other_in_nothing_that_matters_the_other_counts(ended: Ended) -> None:
    ended.came(run(node="n1"), run(node="n2"))
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", "the other one", "op", ended.pages, NOW)
    assert ended.charged == HOURLY and [one.state for one in ended.rows] == ["dropped", "counted"]


def test_a_run_of_which_one_word_was_dropped_and_another_counts_is_a_run_like_any_other(ended: Ended) -> None:
    ended.came(run(), run(length=2 * HOUR))
    suspense_decisions.decide(ended.tx, ended.rows[1].id, "drop", "the other one", "op", ended.pages, NOW)
    ended.came(run(length=40 * MINUTE, revision=1))
    assert ended.charged == HOURLY * 2 // 3
    ended.came(run(AT + 30 * MINUTE, restart=1))
    assert ended.charged is None and [one.state for one in ended.rows][2:] == ["suspense"] * 2


def test_an_end_that_was_dropped_is_not_followed_by_what_was_known_before_it(ended: Ended) -> None:
    ended.came(interim(length=30 * MINUTE), run(cores=-1))
    suspense_decisions.decide(ended.tx, ended.rows[1].id, "drop", "nonsense", "op", ended.pages, NOW)
    assert ended.charged == 0 and [one.state for one in ended.rows] == ["replaced", "dropped"]


def test_a_strangers_job_that_was_dropped_stays_so_when_it_is_told_again_in_other_words(ended: Ended) -> None:
    ended.came(run(job_id="78"))
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", "somebody tried", "op", ended.pages, NOW)
    ended.came(run(job_id="78", revision=1, node="n2"))
    assert ended.rows == []
    ended.came(run(job_id="78", revision=2, cores=8))
    assert [one.state for one in ended.rows] == ["suspense"]


def test_a_row_that_can_not_be_read_waits_until_it_can_or_an_operator_drops_it(ended: Ended) -> None:
    broken = told(trouble="sacct's row can't be read", state=JobState.UNKNOWN, ending=None)
    intake.settle(ended.tx, "alpha", [], [broken], ended.pages, NOW)
    assert (
        ended.charged is None
        and ended.rows[0].reason == "sacct's row can't be read"
        and "until an operator has reviewed" in ended.log
    )
    with pytest.raises(Refused, match="could not be read"):
        suspense_decisions.decide(ended.tx, ended.rows[0].id, "believe", "it ran", "op", ended.pages, NOW)
    intake.settle(ended.tx, "alpha", [], [told()], ended.pages, NOW)
    assert ended.charged == HOURLY and [one.state for one in ended.rows] == ["replaced", "counted"]


def test_what_an_operator_drops_costs_nothing_and_what_they_believe_is_charged(ended: Ended) -> None:
    ahead = run(AT + 9 * DAY)
    ended.came(ahead)
    with pytest.raises(BadOption, match="Give a reason"):
        suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", " ", "op", ended.pages, NOW)
    with pytest.raises(NotFound):
        suspense_decisions.decide(ended.tx, 999_999, "drop", "x", "op", ended.pages, NOW)
    row = suspense_decisions.decide(
        ended.tx, ended.rows[0].id, "believe", "their clock is wrong", "op", ended.pages, NOW
    )
    assert (row.state, row.decided_by, ended.charged) == ("counted", "op", HOURLY)
    with pytest.raises(Refused, match="not in suspense"):
        suspense_decisions.decide(ended.tx, row.id, "drop", "x", "op", ended.pages, NOW)


def test_a_session_all_of_whose_records_are_dropped_gives_its_hold_back(ended: Ended) -> None:
    ended.came(run(cores=-1))
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "drop", "nonsense", "op", ended.pages, NOW)
    assert ended.charged == 0 and ended.sums()["project:p/x"] == credits(1000).micros and "nonsense" in ended.log
    ended.books()


def test_a_record_that_comes_after_its_session_was_written_off_waits_for_an_operator(ended: Ended) -> None:
    row = session_rows.get(ended.tx, SESSION)
    assert row
    charging.settle_without(ended.tx, row.copy, NOW)
    ended.came(run())
    assert (
        ended.charged == 0
        and ended.rows[0].state == "suspense"
        and "after its session was settled" in ended.rows[0].reason
    )
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "believe", "it did run", "op", ended.pages, NOW)
    assert ended.charged == HOURLY
    ended.books()


def test_two_final_records_of_one_revision_that_differ_wait_for_the_next_one(ended: Ended) -> None:
    ended.came(run(), run(length=2 * HOUR))
    assert ended.charged is None and {one.state for one in ended.rows} == {"suspense"}
    ended.came(run(length=2 * HOUR, revision=1))
    assert ended.charged == 2 * HOURLY and [one.state for one in ended.rows] == ["replaced", "replaced", "counted"]
    ended.books()


def test_of_two_that_differ_one_can_be_believed(ended: Ended) -> None:
    ended.came(run(), run(length=2 * HOUR))
    suspense_decisions.decide(
        ended.tx, ended.rows[1].id, "believe", "they said so by telephone", "op", ended.pages, NOW
    )
    assert ended.charged == 2 * HOURLY and [one.state for one in ended.rows] == ["replaced", "counted"]
    ended.books()


def test_what_was_charged_before_records_were_kept_is_not_charged_anew_by_other_prices(ended: Ended) -> None:
    books.charge(ended.tx, "p", SESSION, "alpha", credits(3), AT, "as it was", now=NOW)
    change(
        ended.tx, SESSION, 1, used=credits(3).micros, charged=credits(3).micros, state="charged", copy_state="charged"
    )
    ended.came(run(), run(cores=-1))
    assert ended.charged == credits(3).micros and {one.state for one in ended.rows} == {"counted", "suspense"}
    ended.books()


def test_a_run_that_goes_on_is_not_charged_before_its_end(ended: Ended) -> None:
    ended.came(interim())
    assert ended.charged is None and ended.rows[0].state == "counted"
    ended.came(run(length=2 * HOUR))
    assert ended.charged == 2 * HOURLY and [one.state for one in ended.rows] == ["replaced", "counted"]
