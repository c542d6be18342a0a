"""Computes tariff x usage → Amount, in integers: allocated resources cost, used or not.

A segment is rounded up to one micro-unit, once; a session costs at least its minimum, which its last segment brings up.
Every cost has the formula by which a person can check it. `per_hour`, `cost` and `formula` do the same for two plain
prices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

from ...units import CREDIT, MICRO, Amount, credits
from .tariffs import APP_RUN, CORE, GPU, MEMORY, SEAT_HOUR, STORAGE, WHOLE, Rates, Tariff, gpu_meter, timed

Quantity = int | Fraction
HOUR = 3600
GIB = 2**30
NO_TIME, MICROSECOND = timedelta(), timedelta(microseconds=1)
DIGITS = 15  # a longer number is not one that a person types
COUNTED = {CORE: "core", GPU: "GPU", MEMORY: "GiB", STORAGE: "GiB-hour", APP_RUN: "app run", SEAT_HOUR: "seat-hour"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one segment, and its formula: "(4 cores x 1.2 + 1 GPU x 20) credits/h x 750 s = 5.166667 credits,
    rounded up"."""

    amount: Amount
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a session: its segments in their order, and `top_up`, the difference to its minimum."""

    costs: tuple[Cost, ...]
    top_up: Amount
    minimum: Amount

    @property
    def total(self) -> Amount:
        return sum((cost.amount for cost in self.costs), self.top_up)

    @property
    def formula(self) -> str:
        """Returns every segment's formula, then the minimum's if it counts, then the sum if there are several."""
        parts = [cost.formula for cost in self.costs]
        if self.top_up:
            parts.append(f"minimum of a session {exact(self.minimum)}, so {exact(self.top_up)} more")
        return "; ".join(parts) + (f"; together {exact(self.total)}" if len(parts) > 1 else "")


def held(cores: int, gpus: int = 0, gpu_model: str = "", memory: int = 0) -> dict[str, Quantity]:
    """Returns the amounts that a session holds per second, by meter; `memory` in bytes."""
    amounts: dict[str, Quantity] = {CORE: cores, gpu_meter(gpu_model): gpus, MEMORY: Fraction(memory, GIB)}
    return {meter: amount for meter, amount in amounts.items() if amount}


def used(amounts: Mapping[str, Quantity], duration: timedelta) -> dict[str, Quantity]:
    """Returns the quantities on the meters after holding these amounts for `duration`."""
    return {meter: amount * seconds(duration) for meter, amount in amounts.items()}


def seconds(duration: timedelta) -> Fraction:
    """Returns the seconds exactly, down to the microsecond."""
    return Fraction(duration // MICROSECOND, 1_000_000)


def hourly(amounts: Mapping[str, Quantity], rates: Rates) -> Fraction:
    """Returns micro-units for an hour of holding these amounts, after the sale; not rounded. Raises NoPrice."""
    return sum(
        (Fraction(amount) * rates.price(meter) for meter, amount in amounts.items() if amount), Fraction(0)
    ) * _paid(rates)


def segment_cost(quantities: Mapping[str, Quantity], rates: Rates, duration: timedelta = NO_TIME) -> Cost:
    """Returns the cost of a segment that used these quantities at one price. `duration` only makes its formula shorter.
    Raises NoPrice if something used has no price, and ValueError if a quantity is not an exact number of 0 or more:
    then nothing of the segment is charged."""
    for meter, quantity in quantities.items():
        if type(quantity) not in (int, Fraction) or quantity < 0:
            raise ValueError(
                f"{meter}: {quantity!r} is not a valid quantity: it must be a whole number or a fraction, 0 or more"
            )
    taken = {meter: quantity for meter, quantity in quantities.items() if quantity and rates.price(meter)}
    by_time = {meter: quantity for meter, quantity in taken.items() if timed(meter)}
    by_unit = {meter: quantity for meter, quantity in taken.items() if not timed(meter)}
    micros = hourly(by_time, rates) / HOUR + sum(
        Fraction(quantity) * rates.price(meter) for meter, quantity in by_unit.items()
    )
    amount = Amount(-(-micros.numerator // micros.denominator), rates.unit)
    pieces = [_time_part(by_time, rates, seconds(duration))] if by_time else []
    pieces += [_unit_part(by_unit, rates)] if by_unit else []
    words = (
        f"{' + '.join(pieces) or 'nothing used'} = {exact(amount)}{'' if micros.denominator == 1 else ', rounded up'}"
    )
    return Cost(amount=amount, formula=words + (f" ({rates.version})" if rates.version else ""))


def bill(costs: Iterable[Cost], minimum: Amount) -> Bill:
    """Returns the bill of a session from the costs of all its segments. The minimum is the session's, not each
    segment's: the difference is added to the last segment. A session without a segment (it never ran, or all of it is
    refunded) has no minimum."""
    parts = tuple(costs)
    missing = minimum - sum((cost.amount for cost in parts), Amount(0, minimum.unit))
    return Bill(
        costs=parts, top_up=missing if parts and missing.micros > 0 else Amount(0, minimum.unit), minimum=minimum
    )


def bill_of_run(
    tariff: Tariff, amounts: Mapping[str, Quantity], start: datetime, end: datetime, cuts: Sequence[datetime] = ()
) -> Bill:
    """Returns the cost of holding these amounts from `start` to `end`, cut where the rates change and at `cuts` (the
    ends of months). The price of a segment is the one at its start; the minimum is the one at the session's start,
    which a run of length 0 costs too. Raises NoPrice."""
    first = tariff.at(start)
    inner = {*tariff.cuts(start, end), *(cut for cut in cuts if start < cut < end)}
    edges = [start, *sorted(inner), end] if start <= end else []
    costs = (
        segment_cost(used(amounts, after - before), tariff.at(before), after - before)
        for before, after in pairwise(edges)
    )
    return bill(costs, Amount(first.minimum, tariff.unit))


# ---- the formula


def exact(amount: Amount) -> str:
    """Returns an amount with all its digits: "5.166667 credits"."""
    return f"{_number(Fraction(amount.micros, MICRO))} {_coin(amount.unit)}"


def _coin(unit: str) -> str:
    return "credits" if unit == CREDIT else unit


def _paid(rates: Rates) -> Fraction:
    return Fraction(WHOLE - rates.off, WHOLE)


def _time_part(quantities: Mapping[str, Quantity], rates: Rates, duration: Fraction) -> str:
    """Returns "(4 cores x 1.2) credits/h x 750 s x 50 % (sale "nights")"; if the time is not known, "(3000 core-seconds
    x 1.2) credits/h"."""
    amounts = {meter: Fraction(quantity) / duration for meter, quantity in quantities.items()} if duration else {}
    plain = amounts and all(_is_plain(amount) for amount in amounts.values())
    terms = [
        _term(meter, amount, rates, "" if plain else "-second")
        for meter, amount in (amounts if plain else quantities).items()
    ]
    time = f"{_number(duration)} s" if plain else "1 s"
    sale = f" x {_number(_paid(rates) * 100)} % ({rates.sale})" if rates.off else ""
    return f"({' + '.join(terms)}) {_coin(rates.unit)}/h x {time}{sale}"


def _unit_part(quantities: Mapping[str, Quantity], rates: Rates) -> str:
    return (
        f"({' + '.join(_term(meter, quantity, rates, '') for meter, quantity in quantities.items())}) "
        f"{_coin(rates.unit)}"
    )


def _term(meter: str, amount: Quantity, rates: Rates, each: str) -> str:
    """Returns "4 cores x 1.2", "1 GPU a100 x 20", "3000 core-seconds x 1.2"."""
    kind, _, model = meter.partition(":")
    word = COUNTED.get(kind, kind) + each
    plural = "s" if amount != 1 and not word.endswith("GiB") else ""
    return (
        f"{_number(amount)} {word}{plural}{f' {model}' if model else ''} x "
        f"{_number(Fraction(rates.price(meter), MICRO))}"
    )


def _is_plain(number: Fraction) -> bool:
    return len(_number(number)) <= DIGITS and "/" not in _number(number)


def _number(number: Quantity) -> str:
    """Returns all decimals of a number; a fraction if they do not end."""
    if number.denominator == 1:
        return str(number.numerator)
    rest = Fraction(number).denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return str(Fraction(number))
    with localcontext(prec=200):
        return f"{(Decimal(Fraction(number).numerator) / Decimal(Fraction(number).denominator)).normalize():f}"


# ---- two plain prices


def per_hour(cores: int, gpus: int, *, core_hour: float, gpu_hour: float) -> Amount:
    """Returns the price of an hour of so many cores and GPUs, in credits."""
    return Amount(credits(core_hour).micros * cores + credits(gpu_hour).micros * gpus)


def cost(hourly: Amount, duration: timedelta) -> Amount:
    """Returns the cost of `duration` at `hourly`; 0 for a duration that is zero or negative."""
    return _cost(hourly.micros, hourly.unit, duration)


@lru_cache(4096)
def _cost(hourly: int, unit: str, duration: timedelta) -> Amount:
    micros_of_time = max(0, duration // MICROSECOND)
    return Amount(-(-hourly * micros_of_time // 3_600_000_000), unit)


def formula(cores: int, gpus: int, duration: timedelta, *, core_hour: float, gpu_hour: float) -> str:
    """Returns the formula of a charge, by which a person can check it: "(4 cores x 1.2 + 1 GPU x 20) credits/h x 750
    s"."""
    pieces = [f"{cores} core{'s' * (cores != 1)} x {core_hour:g}"] if cores else []
    pieces += [f"{gpus} GPU{'s' * (gpus != 1)} x {gpu_hour:g}"] if gpus else []
    return f"({' + '.join(pieces)}) credits/h x {duration.total_seconds():g} s"
