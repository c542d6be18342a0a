"""Policies: which of the offers that fit is best, and the sentence that says why.

A policy gives each offer a key, smaller is better, from that offer alone: so adding a centre never makes the best
worse, and the order of the offers does not matter. The measured reasons for `soonest` are in
docs/explanation/decisions.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ...units import Amount, format_duration
from ..jobs import JobRequest
from ..pricing import rates
from .calibration import UNTRIED, Forecast, Range
from .fast_replace import made
from .offers import Offer, hourly_of
from .wait_model import Chance, Wait, expect, fullness

Policy = Callable[[JobRequest, "Ranked"], tuple[Any, ...]]
ALIKE = 20.0  # seconds: shorter delays count as equal
UNTOLD = 64  # after every known delay
LOOKS = 5.0  # seconds between looks for holes that justify a fuller place
STEPS = 20  # fullness counts in steps of 5 %: within one step the cheaper centre wins


@dataclass(frozen=True, kw_only=True)  # without slots: see `alike`
class Ranked:
    """An offer that fits, as judged: when the request would start, how long such starts took recently (None: too few),
    how full it is, its cost for the whole walltime, and (once ranked) the reason for its rank. `scale` brings an
    estimate to the scale of the waits that are learned."""

    offer: Offer
    wait: Wait
    range: Range | None
    fullness: float
    cores_free: int
    gpus_free: int
    cost: Amount
    cost_per_hour: Amount
    reason: str = ""
    scale: float = 1.0

    @property
    def ready_s(self) -> float | None:
        """Returns the expected seconds until the session is ready; None where there is no honest estimate."""
        if self.range:
            return self.range.p50 + self.offer.startup
        return None if self.wait.seconds is None else self.wait.seconds * self.scale + self.offer.startup

    @property
    def told_s(self) -> float | None:
        """Returns the seconds to the start to show a person: the median of such starts, else the time that a free place
        takes. Estimates from limits alone only order places; they are not shown."""
        if self.range:
            return self.range.p50
        return self.wait.seconds if self.wait.chance <= Chance.HOLE else None


def judge(request: JobRequest, offer: Offer, now: datetime, forecast: Forecast = UNTRIED) -> Ranked:
    wait, hourly = expect(request, offer, now), hourly_of(request, offer)
    return made(
        Ranked,
        offer=offer,
        wait=wait,
        range=forecast.of(wait, offer.centre),
        fullness=fullness(request, offer),
        cores_free=offer.seen.cores_free if offer.seen else 0,
        gpus_free=offer.seen.gpus_free if offer.seen else 0,
        cost=rates.cost(hourly, request.walltime),
        cost_per_hour=hourly,
        scale=forecast.scale_of(wait),
    )


class Weights(Protocol):
    """The weights between places that are ready equally soon, in one unit: see `standard.federation`."""

    @property
    def fullness(self) -> float: ...
    @property
    def price(self) -> float: ...
    @property
    def away(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Usual:
    """The default weights of a federation."""

    fullness: float = 1.0
    price: float = 0.0
    away: float = 3.0


USUAL = Usual()


def soonest(request: JobRequest, ranked: Ranked, weights: Weights = USUAL) -> tuple[Any, ...]:
    """Orders by who has it ready first, by order of magnitude and then by class; then by who leaves no GPUs idle beside
    a job without GPUs; then by these weights (the emptier, in steps of 5 %, and the nearer to the person's files); then
    the cheaper; then the exactly emptier; last the federation's own order of centres.

    This order alone would send a whole class to the first of equal centres. That does not happen: each submission is
    `pending` at its centre until a snapshot shows it, so it makes that centre fuller, and the next request goes
    elsewhere."""
    return (
        delay(ranked),
        ranked.wait.chance,
        _look(ranked),
        _wasteful(request, ranked),
        _points(request, ranked, weights),
        ranked.cost.micros,
        ranked.fullness,
        *tie(ranked.offer),
    )


def cheapest(request: JobRequest, ranked: Ranked) -> tuple[Any, ...]:
    """Orders by price first, whatever the wait; between equal prices, as `soonest`."""
    return (ranked.cost.micros, *soonest(request, ranked))


def tie(offer: Offer) -> tuple[int, str, str]:
    return (offer.order, offer.centre, offer.partition)


POLICIES: dict[str, Policy] = {"soonest": soonest, "cheapest": cheapest}


def why_best(request: JobRequest, best: Ranked, second: Ranked | None) -> str:
    """Returns the sentence for the best, with the runner-up: "Alpha, partition cpu: would start now; 12 cores free (25
    % full), ..."."""
    rest = (
        f" Runner-up: {second.offer.title}, {why_after(request, second, best)}." if second else " No other centre fits."
    )
    if request.centre and (second is None or second.offer.centre == best.offer.centre):
        rest = " You chose this centre."
    return (
        f"{best.offer.title}: would start {best.wait.words}{_promise(best)}; {_room(request, best)}; "
        f"{_price(request, best)}.{rest}"
    )


def why_after(request: JobRequest, other: Ranked, best: Ranked) -> str:
    """Says why `other` ranks behind `best`: the first criterion, in the order of `soonest`, in which it is worse."""
    if other.wait.chance > best.wait.chance:
        return f"would start {other.wait.words}"
    return f"would start {other.wait.words}, but {_worse(request, other, best)}"


def _worse(request: JobRequest, other: Ranked, best: Ranked) -> str:
    if delay(other) > delay(best):
        return f"is ready in {_seconds(other)} instead of {_seconds(best)}"
    if _wasteful(request, other) and not _wasteful(request, best):
        return "its GPUs are kept for sessions that need them"
    if _away(request, other) and not _away(request, best):
        return f"your files are at {best.offer.centre_name or best.offer.centre}"
    if _step(other) > _step(best):
        return f"it is {_percent(other)} % full instead of {_percent(best)} %"
    if other.cost.micros > best.cost.micros:
        return f"it costs {other.cost} instead of {best.cost}"
    return "it is a little fuller" if other.fullness > best.fullness else "it is later in the list of centres"


def delay(ranked: Ranked) -> int:
    """Returns how long until it is ready, in powers of two of 20 s: limits and records are no more precise about later
    starts."""
    seconds = ranked.ready_s
    return UNTOLD if seconds is None else int(seconds // ALIKE).bit_length()


def _look(ranked: Ranked) -> float:
    """Orders holes by whose scheduler looks first, in steps of five seconds; last those with an unknown next look."""
    if ranked.wait.chance != Chance.HOLE:
        return 0.0
    return ranked.wait.look.timestamp() // LOOKS if ranked.wait.look else math.inf


def _seconds(ranked: Ranked) -> str:
    return "an unknown time" if ranked.ready_s is None else format_duration(timedelta(seconds=round(ranked.ready_s)))


def _promise(ranked: Ranked) -> str:
    return f" (nine in ten such starts within {_within(ranked.range.p90)})" if ranked.range else ""


def _within(seconds: float) -> str:
    """Formats seconds, never below the promise."""
    return format_duration(timedelta(seconds=max(1, math.ceil(seconds))))


def _wasteful(request: JobRequest, ranked: Ranked) -> bool:
    return bool(ranked.offer.gpus and not request.gpus)


def _points(request: JobRequest, ranked: Ranked, weights: Weights) -> float:
    """Returns the points against the place, rounded so that a small difference is no reason."""
    price = weights.price and weights.price * float(ranked.cost_per_hour)
    points = float(weights.fullness * _step(ranked) + price + weights.away * _away(request, ranked))
    return points if points.is_integer() else round(points, 3)  # rounding costs more than the rest


def _away(request: JobRequest, ranked: Ranked) -> bool:
    return bool(request.near) and ranked.offer.centre != request.near


def _step(ranked: Ranked) -> int:
    return int(min(ranked.fullness, 1e6) * STEPS)


def _room(request: JobRequest, ranked: Ranked) -> str:
    gpus = f" and {ranked.gpus_free} of {_gpus(ranked)} GPUs" if request.gpus else ""
    cores = ranked.offer.seen.cores if ranked.offer.seen else 0
    return f"{ranked.cores_free} of {cores} cores{gpus} free"


def _gpus(ranked: Ranked) -> int:
    return ranked.offer.seen.gpus if ranked.offer.seen else 0


def _price(request: JobRequest, ranked: Ranked) -> str:
    return f"at most {ranked.cost} for {format_duration(request.walltime)}"


def _percent(ranked: Ranked) -> int:
    return round(min(ranked.fullness, 1e6) * 100)
