"""Tests that the books balance, whatever happens in whatever order, and that a key counts once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.ledger import entries
from scnet_hub.domain.pricing import rates
from scnet_hub.errors import KeyTaken, Overdrawn
from scnet_hub.services.accounting import books
from scnet_hub.units import Amount, credits

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    db = Database(f"sqlite:///{tmp_path / 'books.sqlite'}")
    db.open()
    with db.engine.begin() as transaction:
        yield transaction
    db.close()


def test_hold_charge_and_rest(tx: Tx) -> None:
    books.grant(tx, "p", "first", credits(10), NOW)
    books.hold(tx, "p", "s1", credits(4), NOW)
    assert books.balance(tx, "p").available == credits(6)
    assert books.charge(tx, "p", "s1", "alpha", credits("1.5"), NOW)
    balance = books.balance(tx, "p")
    assert (balance.settled, balance.on_hold, balance.available) == (credits("1.5"), Amount(0), credits("8.5"))
    assert entry_rows.balance(tx, entries.centre_account("alpha")) == credits("1.5").micros


def test_a_session_is_charged_once_and_not_released_after(tx: Tx) -> None:
    books.grant(tx, "p", "first", credits(10), NOW)
    books.hold(tx, "p", "s1", credits(4), NOW)
    assert books.charge(tx, "p", "s1", "alpha", credits(1), NOW)
    assert not books.charge(tx, "p", "s1", "alpha", credits(1), NOW)
    with pytest.raises(KeyTaken, match="was charged before"):
        books.release(tx, "p", "s1", NOW)
    assert books.balance(tx, "p").available == credits(9)


def test_a_cost_over_the_hold_comes_off_the_project(tx: Tx) -> None:
    books.grant(tx, "p", "first", credits(10), NOW)
    books.hold(tx, "p", "s1", credits(4), NOW)
    books.charge(tx, "p", "s1", "alpha", credits(5), NOW)
    assert books.balance(tx, "p").available == credits(5)


def test_overdrawn_says_how_much_and_writes_nothing(tx: Tx) -> None:
    books.grant(tx, "p", "first", credits(1), NOW)
    with pytest.raises(Overdrawn, match=r"1\.00 credits available; this needs up to 2\.00"):
        books.hold(tx, "p", "s1", credits(2), NOW)
    assert books.balance(tx, "p").available == credits(1)


def test_a_grant_of_a_name_is_given_once(tx: Tx) -> None:
    assert books.grant(tx, "p", "first", credits(1), NOW)
    assert not books.grant(tx, "p", "first", credits(1), NOW)
    assert books.balance(tx, "p").granted == credits(1)


def test_an_entry_that_does_not_balance_cannot_be() -> None:
    with pytest.raises(ValueError, match="does not balance"):
        entries.Entry(
            key="x",
            at=NOW,
            kind="grant",
            project="p",
            postings=(entries.Posting("a", Amount(1)), entries.Posting("b", Amount(2))),
        )


def test_prices_are_exact_and_rounded_up_once() -> None:
    hourly = rates.per_hour(4, 1, core_hour=0.1, gpu_hour=20)
    assert hourly == credits("20.4")
    assert rates.cost(hourly, timedelta(hours=1)) == credits("20.4")
    assert rates.cost(Amount(1), timedelta(seconds=1)) == Amount(1)
    assert rates.cost(hourly, timedelta(seconds=-5)) == Amount(0)
