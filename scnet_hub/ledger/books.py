"""The only writer of entries: hold, charge, release, grant, and the balance that comes of them.

Every function takes the transaction it writes in, so that a check, a session row and its hold are one step. Keys make
each harmless to repeat. It never sees a scheduler: usage arrives as an amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..db import Tx
from ..db import entries as stored
from ..errors import Overdrawn
from ..units import Amount
from . import entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A project's money now: granted = settled + on_hold + available."""

    granted: Amount
    settled: Amount
    on_hold: Amount
    available: Amount


def grant(tx: Tx, project: str, lot: str, amount: Amount, at: datetime) -> bool:
    """Adds a lot of credits once; False if that lot was granted before."""
    return stored.add(tx, entries.grant(project, lot, amount, at))


def hold(tx: Tx, project: str, session: str, amount: Amount, at: datetime, memo: str = "") -> None:
    """Reserves the most a session may cost. Raises Overdrawn, with what is needed and available, and writes nothing.

    A further call changes the hold by `amount`, which is negative where a new place is cheaper."""
    check(tx, project, amount)
    if amount:
        step = stored.count(tx, session, "hold") + 1
        if not stored.add(tx, entries.hold(project, session, amount, at, memo, step=step)):
            raise ValueError(f"hold {step} of session {session} is there already")


def check(tx: Tx, project: str, amount: Amount) -> None:
    """Raises Overdrawn, with what is needed and available, if the project does not have `amount`."""
    available = Amount(stored.balance(tx, entries.project_account(project)))
    if amount.micros > 0 and amount > available:
        raise Overdrawn(
            f"Project {project} has {available} available; this needs up to {amount}.",
            hint="Ask for a shorter walltime or fewer cores, or ask the project's owner for a larger allocation.",
            details={"needed": float(amount), "available": float(available)},
        )


def charge(tx: Tx, project: str, session: str, centre: str, held: Amount, cost: Amount, at: datetime, memo: str = "") -> bool:
    """Charges a session once, from the centre's usage record, and gives back the rest; False if it was done before."""
    if not cost:
        return release(tx, project, session, held, at, memo)
    return stored.add(tx, entries.charge(project, session, centre, held, cost, at, memo))


def release(tx: Tx, project: str, session: str, held: Amount, at: datetime, memo: str = "") -> bool:
    return bool(held) and stored.add(tx, entries.release(project, session, held, at, memo))


def balance(tx: Tx, project: str) -> Balance:
    return Balance(
        granted=Amount(stored.posted(tx, project, "grant", entries.project_account(project))),
        settled=Amount(stored.posted(tx, project, "charge", "centre:")),
        on_hold=Amount(stored.balance(tx, entries.held_account(project))),
        available=Amount(stored.balance(tx, entries.project_account(project))),
    )
