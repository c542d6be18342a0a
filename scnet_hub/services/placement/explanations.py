"""Explains decisions in words and as documents: the request, the places considered, the choice, the expected start, the
outcome.

Pure: works on rows of the decision log and their documents. Every sentence is in the document too, so that all clients
show the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ...adapters.db.queries.decisions import DecisionRow, Inputs
from ...display.times import minute
from ...domain.placement.placement import Chance, Placement, Ranked
from ...units import Amount, format_duration, format_memory
from ..documents import iso, number
from . import accuracy, documents

Json = dict[str, Any]
Names = Mapping[str, str]
KINDS = {"lab": "a JupyterLab session", "dask": "a Dask process", "batch": "a batch job"}
CAUSES = {
    "stalled": "It was not running there yet, so a further copy was submitted",
    "failed": "Its start there failed, so it continued",
    "refused": "That centre refused the job, so it continued",
    "unreachable": "That centre could not be reached, so it continued",
}
PLACES = 4  # places that one sentence names
RANKED, REFUSED = 50, 200  # entries of one decision that are stored


# ---- stored documents


def answer(decision: Placement) -> Json:
    """Returns everything in a placement, compact: `ranked` and `refusals` are lists in the order of `_RANKED` and
    `_REFUSED`."""
    return {
        "ranked": [_ranked(one) for one in decision.ranked[:RANKED]],
        "refusals": [[one.centre, one.partition, one.reason] for one in decision.refusals[:REFUSED]],
        "more": [
            decision.more + max(0, len(decision.ranked) - RANKED),
            decision.more_refused + max(0, len(decision.refusals) - REFUSED),
        ],
    }


_RANKED = (
    "centre", "partition", "wait", "expected_start", "expected_start_s", "p50_s", "p90_s", "age_s", "cores_free",
    "cost", "reason",
)  # fmt: skip
_REFUSED = ("centre", "partition", "reason")


def _ranked(one: Ranked) -> list[Any]:
    age = None if one.offer.age is None else round(one.offer.age.total_seconds(), 1)
    promised = one.range
    return [
        one.offer.centre, one.offer.partition, one.wait.kind, one.wait.words, one.wait.seconds,
        promised.p50 if promised else None, promised.p90 if promised else None, age, one.cores_free,
        number(one.cost), one.reason,
    ]  # fmt: skip


# ---- documents


def document(wanted: str, decided: Sequence[tuple[DecisionRow, Inputs]], names: Names, now: datetime) -> Json:
    """Returns the answer to `--explain`: the decisions of one session, or one decision that refused a start."""
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
    """Returns one decision without its reasons."""
    return {
        "id": row.id,
        "session": row.session or "",
        "number": row.number,
        "decided_at": iso(row.decided_at),
        "person": row.person,
        "project": row.project,
        "kind": row.kind,
        "cause": row.cause,
        "centre": row.centre,
        "centre_name": names.get(row.centre, row.centre),
        "partition": row.partition,
        "chance": None if row.chance is None else accuracy.SAID[Chance(row.chance)],
        "expected_start_s": row.expected_s,
        "p50_s": row.p50_s,
        "p90_s": row.p90_s,
        "cost": None if row.cost is None else number(row.cost),
        "refused": {"code": row.code, "why": row.said, "times": row.times} if row.code else None,
        "submitted_at": iso(row.submitted_at),
        "started_at": iso(row.started_at),
        "ready_at": iso(row.was_ready),
        "ended_at": iso(row.job_ended_at),
        "state": row.job_state,
        "end_reason": row.job_end_reason or "",
        "waited_s": accuracy.waited_s(row),
        "ready_s": accuracy.ready_s(row),
        "as_promised": accuracy.held(row, now),
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
    """Returns a logged decision beside the same under another policy."""
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
    said = [asked_words(first, long.request, names), considered_words(long.answer, long.request)]
    for row, inputs in decided:
        said += _one(row, inputs, names, now)
    return [*said, *refusal_words(long.answer, long.request, names)]


def asked_words(row: DecisionRow, request: Json, names: Names) -> str:
    size = [_count(request["cores"], "core")]
    size += [_count(request["gpus"], f"{request['gpu_model']} GPU".strip())] if request["gpus"] else []
    size += [f"{format_memory(request['memory'])} of memory"] if request["memory"] else []
    size += [f"{request['nodes']} nodes"] if request["nodes"] > 1 else []
    pinned = request["centre"] and f", at {names.get(request['centre'], request['centre'])} only"
    lasts = format_duration(timedelta(seconds=request["walltime_s"]))
    kind = KINDS.get(request["kind"], request["kind"])
    when = minute(row.decided_at)
    return (
        f"On {when} {row.person} asked for {kind} with {', '.join(size)} for {lasts}{pinned}; project "
        f"{row.project} pays."
    )


def considered_words(said: Json, request: Json) -> str:
    """Says how many places were considered, of those that the request allowed."""
    more, more_refused = said["more"]
    unfitting = accuracy.asked_for(said, request)
    fit, unfit = (
        len(said["ranked"]) + more,
        len(unfitting) + (more_refused if len(unfitting) == len(said["refusals"]) else 0),
    )
    if not fit + unfit:
        return "The federation had no centre."
    ages = [one[_RANKED.index("age_s")] for one in said["ranked"]]
    known = [age for age in ages if age is not None]
    facts = (
        f" The information about them was at most {format_duration(timedelta(seconds=max(1, max(known))))} old."
        if known
        else ""
    )
    if fit + unfit == 1:
        return (
            f"One place was considered; it {'could' if fit else 'could not'} take the "
            f"session.{facts.replace('them', 'it')}"
        )
    fitting = "none" if not fit else "all" if not unfit else str(fit)
    return f"{_count(fit + unfit, 'place')} were considered; {fitting} could take the session.{facts}"


def _one(row: DecisionRow, long: Inputs, names: Names, now: datetime) -> list[str]:
    """Returns the sentences for one copy, or for a refusal."""
    if row.code:
        return [_refused_words(row, long, names)]
    if row.cause == "first":
        return [chosen_words(row, long, names), happened_words(row, long, names, now)]
    wait = format_duration(row.decided_at - row.created_at) if row.created_at else ""
    after = f", {wait} after the first" if wait and wait != "now" else ""
    return [
        f"{CAUSES.get(row.cause, 'It continued')} at {_place(row, names)}{after}.",
        happened_words(row, long, names, now),
    ]


def _refused_words(row: DecisionRow, long: Inputs, names: Names) -> str:
    again = f" The same was refused {row.times} times within a minute." if row.times > 1 else ""
    if row.code == "no-placement" and long.answer["refusals"]:
        return f"The request was refused.{again}"  # each reason follows below
    best = _first(long)
    there = f" It would have gone to {_titled(best, names)}." if best else ""
    return f"The request was refused: {row.said}{again}{there}"


def chosen_words(row: DecisionRow, long: Inputs, names: Names) -> str:
    """Says why the session went where it went: "It went to Alpha, partition main, where it would start now; ..." """
    best, request = _first(long), long.request
    if not best or (best["centre"], best["partition"]) != (row.centre, row.partition):
        return row.reason
    lasts, cost = format_duration(timedelta(seconds=request["walltime_s"])), Amount(row.cost or 0)
    free = {0: "no core was free", 1: "1 core was free"}.get(
        best["cores_free"], f"{best['cores_free']} cores were free"
    )
    went = (
        f"It went to {_titled(best, names)}, where it would start {best['expected_start']}; {free}, and {lasts} "
        f"cost at most {cost}."
    )
    if len(long.answer["ranked"]) < 2:
        return went if request["centre"] else f"{went} No other place could take it."
    second = dict(zip(_RANKED, long.answer["ranked"][1], strict=True))
    return f"{went} The next best, {_titled(second, names)}, {second['reason']}."


def happened_words(row: DecisionRow, long: Inputs, names: Names, now: datetime) -> str:
    """Describes the expected start and the outcome: "Expected to start now; it started after 1 s at Alpha and was ready
    after 2 s." """
    ended = row.job_ended_at or row.job_cancelled_at
    after = ""
    if ended and accuracy.waited_s(row) is not None:
        why = (row.job_end_reason or "").partition("\n")[0]
        after = f" It ended after {_span((ended - row.decided_at).total_seconds())}{f': {why}' if why else '.'}"
    return f"Expected to start {_expected(row, long)}; {_became(row, names.get(row.centre, row.centre), now)}.{after}"


def _expected(row: DecisionRow, long: Inputs) -> str:
    """Returns the expected start in words. Seconds that follow from limits alone are no estimate, and are called
    rough."""
    there = next((one for one in long.answer["ranked"] if [row.centre, row.partition] == one[:2]), None)
    plain = there[_RANKED.index("expected_start")] if there else accuracy.SAID[Chance(row.chance or 0)]
    if row.p50_s is None or row.p90_s is None:
        rough = row.expected_s is not None and row.chance in (Chance.NEXT, Chance.LATER)
        return f"{plain}, roughly in {_span(row.expected_s or 0)}" if rough else plain
    half, most = _span(math.ceil(row.p50_s)), _span(accuracy.promised_s(row) or 0)
    both = f"half of such starts took at most {half}, nine in ten at most {most}"
    return f"{plain} ({both if half != most else f'nine in ten such starts took at most {most}'})"


def _became(row: DecisionRow, centre: str, now: datetime) -> str:
    waited, since = accuracy.waited_s(row), (now - row.decided_at).total_seconds()
    late = ", later than promised" if accuracy.held(row, now) is False else ""
    ended = row.job_ended_at or row.job_cancelled_at
    if waited is None and ended:
        why = f": {first.rstrip('.')}" if (first := (row.job_end_reason or "").partition("\n")[0]) else ""
        return (
            f"it ended at {centre} after {_span((ended - row.decided_at).total_seconds())}, before it "
            f"started{late}{why}"
        )
    if waited is None and not row.was_ready:
        return f"it has not started at {centre} yet, after {_span(since)}{late}"
    started = f"it started after {_span(waited)} at {centre}{late}" if waited is not None else f"it started at {centre}"
    if row.kind == "batch":
        return started
    if row.was_ready:
        return (
            f"{started}{',' if late else ''} and was ready after "
            f"{_span((row.was_ready - row.decided_at).total_seconds())}"
        )
    return f"{started}{',' if late else ''} and {'was never ready' if ended else 'is not ready yet'}"


def _first(long: Inputs) -> Json | None:
    """Returns the place that was ranked best."""
    return dict(zip(_RANKED, long.answer["ranked"][0], strict=True)) if long.answer["ranked"] else None


def _titled(one: Json, names: Names) -> str:
    return f"{names.get(one['centre'], one['centre'])}, partition {one['partition']}"


def _place(row: DecisionRow, names: Names) -> str:
    return f"{names.get(row.centre, row.centre)}, partition {row.partition}"


def refusal_words(said: Json, request: Json, names: Names) -> list[str]:
    """Returns the refusals by reason, each with the places that the reason holds for."""
    by: dict[str, list[str]] = {}
    for centre, partition, reason in accuracy.asked_for(said, request):
        by.setdefault(reason, []).append(f"{names.get(centre, centre)}, partition {partition}")
    return [f"Not at {_listed(places)}: {reason.rstrip('.')}." for reason, places in by.items()]


def _replay_words(row: DecisionRow, policy: str, again: Placement, same: bool, names: Names) -> str:
    was = _place(row, names) if row.centre else "no place"
    if same:
        return f"Policy {policy} decides the same: {was}. {again.reason}"
    return f"It went to {was}. Policy {policy} would have chosen differently. {again.reason}"


def _listed(places: Sequence[str]) -> str:
    more = f" and {len(places) - PLACES} more" if len(places) > PLACES else ""
    return "; ".join(places[:PLACES]) + more


def _span(seconds: float) -> str:
    """Returns a duration: "2 s"; anything under a second counts as one."""
    return format_duration(timedelta(seconds=max(1, round(seconds))))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
