"""Tariff x usage → Amount, in integers: what is allocated costs, used or not. Rounded up to one micro-credit, once."""

from __future__ import annotations

from datetime import timedelta

from ..units import Amount, credits, format_duration


def per_hour(cores: int, gpus: int, *, core_hour: float, gpu_hour: float) -> Amount:
    """The price of an hour of so many cores and GPUs, in credits."""
    return Amount(credits(core_hour).micros * cores + credits(gpu_hour).micros * gpus)


def cost(hourly: Amount, duration: timedelta) -> Amount:
    """What `duration` at `hourly` costs; nothing for a duration that is zero or negative."""
    micros_of_time = max(0, duration // timedelta(microseconds=1))
    return Amount(-(-hourly.micros * micros_of_time // 3_600_000_000), hourly.unit)


def formula(cores: int, gpus: int, duration: timedelta, *, core_hour: float, gpu_hour: float) -> str:
    """How a charge was made, so that a person can do it again: "4 cores x 12.5 min x 1 credit an hour"."""
    pieces = [f"{cores} cores x {core_hour:g}"] if cores else []
    pieces += [f"{gpus} GPUs x {gpu_hour:g}"] if gpus else []
    seconds = duration.total_seconds()
    return f"({' + '.join(pieces)}) credits an hour x {seconds:g} s ({format_duration(duration)})"
