"""What was predicted against what happened: whether a promise held, and how that is for each centre and each kind of wait.

Pure: it counts rows of the decision log. A start that was stopped, or that another copy came before, tells nothing of its promise
unless that was over already.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from .db.decisions import DecisionRow
from .documents import iso
from .placement import Chance, Wait

Json = dict[str, Any]
NOW_SECONDS = 60.0  # what "now" promises as long as there is no range
REASONS = 10  # that a report lists
SAID = {Chance.NOW: "now", Chance.HOLE: "beside the queue", Chance.NEXT: "next", Chance.LATER: "later"}
_NUMBER = re.compile(r"\d[\d.,:]*")


def promised_s(row: DecisionRow) -> float | None:
    """Within how many seconds nine in ten of such starts were to begin; None where nothing was promised."""
    if row.p90_s is not None:
        return row.p90_s
    return NOW_SECONDS if row.chance == Chance.NOW else None


def waited_s(row: DecisionRow) -> float | None:
    """Seconds until its job started; None if it has not."""
    return max(0.0, (row.started_at - row.decided_at).total_seconds()) if row.started_at else None


def ready_s(row: DecisionRow) -> float | None:
    """Seconds from the click until the session was ready by this copy; None if it was not, or not by this one."""
    return max(0.0, (row.was_ready - row.created_at).total_seconds()) if row.was_ready and row.created_at else None


def held(row: DecisionRow, now: datetime) -> bool | None:
    """Whether it started within what was promised; None where that can't be said."""
    promised, waited = promised_s(row), waited_s(row)
    if not row.number or promised is None:
        return None
    if waited is not None:
        return waited <= promised
    until = row.job_cancelled_at or row.job_ended_at or now
    return False if (until - row.decided_at).total_seconds() > promised else None


def lessons(rows: Iterable[DecisionRow]) -> list[tuple[Wait, str, float, float | None]]:
    """What a `Calibration` learns from, oldest start first: (wait that was expected, centre, seconds that it was, promised p90)."""
    begun = sorted(
        ((row.started_at, row) for row in rows if row.number and row.chance is not None and row.started_at), key=lambda one: one[0]
    )
    return [
        (Wait(Chance(row.chance), "", row.expected_s), row.centre, waited_s(row) or 0.0, row.p90_s)
        for _, row in begun
        if row.chance is not None
    ]


def report(
    rows: Sequence[DecisionRow], nowhere: Iterable[tuple[int, Json]], names: Mapping[str, str], since: datetime, now: datetime
) -> Json:
    """`rows` are the decisions since then, `nowhere` (times, answer) of starts for which there was no place."""
    taken = [row for row in rows if row.number]
    told: Callable[[Any], Json] = lambda centre: {"centre": centre, "centre_name": names.get(centre, centre)}  # noqa: E731
    return {
        "as_of": iso(now),
        "since": iso(since),
        "all": _figures(taken, now),
        "by_centre": [told(centre) | _figures(some, now) for centre, some in _groups(taken, lambda row: row.centre)],
        "by_chance": [{"chance": SAID[Chance(key)]} | _figures(some, now) for key, some in _groups(taken, lambda row: row.chance or 0)],
        "refused": _refused([row for row in rows if not row.number]),
        "refused_by": _refused_by(nowhere, told),
    }


def _figures(rows: Sequence[DecisionRow], now: datetime) -> Json:
    judged = [kept for row in rows if (kept := held(row, now)) is not None]
    ready = sorted(seconds for row in rows if (seconds := ready_s(row)) is not None)
    return {
        "count": len(rows),
        "further": sum(row.cause != "first" for row in rows),
        "promised": len(judged),
        "kept": sum(judged),
        "hit_rate": round(sum(judged) / len(judged), 4) if judged else None,
        "ready": len(ready),
        "ready_median_s": round(median(ready), 3) if ready else None,
        "ready_p95_s": round(ready[math.ceil(0.95 * len(ready)) - 1], 3) if ready else None,
    }


def _groups(rows: Iterable[DecisionRow], key: Callable[[DecisionRow], Any]) -> list[tuple[Any, list[DecisionRow]]]:
    found: dict[Hashable, list[DecisionRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return sorted(found.items(), key=lambda item: item[0])


def _refused(rows: Iterable[DecisionRow]) -> list[Json]:
    """Starts that were refused, by code, the most first, each with the words of the newest."""
    times: Counter[str] = Counter()
    words: dict[str, str] = {}
    for row in rows:
        times[row.code] += row.times
        words.setdefault(row.code, row.said)
    return [{"code": code, "count": count, "example": words[code]} for code, count in times.most_common()]


def _refused_by(nowhere: Iterable[tuple[int, Json]], told: Callable[[Any], Json]) -> list[Json]:
    """Why centres could not take starts for which there was no place at all; reasons that differ in numbers only are one."""
    times: Counter[tuple[str, str]] = Counter()
    words: dict[tuple[str, str], str] = {}
    for count, answer in nowhere:
        for centre, _, reason in answer["refusals"]:
            key = (centre, _NUMBER.sub("0", reason))
            times[key] += count
            words.setdefault(key, reason)
    return [told(key[0]) | {"reason": words[key], "count": count} for key, count in times.most_common(REASONS)]
