"""A session in a database that has ended and waits for its usage record: the start of the tests of metering."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from scnet_hub.adapters.db.database import Tx
from scnet_hub.adapters.db.queries import entries as stored_entries
from scnet_hub.adapters.db.queries import sessions as stored
from scnet_hub.adapters.db.queries import usage as records
from scnet_hub.adapters.db.queries.usage import UsageRow
from scnet_hub.domain.centres.state import Known
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.services.accounting import audit, books, charging, intake
from scnet_hub.services.accounting.charging import Pages
from scnet_hub.units import credits
from tests.ledger.runs import AT, HOUR, MINUTE

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
    "job_state": "ended",
    "job_live": False,
    "live": False,
    "state": "ended",
    "job_id": "77",
    "partition": "batch",
}


def pages(page: str = PAGE, fee: float = 0) -> Pages:
    federation = f'centres = ["a.toml"]\nsettlement = {{ fee_percent = {fee} }}'
    return Pages(
        centres={"alpha": Known(parse_centre(page, source="a"), 0)}, federation=parse_federation(federation, source="f")
    )


@dataclass
class Ended:
    """One session of project p at centre alpha, with 10 of its 1000 credits on hold."""

    tx: Tx
    pages: Pages = field(default_factory=pages)
    now: datetime = NOW

    def begin(self, session: str = SESSION, **copy: Any) -> Ended:
        at = AT - 2 * MINUTE
        books.grant(self.tx, "p", "x", credits(1000), at - timedelta(days=200))
        books.hold(self.tx, "p", session, credits(10), at, centre="alpha")
        stored.insert(
            self.tx, id=session, person="ada", project="p", kind="batch", name=session, request=copy.pop("request", {}),
            placement={}, payload={}, why="",
            end_reason="", created_at=at, held=credits(10).micros, continues="", in_line=False, cause="first",
            asked_at=at, centre="alpha", secret="", nonce="", account="ada",
            **{"state": "ended", "live": True, "partition": "batch"},
        )  # fmt: skip
        stored.change(self.tx, session, **(SETTLED | copy))
        return self

    def came(self, *told: Usage, doubt: str = "") -> None:
        """Each is taken in, and what it changes is done, before the next."""
        for one in told:
            if session := intake.take(self.tx, one, self.now, doubt):
                charging.reckon(self.tx, session, self.pages, self.now)

    @property
    def charged(self) -> int | None:
        row = stored.get(self.tx, SESSION)
        assert row
        return row.charged

    @property
    def log(self) -> str:
        return "\n".join(said for _, said in stored.log(self.tx, [SESSION])[SESSION])

    @property
    def rows(self) -> list[UsageRow]:
        return [*records.of_session(self.tx, SESSION), *(one for one in records.suspended(self.tx) if not one.session)]

    def states(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {(one.identity, one.digest): (one.state, one.reason) for one in self.rows}

    def charges(self) -> list[tuple[object, ...]]:
        """The live ones: when, and who got how much of it."""
        live = stored_entries.charges_of(self.tx, SESSION)
        gets = [[one for one in entry.postings if not one.account.startswith(("project:", "held:"))] for entry in live]
        return sorted(
            (entry.at, *sorted((one.account, one.amount.micros) for one in got))
            for entry, got in zip(live, gets, strict=True)
        )

    def sums(self) -> dict[str, int]:
        return {
            name: stored_entries.balance(self.tx, name)
            for name in ("project:p/x", "held:p/x", "centre:alpha", "fee:federation")
        }

    def books(self) -> tuple[object, ...]:
        """All that a person or a member sees of it; the audit finds nothing."""
        found = audit.verify(self.tx)
        assert found.ok, found.problems
        assert set(stored_entries.trial_balance(self.tx).values()) <= {0}
        sums = self.sums()
        sums["project:p/x"] += sums.pop(
            "held:p/x"
        )  # what is held before the first charge, and what was taken back, need not be the same
        return sums, self.charges(), self.charged, sorted(self.states().items())
