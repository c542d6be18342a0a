"""Tariff x usage → Amount, in integers: what is allocated costs, used or not. Rounded up to one micro-credit, once."""

from __future__ import annotations

from datetime import timedelta

from ..units import Amount, credits


def per_hour(cores: int, gpus: int, *, core_hour: float, gpu_hour: float) -> Amount:
    """The price of an hour of so many cores and GPUs, in credits."""
    return Amount(credits(core_hour).micros * cores + credits(gpu_hour).micros * gpus)


def cost(hourly: Amount, duration: timedelta) -> Amount:
    """What `duration` at `hourly` costs; nothing for a duration that is zero or negative."""
    micros_of_time = max(0, duration // timedelta(microseconds=1))
    return Amount(-(-hourly.micros * micros_of_time // 3_600_000_000), hourly.unit)


def formula(cores: int, gpus: int, duration: timedelta, *, core_hour: float, gpu_hour: float) -> str:
    """How a charge was made, so that a person can do it again: "(4 cores x 1.2 + 1 GPU x 20) credits/h x 750 s"."""
    pieces = [f"{cores} core{'s' * (cores != 1)} x {core_hour:g}"] if cores else []
    pieces += [f"{gpus} GPU{'s' * (gpus != 1)} x {gpu_hour:g}"] if gpus else []
    return f"({' + '.join(pieces)}) credits/h x {duration.total_seconds():g} s"
