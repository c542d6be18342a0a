"""Tests accounting that is wrong, late or empty: it raises no error, stops no other centre's accounting, and moves no
money."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.db.queries import lots as lot_rows
from scnet_hub.adapters.db.queries import periods as period_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.db.queries.lots import Lot
from scnet_hub.domain.jobs import Ending, JobState, UsageRecord
from scnet_hub.domain.sessions import records
from scnet_hub.domain.usage import serialisation
from scnet_hub.errors import Refused
from scnet_hub.services.accounting import accounting_pull, books, charging, intake, outages, suspense_decisions
from scnet_hub.services.accounting.accounting_pull import AccountingPull
from scnet_hub.units import credits
from tests.builders.copies import change
from tests.builders.postgres import undone
from tests.unit.ledger.runs import AT, DAY, HOUR, MINUTE, interim, run

from .ended import NOW, PAGE, SESSION, Ended, pages

DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
RUNS: dict[str, Any] = {"live": True, "state": "running", "copy_live": True, "copy_state": "running"}
OVER: dict[str, Any] = {"live": False, "state": "ended", "copy_live": False, "copy_state": "ended"}


@pytest.fixture
def ended(engine: Engine) -> Iterator[Ended]:
    with engine.connect() as tx, tx.begin() as work:
        yield Ended(tx)
        work.rollback()


# ---- what nobody can have meant

ODD: tuple[dict[str, Any], ...] = (
    {"ended_at": None, "elapsed": timedelta(seconds=86_399_999_999_999)},
    {"ended_at": None, "started_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)},
    {"ended_at": None, "ending": None, "state": JobState.RUNNING, "elapsed": timedelta(days=4_000_000)},
    {"submitted_at": datetime(1, 1, 1, tzinfo=UTC)},
    {"started_at": datetime(1, 1, 1)},  # noqa: DTZ001
    {"cores": 10**40},
    {"cores": float("nan")},
    {"memory": 10**30},
    {"gpus": -4},
    {"gpu_models": (("a100\n", 10**25),), "gpus": 1},
    {"restart": 10**30},
    {"job_id": "7" * 5000, "state_raw": "\ud800", "exit_code": "\0"},
)


def told(**changes: Any) -> UsageRecord:
    facts: dict[str, Any] = {
        "job_id": "77", "name": f"scnet-{SESSION}", "state": JobState.COMPLETED, "ending": Ending.COMPLETED, "cores": 4,
        "partition": "batch", "submitted_at": AT - MINUTE, "started_at": AT, "ended_at": AT + HOUR, "elapsed": HOUR,
    }  # fmt: skip
    return UsageRecord(**(facts | changes))


def test_no_row_of_a_days_accounting_stops_the_others(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx, pages()).begin()
        strangers = [
            told(**({"job_id": f"{number}", "name": "scnet-\0x"} | odd)) for number, odd in enumerate(ODD, 100)
        ]
        mine = [told(**odd) for odd in ODD]
        for rows in (strangers, mine, [*strangers, told()]):
            intake.settle(tx, "alpha", (), rows, ended.pages, NOW)
            accounting_pull.compared(tx, "alpha", AT.date(), rows, NOW, "Asia/Shanghai")
        ended.books()


def test_what_was_believed_of_a_run_that_goes_on_is_not_believed_of_another_length(ended: Ended) -> None:
    ended.begin(**RUNS).came(interim(elapsed=20 * HOUR))
    suspense_decisions.decide(ended.tx, ended.rows[0].id, "believe", "it did", "op", ended.pages, NOW)
    ended.came(interim(elapsed=-HOUR))
    assert [one.state for one in ended.rows] == ["counted", "suspense"]


async def test_a_centre_whose_accounting_breaks_something_stops_no_other_centres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Watched(AccountingPull):
        asked: list[str]

        async def once(self, centre: str) -> None:
            self.asked.append(centre)
            if centre == "alpha":
                raise OverflowError("date value out of range")

    monkeypatch.setattr(accounting_pull, "EVERY", 0)
    one = Watched(cast(Any, SimpleNamespace(centres={"alpha": None, "beta": None})), cast(Any, None))
    one.asked = []
    task = asyncio.create_task(one.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert one.asked[:4] == ["alpha", "beta"] * 2
    task.cancel()


# ---- GPUs that an accounting does not track


ASKED: dict[str, Any] = {"request": {"gpus": 2}}


def test_a_session_that_asked_for_gpus_is_not_charged_as_one_without(ended: Ended) -> None:
    """Slurm's default tracks none, so its records have 0."""
    ended.begin(**ASKED).came(run())
    (waits,) = ended.rows
    assert (waits.state, ended.charged) == ("suspense", None)
    assert "asked for 2 GPUs, and its accounting tells of 0" in waits.reason and "AccountingStorageTRES" in waits.reason
    assert "Not charged until an operator has reviewed" in ended.log
    suspense_decisions.decide(ended.tx, waits.id, "believe", "the GPUs are a gift", "op", ended.pages, NOW)
    assert ended.charged and [one.state for one in ended.rows] == ["counted"]
    ended.books()


@pytest.mark.parametrize(
    ("gpus", "state"),
    [
        ((("", 2),), "counted"),
        ((("", 1), ("a100", 1)), "counted"),
        ((("", 4),), "counted"),
        ((("a100", 1),), "suspense"),
    ],
)
def test_gpus_that_are_told_are_charged(ended: Ended, gpus: tuple[tuple[str, int], ...], state: str) -> None:
    ended.begin(**ASKED).came(run(gpus=gpus))
    assert [one.state for one in ended.rows] == [state]


def test_a_session_without_gpus_waits_for_nobody(ended: Ended) -> None:
    ended.begin(request={"gpus": 0}).came(run())
    assert ended.charged


def test_a_session_whose_job_never_ran_waits_for_nobody(ended: Ended) -> None:
    ended.begin(**ASKED).came(run(start=None, length=timedelta(), cores=0, ending=Ending.CANCELLED))
    assert ended.charged == 0


def test_what_a_dialect_doubts_is_kept_with_all_that_it_could_read(ended: Ended) -> None:
    ended.begin(**ASKED)
    doubted = told(trouble="it asked for --gres=gpu:2, which accounting does not track.")
    intake.settle(ended.tx, "alpha", (), [doubted], ended.pages, NOW)
    (waits,) = ended.rows
    assert (waits.state, ended.charged) == ("suspense", None) and "--gres=gpu:2" in waits.reason
    assert serialisation.usage_from(waits.record).elapsed == HOUR
    suspense_decisions.decide(ended.tx, waits.id, "believe", "charged without them", "op", ended.pages, NOW)
    assert ended.charged


def test_what_could_not_be_read_can_still_not_be_believed(ended: Ended) -> None:
    ended.begin()
    bad = UsageRecord(job_id="77", name=f"scnet-{SESSION}", state=JobState.UNKNOWN, cores=0, trouble="half a row")
    intake.settle(ended.tx, "alpha", (), [bad], ended.pages, NOW)
    with pytest.raises(Refused, match="it could not be read"):
        suspense_decisions.decide(ended.tx, ended.rows[0].id, "believe", "why not", "op", ended.pages, NOW)


# ---- what was written off


def test_what_comes_after_a_session_was_written_off_waits_even_if_it_was_heard_of_while_it_ran(ended: Ended) -> None:
    ended.begin(**RUNS).came(interim())
    change(ended.tx, SESSION, **OVER)
    charging.settle_without(ended.tx, _row(ended).copy, NOW)
    ended.came(run(length=2 * HOUR))
    assert ended.charged == 0
    assert [(one.state, one.reason) for one in ended.rows if one.final] == [
        ("suspense", "It came after its session was settled without a usage record.")
    ]
    ended.books()


@pytest.mark.parametrize("unreadable", [True, False])
def test_what_was_written_off_stays_so_when_its_old_records_are_weighed_again(ended: Ended, unreadable: bool) -> None:
    ended.begin(**(OVER if unreadable else RUNS))
    if unreadable:
        ended.came(run(start=None, length=timedelta()), doubt="half a row")
    else:
        ended.came(interim())
    change(ended.tx, SESSION, **OVER)
    charging.settle_without(ended.tx, _row(ended).copy, NOW)
    charging.recharge(ended.tx, SESSION, ended.pages, NOW)
    assert (_row(ended).session.charged, _row(ended).copy.used) == (0, 0)


def _row(ended: Ended) -> records.SessionCopy:
    row = session_rows.get(ended.tx, SESSION)
    assert row
    return row


# ---- lots that have ended


def _lots(ended: Ended) -> dict[str, Lot]:
    return {one.name: one for one in lot_rows.list_for(ended.tx, "p", "GRANT")}


def test_a_correction_after_its_lots_end_costs_that_lot_and_no_other(ended: Ended) -> None:
    books.grant(ended.tx, "p", "a", credits(100), AT - HOUR, expires_at=AT + DAY)
    ended.begin().came(run())
    ended.now = AT + 2 * DAY
    books.expire(ended.tx, ended.now)
    ended.came(run(length=HOUR - MINUTE, revision=1))  # less: the difference ends with its lot
    books.expire(ended.tx, ended.now)
    assert (_lots(ended)["a"].spent, _lots(ended)["a"].available) == (credits("4.72").micros, 0)
    assert _lots(ended)["x"].spent == 0
    ended.came(run(length=2 * HOUR, revision=2))  # more: only what is more comes of what the project still has
    assert (_lots(ended)["a"].spent, _lots(ended)["x"].spent) == (credits("4.72").micros, credits("4.88").micros)
    ended.books()


def test_a_correction_of_what_several_lots_paid_takes_each_back_once(ended: Ended) -> None:
    books.grant(ended.tx, "p", "a", credits(1), AT - HOUR, expires_at=AT + DAY)
    books.grant(ended.tx, "p", "b", credits(2), AT - HOUR, expires_at=AT + DAY + HOUR)
    over = datetime(2026, 11, 30, 15, tzinfo=UTC)  # an hour before the month is, in Shanghai
    ended.begin()
    ended.now = over + DAY
    ended.came(run(over, 2 * HOUR))  # 4.8 in each month
    books.expire(ended.tx, ended.now)
    ended.came(run(over, 2 * HOUR, revision=1, cores=2))  # 2.4 in each
    found = _lots(ended)
    assert sum(one.spent for one in found.values()) == credits("4.8").micros
    assert (found["a"].spent, found["b"].spent) == (credits(1).micros, credits(2).micros)
    ended.books()


@pytest.mark.parametrize("booked", [True, False])
def test_a_charge_that_is_taken_back_until_it_is_known_is_held_by_the_lots_that_paid_it(
    ended: Ended, booked: bool
) -> None:
    """And by no others when their end comes meanwhile."""
    books.grant(ended.tx, "p", "a", credits(100), AT - HOUR, expires_at=AT + DAY)
    ended.begin().came(run())
    ended.came(run(length=HOUR - MINUTE))  # another final record of the same revision
    assert (
        ended.charged is None
        and _row(ended).session.held == credits("4.8").micros == books.held(ended.tx, SESSION).micros
    )
    assert (_lots(ended)["a"].held, _lots(ended)["a"].spent, _lots(ended)["x"].held) == (credits("4.8").micros, 0, 0)
    ended.now = AT + 2 * DAY
    if booked:
        books.expire(ended.tx, ended.now)
    ended.came(run(length=HOUR - MINUTE, revision=1))
    books.expire(ended.tx, ended.now)
    assert (_lots(ended)["a"].spent, _lots(ended)["x"].spent) == (credits("4.72").micros, 0)
    assert (_lots(ended)["a"].available, _lots(ended)["a"].held) == (0, 0)
    ended.books()


def test_what_was_taken_back_goes_home_where_nothing_is_to_be_paid_as_often_as_that_happens(database: Database) -> None:
    with undone(database) as tx:
        ended = Ended(tx).begin()
        for revision in (0, 2):
            ended.came(run(revision=revision))
            assert ended.charged == credits("4.8").micros
            ended.came(run(length=2 * HOUR, revision=revision))
            assert ended.charged is None and _lots(ended)["x"].held == credits("4.8").micros
            ended.came(run(revision=revision + 1, ending=Ending.NODE_FAILURE))
            assert ended.charged == 0 and _lots(ended)["x"].available == credits(1000).micros
            ended.books()


# ---- what hinders a month


def test_a_record_that_waits_hinders_its_month_whatever_its_clock_says_and_however_often_it_comes(
    database: Database,
) -> None:
    with undone(database) as tx:
        ended = Ended(tx).begin()
        ended.came(run(end=AT + 400 * DAY))
        assert period_rows.suspended(tx, DECEMBER)[0] == 1
        ended.came(run(None, timedelta(), ending=None, restart=1), doubt="half a row")
        ended.now = DECEMBER + DAY
        ended.came(run(None, timedelta(), ending=None, restart=1), doubt="half a row")
        assert period_rows.suspended(tx, DECEMBER)[0] == 2
        assert period_rows.suspended(tx, AT - DAY)[0] == 0
        ended.came(run(job_id="78"))  # another's job, that only bears the name
        assert (period_rows.suspended(tx, DECEMBER)[0], period_rows.suspended(tx)[0]) == (2, 3)


# ---- outages


def test_an_outage_that_becomes_shorter_is_charged_for_where_it_is_none_any_more(ended: Ended) -> None:
    ended.begin()
    for end, costs in ((AT + 5 * HOUR, 0), (AT + 30 * MINUTE, 2.4), (AT - MINUTE, 4.8)):
        said = f'[[maintenance]]\nstart = {(AT - HOUR).isoformat()}\nend = {end.isoformat()}\nreason = "cooling"\n'
        ended.pages = pages(PAGE + said)
        outages.declare(ended.tx, ended.pages.centres["alpha"].spec, ended.pages, NOW)
        ended.came(run())
        assert ended.charged == credits(costs).micros
    ended.books()
