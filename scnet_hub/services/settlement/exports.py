"""Exports a month as files: its bills as FOCUS 1.2 CSV, and its usage as CloudEvents, one per line. Both are written as
they are read, so that a million entries need no more memory than a thousand.

What a bill says beyond the entry (time, quantities, prices) is computed from the stored usage record and prices, as the
charge was. A charge that does not match this, or has no stored record, becomes one row of one unit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import islice
from pathlib import Path

from ...adapters.db.database import Tx
from ...adapters.db.queries import periods as period_rows
from ...adapters.db.queries import usage as usage_rows
from ...adapters.db.queries.periods import RecordRow
from ...domain.ledger.entries import Entry
from ...domain.pricing.rates import segment_cost
from ...domain.pricing.tariffs import WHOLE, NoPrice, Rates, Tariff
from ...domain.settlement import focus_bills
from ...domain.settlement.focus_bills import About, Item, Names
from ...domain.usage import cloud_events, serialisation
from ...domain.usage.segments import Segment, meters, segments
from ...errors import BadOption, Refused
from . import closing
from .closing import Rules

AT_ONCE = 500
EARNING = ("centre", "publisher", "fee")


class Prices:
    """Stored prices by their digest, each read once, and the outages by centre."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self._tariffs: dict[str, Tariff | None] = {}
        self._edges: dict[str, list[datetime]] = {}

    def tariff(self, digest: str) -> Tariff | None:
        if digest not in self._tariffs:
            document = usage_rows.tariff(self.tx, digest) if digest else None
            self._tariffs[digest] = serialisation.terms_from(document).tariff if document else None
        return self._tariffs[digest]

    def edges(self, centre: str) -> list[datetime]:
        """Returns the times at which outages began and ended: runs are cut there."""
        if centre not in self._edges:
            spans = usage_rows.outages_of(self.tx, centre)
            self._edges[centre] = [edge for start, end, _ in spans for edge in (start, end) if edge]
        return self._edges[centre]

    def segments(self, row: RecordRow, zone: str) -> list[tuple[Segment, Rates | None]]:
        usage, tariff = serialisation.usage_from(row.record), self.tariff(row.tariff)
        inner = tariff.cuts(usage.start, usage.through) if tariff and usage.start and usage.through else ()
        parts = segments(usage, zone, (*inner, *self.edges(usage.centre)))
        return [(one, tariff.at(one.start) if tariff else None) for one in parts]


# ---- bills


def bills(
    tx: Tx, name: str, book: str, rules: Rules, titles: Mapping[str, str], payers: Collection[str] | None, path: Path
) -> None:
    """Writes the bills of a closed month to `path`; `payers`: only the bills of these grantors. Raises Refused,
    BadOption."""
    rows = period_rows.every(tx)
    row = closing.month(rows, name)
    month = closing.month_of(tx, row, rows, rules)
    if not row.cut:
        raise Refused(
            f"{row.name} is {row.state}: it has no bills yet.",
            hint="Bills are made with the statements.",
            code="period-open",
        )
    if book not in month.terms:
        raise BadOption(f"There is no book {book[:20]!r}.", hint=f"Books: {', '.join(sorted(month.terms))}.")
    names, terms, prices = (
        Names(federation=titles["federation"], members=titles, centres=titles),
        month.terms[book],
        Prices(tx),
    )

    def lines() -> Iterator[focus_bills.Row]:
        for some in _some(month.entries(tx)):
            known = period_rows.records(tx, {one.session for one in some if one.session})
            abouts = {one.key: _about(one, known.get(one.session, []), prices, month.period.zone) for one in some}

            def about(one: Entry, there: Mapping[str, About] = abouts) -> About:
                return there[one.key]

            yield from focus_bills.bills(some, month.period, terms, about, names=names, unit=book)

    with path.open("w", newline="", encoding="utf-8") as file:
        file.writelines(focus_bills.csv_lines(one for one in lines() if payers is None or one["x_GrantorId"] in payers))


def _some(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while some := list(islice(entries, AT_ONCE)):
        yield some


def _about(entry: Entry, rows: Iterable[RecordRow], prices: Prices, zone: str) -> About:
    """Describes an entry by the record with a segment that began at the entry's time and cost its amount; else by the
    entry alone."""
    charged = abs(sum(one.amount.micros for one in entry.postings if one.account.partition(":")[0] in EARNING))
    for row in rows:
        for part, rates in prices.segments(row, zone):
            if part.start == entry.at and rates and (items := _items(part, rates, charged)):
                return About(
                    start=part.start, end=part.end, description=entry.memo, items=items, partition=part.usage.partition,
                    price_version=row.tariff[:12], region=part.usage.centre, resource=row.name, usage_record=str(part),
                )  # fmt: skip
    return About(start=entry.at, end=entry.at + timedelta(seconds=1), description=entry.memo)


def _items(part: Segment, rates: Rates, charged: int) -> tuple[Item, ...]:
    """Returns the meters of a segment and the difference to the session's minimum; none if they do not add up to the
    charge."""
    used = meters(part)
    try:
        cost = segment_cost(used, rates, part.length).amount.micros
    except NoPrice:
        return ()
    items = [
        Item(meter=meter, quantity=quantity, price=_paid(price, rates.off), listed=price)
        for meter, quantity in used.items()
        if (price := rates.price(meter))
    ]
    over = charged - cost
    if over < 0 or (over and charged > max(rates.minimum, cost)):
        return ()
    return (*items, Item(meter="minimum", quantity=1, price=over)) if over else tuple(items)


def _paid(price: int, off: int) -> int | Fraction:
    return price if not off else Fraction(price * (WHOLE - off), WHOLE)


# ---- usage


def usage(tx: Tx, name: str, centre: str, rules: Rules, path: Path) -> None:
    """Writes the segments of that month to `path`, of one centre or of all, one CloudEvent per line. A run that never
    started counts in the month in which it was over."""
    period = closing.period(closing.month(period_rows.every(tx), name))
    prices = Prices(tx)
    with path.open("w", encoding="utf-8") as file:
        for row in period_rows.counted(tx, period.start, centre):
            run = serialisation.usage_from(row.record)
            parts = prices.segments(row, period.zone)
            if not parts and row.over_at and row.over_at in period:
                file.write(cloud_events.text(cloud_events.event(run, None, project=row.project)) + "\n")
            for part, _ in parts:
                if part.start in period:
                    file.write(cloud_events.text(cloud_events.event(run, part, project=row.project)) + "\n")
