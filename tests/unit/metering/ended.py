"""A session in a database that has ended and waits for its usage record: the start of the tests of metering."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import entries as entry_rows
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.db.queries import usage as usage_rows
from scnet_hub.adapters.db.queries.usage import UsageRow
from scnet_hub.domain.centres.state import CentreState
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.services.accounting import audit, books, charging, intake
from scnet_hub.services.accounting.charging import PriceSource
from scnet_hub.units import credits
from tests.builders.copies import change, split
from tests.unit.ledger.runs import AT, HOUR, MINUTE

NOW = AT + 12 * HOUR
SESSION = "abcdefghijkm"
PAGE = """
id = "alpha"
name = "Alpha"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
[[partition]]
name = "batch"
cores = 64
tariff = { core_hour = 1.2, gpu_hour = { a100 = 20, other = 10 }, minimum = 0.01 }
"""
SETTLED = {
    "copy_state": "ended",
    "copy_live": False,
    "live": False,
    "state": "ended",
    "job_id": "77",
    "partition": "batch",
}


def pages(page: str = PAGE, fee: float = 0) -> PriceSource:
    federation = f'centres = ["a.toml"]\nsettlement = {{ fee_percent = {fee} }}'
    return PriceSource(
        centres={"alpha": CentreState(parse_centre(page, source="a"), 0)},
        federation=parse_federation(federation, source="f"),
    )


@dataclass
class Ended:
    """One session of project p at centre alpha, with 10 of its 1000 credits on hold."""

    tx: Tx
    pages: PriceSource = field(default_factory=pages)
    now: datetime = NOW

    def begin(self, session: str = SESSION, **copy: Any) -> Ended:
        at = AT - 2 * MINUTE
        books.grant(self.tx, "p", "x", credits(1000), at - timedelta(days=200))
        books.hold(self.tx, "p", session, credits(10), at, centre="alpha")
        own, of_copy = split(
            id=session, person="ada", project="p", kind="batch", name=session, request=copy.pop("request", {}),
            placement={}, payload={}, why="",
            end_reason="", created_at=at, held=credits(10).micros, continues="", in_line=False, cause="first",
            asked_at=at, centre="alpha", secret="", nonce="", account="ada",
            state="ended", live=True, partition="batch",
        )  # fmt: skip
        session_rows.insert(self.tx, own, of_copy)
        change(self.tx, session, **(SETTLED | copy))
        return self

    def came(self, *told: Usage, doubt: str = "") -> None:
        """Each is taken in, and what it changes is done, before the next."""
        for one in told:
            if session := intake.take(self.tx, one, self.now, doubt):
                charging.recharge(self.tx, session, self.pages, self.now)

    @property
    def charged(self) -> int | None:
        row = session_rows.get(self.tx, SESSION)
        assert row
        return row.session.charged

    @property
    def log(self) -> str:
        return "\n".join(said for _, said in session_rows.events_of(self.tx, [SESSION])[SESSION])

    @property
    def rows(self) -> list[UsageRow]:
        return [
            *usage_rows.of_session(self.tx, SESSION),
            *(one for one in usage_rows.suspended(self.tx) if not one.session),
        ]

    def states(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {(one.identity, one.digest): (one.state, one.reason) for one in self.rows}

    def charges(self) -> list[tuple[object, ...]]:
        """The live ones: when, and who got how much of it."""
        live = entry_rows.charges_of(self.tx, SESSION)
        gets = [[one for one in entry.postings if not one.account.startswith(("project:", "held:"))] for entry in live]
        return sorted(
            (entry.at, *sorted((one.account, one.amount.micros) for one in got))
            for entry, got in zip(live, gets, strict=True)
        )

    def sums(self) -> dict[str, int]:
        return {
            name: entry_rows.balance(self.tx, name)
            for name in ("project:p/x", "held:p/x", "centre:alpha", "fee:federation")
        }

    def books(self) -> tuple[object, ...]:
        """All that a person or a member sees of it; the audit finds nothing."""
        found = audit.verify(self.tx)
        assert found.ok, found.problems
        assert set(entry_rows.trial_balance(self.tx).values()) <= {0}
        sums = self.sums()
        # what is held before the first charge, and what was taken back, need not be the same
        sums["project:p/x"] += sums.pop("held:p/x")
        return sums, self.charges(), self.charged, sorted(self.states().items())
