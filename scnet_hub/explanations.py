"""Decisions in words and as documents: what was asked, who came into question, why this place, what was expected, what happened.

Pure: from rows of the decision log and their documents. Every sentence stands in the document too, so that all clients say the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from . import documents, hindsight
from .db.decisions import DecisionRow, Inputs
from .documents import iso
from .placement import Chance, Placement, Ranked
from .standing import moment
from .units import format_duration, format_memory

Json = dict[str, Any]
Names = Mapping[str, str]
KINDS = {"lab": "a JupyterLab session", "dask": "a Dask process", "batch": "a batch job"}
CAUSES = {
    "stalled": "It was not running there yet, so a further copy was asked for",
    "failed": "Its start there died, so it went on",
    "refused": "That centre refused the job, so it went on",
    "unreachable": "That centre could not be reached, so it went on",
}
PLACES = 4  # that one sentence names
RANKED, REFUSED = 50, 200  # that are written down of one decision


# ---- what is written down


def answer(decision: Placement) -> Json:
    """Everything that a placement said, compact: `ranked` and `refusals` are lists in the order of `_RANKED` and `_REFUSED`."""
    return {
        "ranked": [_ranked(one) for one in decision.ranked[:RANKED]],
        "refusals": [[one.centre, one.partition, one.reason] for one in decision.refusals[:REFUSED]],
        "more": [
            decision.more + max(0, len(decision.ranked) - RANKED),
            decision.more_refused + max(0, len(decision.refusals) - REFUSED),
        ],
    }


_RANKED = (
    "centre", "partition", "wait", "expected_start", "expected_start_s", "p50_s", "p90_s", "age_s", "cores_free", "cost", "reason",
)  # fmt: skip
_REFUSED = ("centre", "partition", "reason")


def _ranked(one: Ranked) -> list[Any]:
    age = None if one.offer.age is None else round(one.offer.age.total_seconds(), 1)
    promised = one.range
    return [
        one.offer.centre, one.offer.partition, one.wait.kind, one.wait.words, one.wait.seconds, promised.p50 if promised else None,
        promised.p90 if promised else None, age, one.cores_free, documents.number(one.cost), one.reason,
    ]  # fmt: skip


# ---- documents


def document(wanted: str, decided: Sequence[tuple[DecisionRow, Inputs]], names: Names, now: datetime) -> Json:
    """What `--explain` gives: the decisions of one session, or one that refused a start."""
    first, long = decided[0]
    return {
        "id": wanted,
        "session": first.session or "",
        "person": first.person,
        "project": first.project,
        "request": long.request,
        "decisions": [_decision(row, inputs, names, now) for row, inputs in decided],
        "words": words(decided, names, now),
    }


def line(row: DecisionRow, names: Names, now: datetime) -> Json:
    """One decision without its reasons."""
    return {
        "id": row.id,
        "session": row.session or "",
        "number": row.number,
        "decided_at": iso(row.decided_at),
        "person": row.person,
        "project": row.project,
        "cause": row.cause,
        "centre": row.centre,
        "centre_name": names.get(row.centre, row.centre),
        "partition": row.partition,
        "chance": None if row.chance is None else hindsight.SAID[Chance(row.chance)],
        "expected_start_s": row.expected_s,
        "p50_s": row.p50_s,
        "p90_s": row.p90_s,
        "cost": None if row.cost is None else documents.number(row.cost),
        "refused": {"code": row.code, "why": row.said, "times": row.times} if row.code else None,
        "submitted_at": iso(row.submitted_at),
        "started_at": iso(row.started_at),
        "ready_at": iso(row.was_ready),
        "ended_at": iso(row.job_ended_at),
        "state": row.job_state,
        "end_reason": row.job_end or "",
        "waited_s": hindsight.waited_s(row),
        "ready_s": hindsight.ready_s(row),
        "as_promised": hindsight.held(row, now),
    }


def _decision(row: DecisionRow, long: Inputs, names: Names, now: datetime) -> Json:
    more, more_refused = long.answer["more"]
    return line(row, names, now) | {
        "reason": row.reason,
        "policy": long.inputs["policy"],
        "ranked": [dict(zip(_RANKED, one, strict=True)) for one in long.answer["ranked"]],
        "refusals": [dict(zip(_REFUSED, one, strict=True)) for one in long.answer["refusals"]],
        "more": more,
        "more_refused": more_refused,
    }


def replayed(row: DecisionRow, logged: str, policy: str, again: Placement, names: Names) -> Json:
    """A logged decision beside the same under another policy."""
    best = again.best
    there = (best.offer.centre, best.offer.partition) if best else ("", "")
    same = there == (row.centre, row.partition)
    return {
        "id": row.id,
        "decided_at": iso(row.decided_at),
        "logged": {"policy": logged, "centre": row.centre, "partition": row.partition, "reason": row.reason},
        "policy": policy,
        "same": same,
        "placement": documents.placement(again),
        "words": [_replay_words(row, policy, again, same, names)],
    }


# ---- words


def words(decided: Sequence[tuple[DecisionRow, Inputs]], names: Names, now: datetime) -> list[str]:
    first, long = decided[0]
    said = [asked_words(first, long.request, names), considered_words(long.answer)]
    for row, inputs in decided:
        said += _one(row, inputs, names, now)
    return [*said, *refusal_words(long.answer, names)]


def asked_words(row: DecisionRow, request: Json, names: Names) -> str:
    size = [_count(request["cores"], "core")]
    size += [_count(request["gpus"], f"{request['gpu_model']} GPU".strip())] if request["gpus"] else []
    size += [f"{format_memory(request['memory'])} of memory"] if request["memory"] else []
    size += [f"{request['nodes']} nodes"] if request["nodes"] > 1 else []
    pinned = request["centre"] and f", at {names.get(request['centre'], request['centre'])} only"
    lasts = format_duration(timedelta(seconds=request["walltime_s"]))
    kind = KINDS.get(request["kind"], request["kind"])
    when = moment(row.decided_at.isoformat())
    return f"On {when} {row.person} asked for {kind} with {', '.join(size)} for {lasts}{pinned}; project {row.project} pays."


def considered_words(said: Json) -> str:
    more, more_refused = said["more"]
    fit, unfit = len(said["ranked"]) + more, len(said["refusals"]) + more_refused
    if not fit + unfit:
        return "No centre was in the federation."
    fitting = "none" if not fit else "all" if not unfit and fit > 1 else str(fit)
    ages = [one[_RANKED.index("age_s")] for one in said["ranked"]]
    known = [age for age in ages if age is not None]
    facts = f" What was known of them was at most {format_duration(timedelta(seconds=max(1, max(known))))} old." if known else ""
    return f"{_count(fit + unfit, 'place')} came into question, {fitting} could take it.{facts}"


def _one(row: DecisionRow, long: Inputs, names: Names, now: datetime) -> list[str]:
    """One copy, or a refusal."""
    if row.code:
        again = f" The same was refused {row.times} times within a minute." if row.times > 1 else ""
        return [f"It was refused: {row.said}{again}"]
    if row.cause == "first":
        return [row.reason, happened_words(row, names, now)]
    wait = format_duration(row.decided_at - row.created_at) if row.created_at else ""
    after = f" {wait} after it was asked for" if wait and wait != "now" else ""
    place = f"{names.get(row.centre, row.centre)}, partition {row.partition}"
    return [f"{CAUSES.get(row.cause, 'It went on')} at {place}{after}.", happened_words(row, names, now)]


def happened_words(row: DecisionRow, names: Names, now: datetime) -> str:
    """What was expected, and what happened: "Expected to start now; it was ready after 2 s at Alpha." """
    centre = names.get(row.centre, row.centre)
    return f"Expected to start {_expected(row)}; {_became(row, centre, now)}."


def _expected(row: DecisionRow) -> str:
    rough = f" in about {_span(row.expected_s)}" if row.expected_s is not None else " at a time that nobody could tell"
    plain = {Chance.NOW: "now", Chance.HOLE: "within a minute, beside the queue"}.get(Chance(row.chance or 0), rough.strip())
    if row.p50_s is None or row.p90_s is None:
        return plain
    return f"{plain} (half of such starts took at most {_span(row.p50_s)}, nine in ten at most {_span(row.p90_s)})"


def _became(row: DecisionRow, centre: str, now: datetime) -> str:
    waited, since = hindsight.waited_s(row), (now - row.decided_at).total_seconds()
    late = ", later than promised" if hindsight.held(row, now) is False else ""
    if row.was_ready:
        ready = (row.was_ready - row.decided_at).total_seconds()
        return f"it was ready after {_span(ready)} at {centre}{late}"
    ended = row.job_ended_at or row.job_cancelled_at
    if ended:
        after = _span((ended - row.decided_at).total_seconds())
        why = f": {first.rstrip('.')}" if (first := (row.job_end or "").partition("\n")[0]) else ""
        begun = "without ever being ready" if waited is not None else "before it started"
        return f"it ended at {centre} after {after}, {begun}{late}{why}"
    if waited is not None:
        return f"it started after {_span(waited)} at {centre}{late} and is not ready yet"
    return f"it has not started at {centre} yet, after {_span(since)}{late}"


def refusal_words(said: Json, names: Names) -> list[str]:
    """Refusals by reason, each with the places that it holds for."""
    by: dict[str, list[str]] = {}
    for centre, partition, reason in said["refusals"]:
        by.setdefault(reason, []).append(f"{names.get(centre, centre)}, partition {partition}")
    return [f"Not at {_listed(places)}: {reason.rstrip('.')}." for reason, places in by.items()]


def _replay_words(row: DecisionRow, policy: str, again: Placement, same: bool, names: Names) -> str:
    was = f"{names.get(row.centre, row.centre)}, partition {row.partition}" if row.centre else "no place"
    if same:
        return f"Policy {policy} decides the same: {was}. {again.reason}"
    return f"It went to {was}. Policy {policy} would have decided otherwise. {again.reason}"


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
    return "; ".join(places[:PLACES]) + more


def _span(seconds: float) -> str:
    """ "2 s"; what took less than a second took one."""
    return format_duration(timedelta(seconds=max(1, round(seconds))))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
