"""`Manifest`: a centre's statement about one of its days: how many runs ended, how many continue, and which ones.
`missing` compares it with the records received, so that a late or incomplete centre is noticed before the month closes.

A manifest may be issued again; the later one counts. Knows nothing of how manifests and records arrive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ..months import ZONE
from ..pricing.rates import Quantity, seconds
from .runs import Usage
from .segments import amounts

SHOWN = 5  # identities that a sentence names
MOST = 2**63  # cores, GPUs or bytes of a run: larger values are not stored as numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One day of one centre, [midnight, midnight) in the federation's zone. `finals` counts the runs that ended on it,
    `open_jobs` are the identities of those that continued beyond it; `sums` is the whole use of the finals, by meter;
    `digest` the SHA-256 of the finals' identities with their revisions, sorted, one per line. `ids` are those lines,
    where the centre sends them: they show which runs are missing. `watermark` is the instant up to which its accounting
    was complete when the manifest was issued."""

    centre: str
    day: date
    finals: int
    open_jobs: tuple[str, ...] = ()
    sums: Mapping[str, Quantity] = field(default_factory=dict)
    digest: str = ""
    watermark: datetime
    ids: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        return self.finals + len(self.open_jobs)


def day_span(day: date, zone: str = ZONE) -> tuple[datetime, datetime]:
    """Returns the start and end of that day, half-open: 23 or 25 hours where the clock is put forward or back."""
    here = ZoneInfo(zone)
    first, last = (
        datetime(one.year, one.month, one.day, tzinfo=here).astimezone(UTC) for one in (day, day + timedelta(days=1))
    )
    return first, last


def manifest(
    records: Iterable[Usage], *, centre: str, day: date, watermark: datetime, zone: str = ZONE, ids: bool = True
) -> Manifest:
    """Makes the manifest of a day from live records (`usage.live`) of any centres and days."""
    start, end = day_span(day, zone)
    ended: list[Usage] = []
    going: list[str] = []
    for record in records:
        if record.centre != centre:
            continue
        over = _over(record)
        if over is not None and start <= over < end:
            ended.append(record)
        elif record.start is not None and record.start < end and (over is None or over >= end):
            going.append(str(record.identity))
    lines = sorted(f"{record.identity}/{record.revision}" for record in ended)
    return Manifest(
        centre=centre, day=day, finals=len(lines), open_jobs=tuple(sorted(going)), sums=_sums(ended),
        digest=digest(lines), watermark=watermark, ids=tuple(lines) if ids else (),
    )  # fmt: skip


def digest(lines: Sequence[str]) -> str:
    """Returns the SHA-256 of these lines, each with its line end, in hexadecimal."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def missing(said: Manifest, records: Iterable[Usage], zone: str = ZONE) -> tuple[str, ...]:
    """Says in sentences which records are missing compared with a manifest, or not in it; empty: the day is
    complete."""
    return tuple(
        _differences(
            said, manifest(records, centre=said.centre, day=said.day, watermark=said.watermark, zone=zone), zone
        )
    )


def _differences(said: Manifest, here: Manifest, zone: str) -> Iterator[str]:
    """Yields one reason for each fault: a number that is wrong because a record is missing is not a fault of its
    own."""
    if said.watermark < day_span(said.day, zone)[1]:
        yield f"{said.day}: its manifest was issued before the day was over"
    before = bool(said.ids) and digest(sorted(said.ids)) != said.digest
    if before:
        yield f"{said.day}: its manifest contradicts itself: the digest is not that of its identities"
    if said.finals != here.finals:
        which = _named("not here", set(said.ids) - set(here.ids)) + _named(
            "not in the manifest", set(here.ids) - set(said.ids)
        )
        yield (
            f"{said.day}: its manifest lists {said.finals:,} ended runs; there are records of "
            f"{here.finals:,}{which if said.ids else ''}"
        )
    elif said.digest != here.digest and not before:
        which = _named("not here", set(said.ids) - set(here.ids)) + _named(
            "not in the manifest", set(here.ids) - set(said.ids)
        )
        yield f"{said.day}: as many runs as in its manifest, but different runs or revisions{which if said.ids else ''}"
    elif here.sums != dict(said.sums):
        wrong = sorted(
            meter for meter in {*said.sums, *here.sums} if said.sums.get(meter, 0) != here.sums.get(meter, 0)
        )
        words = "; ".join(
            f"{meter}: {said.sums.get(meter, 0)} in its manifest, {here.sums.get(meter, 0)} here" for meter in wrong
        )
        yield f"{said.day}: the same runs, but different sums ({words})"
    if lost := set(said.open_jobs) - set(here.open_jobs):
        yield f"{said.day}: runs that continue{_named('no record of', lost)}"


def _named(what: str, identities: set[str]) -> str:
    if not identities:
        return ""
    shown = ", ".join(sorted(identities)[:SHOWN])
    return f"; {what}: {shown}{f' and {len(identities) - SHOWN:,} more' if len(identities) > SHOWN else ''}"


def _over(record: Usage) -> datetime | None:
    """Returns when a run was over; for a run that never started: when it was given up."""
    return (record.end or record.through or record.submitted_at) if record.final else None


def _sums(records: Iterable[Usage]) -> dict[str, Quantity]:
    """Returns the sums by meter, without amounts that are not numbers: such a record waits in suspense."""
    sums: dict[str, Quantity] = {}
    for record in records:
        counts = (record.cores, record.memory, *(count for _, count in record.gpus))
        if any(type(count) is not int or abs(count) >= MOST for count in counts):
            continue
        for meter, amount in amounts(record).items():
            sums[meter] = sums.get(meter, 0) + amount * seconds(record.elapsed)
    return {meter: quantity for meter, quantity in sorted(sums.items()) if quantity}
