"""Entries and postings: immutable, balanced, each in one unit, each with a key that makes it safe to repeat.

    grant     grants:G → project:P/L                a lot L of project P, by grantor G
    hold      project:P/L → held:P/L                at submit, the most that the session may cost
    charge    held:P/L → centre:C, the rest back    from the centre's usage record
    release   held:P/L → project:P/L                nothing ran
    expire    project:P/L → expired:G               the part of a lot that was not used in its time
    carry     project:P/L → project:P/M             an allocation is renewed
    reverse   the same as another entry, with the signs turned

Pure values: `books` reads and writes them. Amounts are integers of micro-units, so sums are exact. A lot without a name
dates from before lots had accounts of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...units import Amount
from .lots import Lot, Parts, Settled


@dataclass(frozen=True, slots=True)
class Posting:
    """An amount added to (+) or taken from (-) one account."""

    account: str
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact of the ledger: true from `at` on, written at `recorded_at` (None: then) by `actor` ("": the broker
    itself). It may take back another entry, by that entry's key (`reverses`). Raises ValueError if its postings have
    two units or don't sum to zero."""

    key: str
    at: datetime
    kind: str
    project: str
    postings: tuple[Posting, ...]
    session: str = ""
    memo: str = ""
    actor: str = ""
    reverses: str = ""
    recorded_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        units = {posting.amount.unit for posting in self.postings}
        if len(units) > 1:
            raise ValueError(f"entry {self.key!r} mixes {' and '.join(sorted(units))}")
        if sum(posting.amount.micros for posting in self.postings) or len(self.postings) < 2:
            raise ValueError(f"entry {self.key!r} does not balance")

    @property
    def unit(self) -> str:
        return self.postings[0].amount.unit

    def says(self) -> tuple[object, ...]:
        """Returns the fields that identify a repeated entry: everything but its time, its author and its words."""
        posted = sorted((posting.account, posting.amount.micros, posting.amount.unit) for posting in self.postings)
        return (self.kind, self.project, self.session, self.reverses, posted)


def digest(entry: Entry) -> str:
    """Returns the SHA-256 of the entry's whole content."""
    body = [
        entry.key, _moment(entry.at), _moment(entry.recorded_at or entry.at), entry.kind, entry.project, entry.session,
        entry.memo, entry.actor, entry.reverses,
        [[one.account, one.amount.micros, one.amount.unit] for one in entry.postings],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def link(before: str, entry: Entry) -> str:
    """Returns the entry's hash in the chain, from its own content and the hash `before` it, so that no entry can be
    changed, removed or moved."""
    return joined(before, digest(entry))


def joined(before: str, said: str) -> str:
    return hashlib.sha256(f"{before}{said}".encode()).hexdigest()


# ---- accounts


def project_account(project: str, lot: str = "") -> str:
    return f"project:{project}/{lot}" if lot else f"project:{project}"


def held_account(project: str, lot: str = "") -> str:
    return f"held:{project}/{lot}" if lot else f"held:{project}"


def centre_account(centre: str) -> str:
    return f"centre:{centre}"


def grants_account(grantor: str) -> str:
    return f"grants:{grantor}"


def expired_account(grantor: str) -> str:
    return f"expired:{grantor}"


# ---- kinds


def grant(lot: Lot, at: datetime, *, actor: str = "") -> Entry:
    postings = _move(
        {grants_account(lot.grantor): lot.granted}, {project_account(lot.project, lot.name): lot.granted}, lot.unit
    )
    key = f"grant:{lot.project}:{lot.name}"
    return Entry(key=key, at=at, kind="grant", project=lot.project, memo=_terms(lot), postings=postings, actor=actor)


def _terms(lot: Lot) -> str:
    """Returns all terms of a lot, so that the chain proves them."""
    until = f", until {_moment(lot.expires_at)}" if lot.expires_at else ""
    where = f", at {', '.join(lot.centres)}" if lot.centres else ""
    rate = f", {lot.rate} millionths of money each" if lot.rate else ""
    return f"grant {lot.name}{until}{where}{rate}"


def hold(project: str, session: str, parts: Parts, unit: str, at: datetime, memo: str = "", *, step: int = 1) -> Entry:
    postings = _move(_available(project, parts), _held(project, parts), unit)
    return Entry(
        key=f"hold:{session}:{step}", at=at, kind="hold", project=project, session=session, memo=memo, postings=postings
    )


def give_back(
    project: str, session: str, parts: Parts, unit: str, at: datetime, memo: str = "", *, step: int = 1
) -> Entry:
    postings = _move(_held(project, parts), _available(project, parts), unit)
    return Entry(
        key=f"hold:{session}:{step}", at=at, kind="hold", project=project, session=session, memo=memo, postings=postings
    )


def release(
    project: str, session: str, parts: Parts, unit: str, at: datetime, memo: str = "", *, again: int = 0
) -> Entry:
    """Makes a release. `again` is the step of a hold that was opened again after the session was settled."""
    postings = _move(_held(project, parts), _available(project, parts), unit)
    key = f"release:{session}:{again}" if again else settled_key(session)
    return Entry(key=key, at=at, kind="release", project=project, session=session, memo=memo, postings=postings)


def charge(
    project: str,
    session: str,
    settled: Settled,
    earned: Iterable[Posting],
    unit: str,
    at: datetime,
    memo: str = "",
) -> Entry:
    """Makes the charge that settles a session. `earned` says who receives it, together as much as is paid. It counts at
    the time when the charged use began (`at`)."""
    postings = (
        *_posted(_held(project, settled.held), -1, unit),
        *_posted(_available(project, settled.more), -1, unit),
        *_move(_held(project, settled.back), _available(project, settled.back), unit),
        *earned,
    )
    return Entry(
        key=settled_key(session), at=at, kind="charge", project=project, session=session, memo=memo, postings=postings
    )


def settled_key(session: str) -> str:
    return f"settle:{session}"


def expire(lot: Lot, at: datetime) -> Entry:
    """Expires the rest of a lot at its end; a hold that is released later becomes a further entry."""
    postings = _move(
        {project_account(lot.project, lot.name): lot.available}, {expired_account(lot.grantor): lot.available}, lot.unit
    )
    key = f"expire:{lot.project}:{lot.name}:{lot.expired}"
    return Entry(
        key=key, at=at, kind="expire", project=lot.project, memo=f"unused rest of {lot.name}", postings=postings
    )


def carry_over(project: str, lot: str, into: str, micros: int, unit: str, at: datetime, *, actor: str = "") -> Entry:
    """Moves the rest of a lot into another lot of the same grantor."""
    postings = _move({project_account(project, lot): micros}, {project_account(project, into): micros}, unit)
    key = f"carry:{project}:{lot}:{into}"
    return Entry(
        key=key,
        at=at,
        kind="carry",
        project=project,
        memo=f"rest of {lot} carried over",
        postings=postings,
        actor=actor,
    )


def reverse(of: Entry, now: datetime, memo: str, *, actor: str = "") -> Entry:
    """Reverses an entry at that entry's own time: its statement about the past is taken back now."""
    turned = tuple(Posting(one.account, -one.amount) for one in of.postings)
    key = f"reverse:{of.key}"
    return Entry(
        key=key, at=of.at, recorded_at=now, kind="reverse", project=of.project, session=of.session, memo=memo,
        postings=turned, actor=actor, reverses=of.key,
    )  # fmt: skip


def _available(project: str, parts: Parts) -> Parts:
    return {project_account(project, lot): micros for lot, micros in parts.items()}


def _held(project: str, parts: Parts) -> Parts:
    return {held_account(project, lot): micros for lot, micros in parts.items()}


def _posted(accounts: Parts, sign: int, unit: str) -> tuple[Posting, ...]:
    return tuple(Posting(account, Amount(sign * micros, unit)) for account, micros in accounts.items())


def _move(sources: Parts, targets: Parts, unit: str) -> tuple[Posting, ...]:
    return (*_posted(sources, -1, unit), *_posted(targets, 1, unit))
