"""Takes in usage records from centres' accounting: each is stored first, then believed or held in suspense.

Knows the session of a record by its job's name, and which revision of a run a record is. `domain.usage.verdicts`
decides which of all records count, `charging` what they cost. All records come through here: from the watcher, from a
day's pull, and from a centre's own export.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.usage import UsageRow
from ...domain.identifiers import forgotten
from ...domain.jobs import Ending, JobState, UsageRecord
from ...domain.sessions.names import copy_of
from ...domain.sessions.records import Copy, SessionCopy
from ...domain.usage import serialisation, suspense
from ...domain.usage.refunds import NOT_CHARGED
from ...domain.usage.runs import Usage, heard_enough, matter, revised, usage_of
from ...domain.usage.verdicts import DROP, SUSPENSE, foreign
from ...errors import plain
from . import charging
from .charging import PriceSource

BIRTH = "1"  # of every cluster: a run's time of submission distinguishes one life from another
MOST_REVISIONS = 2**31 - 1
ENDINGS = {
    JobState.COMPLETED: Ending.COMPLETED, JobState.FAILED: Ending.FAILED, JobState.CANCELLED: Ending.CANCELLED,
    JobState.LOST: Ending.SITE_FAILURE,
}  # fmt: skip
LATE = "It came after its session was settled without a usage record."


def settle(
    tx: Tx, centre: str, copies: Sequence[Copy], told: Sequence[UsageRecord], pages: PriceSource, now: datetime
) -> None:
    """Stores and charges the accounting's records of ended copies."""
    news = take_records(tx, centre, told, now)
    for session in sorted(news | {copy.session for copy in copies}):
        charging.recharge(tx, session, pages, now)


def take_records(tx: Tx, centre: str, told: Iterable[UsageRecord], now: datetime) -> set[str]:
    """Stores a centre's records of jobs. Returns the sessions for which they are news. Where one row of a job cannot be
    read, its other rows wait too: they could be counted as other runs than they are."""
    by_job: dict[str, list[UsageRecord]] = defaultdict(list)
    for record in told:
        by_job[record.job_id].append(record)
    news = set()
    for job in by_job.values():
        for record in [one for one in job if one.trouble] or job:
            usage, doubt = read(centre, record, now)
            news.add(take(tx, usage if doubt else as_known(tx, usage), now, doubt))
    return news - {""}


def half_told(record: UsageRecord) -> bool:
    """Tells whether an accounting is still writing the record: the run has ended, but its end time is missing. If that
    lasts, the record is taken as it is."""
    return record.state.ended and record.started_at is not None and record.ended_at is None and not record.trouble


def read(centre: str, record: UsageRecord, now: datetime) -> tuple[Usage, str]:
    """Returns a record as usage, and a sentence about unreadable fields. All readable fields are in the usage."""
    session, copy = copy_of(record.name) or ("", 0)
    if record.trouble and record.state is JobState.UNKNOWN:
        bare = Usage(
            centre=centre, birth=BIRTH, job_id=plain(record.job_id, 64), submitted_at=None, restart=record.restart,
            seen_at=now, name=plain(record.name, 200), session=session, copy=copy,
            state_raw=plain(record.state_raw, 100),
        )  # fmt: skip
        return bare, plain(record.trouble, 1000)
    ending = ENDINGS.get(record.state) if record.ending is None else record.ending
    told = replace(record, ending=ending, trouble="")
    return usage_of(told, centre=centre, birth=BIRTH, session=session, copy=copy, seen_at=now), plain(
        record.trouble, 1000
    )


def as_known(tx: Tx, fresh: Usage) -> Usage:
    """Returns `fresh` with its revision among the known records of its run; the last known record, if `fresh` adds
    nothing to it."""
    told = [one.record for one in usage_rows.of_identity(tx, identity(fresh))]
    before = [serialisation.usage_from(one) for one in told if not one.get("doubt") or one.get("late")]
    last = max(before, key=lambda one: (one.revision, one.final, one.seen_at), default=None)
    if last and forgotten(last.ended_by) and last.ending == fresh.ending:  # an erased person's name does not come back
        fresh = replace(fresh, ended_by=last.ended_by, state_raw=last.state_raw)
    return last if last and heard_enough(before, last, fresh) else revised(last, fresh)


def take(tx: Tx, usage: Usage, now: datetime, doubt: str = "") -> str:
    """Stores one record. Returns the session for which it is news ("": none, or not news). A repeated record changes
    nothing, except that a record whose times were doubted is judged again at the current time."""
    mark = identity(usage), serialisation.usage_digest(usage, doubt)
    if before := usage_rows.known(tx, *mark):
        if before.state != SUSPENSE or before.decision or before.seen_at >= now:
            return ""
        usage_rows.update(tx, before.id, seen_at=now)
        return before.session
    session, copy = copy_of(usage.name) or ("", 0)
    row = session_rows.get(tx, session, copy) if session else None
    late = False
    costs = usage.start is not None and usage.ending not in NOT_CHARGED
    if row is not None and not doubt and costs and _closed_without(tx, row.copy):
        doubt, late = LATE, True
    fresh = replace(_row(tx, usage, row, now, doubt, late), identity=mark[0], digest=mark[1])
    if not fresh.session and _dropped_before(tx, fresh):
        fresh = replace(fresh, state=usage_rows.DROPPED, reason="")
    return fresh.session if usage_rows.insert(tx, fresh) else ""


def _row(tx: Tx, usage: Usage, row: SessionCopy | None, now: datetime, doubt: str, late: bool) -> UsageRow:
    """Returns the record's row. A record of no session, or not of the one in its name, waits for an operator; others
    are weighed with all records of their session."""
    known = charging.submitted_job(row) if row else None
    strange = foreign(usage, known)
    whose = ("", 0) if strange or row is None else (row.session.id, row.copy.number)
    document = (
        serialisation.usage_document(usage) | ({"doubt": doubt} if doubt else {}) | ({"late": True} if late else {})
    )
    reason = (doubt or suspense.check(usage, now, copy=known, since=usage_rows.began(tx))) if strange else ""
    return UsageRow(
        identity="", digest="", revision=_bounded(usage.revision), centre=usage.centre, session=whose[0], copy=whose[1],
        final=usage.final and (not doubt or late), over_at=over_at(usage), record=document, seen_at=now,
        state=SUSPENSE if strange else usage_rows.REPLACED, reason=reason,
    )  # fmt: skip


def _dropped_before(tx: Tx, fresh: UsageRow) -> bool:
    """Tells whether an operator dropped an equivalent record of the same run, which belongs to no session."""
    dropped = [
        one for one in usage_rows.of_identity(tx, fresh.identity) if one.decision.startswith(DROP) and not one.session
    ]
    return _said(fresh) in [_said(one) for one in dropped]


def _said(row: UsageRow) -> tuple[object, ...]:
    return matter(serialisation.usage_from(row.record)), row.record.get("doubt", "") != ""


def identity(usage: Usage) -> str:
    return plain(str(usage.identity), 299)


def over_at(usage: Usage) -> datetime | None:
    """Returns when a final record's run was over; for a run that never started, when it was given up."""
    over = (usage.end or usage.through or usage.submitted_at) if usage.final else None
    return over if over is None or over.tzinfo else None


def _bounded(revision: object) -> int:
    return max(min(revision, MOST_REVISIONS), -MOST_REVISIONS) if isinstance(revision, int) else 0


def _closed_without(tx: Tx, copy: Copy) -> bool:
    """Tells whether a copy was settled although no record had reported its use."""
    return copy.used == 0 and charging.written_off(
        copy, [one for one in usage_rows.of_session(tx, copy.session) if one.copy == copy.number]
    )
