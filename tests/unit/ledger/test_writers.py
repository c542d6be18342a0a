"""Tests several concurrent writers on both kinds of database: no project is overdrawn, nothing is lost, and the books
stay right."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.domain.ledger.entries import Entry, Posting
from scnet_hub.errors import KeyTaken, Overdrawn
from scnet_hub.services.accounting import audit, books, sealing
from scnet_hub.services.projects.bookkeeping import Bookkeeping
from scnet_hub.units import Amount, credits

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WRITERS = 8


def at_once(db: Database, works: list[Callable[[Tx], object]]) -> list[object]:
    """Each in a transaction of its own, on as many threads; what each returned or raised."""

    def one(work: Callable[[Tx], object]) -> object:
        try:
            return db.run_here(work)
        except (Overdrawn, KeyTaken) as error:
            return error

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, works))


def test_i4_of_many_starts_at_once_only_as_many_are_held_as_can_be_paid(database: Database) -> None:
    database.run_here(lambda tx: books.grant(tx, "p", "x", credits(10), NOW))
    done = at_once(database, [lambda tx, n=n: books.hold(tx, "p", f"s{n}", credits(3), NOW) for n in range(WRITERS)])  # type: ignore[misc]
    assert sum(isinstance(one, Overdrawn) for one in done) == WRITERS - 3
    money = database.run_here(books.balance, "p")
    assert (money.on_hold, money.available) == (credits(9), credits(1))
    assert database.read_here(audit.verify).ok


def test_one_session_that_is_settled_by_all_at_once_is_charged_once(database: Database) -> None:
    database.run_here(lambda tx: books.grant(tx, "p", "x", credits(10), NOW))
    database.run_here(lambda tx: books.hold(tx, "p", "s", credits(3), NOW))
    done = at_once(database, [lambda tx: books.charge(tx, "p", "s", "a", credits(2), NOW)] * WRITERS)
    assert sorted(done, key=bool) == [False] * (WRITERS - 1) + [True]
    assert database.run_here(books.balance, "p").settled == credits(2)
    assert database.read_here(audit.verify).ok


def test_an_entry_is_read_as_it_was_written_its_postings_in_their_order(database: Database) -> None:
    for number, micros in enumerate([(3, -1, -2), (-1, 2**40, 1 - 2**40), (7, -1, -1, -1, -1, -3), (-(2**62), 2**62)]):
        postings = tuple(Posting(f"centre:{'zyxwvu'[place]}", Amount(one)) for place, one in enumerate(micros))
        said = Entry(key=f"k{number}", at=NOW, kind="adjust", project="", memo="100 % 中心 {}?", postings=postings)
        assert database.run_here(entry_rows.add, said)
        assert database.run_here(entry_rows.get, said.key) == said


def test_an_entry_that_all_write_at_once_is_there_once_with_its_postings(database: Database) -> None:
    said = Entry(
        key="k",
        at=NOW,
        kind="adjust",
        project="",
        postings=(Posting("bank", Amount(-5)), Posting("member:a", Amount(5))),
    )
    other = Entry(
        key="k",
        at=NOW,
        kind="adjust",
        project="",
        postings=(Posting("bank", Amount(-6)), Posting("member:a", Amount(6))),
    )
    done = at_once(database, [lambda tx: entry_rows.add(tx, said)] * WRITERS)
    assert sorted(done, key=bool) == [False] * (WRITERS - 1) + [True]
    assert isinstance(at_once(database, [lambda tx: entry_rows.add(tx, other)])[0], KeyTaken)
    assert database.run_here(lambda tx: [entry_rows.balance(tx, account) for account in ("bank", "member:a")]) == [
        -5,
        5,
    ]


def test_i7_whatever_writers_do_at_the_same_time_the_books_are_right(database: Database) -> None:
    random = Random(7)
    for project in "pq":
        database.run_here(
            lambda tx, of=project: books.grant(tx, of, "x", credits(20), NOW, expires_at=NOW + timedelta(days=1))
        )
        database.run_here(lambda tx, of=project: books.grant(tx, of, "y", credits(20), NOW, centres=("a",)))
    works: list[Callable[[Tx], object]] = []
    for session in range(60):
        project, held, cost = random.choice("pq"), random.randint(1, 3_000_000), random.randint(0, 4_000_000)
        name, centre = f"s{session}", random.choice("ab")
        works.append(lambda tx, p=project, s=name, h=held, c=centre: books.hold(tx, p, s, Amount(h), NOW, centre=c))
        works.append(lambda tx, p=project, s=name, x=cost, c=centre: books.charge(tx, p, s, c, Amount(x), NOW))
        works.append(lambda tx, s=name: books.reverse(tx, f"settle:{s}", NOW, "corrected"))
    random.shuffle(works)
    at_once(database, [*works, *([sealing.seal] * 6), lambda tx: books.expire(tx, NOW + timedelta(days=2))])
    found = database.read_here(audit.verify)
    assert found.ok, found.problems
    while database.run_here(sealing.seal):
        pass
    assert database.read_here(audit.verify).sealed == found.entries


async def test_lots_end_and_entries_are_sealed_while_nobody_asks(database: Database) -> None:
    now = [NOW]
    database.run_here(lambda tx: books.grant(tx, "p", "x", credits(10), NOW, expires_at=NOW + timedelta(days=1)))
    keeping = Bookkeeping(database, lambda: now[0])
    assert (await keeping.verify()).sealed == 1
    now[0] += timedelta(days=2)
    found = await keeping.verify()
    assert found.ok and found.sealed == found.entries == 2
    assert database.run_here(books.balance, "p").expired == credits(10)


def test_what_takes_long_to_read_sees_one_moment_and_stands_in_nobodys_way(database: Database) -> None:
    database.run_here(lambda tx: books.grant(tx, "p", "x", credits(10), NOW))

    def look(tx: Tx) -> tuple[int, int]:
        before = sum(1 for _ in entry_rows.every(tx))
        database.run_here(lambda other: books.grant(other, "p", "y", credits(10), NOW))
        return before, sum(1 for _ in entry_rows.every(tx))

    assert database.read_here(look) == (1, 1)
    assert database.run_here(books.balance, "p").granted == credits(20)


@pytest.mark.parametrize("micros", [0, -1])
def test_a_grant_of_nothing_is_none(database: Database, micros: int) -> None:
    with pytest.raises(ValueError, match="a grant of"):
        database.run_here(lambda tx: books.grant(tx, "p", "x", Amount(micros), NOW))
