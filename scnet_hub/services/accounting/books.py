"""The only writer of entries: grant, hold, charge, release, expire, reverse, settle, and the balance that follows from
them.

Every function takes the transaction it writes in, so that a check, a session row and its hold are one step. A step that
draws on a project locks its lots until the step is over, so no other step draws on them at the same time. Keys make
each function safe to repeat. This module never sees a scheduler: usage arrives as an amount.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict, Unpack

from ...adapters.db.database import Tx, by_locks
from ...adapters.db.queries import entries as entry_rows
from ...adapters.db.queries import lots as lot_rows
from ...domain.ledger import entries, lots
from ...domain.ledger.entries import Entry, Posting
from ...domain.ledger.lots import OVERDRAFT, Lot, Parts
from ...domain.settlement.settlement import SETTLE
from ...errors import KeyTaken, Overdrawn
from ...units import CREDIT, Amount

NOTHING = Amount(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A project's money now: granted = settled + on_hold + available. `granted` excludes credits that expired
    unused."""

    granted: Amount
    settled: Amount
    on_hold: Amount
    available: Amount
    expired: Amount = NOTHING
    overdraft: Amount = NOTHING


class Terms(TypedDict, total=False):
    """The terms of a lot: its grantor, its end, its centres (none: all). `rate`: millionths of money for each unit,
    from the grantor to the centre that earns it."""

    grantor: str
    expires_at: datetime | None
    centres: tuple[str, ...]
    rate: int


# ---- a project's credits


def grant(
    tx: Tx, project: str, lot: str, amount: Amount, at: datetime, *, actor: str = "", **terms: Unpack[Terms]
) -> bool:
    """Adds a lot once. Returns False if a lot of that name was granted before."""
    given = Terms(grantor="federation") | terms
    new = Lot(project=project, name=lot, granted=amount.micros, available=amount.micros, unit=amount.unit, **given)
    if amount.micros <= 0:
        raise ValueError(f"a grant of {amount}")
    try:
        if not entry_rows.add(tx, entries.grant(new, at, actor=actor)):
            return False
    except KeyTaken:  # of another amount
        return False
    lot_rows.insert(tx, new)
    return True


def allow_overdraft(tx: Tx, project: str, limit: Amount) -> None:
    """Sets how far a project may go below zero from now on."""
    if any(lot.name == OVERDRAFT for lot in lot_rows.list_for(tx, project, limit.unit, lock=True)):
        lot_rows.limit(tx, project, limit.unit, OVERDRAFT, limit.micros)
    else:
        lot_rows.insert(tx, _overdraft(project, limit.unit, limit.micros))


def balance(tx: Tx, project: str, unit: str = CREDIT) -> Balance:
    mine = lot_rows.list_for(tx, project, unit)

    def total(name: str) -> Amount:
        return Amount(sum(getattr(lot, name) for lot in mine), unit)

    return Balance(
        granted=total("granted") - total("expired"), settled=total("spent"), on_hold=total("held"),
        available=total("available"), expired=total("expired"), overdraft=total("floor"),
    )  # fmt: skip


def check(tx: Tx, project: str, amount: Amount, now: datetime, *, centre: str = "") -> None:
    """Raises Overdrawn, with the amounts needed and available, if the project does not have `amount` for that
    centre."""
    _enough(lot_rows.list_for(tx, project, amount.unit), project, amount, now, centre)


def _enough(mine: Sequence[Lot], project: str, amount: Amount, now: datetime, centre: str) -> Parts:
    parts = lots.draw(mine, amount.micros, centre, now)
    if sum(parts.values()) < amount.micros:
        there, here = (Amount(lots.available(mine, at, now), amount.unit) for at in (centre, ""))
        bound = f" for {centre}; {here} in all, of which some is for other centres only" if there != here else ""
        raise Overdrawn(
            f"Project {project} has {there} available{bound}; this needs up to {amount}.",
            hint="Ask for a shorter walltime or fewer cores, or ask the project's owner for a larger allocation.",
            details={"needed": float(amount), "available": float(there)},
        )
    return parts


# ---- a session's hold


@by_locks
def hold(tx: Tx, project: str, session: str, amount: Amount, at: datetime, memo: str = "", *, centre: str = "") -> None:
    """Reserves the most that a session may cost at that centre. Raises Overdrawn, with the amounts needed and
    available, and then writes nothing.

    A further call changes the hold by `amount`, which is negative where a new place is cheaper."""
    if not amount:
        return
    mine = lot_rows.list_for(tx, project, amount.unit, lock=True)
    if amount.micros > 0:
        parts = _enough(mine, project, amount, at, centre)
        if lot_rows.open_hold(tx, session, project, amount.unit, parts):
            return _post(tx, entries.hold(project, session, parts, amount.unit, at, memo))
    before = lot_rows.hold(tx, session)
    if before is None or before.state != "open":
        raise ValueError(f"session {session} has no open hold: {before.state if before else 'none'}")
    step = before.step + 1
    if amount.micros > 0:
        _post(tx, entries.hold(project, session, parts, amount.unit, at, memo, step=step))
    else:
        back = lots.give_back(before.parts, -amount.micros)
        _post(tx, entries.give_back(project, session, back, amount.unit, at, memo, step=step))
        parts = {name: -micros for name, micros in back.items()}
    lot_rows.set_hold(tx, replace(before, parts=_sum(before.parts, parts), step=step))


@by_locks
def hold_again(tx: Tx, project: str, session: str, parts: Parts, unit: str, at: datetime, memo: str = "") -> None:
    """Holds again the amounts just taken back from a session's charges, from the same lots, even past their end, until
    its cost is known."""
    if not parts:
        return
    lot_rows.list_for(tx, project, unit, lock=True)
    if lot_rows.open_hold(tx, session, project, unit, parts):
        return _post(tx, entries.hold(project, session, parts, unit, at, memo))
    before = lot_rows.hold(tx, session)
    assert before is not None
    step = before.step + 1
    _post(tx, entries.hold(project, session, parts, unit, at, memo, step=step))
    lot_rows.set_hold(tx, replace(before, parts=_sum(before.parts, parts), step=step, state="open"))


def held(tx: Tx, session: str) -> Amount:
    """Returns the session's current hold."""
    row = lot_rows.hold(tx, session)
    return Amount(sum(row.parts.values()), row.unit) if row and row.state == "open" else Amount(0)


@by_locks
def charge(
    tx: Tx,
    project: str,
    session: str,
    centre: str,
    cost: Amount,
    at: datetime,
    memo: str = "",
    *,
    key: str = "",
    earned: Sequence[Posting] = (),
    last: bool = True,
    now: datetime | None = None,
    again: Parts | None = None,
) -> bool:
    """Charges a session once under that key, from the centre's usage record, for what began `at` and is written `now`
    (None: the same). Returns False if this was done before. With the `last` cost the rest of the hold is released.
    `earned`: who receives the cost, if not the centre alone. `again`: amounts just taken back from an earlier charge;
    they pay first, even where their lots have ended since."""
    now = now or at
    if not cost and not earned:
        return release(tx, project, session, now, memo) if last else False
    paid_to = tuple(earned) or (Posting(entries.centre_account(centre), cost),)
    mine = lot_rows.list_for(tx, project, cost.unit, lock=True)
    row = lot_rows.hold(tx, session)
    there = row.parts if row and row.state == "open" else {}
    settled = lots.settle(there, mine, cost.micros, centre, now, last=last, again=again)
    entry = entries.charge(project, session, settled, paid_to, cost.unit, at, memo)
    entry = replace(entry, key=key or entry.key, recorded_at=now)
    if not entry_rows.write(tx, entry):
        return _charged(tx, entry.key, paid_to)
    if settled.more.get(OVERDRAFT) and not any(lot.name == OVERDRAFT for lot in mine):
        lot_rows.insert(tx, _overdraft(project, cost.unit, 0))
    lot_rows.update(tx, project, cost.unit, effects(entry))
    if row and row.state == "open":
        left = _sum(there, {name: -micros for name, micros in _sum(settled.held, settled.back).items()})
        lot_rows.set_hold(tx, replace(row, parts=left, step=row.step + 1, state="posted" if last else "open"))
    return True


def _charged(tx: Tx, key: str, paid_to: Sequence[Posting]) -> bool:
    """Returns False if the stored entry is the same charge. Raises KeyTaken for anything else: a correction is an entry
    of its own."""
    known = entry_rows.get(tx, key)
    earned = sorted((one.account, one.amount) for one in known.postings if not _ours(one.account)) if known else []
    if known is None or known.kind != "charge" or earned != sorted((one.account, one.amount) for one in paid_to):
        raise KeyTaken(f"The key {key!r} was used for something else.", hint="A correction is an entry of its own.")
    return False


def _ours(account: str) -> bool:
    return account.startswith(("project:", "held:"))


@by_locks
def release(tx: Tx, project: str, session: str, at: datetime, memo: str = "") -> bool:
    """Releases a session's hold. Returns False if it has none. Raises KeyTaken if it was charged."""
    lot_rows.list_for(tx, project, CREDIT, lock=True)
    row = lot_rows.hold(tx, session)
    if row and row.state == "posted":
        raise KeyTaken(f"Session {session} was charged before.", hint="A correction is an entry of its own.")
    if row is None or row.state != "open":
        return False
    step = row.step + 1
    if row.parts:
        again = step if entry_rows.get(tx, entries.settled_key(session)) else 0
        _post(tx, entries.release(project, session, row.parts, row.unit, at, memo, again=again))
    lot_rows.set_hold(tx, replace(row, parts={}, step=step, state="void"))
    return True


# ---- changes by time and by mistakes


@by_locks
def expire(tx: Tx, now: datetime) -> int:
    """Takes the rest of each lot whose time is over, by an entry each. Returns the number of lots."""
    over = lot_rows.over(tx, now)
    for lot in over:
        _post(tx, entries.expire(lot, now))
    return len(over)


@by_locks
def carry_over(tx: Tx, project: str, lot: str, into: str, at: datetime, *, unit: str = CREDIT, actor: str = "") -> bool:
    """Moves the rest of a lot into another on the same terms with its grantor. Returns False if nothing is left, or if
    this was done before."""
    known = {one.name: one for one in lot_rows.list_for(tx, project, unit, lock=True)}
    if lot not in known or into not in known:
        return False
    if (known[lot].grantor, known[lot].rate) != (known[into].grantor, known[into].rate):
        raise ValueError(f"lot {into} of {project} is another grantor's than {lot}, or at another rate")
    left = known[lot].available
    entry = entries.carry_over(project, lot, into, left, unit, at, actor=actor)
    if left <= 0 or entry_rows.get(tx, entry.key):
        return False
    _post(tx, entry)
    return True


@by_locks
def reverse(tx: Tx, key: str, now: datetime, memo: str, *, actor: str = "") -> bool:
    """Takes a charge back, by an entry of its own. Returns False if this was done before. Raises KeyTaken if there is
    no such charge."""
    known = entry_rows.get(tx, key)
    if known is None or known.kind != "charge":
        raise KeyTaken(f"{key!r} is not a charge.", hint="Only a charge can be taken back.")
    lot_rows.list_for(tx, known.project, known.unit, lock=True)
    if entry_rows.get(tx, f"reverse:{key}"):
        return False
    _post(tx, entries.reverse(_to_available(known), now, memo, actor=actor))
    return True


def _to_available(charged: Entry) -> Entry:
    """Returns the same entry as if it had been paid from the available credits: its credits are no longer held."""
    sums: defaultdict[str, int] = defaultdict(int)
    for one in charged.postings:
        account = one.account.replace("held:", "project:", 1) if one.account.startswith("held:") else one.account
        sums[account] += one.amount.micros
    return replace(
        charged,
        postings=tuple(Posting(account, Amount(sums[account], charged.unit)) for account in sums if sums[account]),
    )


def settle(tx: Tx, entry: Entry) -> bool:
    """Writes the entry that takes a closed month off the accounts it came from. Returns False if this was done before.
    No lot changes."""
    if entry.kind != SETTLE or any(_ours(one.account) for one in entry.postings):
        raise ValueError(f"entry {entry.key!r} is not the end of a month")
    return entry_rows.add(tx, entry)


# ---- the chain


# ---- writing


def _post(tx: Tx, entry: Entry) -> None:
    """Writes a new entry, and changes the lots accordingly."""
    if not entry_rows.add(tx, entry):
        raise ValueError(f"entry {entry.key} is there already")
    lot_rows.update(tx, entry.project, entry.unit, effects(entry))


def effects(entry: Entry) -> dict[str, dict[str, int]]:
    """Returns the changes that the entry makes to its project's lots, by lot."""
    found: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for one in entry.postings:
        place, _, where = one.account.partition(":")
        project, _, lot = where.partition("/")
        if place in ("project", "held") and project == entry.project:
            found[lot]["available" if place == "project" else "held"] += one.amount.micros
    for numbers in found.values():
        moved = numbers["available"] + numbers["held"]
        if counted := {
            "grant": "granted",
            "carry": "granted",
            "expire": "expired",
            "charge": "spent",
            "reverse": "spent",
        }.get(entry.kind):
            numbers[counted] += moved if counted == "granted" else -moved
    return {lot: dict(numbers) for lot, numbers in found.items()}


def paid(entry: Entry) -> Amount:
    """Returns the amount that a charge took from its project; negative for a correction, which gave it back."""
    return Amount(sum(numbers.get("spent", 0) for numbers in effects(entry).values()), entry.unit)


def _overdraft(project: str, unit: str, limit: int) -> Lot:
    return Lot(project=project, name=OVERDRAFT, grantor="federation", granted=0, available=0, floor=limit, unit=unit)


def _sum(one: Parts, other: Parts) -> dict[str, int]:
    """Adds both, without lots whose sum is 0."""
    sums = {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
    return {name: micros for name, micros in sums.items() if micros}
