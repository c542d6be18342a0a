"""The invariants: what must hold whatever was broken. Each reads the evidence and yields its violations, as sentences
that name the session.

A time that is allowed for something counts only while it could be done: not while the centre or a part of the
federation was broken, nor in the moments after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from tests.real.testbed.layout import CENTRES

from .evidence import Broken, Evidence, Run, Session, session_of


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Seconds. `cancel`: two copies of one session may both run; `reconcile`: a job that the broker doesn't know may
    live unlisted; `recovery`: after a mending, before time counts again; `aftermath`: how long after a death a session
    may end by it; `start`: a start may wait without a word. `clocks`: an accounting's whole seconds."""

    cancel: float = 60.0
    reconcile: float = 60.0
    recovery: float = 45.0
    aftermath: float = 300.0
    start: float = 120.0
    clocks: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Violation:
    invariant: str
    session: str
    words: str


Found = Iterator[tuple[str, str]]  # session, words


def nothing_lost(seen: Evidence, allowed: Allowed) -> Found:
    """A session that was ready ends because somebody stopped it, its program ended, or its node or centre died."""
    known = {session.id: session for session in seen.sessions}
    for start in seen.starts:
        if start.outcome == "accepted" and start.session not in known:
            yield start.session, "was accepted, and the broker does not know it"
    for one in seen.sessions:
        wished = one.id in seen.stops or one.id in seen.finite or one.replaced
        if one.ready and not one.live and not wished and not _killed(one, seen, allowed):
            yield one.id, f"ended unasked at {one.centre}: {one.end_reason}"
    for answer in seen.answers:
        session = known.get(answer.session)
        if not answer.ok and session and not _killed(session, seen, allowed):
            yield answer.session, f"is called {session.state} at {session.centre} and does not answer: {answer.words}"


def no_orphan_unlisted(seen: Evidence, allowed: Allowed) -> Found:
    """A job of ours that lives at a centre is known to the broker, listed as an orphan, or being cancelled."""
    jobs = defaultdict(list)
    for sighting in sorted(seen.sightings, key=lambda one: one.at):
        jobs[sighting.centre, sighting.job_id, sighting.name].append(sighting)
    for (centre, job_id, name), sightings in jobs.items():
        since: float | None = None
        for sighting in sightings:
            since = None if sighting.known else sighting.at if since is None else since
            if since is not None and _clear(since, sighting.at, {centre}, seen.broken, allowed) > allowed.reconcile:
                yield (
                    session_of(name),
                    f"job {job_id} ({name}) at {centre} ran unlisted from {since:.0f} to {sighting.at:.0f}",
                )
                break


def no_double_start(seen: Evidence, allowed: Allowed) -> Found:
    """Two jobs of one session run at the same time only for as long as it takes to cancel one."""
    for session, runs in _by_session(seen.runs).items():
        for one, other in combinations([run for run in runs if run.started is not None], 2):
            begins = max(one.started or 0, other.started or 0)
            ends = min(one.ended or seen.ended, other.ended or seen.ended)
            both = _clear(begins, ends, {one.centre, other.centre}, seen.broken, allowed) if ends > begins else 0.0
            if both > allowed.cancel:
                yield (
                    session,
                    f"jobs {one.job_id} at {one.centre} and {other.job_id} at {other.centre} ran together for "
                    f"{both:.0f} s",
                )


def no_double_charge(seen: Evidence, allowed: Allowed) -> Found:
    """A session is settled once."""
    settled = defaultdict(list)
    for entry in seen.entries:
        if entry.kind in ("charge", "release"):
            settled[entry.session].append(entry)
    for session, entries in settled.items():
        if len(entries) > 1:
            yield (
                session,
                f"was settled {len(entries)} times: " + ", ".join(f"{one.kind} {one.paid}" for one in entries),
            )


def no_charge_without_record(seen: Evidence, allowed: Allowed) -> Found:
    """Each charge is the price of one usage record of that session at that centre, or of all its runs there."""
    runs = _by_session(seen.runs)
    for entry in seen.entries:
        if entry.kind != "charge":
            continue
        there = [run for run in runs.get(entry.session, ()) if run.centre == entry.centre and run.started is not None]
        if not there:
            yield entry.session, f"was charged {entry.paid} at {entry.centre}, whose accounting has no such job"
        elif all(abs(run.price - entry.paid) > allowed.clocks * run.a_second for run in there) and (
            abs(sum(run.price for run in there) - entry.paid) > allowed.clocks * sum(run.a_second for run in there)
        ):
            prices = ", ".join(f"{run.price:.0f}" for run in there)
            yield entry.session, f"was charged {entry.paid} at {entry.centre}, where its records are worth {prices}"


def every_start_explained(seen: Evidence, allowed: Allowed) -> Found:
    """Each wish to start ends ready, or in words."""
    known = {session.id: session for session in seen.sessions}
    for start in seen.starts:
        session = known.get(start.session)
        if start.outcome != "accepted":
            if not start.words:
                yield "", f"a start at {start.at:.0f} was {start.outcome} without a word"
        elif session and not session.ready and not session.live and not session.end_reason:
            yield session.id, "ended before it was ready, without a word"
        elif session and not session.ready and session.live and not session.reason and session.id not in seen.stops:
            waited = _clear(session.created, seen.ended, {session.centre}, seen.broken, allowed)
            if waited > allowed.start:
                yield session.id, f"has been {session.state} at {session.centre} for {waited:.0f} s without a word"


def books_are_closed(seen: Evidence, allowed: Allowed) -> Found:
    """A session that ended is settled, and nothing stays on hold for it."""
    held: dict[str, int] = defaultdict(int)
    for entry in seen.entries:
        held[entry.session] += entry.held
    for session in seen.sessions:
        if session.live:
            continue
        if session.state != "charged":
            yield session.id, f"ended at {session.centre} and was never settled: {session.end_reason}"
        elif held[session.id]:
            yield session.id, f"was settled and {held[session.id]} stayed on hold"


def books_are_right(seen: Evidence, allowed: Allowed) -> Found:
    """The books verify: entries, lots, holds and the chain."""
    for words in seen.wrong:
        yield "", words


def all_stops_done(seen: Evidence, allowed: Allowed) -> Found:
    """What somebody stopped is over, and no job of it lives on, once the time for it has passed."""
    known = {session.id: session for session in seen.sessions}
    live = {session_of(run.name): run for run in seen.runs if run.live}
    for session, at in seen.stops.items():
        one, run = known.get(session), live.get(session)
        if (
            one is None
            or _clear(at, seen.ended, {one.centre, run.centre if run else one.centre}, seen.broken, allowed)
            <= allowed.cancel
        ):
            continue
        if one.live:
            yield session, f"was stopped at {at:.0f} and is still {one.state} at {one.centre}: {one.reason}"
        elif run:
            yield session, f"is over, and its job {run.job_id} lives on at {run.centre}"


INVARIANTS: Mapping[str, Callable[[Evidence, Allowed], Found]] = {
    "nothing lost": nothing_lost,
    "no orphan unlisted": no_orphan_unlisted,
    "no double start": no_double_start,
    "no double charge": no_double_charge,
    "no charge without a usage record of its price": no_charge_without_record,
    "every start ends ready or explained": every_start_explained,
    "books closed": books_are_closed,
    "books verify": books_are_right,
    "all stops done": all_stops_done,
}


def check(seen: Evidence, allowed: Allowed = Allowed()) -> list[Violation]:
    """All violations, by invariant."""
    return [
        Violation(invariant=name, session=session, words=words)
        for name, holds in INVARIANTS.items()
        for session, words in holds(seen, allowed)
    ]


def died_with(session: Session, seen: Evidence, allowed: Allowed) -> Broken | None:
    """The death of a node or centre that this session may have ended by."""
    over = session.ended if session.ended is not None else seen.ended
    places = {(session.centre, session.node)} | {
        (run.centre, run.node) for run in seen.runs if session_of(run.name) == session.id
    }
    for one in seen.broken:
        there = any(centre == one.target and one.at in ("", *node.split(",")) for centre, node in places)
        if one.kills and there and session.created < one.ended and one.began <= over <= one.ended + allowed.aftermath:
            return one
    return None


def _killed(session: Session, seen: Evidence, allowed: Allowed) -> bool:
    return died_with(session, seen, allowed) is not None


def _by_session(runs: tuple[Run, ...]) -> dict[str, list[Run]]:
    found = defaultdict(list)
    for run in runs:
        if session := session_of(run.name):
            found[session].append(run)
    return found


def _clear(begins: float, ends: float, centres: set[str], broken: tuple[Broken, ...], allowed: Allowed) -> float:
    """Seconds from `begins` to `ends` in which neither these centres nor a part of the federation was broken or
    recovering."""
    concerned = [one for one in broken if one.target in centres or one.target not in CENTRES]
    total, now = 0.0, begins
    for one in sorted(concerned, key=lambda one: one.began):
        if one.began > now:
            total += max(0.0, min(one.began, ends) - now)
        now = max(now, one.ended + allowed.recovery)
    return total + max(0.0, ends - now)
