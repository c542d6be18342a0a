"""What centres' accounting says of their jobs, on its way in: kept first, whatever it is, then believed or held in suspense.

Knows whose a record is by its job's name, and which revision of a run a new word is; what then counts of all that came is
`domain.usage.verdicts`'s, what it costs `charging`'s. Whoever brings records, the watch, a day's pull or a centre's own export,
comes by here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as stored
from ...adapters.db.queries import usage as records
from ...adapters.db.queries.usage import UsageRow
from ...domain.identifiers import forgotten
from ...domain.jobs import Ending, JobState, UsageRecord
from ...domain.sessions.names import copy_of
from ...domain.sessions.records import SessionRow
from ...domain.usage import serialisation, suspense
from ...domain.usage.refunds import NOT_CHARGED
from ...domain.usage.runs import Usage, heard_enough, matter, revised, usage_of
from ...domain.usage.verdicts import DROP, SUSPENSE, foreign
from ...errors import plain
from . import charging
from .charging import Pages

BIRTH = "1"  # of every cluster: a run's time of submission tells one life's from another's
MOST_REVISIONS = 2**31 - 1
ENDINGS = {
    JobState.COMPLETED: Ending.COMPLETED, JobState.FAILED: Ending.FAILED, JobState.CANCELLED: Ending.CANCELLED,
    JobState.LOST: Ending.SITE_FAILURE,
}  # fmt: skip
LATE = "It came after its session was settled without a usage record."


def settle(tx: Tx, centre: str, rows: Sequence[SessionRow], told: Sequence[UsageRecord], pages: Pages, now: datetime) -> None:
    """What the accounting says of copies that ended, kept and charged."""
    news = heard(tx, centre, told, now)
    for session in sorted(news | {row.id for row in rows}):
        charging.reckon(tx, session, pages, now)


def heard(tx: Tx, centre: str, told: Iterable[UsageRecord], now: datetime) -> set[str]:
    """Keeps what a centre's accounting says of jobs; the sessions for which that is news. Where one row of a job can't be read, the others
    wait too: they could be counted as other runs than they are."""
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
    """Whether an accounting is still writing it: it has ended, but not when. What stays so is looked at as it is."""
    return record.state.ended and record.started_at is not None and record.ended_at is None and not record.trouble


def read(centre: str, record: UsageRecord, now: datetime) -> tuple[Usage, str]:
    """A record as usage, and what can't be read of it, in words; as far as it can be read it is told all the same."""
    session, copy = copy_of(record.name) or ("", 0)
    if record.trouble and record.state is JobState.UNKNOWN:
        bare = Usage(
            centre=centre, birth=BIRTH, job_id=plain(record.job_id, 64), submitted_at=None, restart=record.restart, seen_at=now,
            name=plain(record.name, 200), session=session, copy=copy, state_raw=plain(record.state_raw, 100),
        )  # fmt: skip
        return bare, plain(record.trouble, 1000)
    ending = ENDINGS.get(record.state) if record.ending is None else record.ending
    told = replace(record, ending=ending, trouble="")
    return usage_of(told, centre=centre, birth=BIRTH, session=session, copy=copy, seen_at=now), plain(record.trouble, 1000)


def as_known(tx: Tx, fresh: Usage) -> Usage:
    """With the revision that it is of what is known of its run; the last that is known, if enough was heard of what it says."""
    told = [one.record for one in records.of_identity(tx, identity(fresh))]
    before = [serialisation.usage_from(one) for one in told if not one.get("doubt") or one.get("late")]
    last = max(before, key=lambda one: (one.revision, one.final, one.seen_at), default=None)
    if last and forgotten(last.ended_by) and last.ending == fresh.ending:  # who it was does not come back
        fresh = replace(fresh, ended_by=last.ended_by, state_raw=last.state_raw)
    return last if last and heard_enough(before, last, fresh) else revised(last, fresh)


def take(tx: Tx, usage: Usage, now: datetime, doubt: str = "") -> str:
    """Keeps one record; the session for which it is news ("": none, or it is no news). The same again changes nothing, but that what was
    doubted for its times is looked at by the clock of now."""
    mark = identity(usage), serialisation.usage_digest(usage, doubt)
    if before := records.known(tx, *mark):
        if before.state != SUSPENSE or before.decision or before.seen_at >= now:
            return ""
        records.change(tx, before.id, seen_at=now)
        return before.session
    session, copy = copy_of(usage.name) or ("", 0)
    row = stored.get(tx, session, copy) if session else None
    late = False
    costs = usage.start is not None and usage.ending not in NOT_CHARGED
    if row is not None and not doubt and costs and _closed_without(tx, row):
        doubt, late = LATE, True
    fresh = replace(_row(tx, usage, row, now, doubt, late), identity=mark[0], digest=mark[1])
    if not fresh.session and _dropped_before(tx, fresh):
        fresh = replace(fresh, state=records.DROPPED, reason="")
    return fresh.session if records.put(tx, fresh) else ""


def _row(tx: Tx, usage: Usage, row: SessionRow | None, now: datetime, doubt: str, late: bool) -> UsageRow:
    """Nobody's, or another's than its name says, waits for an operator; what is of a session is weighed with all that came for it."""
    known = charging.copy_of(row) if row else None
    strange = foreign(usage, known)
    whose = ("", 0) if strange or row is None else (row.id, row.number)
    document = serialisation.usage_document(usage) | ({"doubt": doubt} if doubt else {}) | ({"late": True} if late else {})
    reason = (doubt or suspense.check(usage, now, copy=known, since=records.began(tx))) if strange else ""
    return UsageRow(
        identity="", digest="", revision=_bounded(usage.revision), centre=usage.centre, session=whose[0], copy=whose[1],
        final=usage.final and (not doubt or late), over_at=over_at(usage), record=document, seen_at=now,
        state=SUSPENSE if strange else records.REPLACED, reason=reason,
    )  # fmt: skip


def _dropped_before(tx: Tx, fresh: UsageRow) -> bool:
    """Whether an operator dropped a word on the same run of nobody's that says the same in what matters."""
    dropped = [one for one in records.of_identity(tx, fresh.identity) if one.decision.startswith(DROP) and not one.session]
    return _said(fresh) in [_said(one) for one in dropped]


def _said(row: UsageRow) -> tuple[object, ...]:
    return matter(serialisation.usage_from(row.record)), row.record.get("doubt", "") != ""


def identity(usage: Usage) -> str:
    return plain(str(usage.identity), 299)


def over_at(usage: Usage) -> datetime | None:
    """When a final record's run was over; one that never ran, when it was given up."""
    over = (usage.end or usage.through or usage.submitted_at) if usage.final else None
    return over if over is None or over.tzinfo else None


def _bounded(revision: object) -> int:
    return max(min(revision, MOST_REVISIONS), -MOST_REVISIONS) if isinstance(revision, int) else 0


def _closed_without(tx: Tx, row: SessionRow) -> bool:
    """Whether a copy was settled though no record had said what it used."""
    return row.used == 0 and charging.written_off(row, [one for one in records.of_session(tx, row.id) if one.copy == row.number])
