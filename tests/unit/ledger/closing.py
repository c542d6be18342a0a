"""A settling federation over a database, with a settable clock: shared by the tests of closing months."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import periods as period_rows
from scnet_hub.adapters.db.queries import statements as statement_rows
from scnet_hub.domain.centres.state import CentreStates
from scnet_hub.domain.ledger.splits import Shares, postings, split
from scnet_hub.domain.settlement.settlement import landed
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.accounting import books
from scnet_hub.services.settlement import closing
from scnet_hub.services.settlement.settling import Settling
from scnet_hub.units import CREDIT, Amount

CENTRES = ("alpha", "beta", "gamma")
PAGE = """
centres = ["*.toml"]
[[grantor]]
id = "ministry"
title = "The ministry"
[[member]]
id = "north"
title = "Northern universities"
centres = ["alpha", "beta"]
people = ["nora"]
[[member]]
id = "ministry"
people = ["mina"]
"""
SPEC = parse_federation(PAGE, source="federation.toml")
RULES = closing.rules_of(SPEC)
FEE = Shares(fee=50_000)
CENTRE = """
id = "{name}"
name = "{title}"
transport = {{ kind = "local" }}
session = {{ python = "/usr/bin/python3", directory = "/s" }}
[identity]
mode = "shared"
[[partition]]
name = "cpu"
cores = 64
"""
LOAD = CentreStates.of(parse_centre(CENTRE.format(name=name, title=name.title()), source=name) for name in CENTRES)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: day("2026-10-05"))

    def __call__(self) -> datetime:
        return self.now

    def to(self, text: str) -> None:
        self.now = day(text)


def settling(db: Database, clock: Clock) -> Settling:
    return Settling(db, SPEC, LOAD, clock)


def grant(
    tx: Tx,
    at: datetime,
    project: str = "p",
    lot: str = "x",
    *,
    grantor: str = "ministry",
    rate: int = 800_000,
    unit: str = CREDIT,
) -> None:
    books.grant(tx, project, lot, Amount(10**12, unit), at, grantor=grantor, rate=rate)


def charge(
    tx: Tx,
    session: str,
    micros: int,
    at: datetime,
    now: datetime,
    *,
    centre: str = "alpha",
    project: str = "p",
    unit: str = CREDIT,
) -> None:
    """Five per cent of it are the federation's."""
    cost = Amount(micros, unit)
    earned = postings(split(cost, FEE), centre=centre)
    books.charge(tx, project, session, centre, cost, at, "by hand", earned=earned, now=now)


def close(tx: Tx, name: str, now: datetime, excuses: Mapping[str, str] | None = None) -> None:
    """As `Settling.close` does it, in one transaction."""
    closing.cut(tx, name, RULES, excuses or {}, "olga", now)
    closing.issue(tx, name, closing.settled(tx, name, RULES), RULES, now)


def counted(tx: Tx) -> Counter[str]:
    """How many of the closed months' statements have each entry, by its key."""
    found: Counter[str] = Counter()
    rows = period_rows.every(tx)
    for row in rows:
        if row.state == "closed":
            month = closing.month_of(tx, row, rows, RULES)
            for unit, terms in month.terms.items():
                found.update(entry.key for entry, _ in landed(month.entries(tx), month.period, terms, unit))
    return found


def told(tx: Tx) -> dict[tuple[str, str, str], Any]:
    """All stored statements' documents."""
    return {(row.period, row.unit, row.member): row.document for row in statement_rows.list_for(tx)}
