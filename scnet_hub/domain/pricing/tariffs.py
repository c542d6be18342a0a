"""`Tariff`: the prices of a partition at every instant: all versions, and its weekly sales by the centre's wall clock.

`at` returns the rates that hold, `cuts` where they change, so that usage can be cut into segments of one price each. A
meter without a price is an error that names it: nothing is free by accident. Knows neither usage (`usage/`) nor costs
(`rates.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from ...errors import SpecError
from ...units import CREDIT, credits
from ..standard.centre import CentreSpec, PartitionSpec
from ..standard.tariff import DAYS, OTHER
from ..standard.tariff import Sale as SaleSpec
from ..standard.tariff import Tariff as TariffSpec

CORE, GPU, MEMORY = "core-second", "gpu-second", "gib-second"
STORAGE, APP_RUN, SEAT_HOUR = "gib-hour", "app-run", "seat-hour"
EVER = datetime.min.replace(tzinfo=UTC)
WHOLE = 1_000_000  # a sale is so many millionths off
DAY, MINUTE, SECOND, INSTANT = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1), timedelta(microseconds=1)


class NoPrice(SpecError):
    """Something used or requested has no price at that time."""

    code = "no-price"
    acts = "The centre's admins"


def gpu_meter(model: str) -> str:
    """Returns the meter of a GPU of this model; for "", of any model."""
    return f"{GPU}:{model.lower()}" if model else GPU


def timed(meter: str) -> bool:
    """Tells whether a meter counts seconds: then its price is for an hour."""
    return meter.partition(":")[0].endswith("-second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Prices that hold from `since` (aware; None: always) until the next version: micro-units for an hour of the meters
    that count seconds, for one unit of the others. `gpu-second` without a model is any GPU that has no price of its
    own. `minimum` is a session's."""

    prices: Mapping[str, int]
    minimum: int = 0
    since: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.since.utcoffset() is None:
            raise ValueError(f"{self.since} has no time zone")
        if any(type(price) is not int or price < 0 for price in (*self.prices.values(), self.minimum)):
            raise ValueError(f"prices are whole micro-units, 0 or more: {dict(self.prices)}, minimum {self.minimum}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale takes `off` millionths off the price of meters that count seconds, while the wall clock shows `opens` to
    `closes` (minutes of the day; if `closes` is before `opens`: of the next day). `days` (0: Monday), `first` and
    `last` are days on which it begins."""

    name: str
    opens: int
    closes: int
    off: int
    days: frozenset[int] = frozenset(range(7))
    first: date | None = None
    last: date | None = None

    def holds(self, wall: datetime) -> bool:
        """Tells whether the sale holds when the centre's wall clock shows `wall`."""
        minute, day = wall.hour * 60 + wall.minute, wall.date()
        if self.opens < self.closes:
            return self.opens <= minute < self.closes and self._begins(day)
        return (minute >= self.opens and self._begins(day)) or (minute < self.closes and self._begins(day - DAY))

    def _begins(self, day: date) -> bool:
        return (
            day.weekday() in self.days
            and (self.first is None or self.first <= day)
            and (self.last is None or day <= self.last)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The prices at one instant. `off` is the sale's, in millionths; `version` and `sale` name them in words ("": the
    only version; no sale). `place` and `gpu_model` are the partition's, for people and for GPUs whose model isn't
    stated."""

    prices: Mapping[str, int]
    minimum: int = 0
    off: int = 0
    unit: str = CREDIT
    version: str = ""
    sale: str = ""
    place: str = ""
    gpu_model: str = ""

    def find(self, meter: str) -> int | None:
        """Returns micro-units for an hour, or a unit, of this meter, before the sale; None: it has no price."""
        kind, _, model = meter.partition(":")
        named = (gpu_meter(model or self.gpu_model), GPU) if kind == GPU else (meter,)
        return next((self.prices[name] for name in named if name in self.prices), None)

    def price(self, meter: str) -> int:
        """Returns the same. Raises NoPrice where there is none."""
        price = self.find(meter)
        if price is None:
            raise NoPrice(
                f"{self.place or 'This partition'} has no price for "
                f"{meter}{f' ({self.version})' if self.version else ''}.",
                hint=_REMEDIES.get(meter.partition(":")[0], f"Give {meter} a price."),
                details={"meter": meter, "place": self.place},
            )
        return price


_REMEDIES = {GPU: "Set it in gpu_hour of the partition's tariff in the centre's page; 0 is free."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """All versions, in any order, and all sales of one partition. Raises ValueError if two versions begin at the same
    instant."""

    versions: tuple[Version, ...]
    sales: tuple[Sale, ...] = ()
    zone: str = "UTC"
    unit: str = CREDIT
    place: str = ""
    gpu_model: str = ""

    def __post_init__(self) -> None:
        instants = [version.since or EVER for version in self.versions]
        for place, since in enumerate(instants):
            if since in instants[:place]:
                raise ValueError(f"two versions hold from {'ever' if since == EVER else since.isoformat()} on")

    def at(self, instant: datetime) -> Rates:
        """Returns the rates that hold at an aware instant. Raises NoPrice before the first version."""
        begun = [version for version in self.versions if version.since is None or version.since <= instant]
        if not begun:
            raise NoPrice(
                f"{self.place or 'This partition'} has no price at {wall_words(instant, self.zone)}: its first "
                "price begins later.",
                hint="Add a tariff without valid_from to the centre's page: it holds from the beginning.",
                details={"place": self.place, "at": instant.isoformat()},
            )
        version = max(begun, key=lambda one: one.since or EVER)
        sale = self._sale(instant)
        return Rates(
            prices=version.prices,
            minimum=version.minimum,
            off=sale.off if sale else 0,
            unit=self.unit,
            version=self._named(version),
            sale=f'sale "{sale.name}"' if sale else "",
            place=self.place,
            gpu_model=self.gpu_model,
        )

    def cuts(self, start: datetime, end: datetime) -> tuple[datetime, ...]:
        """Returns the instants after `start` and before `end` at which the rates change, in UTC order; the begin of the
        first rates included."""
        found = {one for one in self._candidates(start, end) if start < one < end}
        return tuple(one for one in sorted(found) if self._key(one) != self._key(one - INSTANT))

    def _key(self, instant: datetime) -> tuple[object, ...]:
        """Returns a key that differs where the rates differ."""
        begun = [version.since for version in self.versions if version.since is not None and version.since <= instant]
        sale = self._sale(instant)
        return max(begun, default=None), sale and (sale.name, sale.off)

    def _sale(self, instant: datetime) -> Sale | None:
        """Returns the largest sale that holds; of equal ones the first in the page."""
        if not self.sales:
            return None
        wall = instant.astimezone(ZoneInfo(self.zone))
        return max((sale for sale in self.sales if sale.holds(wall)), key=lambda one: one.off, default=None)

    def _named(self, version: Version) -> str:
        if version.since is None:
            later = [other.since for other in self.versions if other.since is not None]
            return f"prices until {wall_words(min(later), self.zone)}" if later else ""
        return f"prices from {wall_words(version.since, self.zone)}"

    def _candidates(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yields every instant at which the rates might change: versions, edges of sales on the wall clock, jumps of
        that clock."""
        yield from (version.since.astimezone(UTC) for version in self.versions if version.since is not None)
        if not self.sales or end <= start:
            return
        zone = ZoneInfo(self.zone)
        edges = {minute for sale in self.sales for minute in (sale.opens, sale.closes)}
        day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
        while day <= last:
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the wall's; its zone is given below
            for wall in (midnight + minute * MINUTE for minute in edges):
                yield from (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
            yield from _jump(midnight.replace(tzinfo=zone).astimezone(UTC), zone)
            day += DAY


def _jump(start: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yields the instant at which the zone's offset changes within the 25 hours after `start`, if it does."""
    low, high = start, start + DAY + 60 * MINUTE
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return
    while high - low > SECOND:
        middle = low + (high - low) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    yield high


def wall_words(instant: datetime, zone: str) -> str:
    """Formats an instant as the zone's clock shows it: "2027-01-01 00:00+08:00"."""
    return instant.astimezone(ZoneInfo(zone)).isoformat(" ", "minutes")


def rewritten(old: Tariff, new: Tariff, start: datetime, now: datetime) -> str:
    """Describes in a sentence the first change from `old` to `new` between `start` and `now`; "" if nothing. A price
    where there was none is not a change: use that waits for a price may be charged."""
    for instant in sorted({start, *old.cuts(start, now), *new.cuts(start, now)}):
        before, after = old.at(instant), new.at(instant)
        meters = {meter: before.find(meter) for meter in (*before.prices, *after.prices)}
        changed = [meter for meter, price in meters.items() if price is not None and price != after.find(meter)]
        changed += [name for name in ("minimum", "off") if getattr(before, name) != getattr(after, name)]
        if changed:
            what = (
                "the sale"
                if changed[0] == "off"
                else f"the price of {changed[0]}"
                if changed[0] in meters
                else "the minimum"
            )
            where, when = new.place or "This partition", wall_words(instant, new.zone)
            return f"{where} would have a different price at {when}, which is in the past: {what} differs."
    return ""


# ---- from a centre's page


def tariff_of(spec: CentreSpec, partition: PartitionSpec) -> Tariff:
    """Returns the tariff of a partition in the centre's page."""
    return Tariff(
        versions=tuple(
            Version(since=since, prices=_prices(tariff), minimum=credits(tariff.minimum).micros)
            for since, tariff in partition.tariffs()
        ),
        sales=tuple(_sale(sale) for sale in partition.sale),
        zone=spec.time_zone,
        place=f"Partition {partition.name} of {spec.name}",
        gpu_model=partition.gpu_model.lower(),
    )


def _prices(tariff: TariffSpec) -> dict[str, int]:
    by_model = tariff.gpu_hour if isinstance(tariff.gpu_hour, dict) else {OTHER: tariff.gpu_hour}
    gpus = {
        gpu_meter("" if model == OTHER else model): credits(price).micros
        for model, price in by_model.items()
        if price is not None
    }
    return {CORE: credits(tariff.core_hour).micros, MEMORY: credits(tariff.gib_hour).micros, **gpus}


def _sale(sale: SaleSpec) -> Sale:
    return Sale(
        name=sale.name,
        opens=sale.opens,
        closes=sale.closes,
        off=int(credits(sale.percent_off).micros // 100),
        days=frozenset(DAYS.index(day) for day in sale.days),
        first=sale.first_day,
        last=sale.last_day,
    )
