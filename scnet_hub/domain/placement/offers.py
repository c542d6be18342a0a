"""`Offer`: one partition of one centre as it is now, with all that a placement may know about it.

`offers_of` makes offers from a centre's spec and its last snapshot. `rules.py` decides which offers fit, `policies.py`
which is best; nothing here asks a centre or reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from ...units import Amount, credits
from ..jobs import JobRequest, LoadSnapshot, PartitionLoad
from ..standard.centre import Announcement, CentreSpec, Maintenance
from .availability import Outlook, Shape, after, look
from .fast_replace import alike

State = Literal["up", "stale", "down", "unknown"]
FREE = Amount(0)
NO_TIME = timedelta()


@dataclass(frozen=True, kw_only=True)  # without slots: see `alike`
class Offer:
    """One partition now. `cores`, `gpus` and `memory` (bytes; 0: not stated) are those of one node in the spec; `load`
    and `taken_at` are the last snapshot, None before the first. `pending` are our own submissions newer than the
    snapshot and so not yet visible in it. `refused` says why this person may not use it ("": allowed). `startup` is how
    many seconds such a session takes there from its start until it is ready, by our records (0: not known).
    `gpus_priced` is False where its GPUs have no price at some time. `maintenance` are announced times without service,
    `announcements` are the centre's messages to people. `order` is the centre's place in the federation's list (lower
    first). `outlook` is the load as it concerns newcomers, where it has been computed: it is the same until the next
    snapshot. `place` sets `seen` (the outlook after `pending`), `age`, `open_for` (until the next maintenance, zero
    within one) and `blocked` (the announcement that blocks starts now)."""

    centre: str
    partition: str
    cores: int
    max_walltime: timedelta
    centre_name: str = ""
    nodes: int = 1
    memory: int = 0
    memory_per_core: int = 0
    gpus: int = 0
    gpu_model: str = ""
    core_hour: Amount = FREE
    gpu_hour: Amount = FREE
    load: PartitionLoad | None = None
    taken_at: datetime | None = None
    max_age: timedelta = timedelta(seconds=75)
    state: State = "up"
    why: str = ""
    pending: tuple[Shape, ...] = ()
    refused: str = ""
    order: int = 0
    startup: float = 0.0
    gpus_priced: bool = True
    maintenance: tuple[Maintenance, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    age: timedelta | None = None
    open_for: timedelta | None = None
    blocked: Announcement | None = None
    outlook: Outlook | None = field(default=None, compare=False, repr=False)
    seen: Outlook | None = field(default=None, compare=False, repr=False)

    @property
    def title(self) -> str:
        """Returns its name for people: "Alpha Centre, partition cpu"."""
        return f"{self.centre_name or self.centre}, partition {self.partition}"

    def at(self, now: datetime) -> Offer:
        """Returns the offer as it is at `now`; a snapshot from the future (a clock that was set back) has age zero."""
        age, open_for, blocked = self._times(now)
        outlook, seen = self._sights(self.taken_at or now)
        return alike(self, age=age, open_for=open_for, blocked=blocked, outlook=outlook, seen=seen)

    def settled(self) -> Offer:
        """Returns the offer with all that follows from its load and `pending`, which time does not change."""
        if not self.taken_at:
            return self
        outlook, seen = self._sights(self.taken_at)
        return alike(self, outlook=outlook, seen=seen)

    def aged(self, now: datetime, **changes: Any) -> Offer:
        """Returns a settled offer as it is at `now`, with these changes; they may not concern its load or `pending`."""
        age, open_for, blocked = self._times(now)
        return alike(self, age=age, open_for=open_for, blocked=blocked, **changes)

    def _times(self, now: datetime) -> tuple[timedelta | None, timedelta | None, Announcement | None]:
        """Returns `age`, `open_for` and `blocked` at `now`."""
        age = None if self.taken_at is None else max(now - self.taken_at, NO_TIME)
        if not self.maintenance and not self.announcements:
            return age, None, None
        ahead = [max(one.start - now, NO_TIME) for one in self.maintenance if now < one.end]
        blocked = next((one for one in self.announcements if one.blocks_starts and one.start <= now < one.end), None)
        return age, min(ahead, default=None), blocked

    def _sights(self, at: datetime) -> tuple[Outlook | None, Outlook | None]:
        """Returns `outlook` and `seen` of the load `at`."""
        plain = self.outlook or (look(self.load, at) if self.load else None)
        return plain, after(plain, self.pending) if plain and self.pending else plain


def offers_of(
    spec: CentreSpec,
    snapshot: LoadSnapshot | None,
    *,
    standing: tuple[State, str] = ("up", ""),
    pending: Mapping[str, tuple[Shape, ...]] | None = None,
    outlooks: Mapping[str, Outlook] | None = None,
    max_age: timedelta | None = None,
    order: int = 0,
) -> list[Offer]:
    """Returns one offer for each partition of `spec`. `standing` is its state, and why it is not up; `pending` and
    `outlooks` are by partition name; snapshots count for `max_age`, else for two ticks and 15 s."""
    own, seen = pending or {}, outlooks or {}
    state, why = standing
    return [
        Offer(
            centre=spec.id, centre_name=spec.name, partition=offered.name, nodes=offered.nodes, cores=offered.cores,
            memory=offered.memory, memory_per_core=spec.session.memory_per_core, gpus=offered.gpus,
            gpu_model=offered.gpu_model, max_walltime=offered.max_walltime,
            core_hour=_price(offered.tariff.core_hour), gpu_hour=_price(offered.gpu_price),
            gpus_priced=all(tariff.gpu_price(offered.gpu_model) is not None for _, tariff in offered.tariffs()),
            load=snapshot.partitions.get(offered.name) if snapshot else None,
            taken_at=snapshot.taken_at if snapshot else None,
            max_age=max_age or timedelta(seconds=2 * spec.watch.interval + 15),
            outlook=seen.get(offered.name),
            state=state, why=why, pending=own.get(offered.name, ()), order=order * 1000 + place,
            maintenance=tuple(spec.maintenance), announcements=tuple(spec.announcement),
        )
        for place, offered in enumerate(spec.partition)
    ]  # fmt: skip


_price = lru_cache(1024)(credits)


def memory_of(request: JobRequest, offer: Offer) -> int:
    """Returns the bytes that the whole job takes here: the requested amount, else the centre's share for so many cores
    (0: not known)."""
    return request.memory or request.cores * offer.memory_per_core


def allotted(request: JobRequest, load: PartitionLoad | None, gpu_model: str = "") -> JobRequest:
    """Returns the request with the cores and GPUs that it is given there, and so pays for: whole cores where these have
    two threads, whole nodes where nodes are not shared; their GPUs are of `gpu_model`."""
    if load is None or (load.core_unit == 1 and not load.node_gpus):
        return request
    cores, gpus = load.allotted(request.cores, request.gpus, request.nodes)
    return replace(
        request, cores=cores, gpus=gpus, gpu_model=request.gpu_model or (gpu_model if gpus > request.gpus else "")
    )


def more_than_asked(request: JobRequest, offer: Offer) -> str:
    """Returns a sentence if a job is given more than it asks for; else ""."""
    given = allotted(request, offer.load, offer.gpu_model)
    if offer.load is None or (given.cores, given.gpus) == (request.cores, request.gpus):
        return ""
    asked, taken = (
        " and ".join((count(one.cores, "core"), *([count(one.gpus, "GPU")] if given.gpus else [])))
        for one in (request, given)
    )
    return (
        f"{offer.title} gives a node's cores in steps of {offer.load.core_unit}: asked for {asked}, allocated and "
        f"paid for {taken}."
    )


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shape_of(request: JobRequest, offer: Offer) -> Shape:
    """Returns the shape that each of the request's nodes must have: the whole job's cores, GPUs and memory, spread
    evenly and rounded up."""
    return _share(request.cores, request.gpus, memory_of(request, offer), request.nodes)


@lru_cache(4096)
def _share(cores: int, gpus: int, memory: int, nodes: int) -> Shape:
    each = max(nodes, 1)
    return Shape(-(-cores // each), -(-gpus // each), -(-memory // each))


def hourly_of(request: JobRequest, offer: Offer) -> Amount:
    """Returns the cost of an hour of this request here: an estimate, never a charge."""
    given = allotted(request, offer.load, offer.gpu_model)
    return Amount(given.cores * offer.core_hour.micros + given.gpus * offer.gpu_hour.micros, offer.core_hour.unit)
