"""Entries and postings: immutable, balanced per unit, each with a key that makes repeating it harmless.

    grant     federation:grants → project:P
    hold      project:P → held:P                     at submit, the most it may cost
    charge    held:P → centre:C, the rest → project:P  from the centre's usage record
    release   held:P → project:P                     nothing ran

Pure values: `books` reads and writes them. Amounts are integers of micro-units, so sums are exact.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from ..units import Amount

GRANTS = "federation:grants"


@dataclass(frozen=True, slots=True)
class Posting:
    """So much on (+) or off (-) one account."""

    account: str
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact of the books. Raises ValueError if its postings don't sum to zero per unit."""

    key: str
    at: datetime
    kind: str
    project: str
    postings: tuple[Posting, ...]
    session: str = ""
    memo: str = ""

    def __post_init__(self) -> None:
        sums: dict[str, int] = defaultdict(int)
        for posting in self.postings:
            sums[posting.amount.unit] += posting.amount.micros
        if any(sums.values()) or len(self.postings) < 2:
            raise ValueError(f"entry {self.key!r} does not balance: {dict(sums)}")


def project_account(project: str) -> str:
    return f"project:{project}"


def held_account(project: str) -> str:
    return f"held:{project}"


def centre_account(centre: str) -> str:
    return f"centre:{centre}"


def _move(source: str, target: str, amount: Amount) -> tuple[Posting, ...]:
    return (Posting(source, -amount), Posting(target, amount))


def grant(project: str, lot: str, amount: Amount, at: datetime) -> Entry:
    moved = _move(GRANTS, project_account(project), amount)
    return Entry(key=f"grant:{project}:{lot}", at=at, kind="grant", project=project, memo=f"grant {lot}", postings=moved)


def hold(project: str, session: str, amount: Amount, at: datetime, memo: str = "", *, step: int = 1) -> Entry:
    moved = _move(project_account(project), held_account(project), amount)
    return Entry(key=f"hold:{session}:{step}", at=at, kind="hold", project=project, session=session, memo=memo, postings=moved)


def release(project: str, session: str, held: Amount, at: datetime, memo: str = "") -> Entry:
    moved = _move(held_account(project), project_account(project), held)
    return Entry(key=f"settle:{session}", at=at, kind="release", project=project, session=session, memo=memo, postings=moved)


def charge(project: str, session: str, centre: str, held: Amount, cost: Amount, at: datetime, memo: str = "") -> Entry:
    """Takes the whole hold, pays the centre `cost`, gives back the rest; a cost over the hold comes off the project."""
    rest = held - cost
    postings = (
        Posting(held_account(project), -held),
        Posting(centre_account(centre), cost),
        *((Posting(project_account(project), rest),) if rest else ()),
    )
    return Entry(key=f"settle:{session}", at=at, kind="charge", project=project, session=session, memo=memo, postings=postings)
