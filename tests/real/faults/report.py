"""The report of a run: one JSON document, and the table that docs/explanation/faults.md shows. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from tests.real.testbed.layout import CENTRES

from .checker import INVARIANTS, Allowed, Violation, died_with
from .evidence import Evidence, session_of

Json = dict[str, Any]


def report(seed: int, minutes: float, lines: Sequence[Json], seen: Evidence, violations: Sequence[Violation]) -> Json:
    ops = Counter(line["op"] for line in lines)
    outcomes = Counter(start.outcome for start in seen.starts)
    ours = {session.id for session in seen.sessions}
    charged = [entry for entry in seen.entries if entry.kind == "charge"]
    return {
        "seed": seed,
        "minutes": minutes,
        "faults": _faults(seen),
        "not_struck": ops["not-now"],
        "sessions": dict(Counter(session.kind for session in seen.sessions)),
        "at": dict(sorted(Counter(session.centre for session in seen.sessions).items())),
        "most_live": _most_live(seen),
        "starts": dict(outcomes),
        "asked_again": ops["unanswered"],
        "became_ready": sum(session.ready is not None for session in seen.sessions),
        "jobs": len([run for run in seen.runs if session_of(run.name) in ours]),
        "ended_with_their_node_or_centre": sum(
            session.id not in seen.stops and not session.live and died_with(session, seen, Allowed()) is not None
            for session in seen.sessions
        ),
        "sightings": len(seen.sightings),
        "strangers_seen": len({(line["centre"], line["job"]) for line in lines if line["op"] == "stranger"}),
        "charges": len(charged),
        "charged": round(sum(entry.paid for entry in charged) / 1e6, 3),
        "answered_at_the_end": f"{sum(answer.ok for answer in seen.answers)} of {len(seen.answers)}",
        "lab_checks": _share(line["ok"] for line in lines if line["op"] == "used"),
        "click_to_ready_s": _clicks(lines, seen),
        "violations": [{"invariant": one.invariant, "session": one.session, "words": one.words} for one in violations],
    }


def _faults(seen: Evidence) -> Json:
    found: dict[str, list[float]] = defaultdict(list)
    for one in seen.broken:
        found[one.name].append(one.ended - one.began)
    return {name: {"times": len(lengths), "seconds": round(sum(lengths))} for name, lengths in sorted(found.items())}


def _share(oks: Iterable[bool]) -> str:
    counted = Counter(oks)
    return f"{counted[True]} of {counted.total()}"


def _most_live(seen: Evidence) -> int:
    changes = sorted(
        [(session.created, 1) for session in seen.sessions]
        + [(session.ended, -1) for session in seen.sessions if session.ended is not None]
    )
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _clicks(lines: Sequence[Json], seen: Evidence) -> Json:
    """Median click to ready of batch sessions that were pinned to a centre that was whole, by how many others were
    broken meanwhile."""
    pinned = {
        (line["seat"], line["round"]): line["centre"] for line in lines if line["op"] == "start" and line.get("centre")
    }
    at = {line["session"]: pinned.get((line["seat"], line["round"]), "") for line in lines if line["op"] == "accepted"}
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if (
            line["op"] != "ready"
            or not line["seat"].startswith(("batch", "dask", "finite"))
            or not at.get(line["session"])
        ):
            continue
        begins, ends, own = line["at"] - line["seconds"], line["at"], at[line["session"]]
        beside = {one.target for one in seen.broken if one.began < ends and begins < one.ended}
        if own not in beside and not beside - set(CENTRES):
            found[f"{CENTRES[own].kind}, {len(beside)} other centres broken"].append(line["seconds"])
    return {name: {"median": round(median(values), 2), "of": len(values)} for name, values in sorted(found.items())}


def markdown(document: Json) -> str:
    """The report as a table for people."""
    counts = Counter(one["invariant"] for one in document["violations"])
    rows: list[tuple[str, object]] = [
        ("seed, minutes", f"{document['seed']}, {document['minutes']:g}"),
        ("faults struck", sum(one["times"] for one in document["faults"].values())),
        ("kinds of fault", len(document["faults"])),
        ("sessions", ", ".join(f"{count} {kind}" for kind, count in document["sessions"].items())),
        ("by centre", ", ".join(f"{count} at {centre}" for centre, count in document["at"].items())),
        ("most at once", document["most_live"]),
        ("starts", ", ".join(f"{count} {outcome}" for outcome, count in document["starts"].items())),
        ("clicks repeated for want of an answer", document["asked_again"]),
        ("jobs in the centres' accounting", document["jobs"]),
        ("ended with their node or centre", document["ended_with_their_node_or_centre"]),
        ("looks at a live job, jobs unknown to the broker", f"{document['sightings']}, {document['strangers_seen']}"),
        ("charges", f"{document['charges']}, {document['charged']} credits"),
        ("sessions that answered when all was mended", document["answered_at_the_end"]),
        *((f"**violations: {name}**", counts[name]) for name in INVARIANTS),
    ]
    faults = ", ".join(f"{name} {one['times']}× ({one['seconds']} s)" for name, one in document["faults"].items())
    table = "\n".join(["| what | seen |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])
    return f"{table}\n\nFaults: {faults}.\n"
