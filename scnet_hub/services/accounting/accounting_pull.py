"""Pulls each centre's accounting in bulk: once for every day that is over, and every hour for running jobs. New records
are stored and charged. The day's contents are stored as its manifest, with a list of the records that are missing here.

Asks through the centre's own transport, one centre at a time, and waits long after a failure. Also takes in the outages
that a page declares.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import partial
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from ...adapters.db.database import Tx
from ...adapters.db.queries import manifests as manifest_rows
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.manifests import ManifestRow
from ...domain.jobs import UsageRecord
from ...domain.months import period_of
from ...domain.sessions.names import copy_of
from ...domain.usage import serialisation
from ...domain.usage.manifests import Manifest, day_span, manifest, missing
from ...domain.usage.runs import live
from ...errors import BadOption, NotFound
from ..periodic import run_every, run_once
from ..runtime import Runtime
from . import charging, intake, outages

log = logging.getLogger(__name__)
Json = dict[str, Any]
EVERY = 60.0  # seconds between two checks for what is due
SETTLED = timedelta(minutes=30)  # after a day's end, its accounting has had time to be written
HOURLY = timedelta(hours=1)
AT_ONCE = 200  # accounting rows that one step takes in
MOST_DAYS = 62  # days that are pulled later, if the broker was away


class AccountingPull:
    def __init__(self, runtime: Runtime, pages: charging.PriceSource) -> None:
        self.runtime, self.pages = runtime, pages
        self._asked: dict[str, datetime] = {}  # by centre, when its running jobs were last asked for
        self._pages: dict[str, object] = {}  # by centre, the declarations of its page when it was last read

    async def run(self) -> None:
        """Runs until cancelled."""
        await run_every(self._all, EVERY, what="pulling accounting")

    async def _all(self) -> None:
        for centre in list(self.runtime.centres):  # an error in one centre's accounting must not stop the others'
            await run_once(partial(self.once, centre), what=f"{centre}: pulling its accounting")

    async def once(self, centre: str) -> None:
        """Does all that is due for one centre."""
        await self.read_page(centre)
        now = self.runtime.clock()
        if self.runtime.states.centres[centre].failing_since:
            return
        if now - self._asked.setdefault(centre, now) >= HOURLY:
            self._asked[centre] = now
            await self.interim(centre)
        for day in (await self.runtime.db.run(due, centre, now, self.zone))[:1]:
            await self.pull(centre, day)

    @property
    def zone(self) -> str:
        return self.runtime.spec.time_zone

    async def read_page(self, centre: str) -> None:
        """Takes in the outages that the centre's page declares, and warns where the page would change past prices."""
        page = self.runtime.states.centres[centre].spec
        told = (page.maintenance, tuple(partition.tariff for partition in page.partition))
        begun = any(one.start <= self.runtime.clock() for one in page.maintenance)
        if self._pages.get(centre) != told:
            for words in await self.runtime.db.run(outages.past_prices, page, self.runtime.clock()):
                log.warning("%s: %s", centre, words)
        if begun:
            await self.runtime.db.run(outages.declare, page, self.pages, self.runtime.clock())
        self._pages[centre] = told

    async def interim(self, centre: str) -> None:
        """Stores the use of running jobs so far. For sessions that continue beyond the end of a month, charges their
        use before it."""
        rows = [
            row
            for row in await self.runtime.db.query(session_rows.live_copies, centre=centre)
            if row.copy.job_id and row.copy.started_at
        ]
        told = await self.runtime.centres[centre].usage([row.copy.job_id for row in rows]) if rows else []
        own = [one for one in told if copy_of(one.name) and not intake.half_told(one)]
        await self.runtime.db.run(self._take_interim, centre, own)

    def _take_interim(self, tx: Tx, centre: str, told: Sequence[UsageRecord]) -> None:
        now = self.runtime.clock()
        for session in sorted(intake.take_records(tx, centre, told, now)):
            charging.recharge(tx, session, self.pages, now)
            charging.charge_interim(tx, session, self.pages, period_of(now, self.zone).start, now)

    async def pull(self, centre: str, day: date) -> ManifestRow:
        """Pulls one day of a centre's accounting: stores and charges new records, and issues the day's manifest, again
        if there was one. Raises BadOption, NotFound, CentreError."""
        if centre not in self.runtime.centres:
            raise NotFound(
                f"There is no centre {centre[:40]!r}.", hint="`scnet centres` lists them.", code="unknown-centre"
            )
        try:
            start, end = day_span(day, self.zone)
        except OverflowError:
            raise BadOption(
                f"{day} is outside the supported range of dates.", hint="Name a day that is over."
            ) from None
        asked_at = self.runtime.clock()
        if start > asked_at:
            raise BadOption(f"{day} has not begun yet.", hint="Name a day that is over.")
        told = await self.runtime.centres[centre].usage_between(start, end)
        own = [one for one in told if copy_of(one.name)]
        for some in slices(own):
            await self.runtime.db.run(intake.settle, centre, (), some, self.pages, asked_at)
        row = await self.runtime.db.read(compared, centre, day, own, asked_at, self.zone)
        await self.runtime.db.run(manifest_rows.upsert, row)
        for words in row.missing:
            log.warning("%s: %s", centre, words)
        return row

    async def pull_days(self, centre: str, first: date, last: date) -> list[ManifestRow]:
        """Pulls a range of days. Raises BadOption for a range that is too long, and the errors of `pull`."""
        if last < first or (last - first).days >= MOST_DAYS:
            raise BadOption(
                f"{first} to {last} is not a range of 1 to {MOST_DAYS} days.",
                hint="Give the first day and the last day.",
            )
        return [await self.pull(centre, first + timedelta(days=number)) for number in range((last - first).days + 1)]


def due(tx: Tx, centre: str, now: datetime, zone: str) -> list[date]:
    """Returns the days that are over and have no manifest issued after their end, oldest first: since the federation's
    first day, or as far back as MOST_DAYS."""
    here = ZoneInfo(zone)
    last = (now - SETTLED).astimezone(here).date() - timedelta(days=1)
    first = max(usage_rows.began(tx).astimezone(here).date() + timedelta(days=1), last - timedelta(days=MOST_DAYS))
    done = {
        row.day
        for row in manifest_rows.list_for(tx, centre, first, last)
        if row.watermark >= day_span(row.day, zone)[1]
    }
    days = (first + timedelta(days=number) for number in range(max((last - first).days + 1, 0)))
    return [day for day in days if day not in done]


def slices(told: Sequence[UsageRecord]) -> Iterator[list[UsageRecord]]:
    """Cuts records into slices that are each taken in at once, so that a day of very many jobs does not delay others;
    all rows of a job are in one slice."""
    some: list[UsageRecord] = []
    for _, job in groupby(sorted(told, key=lambda one: one.job_id), key=lambda one: one.job_id):
        some += job
        if len(some) >= AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def compared(tx: Tx, centre: str, day: date, told: Sequence[UsageRecord], asked_at: datetime, zone: str) -> ManifestRow:
    """Returns the manifest of the accounting's records of that day, compared with the records here."""
    start, end = day_span(day, zone)
    read = [intake.read(centre, one, asked_at) for one in told]
    said = [intake.as_known(tx, usage) for usage, doubt in read if not doubt]
    unreadable = sum(bool(doubt) for _, doubt in read)
    issued = manifest(live(said).records.values(), centre=centre, day=day, watermark=asked_at, zone=zone)
    there = usage_rows.ended_between(tx, centre, start, end)
    came = [
        serialisation.usage_from(one.record)
        for one in (*there, *usage_rows.going_on(tx, centre))
        if not one.record.get("doubt") or one.final
    ]
    return ManifestRow(
        centre=centre, day=day, document=manifest_document(issued), watermark=asked_at, issued_at=asked_at,
        missing=(*missing(issued, live(came).records.values(), zone), *_unread(unreadable, day)),
    )  # fmt: skip


def _unread(rows: int, day: date) -> list[str]:
    return [f"{day}: {rows} rows of its accounting cannot be read"] if rows else []


def manifest_document(one: Manifest) -> Json:
    return {
        "centre": one.centre, "day": one.day.isoformat(), "finals": one.finals, "open_jobs": list(one.open_jobs),
        "sums": {meter: str(quantity) for meter, quantity in one.sums.items()}, "digest": one.digest,
        "watermark": one.watermark.astimezone(UTC).isoformat(), "ids": list(one.ids),
    }  # fmt: skip


def manifest_from(document: Json) -> Manifest:
    return Manifest(
        centre=document["centre"], day=date.fromisoformat(document["day"]), finals=document["finals"],
        open_jobs=tuple(document["open_jobs"]),
        sums={meter: _quantity(text) for meter, text in document["sums"].items()}, digest=document["digest"],
        watermark=datetime.fromisoformat(document["watermark"]), ids=tuple(document["ids"]),
    )  # fmt: skip


def _quantity(text: str) -> int | Fraction:
    exact = Fraction(text)
    return exact.numerator if exact.denominator == 1 else exact
