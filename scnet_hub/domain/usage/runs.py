"""`Usage`: one run of one job in a centre's accounting, with an identity that distinguishes it from every other run;
and `live`, which selects the records that count from all that arrived, late, repeated, out of order or corrected.

Knows neither prices nor months (`segments.py`), nor what is not charged (`refunds.py`), nor whether a record is to be
believed (`suspense.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..jobs import Ending, UsageRecord

NO_TIME = timedelta()
TURNS = 3  # how often an accounting may return to an earlier report of a run
SAME = 10  # how many consecutive records of a run are kept that agree in everything that matters


class Identity(NamedTuple):
    """One run of one job. A scheduler that lost its state gives ids out again, and so begins another life: `birth` says
    which. `submitted_at` is None where the accounting does not report it (a run of which nothing is known; a running
    job of Grid Engine)."""

    centre: str
    birth: str
    job_id: str
    submitted_at: datetime | None
    restart: int

    def __str__(self) -> str:
        """Returns the identity without spaces, the same for ever: "beta/1/4711/1795457109/0"."""
        submitted = "" if self.submitted_at is None else _seconds(self.submitted_at)
        return f"{self.centre}/{self.birth}/{self.job_id}/{submitted}/{self.restart}"


class Run(NamedTuple):
    """An identity without its time of submission, for an interim record that doesn't know that time."""

    centre: str
    birth: str
    job_id: str
    restart: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The report of a centre's accounting on one run. Allocated: `cores`, `gpus` by model ("": model not stated),
    `memory` in bytes. `elapsed` is the allocated time, less than from `start` to `end` if the job was suspended.
    `ending` is None for an interim record, of a run that continues. `session` and `copy` are the owner of the job by
    its `name` ("", 0: none that the hub knows). `seen_at` is when the centre reported it, and is ignored when records
    are compared. A centre that corrects a record increases its `revision`."""

    centre: str
    birth: str
    job_id: str
    submitted_at: datetime | None
    restart: int = 0
    revision: int = 0
    name: str = ""
    session: str = ""
    copy: int = 0
    partition: str = ""
    cores: int = 0
    gpus: tuple[tuple[str, int], ...] = ()
    memory: int = 0
    start: datetime | None = None
    end: datetime | None = None
    elapsed: timedelta = NO_TIME
    cpu: timedelta = NO_TIME
    node: str = ""
    ending: Ending | None = None
    ended_by: str = ""
    state_raw: str = ""
    exit_code: str = ""
    seen_at: datetime = field(compare=False)

    @property
    def identity(self) -> Identity:
        return Identity(self.centre, self.birth, self.job_id, self.submitted_at, self.restart)

    @property
    def run(self) -> Run:
        return Run(self.centre, self.birth, self.job_id, self.restart)

    @property
    def final(self) -> bool:
        return self.ending is not None

    @property
    def through(self) -> datetime | None:
        """Returns the end of the counted time: the start plus the allocated time. None if the run never started, or is
        longer than any date allows."""
        try:
            return None if self.start is None else self.start + self.elapsed
        except OverflowError:
            return None


def usage_of(
    record: UsageRecord, *, centre: str, birth: str, session: str, copy: int, seen_at: datetime, revision: int = 0
) -> Usage:
    """Returns a dialect's record as usage. If the scheduler of a running job doesn't report its length, the length is
    until `seen_at`: an interim record is not a charge, so the hub's clock is good enough. Raises ValueError for a
    record that could not be read."""
    if record.trouble:
        raise ValueError(record.trouble)
    running = record.ending is None and record.started_at is not None
    elapsed = record.elapsed
    if running and not elapsed and record.started_at is not None:
        elapsed = max(seen_at - record.started_at, NO_TIME)
    return Usage(
        centre=centre, birth=birth, job_id=record.job_id, submitted_at=record.submitted_at, restart=record.restart,
        revision=revision, name=record.name, session=session, copy=copy, partition=record.partition, cores=record.cores,
        gpus=_by_model(record), memory=record.memory, start=record.started_at,
        end=record.ended_at if record.ending else None, elapsed=elapsed, cpu=record.cpu, node=record.node,
        ending=record.ending, ended_by=record.ended_by, state_raw=record.state_raw, exit_code=record.exit_code,
        seen_at=seen_at,
    )  # fmt: skip


def _by_model(record: UsageRecord) -> tuple[tuple[str, int], ...]:
    """Returns the GPUs by model, those without a known model under ""."""
    rest = record.gpus - sum(count for _, count in record.gpu_models)
    return tuple(sorted((*record.gpu_models, *((("", rest),) if rest else ()))))


def revised(known: Usage | None, fresh: Usage) -> Usage:
    """Returns `fresh` with its revision, after `known`, the centre's earlier record of the run: accounting files have
    no revisions. A run that continues, or has ended since, is not a correction; a different end of an ended run is one.
    A record that calls an ended run running is an old answer."""
    if known is None:
        return fresh
    same = replace(fresh, revision=known.revision)
    return same if not known.final or not fresh.final or same == known else replace(fresh, revision=known.revision + 1)


def heard_enough(before: Sequence[Usage], last: Usage, fresh: Usage) -> bool:
    """Tells whether a record of an ended run is one of those between which its accounting alternates, or agrees with
    the last one in everything that matters, as many did: such records may never stop."""
    told = [matter(one) for one in before if one.final]
    word = matter(fresh)
    if not fresh.final or word not in told:
        return False
    return last.revision in in_turn(before) or (word == matter(last) and told.count(word) >= SAME)


def in_turn(records: Iterable[Usage]) -> set[int]:
    """Returns the revisions of one run with which its accounting returned to an earlier report more than `TURNS` times,
    without reporting anything new in between."""
    by_revision: dict[int, set[object]] = defaultdict(set)
    for one in records:
        if one.final:
            by_revision[one.revision].add(matter(one))
    turned: set[int] = set()
    told: list[frozenset[object]] = []
    turns = 0
    for revision, words in sorted(by_revision.items()):
        said = frozenset(words)
        turns = 0 if said not in told else turns + (said != told[-1])
        told.append(said)
        if turns > TURNS:
            turned.add(revision)
    return turned


# ---- which records count


@dataclass(frozen=True, slots=True)
class Live:
    """`records` count, one for each identity; `suspended` are identities of which no record can count, each with the
    reason."""

    records: Mapping[Identity, Usage]
    suspended: Mapping[Identity, str]


def live(records: Iterable[Usage]) -> Live:
    """Returns the records that count, whatever their order and repetitions: of each identity the highest revision, of
    one revision the final record before any interim one, and of these the latest. Two final records of one revision
    that differ are a contradiction that only a higher revision resolves. Takes one pass, and the memory of one record
    for each identity."""
    best: dict[Identity, Usage] = {}
    contradicted: dict[Identity, int] = {}  # the revision of which there are two
    for record in records:
        key = record.identity
        known = best.get(key)
        if known is not None and known.final and record.final and known.revision == record.revision and known != record:
            contradicted[key] = record.revision
        if known is None or _weight(record) > _weight(known):
            best[key] = record
    suspended = {
        key: _contradiction(best[key]) for key, revision in contradicted.items() if best[key].revision == revision
    }
    told = {record.run for record in best.values() if record.submitted_at is not None}
    counted = {
        key: record
        for key, record in best.items()
        if key not in suspended and (record.submitted_at is not None or record.final or record.run not in told)
    }
    return Live(counted, suspended)


def _weight(record: Usage) -> tuple[object, ...]:
    """Prefers, of final records with one revision, the first that arrived; of interim ones, the last."""
    stamp = _seconds(record.seen_at)
    return (record.revision, record.final, -stamp if record.final else stamp, body(record))


def body(usage: Usage) -> tuple[str, ...]:
    """Returns everything that a record reports, except when."""
    return tuple(repr(getattr(usage, one.name)) for one in fields(usage) if one.compare)


def matter(usage: Usage) -> tuple[object, ...]:
    """Returns the fields on which a charge, or an operator's decision, depends: the owner, when it ran, how it ended,
    what it was allocated; for a run that continues, not its length so far."""
    ran = (usage.end, usage.elapsed) if usage.final else ()
    return (usage.name, usage.ending, usage.start, *ran, usage.cores, usage.gpus, usage.memory)


def turning(record: Usage) -> str:
    return (
        f"{record.centre} tells one thing and another of job {record.job_id} in turn: it came back to what it "
        "had said before more than"
        f" {TURNS} times. Further turns are not listened to."
    )


def _contradiction(record: Usage) -> str:
    return (
        f"{record.centre} sent two final records of job {record.job_id} with revision {record.revision} that differ:"
        " a correction needs the next revision."
    )


def _seconds(instant: datetime) -> int | float:
    stamp = instant.astimezone(UTC).timestamp()
    return int(stamp) if stamp == int(stamp) else stamp
