"""Splits a cluster's cores, memory and GPUs into jobs: small jobs start sooner and fill gaps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import BadOption
from ...units import parse_memory


@dataclass(frozen=True, slots=True)
class Size:
    """One job: `memory` is bytes (0: the centre's share for the cores)."""

    cores: int
    memory: int = 0
    gpus: int = 0


def split(cores: int, memory: str | int = "", gpus: int = 0, *, most: int = 4) -> list[Size]:
    """Splits `cores` into jobs of at most `most` cores, as evenly as possible; with GPUs into one job each, of at least
    one core. Memory is divided by cores. Raises BadOption."""
    for option, value, least in (("cores", cores, 1), ("gpus", gpus, 0), ("job_cores", most, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise BadOption(f"{option}: {value!r} is not a whole number of at least {least}.")
    total = parse_memory(memory) if memory != "" else 0
    jobs = gpus or -(-cores // most)
    cores = max(cores, jobs)
    small, larger = divmod(cores, jobs)
    each = [small + 1] * larger + [small] * (jobs - larger)
    return [Size(part, total * part // cores, 1 if gpus else 0) for part in each]


def surplus(jobs: Sequence[tuple[str, int, bool]], keep_cores: int) -> list[str]:
    """Returns which of (name, cores, connected), oldest first, may end so that at least `keep_cores` stay: waiting jobs
    first, then the newest."""
    left, going = sum(cores for _, cores, _ in jobs), []
    for name, cores, _ in sorted(reversed(jobs), key=lambda job: job[2]):
        if left - cores >= keep_cores:
            left -= cores
            going.append(name)
    return going


Adaptive = bool | tuple[int, int] | None
