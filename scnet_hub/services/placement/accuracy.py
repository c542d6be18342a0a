"""Compares predictions with real starts: whether a promise was kept, by centre and by kind of wait.

Pure: counts rows of the decision log. A promise is broken as soon as its time has passed, whether the start came later,
is still to come or never came. A start that was stopped earlier, or that another copy preceded, does not count.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from ...adapters.db.queries.decisions import DecisionRow
from ...domain.placement.placement import Chance, Wait
from ..documents import iso

Json = dict[str, Any]
NOW_SECONDS = 60.0  # the promise of "now" while there is no range
REASONS = 10  # reasons that a report lists
SAID = {Chance.NOW: "now", Chance.HOLE: "beside the queue", Chance.NEXT: "next", Chance.LATER: "later"}
_NUMBER = re.compile(r"\d[\d.,:]*")


def promised_s(row: DecisionRow) -> float | None:
    """Returns the promise: seconds within which nine in ten of such starts were to begin, in whole seconds as shown;
    None: no promise."""
    if row.p90_s is not None:
        return float(max(1, math.ceil(row.p90_s)))
    return NOW_SECONDS if row.chance == Chance.NOW else None


def waited_s(row: DecisionRow) -> float | None:
    """Returns the seconds until the decision's job started; None if it has not."""
    return max(0.0, (row.started_at - row.decided_at).total_seconds()) if row.started_at else None


def expected_s(row: DecisionRow) -> float | None:
    """Returns the expected seconds until the start: the median of such starts, else the estimate that ordered the
    places."""
    return row.expected_s if row.p50_s is None else row.p50_s


def ready_s(row: DecisionRow) -> float | None:
    """Returns the seconds from the click until the session was ready by this copy; None if it was not ready, or by
    another copy."""
    return max(0.0, (row.was_ready - row.created_at).total_seconds()) if row.was_ready and row.created_at else None


def held(row: DecisionRow, now: datetime) -> bool | None:
    """Tells whether the copy started within the promised time; None where that cannot be known."""
    promised, waited = promised_s(row), waited_s(row)
    if not row.number or promised is None:
        return None
    if waited is not None:
        return waited <= promised
    return False if (_until(row, now) - row.decided_at).total_seconds() > promised else None


def lessons(rows: Iterable[DecisionRow], now: datetime) -> list[tuple[Wait, str, float, float | None]]:
    """Returns the samples that a `Calibration` learns from, in the order in which they became known: (expected wait,
    centre, real wait in seconds, promised p90 in seconds). A start that did not come within its promise is already a
    miss; it counts with the time waited so far."""
    learned = [(at, row) for row in rows if row.chance is not None and (at := _known_at(row, now))]
    return [
        (Wait(Chance(row.chance), "", row.expected_s), row.centre, _waited_by(row, now), row.p90_s)
        for _, row in sorted(learned, key=lambda one: one[0])
        if row.chance is not None
    ]


def _known_at(row: DecisionRow, now: datetime) -> datetime | None:
    """Returns since when something is known of how long the start takes; None: nothing yet."""
    promised = promised_s(row)
    if promised is None or held(row, now) is not False:
        return row.started_at if row.number else None
    over = row.decided_at + timedelta(seconds=promised)
    return min(over, row.started_at) if row.started_at else over


def _waited_by(row: DecisionRow, now: datetime) -> float:
    waited = waited_s(row)
    return (_until(row, now) - row.decided_at).total_seconds() if waited is None else waited


def _until(row: DecisionRow, now: datetime) -> datetime:
    """Returns until when the copy waited without having started."""
    return row.job_cancelled_at or row.job_ended_at or now


def report(
    rows: Sequence[DecisionRow],
    nowhere: Iterable[tuple[int, Json, Json]],
    names: Mapping[str, str],
    since: datetime,
    now: datetime,
) -> Json:
    """Returns the report. `rows` are the decisions since `since`, `nowhere` (times, answer, request) of starts for
    which there was no place."""
    taken = [row for row in rows if row.number]
    told: Callable[[Any], Json] = lambda centre: {"centre": centre, "centre_name": names.get(centre, centre)}  # noqa: E731
    return {
        "as_of": iso(now),
        "since": iso(since),
        "all": _figures(taken, now),
        "by_centre": [told(centre) | _figures(some, now) for centre, some in _groups(taken, lambda row: row.centre)],
        "by_chance": [
            {"chance": SAID[Chance(key)]} | _figures(some, now)
            for key, some in _groups(taken, lambda row: row.chance or 0)
        ],
        "refused": _refused([row for row in rows if not row.number]),
        "refused_by": _refused_by(nowhere, told),
    }


def _figures(rows: Sequence[DecisionRow], now: datetime) -> Json:
    """Returns the figures of these rows. Expected and real starts are those of the same rows. Sessions that still wait
    count, until now, among those that were ready: otherwise the longest waits would appear last."""
    judged = [kept for row in rows if (kept := held(row, now)) is not None]
    started = [
        (hoped, waited)
        for row in rows
        if (hoped := expected_s(row)) is not None and (waited := waited_s(row)) is not None
    ]
    ready = [seconds for row in rows if (seconds := ready_s(row)) is not None]
    waiting = [max(0.0, (now - row.decided_at).total_seconds()) for row in rows if _waits(row)]
    whole = sorted([*ready, *waiting])
    return {
        "count": len(rows),
        "further": sum(row.cause != "first" for row in rows),
        "promised": len(judged),
        "kept": sum(judged),
        "hit_rate": round(sum(judged) / len(judged), 4) if judged else None,
        "started": len(started),
        "expected_median_s": round(median(hoped for hoped, _ in started), 3) if started else None,
        "started_median_s": round(median(waited for _, waited in started), 3) if started else None,
        "ready": len(ready),
        "waiting": len(waiting),
        "ready_median_s": round(median(whole), 3) if ready else None,
        "ready_p95_s": round(whole[math.ceil(0.95 * len(whole)) - 1], 3) if ready else None,
    }


def _waits(row: DecisionRow) -> bool:
    """Tells whether the session is neither ready nor over. Only its first copy counts, so that it counts once."""
    return row.cause == "first" and row.ready_at is None and bool(row.job_live)


def _groups(rows: Iterable[DecisionRow], key: Callable[[DecisionRow], Any]) -> list[tuple[Any, list[DecisionRow]]]:
    found: dict[Hashable, list[DecisionRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return sorted(found.items(), key=lambda item: item[0])


def _refused(rows: Iterable[DecisionRow]) -> list[Json]:
    """Returns refused starts by code, most frequent first, each with the sentence of the newest."""
    times: Counter[str] = Counter()
    words: dict[str, str] = {}
    for row in rows:
        times[row.code] += row.times
        words.setdefault(row.code, row.said)
    return [{"code": code, "count": count, "example": words[code]} for code, count in times.most_common()]


def asked_for(answer: Json, request: Json) -> Sequence[Sequence[str]]:
    """Returns the refusals [centre, partition, reason] of the places that were considered. A place that the request
    excluded is left out."""
    centre, partition = request["centre"], request["partition"]
    found = [one for one in answer["refusals"] if centre in ("", one[0]) and partition in ("", one[1])]
    return found if found or answer["ranked"] else answer["refusals"]


def _refused_by(nowhere: Iterable[tuple[int, Json, Json]], told: Callable[[Any], Json]) -> list[Json]:
    """Returns why centres that were considered could not take starts for which there was no place at all. Reasons that
    differ only in numbers are counted together."""
    times: Counter[tuple[str, str]] = Counter()
    words: dict[tuple[str, str], str] = {}
    for count, answer, request in nowhere:
        for centre, _, reason in asked_for(answer, request):
            key = (centre, _NUMBER.sub("0", reason))
            times[key] += count
            words.setdefault(key, reason)
    return [told(key[0]) | {"reason": words[key], "count": count} for key, count in times.most_common(REASONS)]
