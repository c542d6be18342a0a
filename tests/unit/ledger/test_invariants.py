"""Tests the invariants of the books, whatever happens in whatever order (market.md's invariants, by number)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from scnet_hub.adapters.db.database import Tx, migrate
from scnet_hub.adapters.db.engines import make_engine
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import lots as lot_rows
from scnet_hub.domain.ledger import entries, lots
from scnet_hub.domain.ledger.entries import Posting
from scnet_hub.domain.ledger.lots import Lot
from scnet_hub.errors import KeyTaken, Overdrawn
from scnet_hub.services.accounting import audit, books, sealing
from scnet_hub.units import CREDIT, Amount, credits

from .examples import examples, heavy
from .story import NOW, STORIES, UNITS, Teller, undone

Step = tuple[Any, ...]


@settings(max_examples=heavy(150), deadline=None)
@given(STORIES)
def test_i1_i5_i6_whatever_happens_entries_balance_holds_resolve_once_and_balances_are_what_entries_come_to(
    engine: Engine, story: list[Step]
) -> None:
    with undone(engine) as tx:
        teller = Teller(tx)
        for step in story:
            teller.tell(step)
        found = audit.verify(tx)
        assert found.ok, found.problems
        assert set(entry_rows.trial_balance(tx).values()) <= {0}
        for project in "pq":
            for unit in UNITS:
                money = books.balance(tx, project, unit)
                assert money.granted == money.settled + money.on_hold + money.available
                assert money.available.micros == sum(
                    entry_rows.balance(tx, entries.project_account(project, lot.name))
                    for lot in lot_rows.list_for(tx, project, unit)
                )


@settings(max_examples=heavy(100), deadline=None)
@given(STORIES)
def test_i2_no_entry_that_was_sealed_can_be_changed_moved_or_taken_out(engine: Engine, story: list[Step]) -> None:
    with undone(engine) as tx:
        teller = Teller(tx)
        for step in [("grant", "p", "x", 30, None, "", CREDIT), *story, ("hold", "p", 1, 5, "a")]:
            teller.tell(step)
        sealing.seal(tx)
        clean = audit.verify(tx)
        assert clean.ok and clean.sealed == clean.entries
        tx.execute(text("UPDATE scnet_entries SET memo = 'another' WHERE id = (SELECT MAX(id) - 1 FROM scnet_entries)"))
        assert not audit.verify(tx).ok


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from(("grant", "hold", "charge", "release")), st.integers(1, 20), st.integers(1, 20))
def test_i3_the_same_key_and_body_is_the_same_and_another_body_is_refused(
    engine: Engine, kind: str, one: int, other: int
) -> None:
    with undone(engine) as tx:
        first, second = (_entry(kind, micros) for micros in (one, other))
        assert entry_rows.add(tx, first) and not entry_rows.add(tx, first)
        if one == other:
            assert not entry_rows.add(tx, second)
        else:
            with pytest.raises(KeyTaken):
                entry_rows.add(tx, second)


def _entry(kind: str, micros: int) -> entries.Entry:
    postings = (Posting("project:p/x", Amount(-micros)), Posting("held:p/x", Amount(micros)))
    return entries.Entry(
        key="k", at=NOW + timedelta(seconds=micros), kind=kind, project="p", session="s", postings=postings
    )


_lots = st.lists(
    st.builds(
        Lot, project=st.just("p"), name=st.sampled_from("abcdef"), grantor=st.just("g"), granted=st.just(20),
        available=st.integers(-5, 20), floor=st.sampled_from((0, 0, 7)),
        expires_at=st.sampled_from((None, NOW, NOW + timedelta(days=1), NOW + timedelta(days=9))),
        centres=st.sampled_from(((), ("a",), ("a", "b"))),
    ),
    unique_by=lambda lot: lot.name, max_size=5,
)  # fmt: skip


@settings(max_examples=examples(300), deadline=None)
@given(_lots, st.integers(0, 60), st.sampled_from("ab"))
def test_i4_nobody_draws_more_than_there_is_with_the_overdraft(mine: list[Lot], micros: int, centre: str) -> None:
    parts = lots.draw(mine, micros, centre, NOW)
    known = {lot.name: lot for lot in mine}
    assert sum(parts.values()) == min(micros, lots.available(mine, centre, NOW))
    assert all(0 < part <= known[name].available + known[name].floor for name, part in parts.items())
    assert all(known[name].open_to(centre, NOW) for name in parts)
    spared = [lot for lot in mine if lot.open_to(centre, NOW) and parts.get(lot.name, 0) < lot.drawable]
    for lot in spared:  # what expires sooner is used up before
        assert not any(
            part for name, part in parts.items() if (known[name].expires_at or _EVER) > (lot.expires_at or _EVER)
        )


_EVER = NOW + timedelta(days=9999)


@settings(max_examples=examples(300), deadline=None)
@given(_lots, st.integers(1, 40), st.integers(0, 60), st.sampled_from("ab"), st.booleans())
def test_i5_what_is_posted_is_within_the_hold_but_for_an_overrun_that_is_posted_as_one(
    mine: list[Lot], micros: int, cost: int, centre: str, last: bool
) -> None:
    hold = lots.draw(mine, micros, "a", NOW)
    left = [Lot(**{**_fields(lot), "available": lot.available - hold.get(lot.name, 0)}) for lot in mine]
    settled = lots.settle(hold, left, cost, centre, NOW, last=last)
    assert sum(settled.held.values()) + sum(settled.more.values()) == cost
    assert all(settled.held.get(name, 0) + settled.back.get(name, 0) <= part for name, part in hold.items())
    if last:
        assert all(settled.held.get(name, 0) + settled.back.get(name, 0) == part for name, part in hold.items())
    if centre == "a":
        assert not settled.more or sum(settled.held.values()) == sum(hold.values()) or sum(settled.more.values()) == 0


def _fields(lot: Lot) -> dict[str, Any]:
    return {name: getattr(lot, name) for name in Lot.__slots__}


# ---- single stories


@pytest.fixture
def tx(engine: Engine) -> Iterator[Tx]:
    with undone(engine) as work:
        yield work


def test_i13_a_hold_keeps_its_lot_past_the_lots_end(tx: Tx) -> None:
    books.grant(tx, "p", "autumn", credits(10), NOW, expires_at=NOW + timedelta(days=1))
    books.hold(tx, "p", "s", credits(4), NOW)
    after = NOW + timedelta(days=2)
    assert books.expire(tx, after) == 1
    assert books.balance(tx, "p").expired == credits(6)
    with pytest.raises(Overdrawn, match=r"0\.00 credits available"):
        books.hold(tx, "p", "t", credits(1), after)
    assert books.charge(tx, "p", "s", "a", credits(3), after)
    assert books.expire(tx, after) == 1  # what came back of the hold
    money = books.balance(tx, "p")
    assert (money.settled, money.expired, money.granted) == (credits(3), credits(7), credits(3))
    assert audit.verify(tx).ok


def test_what_expires_first_is_spent_first_and_what_is_for_one_centre_before_what_is_for_all(tx: Tx) -> None:
    books.grant(tx, "p", "plain", credits(5), NOW)
    books.grant(tx, "p", "alpha", credits(5), NOW, centres=("alpha",))
    books.grant(tx, "p", "soon", credits(5), NOW, expires_at=NOW + timedelta(days=3))
    books.hold(tx, "p", "s", credits(12), NOW, centre="alpha")
    row = lot_rows.hold(tx, "s")
    assert row and row.parts == {"soon": 5_000_000, "alpha": 5_000_000, "plain": 2_000_000}
    with pytest.raises(Overdrawn, match=r"3\.00 credits available; this needs up to 4\.00"):
        books.hold(tx, "p", "t", credits(4), NOW, centre="beta")


def test_credits_for_another_centre_are_said_to_be(tx: Tx) -> None:
    books.grant(tx, "p", "alpha", credits(5), NOW, centres=("alpha",))
    with pytest.raises(
        Overdrawn,
        match=r"0\.00 credits available for beta; 5\.00 credits in all, of which some is for other centres only",
    ):
        books.check(tx, "p", credits(1), NOW, centre="beta")


def test_a_session_that_ran_elsewhere_than_its_lots_are_for_is_paid_by_others(tx: Tx) -> None:
    books.grant(tx, "p", "alpha", credits(5), NOW, centres=("alpha",))
    books.grant(tx, "p", "plain", credits(5), NOW)
    books.hold(tx, "p", "s", credits(3), NOW, centre="alpha")
    assert books.charge(tx, "p", "s", "beta", credits(2), NOW)
    left = {lot.name: lot.available for lot in lot_rows.list_for(tx, "p", CREDIT)}
    assert left == {"alpha": 5_000_000, "plain": 3_000_000}
    assert audit.verify(tx).ok


def test_used_is_used_even_where_nobody_has_it(tx: Tx) -> None:
    books.grant(tx, "p", "x", credits(5), NOW)
    books.hold(tx, "p", "s", credits(5), NOW)
    assert books.charge(tx, "p", "s", "a", credits(8), NOW)
    assert books.balance(tx, "p").available == credits(-3)
    with pytest.raises(Overdrawn):
        books.hold(tx, "p", "t", Amount(1), NOW)
    books.grant(tx, "p", "y", credits(4), NOW)
    assert books.balance(tx, "p").available == credits(1)
    assert audit.verify(tx).ok


def test_an_overdraft_is_drawn_last_and_to_its_limit(tx: Tx) -> None:
    books.grant(tx, "p", "x", credits(1), NOW)
    books.allow_overdraft(tx, "p", credits(2))
    books.hold(tx, "p", "s", credits(3), NOW)
    assert books.balance(tx, "p").available == credits(-2)
    with pytest.raises(Overdrawn):
        books.hold(tx, "p", "t", Amount(1), NOW)
    books.release(tx, "p", "s", NOW)
    assert books.balance(tx, "p").available == credits(1)


def test_a_charge_that_is_taken_back_can_be_spent_again(tx: Tx) -> None:
    books.grant(tx, "p", "x", credits(5), NOW)
    books.hold(tx, "p", "s", credits(4), NOW)
    books.charge(tx, "p", "s", "a", credits(3), NOW)
    assert books.reverse(tx, "settle:s", NOW, "the node failed") and not books.reverse(tx, "settle:s", NOW, "again")
    assert books.balance(tx, "p").available == credits(5) and entry_rows.balance(tx, "centre:a") == 0
    with pytest.raises(KeyTaken, match="is not a charge"):
        books.reverse(tx, "hold:s:1", NOW, "x")
    assert audit.verify(tx).ok


def test_parts_of_a_session_are_charged_one_by_one_and_the_rest_goes_back_at_the_end(tx: Tx) -> None:
    books.grant(tx, "p", "x", credits(5), NOW)
    books.hold(tx, "p", "s", credits(4), NOW)
    assert books.charge(tx, "p", "s", "a", credits(1), NOW, key="hour 1", last=False)
    assert not books.charge(tx, "p", "s", "a", credits(1), NOW, key="hour 1", last=False)
    assert books.held(tx, "s") == credits(3)
    assert books.charge(tx, "p", "s", "a", credits(1), NOW, key="hour 2")
    money = books.balance(tx, "p")
    assert (money.settled, money.on_hold, money.available) == (credits(2), Amount(0), credits(3))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("UPDATE scnet_lots SET available = available + 1", "available is 6000001, its entries come to 6000000"),
        (
            "UPDATE scnet_postings SET micros = micros + 1 WHERE id = 1",
            "cannot be read: entry 'grant:p:x' does not balance",
        ),
        ("DELETE FROM scnet_chain WHERE seq = 1", "place 2 of the chain cannot be reached: place 1 is missing"),
        (
            "UPDATE scnet_entries SET at = '2020-01-01 00:00:00' WHERE id = 1",
            "place 1 of the chain) is not what was sealed",
        ),
        (
            "UPDATE scnet_holds SET state = 'void'",
            "session s holds 4000000 micro-units by its entries, and no hold is open",
        ),
        ("DELETE FROM scnet_lots", "there is no lot 'x', but entries refer to it"),
    ],
)
def test_an_audit_finds_what_somebody_changed_behind_the_books(engine: Engine, harm: str, words: str) -> None:
    fresh = make_engine("sqlite://")
    migrate(fresh)
    with fresh.begin() as tx:
        books.grant(tx, "p", "x", credits(10), NOW)
        books.hold(tx, "p", "s", credits(4), NOW)
        assert sealing.seal(tx) == 2 and sealing.seal(tx) == 0
        assert audit.verify(tx).ok
        tx.execute(text(harm))
        found = audit.verify(tx)
    fresh.dispose()
    assert not found.ok and any(words in problem for problem in found.problems), found.problems
