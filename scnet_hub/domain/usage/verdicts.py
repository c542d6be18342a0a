"""Judges each usage record of a session: it counts, it waits in suspense, a later record replaced it, or an operator
dropped it.

A function of all records together, so that their order and repetitions make no difference. Knows neither prices nor the
database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .runs import Identity, Run, Usage, body, in_turn, live, matter, turning
from .suspense import SubmittedJob, check, early, overlap, stranger

COUNTED, SUSPENSE, REPLACED, DROPPED = "counted", "suspense", "replaced", "dropped"
DROP, BELIEVE = "drop", "believe"
MOST = 2**63  # more than any revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A record with the hub's number for it, and when it last arrived by the hub's clock. `doubt` is the hub's own
    objection: the record could not be read, or it came `late`, after its session was settled without it. `decision` is
    an operator's: drop, believe or none."""

    id: int
    usage: Usage
    seen_at: datetime
    doubt: str = ""
    late: bool = False
    decision: str = ""

    @property
    def unread(self) -> bool:
        return bool(self.doubt) and not self.late


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of a record. `blocks`: its session can't be charged without an operator's decision or another
    record from the centre."""

    state: str
    reason: str = ""
    blocks: bool = False


def weigh(records: Sequence[Arrived], copies: Mapping[int, SubmittedJob], since: datetime) -> dict[int, Verdict]:
    """Returns the verdicts by record number. `copies` are the session's, `since` the federation's first day."""
    records = _decided(records)
    dropped = _dropped(records)
    verdicts = {one.id: Verdict(state=DROPPED) for one in records if one.decision == DROP}
    fit: list[Arrived] = []
    for one in records:
        if one.id in verdicts:
            continue
        reason = (
            ""
            if one.decision == BELIEVE
            else one.doubt or check(one.usage, one.seen_at, copy=_copy(one.usage, copies), since=since)
        )
        if reason:
            verdicts[one.id] = Verdict(state=SUSPENSE, reason=reason)
        elif not one.usage.final and one.usage.run in dropped:  # how it ended is known, and does not count
            verdicts[one.id] = Verdict(state=REPLACED)
        else:
            fit.append(one)
    outdated = _early(fit, copies)
    verdicts |= outdated
    fit = [one for one in fit if one.id not in outdated]
    again = _again(records, fit, dropped)
    turned = _in_turn(fit)
    verdicts |= turned
    fit = [one for one in fit if one.id not in turned]
    verdicts |= _counted(fit)
    verdicts |= _double(fit, verdicts, copies, since, again)
    return _resolved(records, verdicts, copies, again) | outdated


def _decided(records: Sequence[Arrived]) -> list[Arrived]:
    """Applies an operator's decision to all records of a run that agree in everything that matters, except to a record
    that contradicts another of its own revision: there the operator chose."""
    by_run: dict[Identity, list[Arrived]] = defaultdict(list)
    for one in records:
        if one.decision:
            by_run[one.usage.identity].append(one)
    return [
        replace(one, decision=one.decision or _as_decided(one, by_run.get(one.usage.identity, []))) for one in records
    ]


def _as_decided(one: Arrived, decided: Sequence[Arrived]) -> str:
    """Returns the decision that applies to this record. A belief about a continuing run does not extend to a later
    length."""
    said, revision = (matter(one.usage), one.unread), one.usage.revision
    others = [other for other in decided if not one.usage.final or other.usage.revision != revision]
    found = {other.decision for other in others if (matter(other.usage), other.unread) == said}
    return DROP if DROP in found else BELIEVE if found and one.usage.final and type(revision) is int else ""


def _dropped(records: Iterable[Arrived]) -> dict[Run, int]:
    """Returns the runs of which an operator dropped an end, and the lowest revision dropped."""
    found: dict[Run, int] = {}
    for one in records:
        if one.decision == DROP and one.usage.final:
            found[one.usage.run] = min(_number(one.usage.revision), found.get(one.usage.run, MOST))
    return found


def _again(records: Iterable[Arrived], fit: Iterable[Arrived], dropped: Mapping[Run, int]) -> set[int]:
    """Returns later records of runs of which nothing was left. Such a run does not count until an operator decides
    otherwise: other charges of its session stay meanwhile."""
    left = {one.usage.run for one in fit if one.usage.revision <= dropped.get(one.usage.run, -1)}
    late = (
        one for one in records if not one.decision and _number(one.usage.revision) > dropped.get(one.usage.run, MOST)
    )
    return {one.id for one in late if one.usage.run not in left}


def _copy(usage: Usage, copies: Mapping[int, SubmittedJob]) -> SubmittedJob | None:
    return copies.get(usage.copy)


def _early(fit: Sequence[Arrived], copies: Mapping[int, SubmittedJob]) -> dict[int, Verdict]:
    """Returns records from before their copy was submitted, where another record of that copy is in time: they do not
    keep the session waiting. A record that is alone counts, because its name gives its owner: then the hub's clock was
    ahead when it submitted."""
    reasons = {one.id: early(one.usage, _copy(one.usage, copies)) for one in fit if one.decision != BELIEVE}
    in_time = {one.usage.copy for one in fit if not reasons.get(one.id)}
    return {
        one.id: Verdict(state=SUSPENSE, reason=reasons[one.id])
        for one in fit
        if reasons.get(one.id) and one.usage.copy in in_time
    }


def _in_turn(fit: Iterable[Arrived]) -> dict[int, Verdict]:
    """Suspends records of a run between whose versions its accounting alternates: the earlier one counts until an
    operator decides."""
    by_run: dict[Identity, list[Arrived]] = defaultdict(list)
    for one in fit:
        by_run[one.usage.identity].append(one)
    found: dict[int, Verdict] = {}
    for group in by_run.values():
        turned = in_turn(one.usage for one in group)
        waits = [one for one in group if one.usage.final and one.usage.revision in turned and one.decision != BELIEVE]
        found |= {one.id: Verdict(state=SUSPENSE, reason=turning(one.usage)) for one in waits}
    return found


def _counted(fit: Iterable[Arrived]) -> dict[int, Verdict]:
    """Selects one record of each run; a record that an operator believes precedes records that were not reviewed."""
    by_run: dict[Identity, list[Arrived]] = defaultdict(list)
    for one in fit:
        by_run[one.usage.identity].append(one)
    chosen = [one for group in by_run.values() for one in _believed(group)]
    alive = live(one.usage for one in chosen)
    bodies = {identity: body(usage) for identity, usage in alive.records.items()}
    verdicts = {one.id: Verdict(state=REPLACED) for group in by_run.values() for one in group}
    disputed = {key: max(one.usage.revision for one in by_run[key]) for key in alive.suspended}
    for one in chosen:
        key = one.usage.identity
        if key in disputed and one.usage.final and one.usage.revision == disputed[key]:
            verdicts[one.id] = Verdict(state=SUSPENSE, reason=alive.suspended[key])
        elif bodies.get(key) == body(one.usage):
            verdicts[one.id] = Verdict(state=COUNTED)
    return verdicts


def _believed(group: list[Arrived]) -> list[Arrived]:
    believed = [one.usage.revision for one in group if one.decision == BELIEVE]
    return [one for one in group if not believed or one.decision == BELIEVE or one.usage.revision > max(believed)]


def _double(
    fit: Iterable[Arrived],
    verdicts: Mapping[int, Verdict],
    copies: Mapping[int, SubmittedJob],
    since: datetime,
    again: Collection[int],
) -> dict[int, Verdict]:
    """Suspends runs of one copy that overlap in time: only an operator can say which belongs to the copy. If they
    dropped one, the others count, even if it is reported `again`."""
    found: dict[int, Verdict] = {}
    by_copy: dict[int, list[Arrived]] = defaultdict(list)
    for one in fit:
        if verdicts[one.id].state == COUNTED:
            by_copy[one.usage.copy].append(one)
    for number, group in by_copy.items():
        for one in group:
            mine = one.id in again
            others = [
                other.usage for other in group if (mine or other.id not in again) and overlap(one.usage, other.usage)
            ]
            if others and one.decision != BELIEVE:
                reason = check(one.usage, one.seen_at, copy=copies.get(number), since=since, others=others)
                found[one.id] = Verdict(state=SUSPENSE, reason=reason)
    return found


def _resolved(
    records: Sequence[Arrived], verdicts: dict[int, Verdict], copies: Mapping[int, SubmittedJob], again: Collection[int]
) -> dict[int, Verdict]:
    """Releases from suspense a run that counts by a later record of its centre; a run that doesn't count yet keeps its
    session waiting."""
    counts = {
        one.usage.run: one.usage.revision for one in records if verdicts[one.id].state == COUNTED and one.usage.final
    }
    for one in records:
        verdict = verdicts[one.id]
        if verdict.state != SUSPENSE:
            continue
        revision = counts.get(one.usage.run, -1)
        if (
            revision >= 0
            and one.decision != BELIEVE
            and not one.late
            and (one.doubt or revision > _number(one.usage.revision))
        ):
            verdicts[one.id] = Verdict(state=REPLACED)
        else:
            settled = revision >= 0 or one.late or one.id in again
            verdicts[one.id] = replace(verdict, blocks=not settled and not foreign(one.usage, _copy(one.usage, copies)))
    return verdicts


def foreign(usage: Usage, copy: SubmittedJob | None) -> bool:
    """Tells whether a record belongs to another job than that copy's, whatever its name says."""
    return bool(stranger(usage, copy))


def _number(revision: object) -> int:
    return revision if isinstance(revision, int) else 0
