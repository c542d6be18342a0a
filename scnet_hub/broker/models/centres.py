"""Centres as a caller finds them, and the named sizes of sessions that the federation offers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...domain.placement.offers import State
from .base import DatedList, Document, Listed, Seconds, Time


class Ceiling(Document):
    """A ceiling on use at once."""

    whose: str
    what: str
    """sessions, cores or gpus"""
    limit: int
    used: int
    would_pass: int
    """The most that is allowed now."""
    asked: int | None = None


class Maintenance(Document):
    start: Time
    end: Time
    reason: str


class Announcement(Document):
    message: str
    start: Time
    end: Time | None
    now: bool
    """The ceiling is in force."""
    blocks_starts: bool


class Hop(Document):
    """One step of the way to a centre."""

    name: str
    """login, scheduler, accounting, nodes or starts"""
    ok: bool
    since: Time | None
    """When the hop entered this state."""
    age_s: Seconds
    """How old this state is, in seconds."""
    why: str


class Partition(Document):
    name: str
    cores: int
    cores_free: int
    gpus: int
    gpus_free: int
    gpu_model: str
    running_jobs: int
    queued_jobs: int
    queued_cores: int
    max_walltime_s: Seconds
    core_hour: float
    gpu_hour: float | None


class Centre(Document):
    id: str
    name: str
    organisation: str
    dialect: str
    contact: str
    identity: Literal["certificate", "service", "shared"]
    account: str
    """The caller's own account there; "" if none is linked or all people share an account."""
    maintenance: list[Maintenance]
    announcements: list[Announcement]
    state: State
    why: str
    """Why the centre is not up, as a sentence; "" if it is up."""
    hops: list[Hop]
    """The hops that have been tried so far."""
    taken_at: Time | None
    age_s: Seconds | None
    cores: int
    cores_free: int
    gpus: int
    gpus_free: int
    running_jobs: int
    queued_jobs: int
    my_sessions: int
    quota: list[Ceiling]
    """The centre's ceilings."""
    partitions: list[Partition]


class Centres(DatedList):
    centres: list[Centre]


class Profile(Document):
    """A size that the start page offers."""

    id: str
    title: str
    description: str
    cores: int
    memory: int
    gpus: int
    walltime_s: Seconds


class Profiles(Listed):
    profiles: list[Profile]


class Prices(Document):
    """Credits for an hour, by meter; null if the partition has no such meter."""

    prices: dict[str, float | None]
    minimum: float


class PricesNow(Prices):
    sale: str
    percent_off: float
    paid: dict[str, float | None]


class Version(Prices):
    since: Time | None


class Sale(Document):
    """Hours of a week that cost less. Times are the centre's wall clock."""

    name: str
    days: list[str]
    begins: str = Field(alias="from")
    ends: str = Field(alias="to")
    percent_off: float
    first_day: str | None
    last_day: str | None


class Tariff(Document):
    """The prices of a partition."""

    centre: str
    centre_name: str
    partition: str
    gpus: int
    gpu_model: str
    unit: str
    zone: str
    now: PricesNow
    changes_at: Time | None
    versions: list[Version]
    sales: list[Sale]
    rounding: str
    remarks: list[str]


class Tariffs(DatedList):
    tariffs: list[Tariff]
