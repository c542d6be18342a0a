"""What is thought of each usage record that came for a session: it counts, it waits in suspense, a later word replaced it, or an operator
dropped it.

A function of all records together, so that the order in which they came, and how often, makes no difference. Knows neither prices nor
the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from .runs import Identity, Run, Usage, body, in_turn, live, matter, turning
from .suspense import Copy, check, early, overlap, stranger

COUNTED, SUSPENSE, REPLACED, DROPPED = "counted", "suspense", "replaced", "dropped"
DROP, BELIEVE = "drop", "believe"
MOST = 2**63  # more than any revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A record with the hub's number for it, and when it came last by the hub's clock. `doubt` is what the hub itself has against it: it
    could not be read, or it came `late`, after its session was settled without it. `decision` is an operator's: drop, believe or none."""

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
    """`blocks`: without an operator's decision, or another word of the centre's, its session can't be charged."""

    state: str
    reason: str = ""
    blocks: bool = False


def weigh(records: Sequence[Arrived], copies: Mapping[int, Copy], since: datetime) -> dict[int, Verdict]:
    """By number. `copies` are the session's, `since` the federation's first day."""
    records = _decided(records)
    dropped = _dropped(records)
    verdicts = {one.id: Verdict(state=DROPPED) for one in records if one.decision == DROP}
    fit: list[Arrived] = []
    for one in records:
        if one.id in verdicts:
            continue
        reason = "" if one.decision == BELIEVE else one.doubt or check(one.usage, one.seen_at, copy=_copy(one.usage, copies), since=since)
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
    """An operator's decision stands for all words on a run that say the same in what matters; but for none that contradicts another of
    its own revision: there they chose."""
    by_run: dict[Identity, list[Arrived]] = defaultdict(list)
    for one in records:
        if one.decision:
            by_run[one.usage.identity].append(one)
    return [replace(one, decision=one.decision or _as_decided(one, by_run.get(one.usage.identity, []))) for one in records]


def _as_decided(one: Arrived, decided: Sequence[Arrived]) -> str:
    """What is believed of a run that goes on says nothing of a later length."""
    said, revision = (matter(one.usage), one.unread), one.usage.revision
    others = [other for other in decided if not one.usage.final or other.usage.revision != revision]
    found = {other.decision for other in others if (matter(other.usage), other.unread) == said}
    return DROP if DROP in found else BELIEVE if found and one.usage.final and type(revision) is int else ""


def _dropped(records: Iterable[Arrived]) -> dict[Run, int]:
    """Runs of which an operator dropped an end, and by which revision first."""
    found: dict[Run, int] = {}
    for one in records:
        if one.decision == DROP and one.usage.final:
            found[one.usage.run] = min(_number(one.usage.revision), found.get(one.usage.run, MOST))
    return found


def _again(records: Iterable[Arrived], fit: Iterable[Arrived], dropped: Mapping[Run, int]) -> set[int]:
    """Later words on runs of which nothing was left. That such a run does not count stands until an operator decides otherwise: what else
    its session was charged stays meanwhile."""
    left = {one.usage.run for one in fit if one.usage.revision <= dropped.get(one.usage.run, -1)}
    late = (one for one in records if not one.decision and _number(one.usage.revision) > dropped.get(one.usage.run, MOST))
    return {one.id for one in late if one.usage.run not in left}


def _copy(usage: Usage, copies: Mapping[int, Copy]) -> Copy | None:
    return copies.get(usage.copy)


def _early(fit: Sequence[Arrived], copies: Mapping[int, Copy]) -> dict[int, Verdict]:
    """Records from before their copy was asked for, where another one of that copy is in time: those keep no session waiting. One that is
    alone counts, as its name says whose it is: then the hub's clock was ahead when it asked."""
    reasons = {one.id: early(one.usage, _copy(one.usage, copies)) for one in fit if one.decision != BELIEVE}
    in_time = {one.usage.copy for one in fit if not reasons.get(one.id)}
    return {one.id: Verdict(state=SUSPENSE, reason=reasons[one.id]) for one in fit if reasons.get(one.id) and one.usage.copy in in_time}


def _in_turn(fit: Iterable[Arrived]) -> dict[int, Verdict]:
    """What counts of a run whose accounting tells one thing and another of it in turn is what it said before, until an operator decides."""
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
    """Of each run one; what an operator believes goes before what nobody looked at."""
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
    fit: Iterable[Arrived], verdicts: Mapping[int, Verdict], copies: Mapping[int, Copy], since: datetime, again: Collection[int]
) -> dict[int, Verdict]:
    """Runs of one copy that tell of the same time: which of them is the copy's, nobody can say but an operator. If they dropped one, it is
    the others', whatever is told of it `again`."""
    found: dict[int, Verdict] = {}
    by_copy: dict[int, list[Arrived]] = defaultdict(list)
    for one in fit:
        if verdicts[one.id].state == COUNTED:
            by_copy[one.usage.copy].append(one)
    for number, group in by_copy.items():
        for one in group:
            mine = one.id in again
            others = [other.usage for other in group if (mine or other.id not in again) and overlap(one.usage, other.usage)]
            if others and one.decision != BELIEVE:
                reason = check(one.usage, one.seen_at, copy=copies.get(number), since=since, others=others)
                found[one.id] = Verdict(state=SUSPENSE, reason=reason)
    return found


def _resolved(
    records: Sequence[Arrived], verdicts: dict[int, Verdict], copies: Mapping[int, Copy], again: Collection[int]
) -> dict[int, Verdict]:
    """A run that counts by a later word of the centre's is in suspense no more; one that doesn't count yet keeps its session waiting."""
    counts = {one.usage.run: one.usage.revision for one in records if verdicts[one.id].state == COUNTED and one.usage.final}
    for one in records:
        verdict = verdicts[one.id]
        if verdict.state != SUSPENSE:
            continue
        revision = counts.get(one.usage.run, -1)
        if revision >= 0 and one.decision != BELIEVE and not one.late and (one.doubt or revision > _number(one.usage.revision)):
            verdicts[one.id] = Verdict(state=REPLACED)
        else:
            settled = revision >= 0 or one.late or one.id in again
            verdicts[one.id] = replace(verdict, blocks=not settled and not foreign(one.usage, _copy(one.usage, copies)))
    return verdicts


def foreign(usage: Usage, copy: Copy | None) -> bool:
    """Whether a record is of another job than that copy, whatever its name says."""
    return bool(stranger(usage, copy))


def _number(revision: object) -> int:
    return revision if isinstance(revision, int) else 0
