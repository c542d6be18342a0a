"""`CentreSpec`: one member centre as described by its `centre.toml`. A mistake is a `SpecError` with the key and the
expected value.

Knows only the document, not the live state of the centre, its load, or its users.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ..dialects.dialect import DIALECTS
from ..hosts import domains_of
from .fields import Account, Document, Gres, Host, Identifier, Memory, Network, Person, Walltime, one_spelling
from .tariff import MODEL, Sale, Tariff, TariffFrom, TimeZone
from .times import Instant
from .toml_page import parse
from .transports import EmbeddedTransport, LocalTransport, SshTransport

if TYPE_CHECKING:
    DialectName = str
else:
    DialectName = Literal[tuple(DIALECTS)]
READ_AGAIN = frozenset({"maintenance", "announcement"})  # sections of a changed page that a running broker reads again,
READ_AGAIN_EVERY = 60.0  # at this interval in seconds


class PartitionSpec(Document):
    """A partition of the centre. Sizes are per node; the live numbers come from the scheduler."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="The scheduler's name of the partition or queue.")
    ]
    nodes: int = Field(default=1, ge=1, description="Number of nodes.")
    cores: int = Field(ge=1, description="Cores per node.")
    memory: Memory = Field(default=0, description="Memory per node; 0: not stated.")
    gpus: int = Field(default=0, ge=0, description="GPUs or DCUs per node.")
    gpu_model: str = Field(
        default="",
        pattern=rf"^{MODEL}{{0,64}}$",
        description="The scheduler's name of the model, like a100 or 3g.40gb+me.",
    )
    max_walltime: Walltime = Field(
        default=timedelta(days=1),
        description="The longest walltime that a session may request.",
        json_schema_extra={"default": "24h"},
    )
    tariff: Tariff = Field(default=Tariff(), description="The present prices.")
    tariff_from: list[TariffFrom] = Field(default=[], description="Later prices, each from an instant on.")
    sale: list[Sale] = Field(default=[], description="Idle hours that cost less.")

    @model_validator(mode="after")
    def _priced(self) -> Self:
        instants = [later.valid_from for later in self.tariff_from]
        twice = next((at for place, at in enumerate(instants) if at in instants[:place]), None)
        if twice:
            raise ValueError(f"two versions of the tariff begin at {twice.isoformat()}")
        for _, tariff in self.tariffs():
            if self.gpus and isinstance(tariff.gpu_hour, dict) and tariff.gpu_price(self.gpu_model) is None:
                raise ValueError(
                    "gpu_hour has no price for its own GPUs, "
                    f"{self.gpu_model or 'whose gpu_model is not stated'}: add the model, or other"
                )
        return self

    def tariffs(self) -> list[tuple[datetime | None, Tariff]]:
        """Returns all versions, each with the instant from which it applies (None: from the beginning), earliest
        first."""
        versions: list[tuple[datetime | None, Tariff]] = [(None, self.tariff)]
        for later in sorted(self.tariff_from, key=lambda one: one.valid_from):
            versions.append((later.valid_from, versions[-1][1].followed_by(later)))
        return versions

    @property
    def gpu_price(self) -> float:
        """Returns the credits an hour for one of its GPUs by the first version; 0 without a price."""
        return self.tariff.gpu_price(self.gpu_model) or 0.0


class IdentitySpec(Document):
    """The account under which a person's jobs run. `certificate`: the federation's SSH CA signs for the person's own
    account; `service`: `user` runs commands by `sudo -u ACCOUNT`; `shared`: all jobs run as one account, for demos
    only."""

    mode: Literal["certificate", "service", "shared"] = Field(
        default="shared", description="One of the three modes above."
    )
    accounts: Annotated[dict[Person, Account], BeforeValidator(one_spelling)] = Field(
        default={}, description="The centre admin's list: person = their account at the centre."
    )
    reserved: list[str] = Field(default=["root"], description="Accounts that can't be linked.")

    @model_validator(mode="after")
    def _one_person_each(self) -> Self:
        twice = sorted(
            {account for account in self.accounts.values() if list(self.accounts.values()).count(account) > 1}
        )
        if twice and self.mode != "shared":
            raise ValueError(f"accounts gives {twice[0]} to more than one person")
        return self


class NetworkSpec(Document):
    """How hub and sessions reach each other: `direct`, or `forward` through the login node's sshd."""

    sessions: Literal["direct", "forward"] = Field(
        default="direct", description="From the hub to a session's port on a node."
    )
    hub: Literal["direct", "forward"] = Field(default="direct", description="From a session to hub and broker.")
    hub_url: str = Field(
        default="",
        pattern=r"^(https?://[^/\s]+)?$",
        description="direct: the hub's URL as seen from the nodes, if it differs from the public URL.",
    )
    listen: str = Field(default="", description="forward: address of the login node that its nodes can reach.")
    listen_port: int = Field(default=18000, ge=1024, le=65535, description="forward: the port at that address.")
    nodes: list[Network] = Field(
        default=[], description="Networks of the compute nodes, like 10.1.0.0/16: a session may listen only there."
    )

    domains: list[Host] = Field(
        default=[],
        description="Domains in the nodes' full names, like cluster.example, if the scheduler uses short names.",
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.hub == "forward" and not self.listen:
            raise ValueError(
                'listen must name the login node\'s address that its nodes can reach, because hub = "forward"'
            )
        return self


class StorageSpec(Document):
    """A file system that sessions see. In `path`, `{account}` stands for the person's account."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="A short name, like scratch.")]
    path: str = Field(description="The mount point on login node and nodes.")
    purpose: str = Field(
        default="", max_length=200, description="The kind of files for it, and how long they are kept."
    )


class Maintenance(Document):
    """A time in which the centre runs no sessions: no session is placed that could run into it."""

    start: Instant = Field(description="With its time zone: 2027-01-15T08:00:00+08:00.")
    end: Instant = Field(description="With its time zone, like `start`.")
    reason: str = Field(default="", max_length=200, description="The reason that people see.")

    @model_validator(mode="after")
    def _forward_in_time(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class Announcement(Document):
    """A message to all users of the centre for a time: shown on the start page, in panels and at sessions there."""

    message: str = Field(min_length=1, max_length=500, description="One or two sentences.")
    start: Instant = Field(description="Shown from this time on, with its time zone: 2027-01-15T08:00:00+08:00.")
    end: Instant = Field(description="Shown until this time.")
    blocks_starts: bool = Field(
        default=False, description="Whether new starts are refused there in that time; running sessions continue."
    )

    @model_validator(mode="after")
    def _forward_in_time(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class SessionSpec(Document):
    """Where sessions run. In `directory` and `home`, `{account}` stands for the person's account at the centre."""

    python: str = Field(
        description="The interpreter of the session environment, like /opt/scnet/session/bin/python: `scnet centres "
        "deploy` installs it."
    )
    directory: str = Field(description="Folder for a session's own files; login node and nodes must share it.")
    home: str = Field(default="{directory}/home/{account}", description="Where a session starts: the person's home.")
    host: str = Field(default="", description="Address that sessions listen on; empty: the node's own name.")
    memory_per_core: Memory = Field(
        default=0, description="Memory per core of a session that requests none; 0: the scheduler's default."
    )
    log_limit: Memory = Field(
        default=64 * 2**20,
        description="The largest size of a session's log, by default 64M: the excess is cut, and the log says so. 0: "
        "no limit.",
    )


class Ceilings(Document):
    """Ceilings on use at once; never money."""

    sessions: int | None = Field(default=None, ge=0, description="Concurrent sessions; missing: no ceiling.")
    cores: int | None = Field(default=None, ge=0, description="Cores of all concurrent sessions; missing: no ceiling.")
    gpus: int | None = Field(default=None, ge=0, description="GPUs of all concurrent sessions; missing: no ceiling.")

    def limits(self) -> dict[str, int]:
        """Returns the ceilings that are set."""
        found = {what: getattr(self, what) for what in Ceilings.model_fields}
        return {what: limit for what, limit in found.items() if limit is not None}


class CentreQuota(Ceilings):
    """Ceilings on concurrent use by all people of the federation together. A session that would exceed a ceiling is
    placed elsewhere."""

    each: Ceilings = Field(default=Ceilings(), description="Ceilings for each person.")


class Watch(Document):
    """How often the centre is queried for all its jobs together. Slow answers make the queries rarer."""

    interval: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="Seconds between queries while no session waits or starts, and between queries of the nodes.",
    )
    busy_interval: float = Field(
        default=10.0,
        ge=0.5,
        le=600,
        description="Seconds between queries while a session waits or starts; the shortest interval at any time.",
    )
    forget_after: float = Field(
        default=1800.0,
        ge=1,
        description="Seconds after which a job that neither the centre's queue nor its accounting knows is given up.",
    )


class CentreSpec(Document):
    """One member centre: its operator, its connection, its partitions and their prices."""

    id: Identifier = Field(
        description="The centre's permanent name in commands and addresses: lower-case letters, digits, hyphens."
    )
    name: str = Field(min_length=1, max_length=100, description="The name that people see.")
    organisation: str = Field(default="", max_length=200, description="The organisation that runs the centre.")
    contact: str = Field(
        default="", max_length=200, description="The contact of people and operators: an address or a page."
    )
    time_zone: TimeZone = Field(
        default="Asia/Shanghai", description="The wall clock for sales: a name of the IANA list."
    )
    dialect: DialectName = Field(default="slurm", description="The scheduler.")
    accounting: Literal["", "sacct", "scontrol"] = Field(
        default="", description="Slurm: the source of ended jobs; empty: detected (scontrol if there is no slurmdbd)."
    )
    accelerators: list[Gres] = Field(
        default=[],
        description="Slurm: the GresTypes that count as GPUs, like dcu; empty: detected (gpu, dcu, npu, mlu and "
        "similar).",
    )
    transport: EmbeddedTransport | LocalTransport | SshTransport = Field(
        discriminator="kind", description="The way to the centre."
    )
    identity: IdentitySpec = Field(default=IdentitySpec(), description="The accounts under which people's jobs run.")
    network: NetworkSpec = Field(default=NetworkSpec(), description="How hub and sessions reach each other.")
    partition: list[PartitionSpec] = Field(
        min_length=1, description="The partitions, best first: ties go to the first one."
    )
    session: SessionSpec = Field(description="Where sessions run.")
    storage: list[StorageSpec] = Field(default=[], description="File systems that sessions see.")
    maintenance: list[Maintenance] = Field(default=[], description="Times in which the centre runs no sessions.")
    announcement: list[Announcement] = Field(default=[], description="Messages to people, with their times.")
    quota: CentreQuota = Field(
        default=CentreQuota(), description="Ceilings on concurrent use by people of the federation."
    )
    watch: Watch = Field(default=Watch(), description="The intervals of queries.")

    def offered(self, name: str) -> PartitionSpec | None:
        return next((partition for partition in self.partition if partition.name == name), None)

    @property
    def domains(self) -> set[str]:
        """Returns the domains of the centre's own machines: those on the page, and those of its login nodes."""
        login = self.transport.hosts if isinstance(self.transport, SshTransport) else []
        return {*self.network.domains, *domains_of(login)}

    def maintenance_in(self, start: datetime, end: datetime) -> Maintenance | None:
        """Returns the first maintenance that overlaps these times."""
        return next(
            (one for one in sorted(self.maintenance, key=lambda one: one.start) if one.start < end and start < one.end),
            None,
        )

    def remarks(self) -> list[str]:
        """Returns warnings about probable omissions on a valid page."""
        bare = [
            one.name
            for one in self.partition
            if one.gpus and any(tariff.gpu_hour is None for _, tariff in one.tariffs())
        ]
        return [
            f"Partition {name} has GPUs and no gpu_hour in its tariff: without a price, no session with a GPU "
            "can start there."
            for name in bare
        ]

    def announced(self, now: datetime) -> list[Announcement]:
        """Returns present and future announcements, earliest first."""
        return sorted((one for one in self.announcement if now < one.end), key=lambda one: one.start)


def parse_centre(text: str, *, source: str) -> CentreSpec:
    """Parses a `centre.toml`. Raises SpecError with `source`, the key, and the expected value."""
    return parse(CentreSpec, text, source=source)
