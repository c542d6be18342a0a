"""Keeps allocations: a project asks for credits, an operator answers, and they begin and end in their time.

Each becomes a lot of the project, of the same name, when it begins. An allocation that renews another takes over its
remaining credits. Requests and answers write no ledger entry: only the begin does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...adapters.db.database import Tx
from ...adapters.db.queries import allocations as allocation_rows
from ...adapters.db.queries import lots as lot_rows
from ...adapters.db.queries.allocations import AllocationRow
from ...domain.ledger.lots import Lot
from ...errors import BadOption, NotFound, Refused
from ...units import Amount
from ..accounting import books
from . import allocation_mails, projects

OPEN = 5  # requests of one project that may wait for an answer
LONGEST = timedelta(days=3 * 366)
MOST = 10**15  # micro-units: a thousand million credits
WORDS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A request for credits."""

    project: str
    amount: Amount
    begins_at: datetime
    ends_at: datetime | None
    words: str
    centres: tuple[str, ...] = ()
    renews: str = ""


def ask(tx: Tx, allocation: str, wish: Wish, person: str, now: datetime, *, centres: Collection[str]) -> AllocationRow:
    """Writes the request under that id. Checks that the person may ask for the project and that the request is
    possible. Raises Refused, BadOption."""
    projects.as_manager(tx, person, wish.project)
    _possible(wish, now, centres)
    if wish.renews and (before := allocation_rows.get(tx, wish.renews)) and before.project != wish.project:
        raise BadOption(f"Allocation {wish.renews} is of another project.", details={"field": "renews"})
    if wish.renews and _standing(tx, wish.renews).state != "active":
        raise BadOption(
            f"Allocation {wish.renews} is not active, so there is nothing to renew.", hint="Ask for a new one."
        )
    if len(allocation_rows.list_for(tx, project=wish.project, state="requested")) >= OPEN:
        raise Refused(
            f"Project {wish.project} has {OPEN} requests that wait for an answer.",
            hint="Withdraw one first.",
            code="requests-open",
        )
    row = AllocationRow(
        id=allocation, project=wish.project, unit=wish.amount.unit, grantor="", micros=wish.amount.micros,
        centres=wish.centres, begins_at=wish.begins_at, ends_at=wish.ends_at, state="requested", asked_by=person,
        asked_at=now, words=wish.words, decided_by="", decided_at=None, answer="", renews=wish.renews,
    )  # fmt: skip
    allocation_rows.insert(tx, row)
    allocation_mails.asked(tx, row, now)
    return row


def _possible(wish: Wish, now: datetime, centres: Collection[str]) -> None:
    if not 0 < wish.amount.micros <= MOST:
        raise BadOption(
            f"amount: {wish.amount} cannot be allocated.", hint="Give more than 0 and at most 1,000,000,000."
        )
    if wish.ends_at and wish.ends_at <= max(wish.begins_at, now):
        raise BadOption(
            "An allocation must end after it begins, and not in the past.",
            hint="Give a later end, or none.",
            details={"field": "ends_at"},
        )
    if wish.begins_at > now + LONGEST or (wish.ends_at and wish.ends_at - wish.begins_at > LONGEST):
        raise BadOption(
            "An allocation begins within three years and lasts three years at most.", details={"field": "ends_at"}
        )
    if len(wish.words) > WORDS:
        raise BadOption(f"why: over {WORDS} characters.", details={"field": "words"})
    if strange := [centre for centre in wish.centres if centre not in centres]:
        hint = f"Centres: {', '.join(sorted(centres))}."
        raise BadOption(
            f"There is no centre {strange[0]!r} in this federation.", hint=hint, details={"field": "centres"}
        )


def approve(
    tx: Tx,
    allocation: str,
    by: str,
    words: str,
    now: datetime,
    *,
    grantor: str,
    amount: Amount | None = None,
    grantors: Mapping[str, Amount | None] | None = None,
) -> AllocationRow:
    """Grants the request, or another `amount`; the allocation begins at once if it is time. `grantors` maps each
    grantor to its budget (None: no limit); with no grantors, any name is allowed."""
    row = _waiting(tx, allocation)
    before = allocation_rows.get(tx, row.renews) if row.renews else None
    if before and before.grantor != grantor:
        raise BadOption(
            f"{row.renews} was granted by {before.grantor}: {grantor} cannot renew it.", hint="Grant a new one."
        )
    micros = row.micros if amount is None else amount.micros
    if not 0 < micros <= MOST:
        raise BadOption(
            "An approved amount must be more than 0.", hint="Decline it instead.", details={"field": "amount"}
        )
    _within_budget(tx, grantor, Amount(micros, row.unit), grantors or {})
    allocation_rows.update(
        tx,
        row.id,
        state="approved",
        grantor=grantor,
        micros=micros,
        decided_by=by,
        decided_at=now,
        answer=words[:WORDS],
    )
    renew(tx, now)
    return _answered(tx, allocation, now)


def _within_budget(tx: Tx, grantor: str, amount: Amount, grantors: Mapping[str, Amount | None]) -> None:
    """Checks the grantor's budget. Approved allocations that have not begun count: they will be given."""
    if not grantors:
        return
    if grantor not in grantors:
        hint = f"Grantors: {', '.join(sorted(grantors))}."
        raise BadOption(f"There is no grantor {grantor!r} in this federation.", hint=hint, details={"field": "grantor"})
    budget = grantors[grantor]
    if budget is None:
        return
    promised = sum(
        row.micros
        for row in allocation_rows.list_for(tx, state="approved")
        if row.grantor == grantor and row.unit == amount.unit
    )
    given = Amount(lot_rows.given_by(tx, grantor, amount.unit) + promised, amount.unit)
    if given + amount > budget:
        left = Amount(max(0, budget.micros - given.micros), amount.unit)
        raise Refused(
            f"{grantor} has {left} left of its budget of {budget}; this needs {amount}.",
            hint="Grant less, or in another grantor's name.", code="over-budget",
            details={"available": float(left), "needed": float(amount), "field": "amount"},
        )  # fmt: skip


def decline(tx: Tx, allocation: str, by: str, words: str, now: datetime) -> AllocationRow:
    if not words.strip():
        hint = "Say what would have to be different."
        raise BadOption("Give a reason for declining the request.", hint=hint, details={"field": "words"})
    row = _waiting(tx, allocation)
    allocation_rows.update(tx, row.id, state="declined", decided_by=by, decided_at=now, answer=words[:WORDS])
    return _answered(tx, allocation, now)


def _answered(tx: Tx, allocation: str, now: datetime) -> AllocationRow:
    row = _standing(tx, allocation)
    allocation_mails.answered(tx, row, now)
    return row


def withdraw(tx: Tx, allocation: str, person: str, now: datetime) -> AllocationRow:
    row = _waiting(tx, allocation)
    projects.as_manager(tx, person, row.project)
    allocation_rows.update(tx, row.id, state="withdrawn", decided_by=person, decided_at=now)
    return _standing(tx, allocation)


def renew(tx: Tx, now: datetime) -> int:
    """Begins and ends the allocations that are due. Returns their number. May be repeated safely."""
    due = allocation_rows.due(tx, now)
    for row in due:
        if row.state == "active":
            allocation_rows.update(tx, row.id, state="ended")
        else:
            _begin(tx, row, now)
    return len(due)


def _begin(tx: Tx, row: AllocationRow, now: datetime) -> None:
    amount = Amount(row.micros, row.unit)
    books.grant(
        tx,
        row.project,
        row.id,
        amount,
        now,
        grantor=row.grantor,
        expires_at=row.ends_at,
        centres=row.centres,
        actor=row.decided_by,
    )
    if row.renews:
        books.carry_over(tx, row.project, row.renews, row.id, now, unit=row.unit, actor=row.decided_by)
    allocation_rows.update(tx, row.id, state="active")
    allocation_mails.begun(tx, row, now)


def _waiting(tx: Tx, allocation: str) -> AllocationRow:
    row = _standing(tx, allocation)
    if row.state != "requested":
        by = f" by {row.decided_by}" if row.decided_by else ""
        raise Refused(
            f"Allocation {allocation} was {row.state}{by} already.", hint="Ask for another one.", code="already-decided"
        )
    return row


def _standing(tx: Tx, allocation: str) -> AllocationRow:
    row = allocation_rows.get(tx, allocation)
    if row is None:
        raise NotFound(f"There is no allocation {allocation!r}.", hint="`scnet allocations list` shows yours.")
    return row


def visible(tx: Tx, allocation: str, person: str, *, operator: bool) -> AllocationRow:
    """Returns the allocation if the person may see it; for others it does not exist (NotFound)."""
    row = _standing(tx, allocation)
    if not operator and row.project not in [one.id for one in projects.of(tx, person)]:
        raise NotFound(f"There is no allocation {allocation!r}.", hint="`scnet allocations list` shows yours.")
    return row


def ending(lots: Iterable[Lot], now: datetime) -> list[str]:
    """Returns sentences about unspent credits that end soon, soonest first."""
    soon = [
        lot
        for lot in lots
        if lot.expires_at and lot.available > 0 and now < lot.expires_at <= now + allocation_mails.WARN[0]
    ]
    return [allocation_mails.ending_words(lot, now) for lot in sorted(soon, key=lambda lot: lot.expires_at or now)]
