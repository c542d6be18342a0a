"""What the books cost: python benchmarks/ledger.py [--rounds 7] [--json] [--only sqlite|postgresql|settle|verify]

Holds and charges a second by 8 writers at once, each with a connection of its own, on random ones of 100 projects;
beside a bare transfer in the same database: two UPDATEs of two rows and COMMIT, by the same `Database`, with the same
isolation and durability. Each hold and each charge is a transaction, as in the broker. Rounds of a second take turns,
so that the machine's speed cancels out; figures are medians over the rounds, ratios those of the rounds' own. *driver*:
the bare transfer without SQLAlchemy, for comparison. On SQLite, and on a PostgreSQL that is started for this in a
folder of its own (fsync on). What was counted must be in the books at the end, and they must balance.

*settle*: what a record costs among a million over one among 10,000 (`settling.py`). *verify*: the time and memory of an
 audit of a million
entries, on SQLite, or with `--verify-on` on PostgreSQL (`verifying.py`). Without `--only` all four are measured.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import reporting
import settling
import verifying
from sqlalchemy import text

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.errors import NotStored
from scnet_hub.services.accounting import books
from scnet_hub.units import Amount, credits
from tests.builders.postgres import standing

Json = dict[str, Any]
ENGINES = ("sqlite", "postgresql")
PARTS = (*ENGINES, "settle", "verify")
WRITERS = 8
PROJECTS = 100
CENTRES = 22
SECONDS = 1.0  # of one kind of work in one round
LEAST = 0.4  # of the bare transfers a second
NOW = datetime(2026, 11, 23, tzinfo=UTC)
HELD, COST = credits(4), credits("1.5")


# ---- three kinds of work: a step is one transaction


class Books:
    """The ledger's: a step is a hold, or the charge of the session that was held for last. All that this file knows of
    books."""

    def __init__(self, db: Database, number: int) -> None:
        self.db, self.random, self.name, self.sessions, self.open = db, Random(number), number, 0, ""

    @staticmethod
    def prepare(tx: Tx) -> None:
        for number in range(PROJECTS):
            books.grant(tx, f"p{number}", "first", Amount(10**15), NOW)

    @staticmethod
    def check(tx: Tx, steps: int) -> bool:
        written = int(
            tx.exec_driver_sql("SELECT count(*) FROM scnet_entries WHERE kind IN ('hold', 'charge')").scalar_one()
        )
        return written == steps and not any(entry_rows.trial_balance(tx).values())

    def step(self) -> None:
        if self.open:
            session, centre = f"{self.name}-{self.sessions}", f"c{self.random.randrange(CENTRES)}"
            self.db.run_here(books.charge, self.open, session, centre, COST, NOW)
            self.open = ""
        else:
            self.sessions += 1
            project = f"p{self.random.randrange(PROJECTS)}"
            self.db.run_here(books.hold, project, f"{self.name}-{self.sessions}", HELD, NOW)
            self.open = project


class Bare:
    """A transfer from a project's row to its row of what is held."""

    def __init__(self, db: Database, number: int) -> None:
        self.db, self.random = db, Random(number)

    @staticmethod
    def prepare(tx: Tx) -> None:
        tx.exec_driver_sql("CREATE TABLE bare (account INTEGER PRIMARY KEY, micros BIGINT NOT NULL)")
        for number in range(2 * PROJECTS):
            tx.exec_driver_sql(f"INSERT INTO bare VALUES ({number}, 0)")

    def step(self) -> None:
        self.db.run_here(transfer, 2 * self.random.randrange(PROJECTS))


UPDATE = text("UPDATE bare SET micros = micros + :micros WHERE account = :account")


def transfer(tx: Tx, account: int) -> None:
    tx.execute(UPDATE, {"micros": -HELD.micros, "account": account})
    tx.execute(UPDATE, {"micros": HELD.micros, "account": account + 1})


class Driver(Bare):
    """The same by the database's own driver, with as many tries as it takes."""

    def __init__(self, db: Database, number: int) -> None:
        super().__init__(db, number)
        self.pooled = db.engine.raw_connection()
        connection: Any = self.pooled.driver_connection
        self.connection = connection
        self.lost: Any = db.engine.dialect.loaded_dbapi.OperationalError
        self.begin, mark = "BEGIN IMMEDIATE", "?"
        if db.engine.dialect.name == "postgresql":
            self.begin, mark = "BEGIN ISOLATION LEVEL SERIALIZABLE", "%s"
            self.connection.autocommit = True  # it begins where it is told to
        self.update = f"UPDATE bare SET micros = micros + {mark} WHERE account = {mark}"

    def step(self) -> None:
        while not self.tried(2 * self.random.randrange(PROJECTS)):
            pass

    def tried(self, account: int) -> bool:
        run = self.connection.execute
        try:
            run(self.begin)
            run(self.update, (-HELD.micros, account))
            run(self.update, (HELD.micros, account + 1))
            run("COMMIT")
        except self.lost:
            run("ROLLBACK")
            return False
        return True


# ---- measuring

KINDS: dict[str, type[Books] | type[Bare]] = {"books": Books, "bare": Bare, "driver": Driver}


class Contest:
    """One database, and for each kind of work its writers."""

    def __init__(self, url: str) -> None:
        self.databases = [Database(url) for _ in range(WRITERS)]
        for db in self.databases:
            db.open()
        self.db = self.databases[0]
        self.db.run_here(Books.prepare)
        self.db.run_here(Bare.prepare)
        self.writers = {
            kind: [make(db, number) for number, db in enumerate(self.databases)] for kind, make in KINDS.items()
        }
        self.steps = dict.fromkeys(KINDS, 0)
        self.given_up = dict.fromkeys(KINDS, 0)  # steps that lost every race they were run again for

    def round(self, kinds: Sequence[str]) -> dict[str, float]:
        """Steps a second of each kind, in that order."""
        return {kind: self.rate(kind) for kind in kinds}

    def rate(self, kind: str) -> float:
        began = time.perf_counter()
        until = began + SECONDS

        def write(writer: Books | Bare) -> tuple[int, int]:
            done = given_up = 0
            while time.perf_counter() < until:
                try:
                    writer.step()
                    done += 1
                except NotStored:
                    given_up += 1
            return done, given_up

        with ThreadPoolExecutor(WRITERS) as threads:
            counted = list(threads.map(write, self.writers[kind]))
        done = sum(steps for steps, _ in counted)
        self.steps[kind] += done
        self.given_up[kind] += sum(given_up for _, given_up in counted)
        return done / (time.perf_counter() - began)

    def exact(self) -> bool:
        return self.db.run_here(Books.check, self.steps["books"])

    def close(self) -> None:
        for writer in self.writers["driver"]:
            writer.pooled.close()  # type: ignore[union-attr]
        for db in self.databases:
            db.close()


def measure(only: Sequence[str], rounds: int, verify_on: str, entries: int) -> Json:
    found: Json = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sc-")))
        server = (
            stack.enter_context(standing())
            if "postgresql" in only or ("verify" in only and verify_on == "postgresql")
            else None
        )

        def url(engine: str, name: str) -> str:
            return server.create(name) if server and engine == "postgresql" else f"sqlite:///{folder / name}.sqlite"

        contests = {
            engine: stack.enter_context(closing(Contest(url(engine, "books")))) for engine in ENGINES if engine in only
        }
        if contests:
            found |= contest(contests, rounds)
        if "settle" in only:
            reporting.note("settling ...")
            found["settle"] = settling.measure()
        if "verify" in only:
            reporting.note(f"verifying on {verify_on} ...")
            found["verify"] = {"engine": verify_on, **verifying.measure(url(verify_on, "large"), entries)}
    return found


def contest(contests: dict[str, Contest], rounds: int) -> Json:
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in contests}
    for number in range(rounds + 1):  # the first warms up and is not counted
        reporting.note(f"round {number} of {rounds} ...")
        kinds = [*KINDS] if number % 2 else [*KINDS][::-1]
        for engine, one in contests.items():
            found[engine].append(one.round(kinds))
    return {engine: summary(found[engine][1:], one) for engine, one in contests.items()}


def summary(rounds: Sequence[dict[str, float]], contest: Contest) -> Json:
    exact = contest.exact()

    def median(get: Callable[[dict[str, float]], float]) -> float:
        return round(statistics.median(get(one) for one in rounds), 3)

    ratio = median(lambda one: one["books"] / one["bare"])
    return {
        "ratio_to_bare": ratio,
        "least": LEAST,
        "ratio_to_driver": median(lambda one: one["books"] / one["driver"]),
        **{f"{kind}_per_s": median(lambda one, kind=kind: one[kind]) for kind in KINDS},  # type: ignore[misc]
        "rounds": len(rounds),
        "given_up": contest.given_up["books"],
        "exact": exact,
        "holds": exact and ratio >= LEAST,
    }


# ---- telling


def table(found: Json) -> str:
    lines = []
    if any(engine in found for engine in ENGINES):
        lines.append(f"{'':12}{'books/s':>10}{'bare/s':>10}{'driver/s':>10}{'to bare':>10}{'to driver':>10}")
    lines += [row(engine, found[engine]) for engine in ENGINES if engine in found]
    lines += [settling.told(found["settle"])] if "settle" in found else []
    lines += [verifying.told(found["verify"])] if "verify" in found else []
    return "\n".join(lines)


def row(engine: str, one: Json) -> str:
    rates = "".join(f"{one[f'{kind}_per_s']:10.0f}" for kind in KINDS)
    said = (
        f"at least {one['least']:g}: "
        f"{'holds' if one['holds'] else 'FAILS'}{'' if one['exact'] else ', AND THE BOOKS ARE WRONG'}"
    )
    said += f" ({one['given_up']} steps given up)" if one["given_up"] else ""
    return f"{engine:12}{rates}{one['ratio_to_bare']:10.2f}{one['ratio_to_driver']:10.2f}  {said}"


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be given more than once")
    parser.add_argument("--verify-on", choices=ENGINES, default="sqlite")
    parser.add_argument("--entries", type=int, default=verifying.ENTRIES, help="to verify")
    options = parser.parse_args()
    found = measure(options.only or PARTS, options.rounds, options.verify_on, options.entries)
    print(json.dumps(found) if options.json else table(found))


if __name__ == "__main__":
    main()
