"""`CentreSpec`: one member centre as its `centre.toml` says it. A mistake is a `SpecError` with the key and what was expected.

Knows the document only: whether the centre is up, how full it is and who may use it are other files' business.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from ...errors import BadOption
from ...units import parse_memory, parse_walltime
from .. import identifiers as identity
from ..dialects.dialect import DIALECTS
from ..hosts import domains_of
from .tariff import MODEL, Sale, Tariff, TariffFrom, TimeZone
from .times import Instant
from .toml_page import parse

if TYPE_CHECKING:
    DialectName = str
else:
    DialectName = Literal[tuple(DIALECTS)]
READ_AGAIN = frozenset({"maintenance", "announcement"})  # what a running broker takes in from a page that was changed,
READ_AGAIN_EVERY = 60.0  # so many seconds after another
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Walltime = Annotated[
    timedelta,
    BeforeValidator(lambda value: _plain(parse_walltime, value)),
    WithJsonSchema({"type": ["string", "integer"], "format": "walltime", "examples": ["90m", "24h", "2-12:00:00"]}),
]
Gres = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$")]
Account = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.-]{0,31}$")]
PublicKey = Annotated[str, Field(pattern=r"^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$")]
Network = Annotated[
    str, BeforeValidator(lambda value: str(ipaddress.ip_network(value))), WithJsonSchema({"type": "string", "format": "network"})
]
Person = Annotated[str, AfterValidator(identity.person)]
Memory = Annotated[
    int,
    BeforeValidator(lambda value: _plain(parse_memory, value)),
    Field(ge=0),
    WithJsonSchema({"type": ["string", "integer"], "format": "memory", "examples": ["4G", "512M"]}),
]


def _plain(parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except BadOption as error:
        raise ValueError(f"{error} {error.hint}") from error


def one_spelling(value: Any) -> Any:
    """Refuses a table in which two keys are one person; what is no table the type itself refuses."""
    names = [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []
    if twice := identity.alike(names):
        both = next(iter(twice.values()))
        raise ValueError(f"{' and '.join(map(repr, both))} are one person; keep one of them")
    return value


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartitionSpec(_Document):
    """What a centre offers of one partition. Sizes are per node; the live numbers come from the scheduler."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="As the scheduler calls it: partition, queue.")]
    nodes: int = Field(default=1, ge=1, description="How many nodes it has.")
    cores: int = Field(ge=1, description="Cores of one node.")
    memory: Memory = Field(default=0, description="Memory of one node; 0: not said.")
    gpus: int = Field(default=0, ge=0, description="GPUs or DCUs of one node.")
    gpu_model: str = Field(default="", pattern=rf"^{MODEL}{{0,64}}$", description="As the scheduler calls them, like a100 or 3g.40gb+me.")
    max_walltime: Walltime = Field(
        default=timedelta(days=1), description="The longest that a session may ask for.", json_schema_extra={"default": "24h"}
    )
    tariff: Tariff = Field(default=Tariff(), description="What it costs.")
    tariff_from: list[TariffFrom] = Field(default=[], description="What it will cost from some instant on, and from a later one.")
    sale: list[Sale] = Field(default=[], description="Idle hours that cost less.")

    @model_validator(mode="after")
    def _priced(self) -> Self:
        instants = [later.valid_from for later in self.tariff_from]
        twice = next((at for place, at in enumerate(instants) if at in instants[:place]), None)
        if twice:
            raise ValueError(f"two versions of the tariff hold from {twice.isoformat()} on")
        for _, tariff in self.tariffs():
            if self.gpus and isinstance(tariff.gpu_hour, dict) and tariff.gpu_price(self.gpu_model) is None:
                raise ValueError(
                    f"gpu_hour has no price for its own GPUs, {self.gpu_model or 'whose gpu_model is not said'}: name it, or other"
                )
        return self

    def tariffs(self) -> list[tuple[datetime | None, Tariff]]:
        """All versions, each with the instant from which it holds (None: from ever), the earliest first."""
        versions: list[tuple[datetime | None, Tariff]] = [(None, self.tariff)]
        for later in sorted(self.tariff_from, key=lambda one: one.valid_from):
            versions.append((later.valid_from, versions[-1][1].followed_by(later)))
        return versions

    @property
    def gpu_price(self) -> float:
        """Credits an hour for one of its GPUs by the first version; 0 where none is said."""
        return self.tariff.gpu_price(self.gpu_model) or 0.0


class EmbeddedTransport(_Document):
    """An embedded centre on this machine, for demonstrations and tests."""

    kind: Literal["embedded"]
    socket: str = Field(description="Unix socket of the embedded centre.")


class LocalTransport(_Document):
    """A scheduler whose commands run on the hub's own machine."""

    kind: Literal["local"]
    environment: dict[str, str] = Field(default={}, description="Set for every command, for example SLURM_CONF.")
    path: str = Field(default="", description="Folder of the scheduler's commands, put before PATH.")


class SshTransport(_Document):
    """A login node. The federation pins its host keys and shows a certificate of its own CA, or its own key."""

    kind: Literal["ssh"]
    hosts: list[Host] = Field(min_length=1, description="Login nodes, best first.")
    port: int = Field(default=22, ge=1, le=65535, description="The port of their sshd.")
    user: Account = Field(default="scnet", description="The federation's own account at the centre: watches, and forwards ports.")
    host_keys: list[PublicKey] = Field(default=[], description="The login nodes' public host keys, as in their ssh_host_*_key.pub.")
    host_ca: list[PublicKey] = Field(default=[], description="Public keys of the centre's host CA, instead of host_keys.")
    key_file: str = Field(
        default="",
        description="Private key (0600) of `user`, where the centre doesn't trust the federation's CA; relative to the state folder.",
    )
    environment: dict[str, str] = Field(default={}, description="Set for every command, for example SGE_ROOT.")
    path: str = Field(default="", description="Folder of the scheduler's commands, put before PATH.")
    concurrency: int = Field(default=8, ge=1, le=100, description="Commands at once on the login node; below sshd's MaxSessions.")

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if not self.host_keys and not self.host_ca:
            raise ValueError("host_keys or host_ca must name at least one key: a login node is never trusted unseen")
        return self


class IdentitySpec(_Document):
    """Under which account a person's jobs run. `certificate`: the federation's SSH CA signs for the person's own account;
    `service`: `user` does it by `sudo -u ACCOUNT`; `shared`: everything runs as the one account, which is for demos only."""

    mode: Literal["certificate", "service", "shared"] = Field(default="shared", description="Which of the three; see above.")
    accounts: Annotated[dict[Person, Account], BeforeValidator(one_spelling)] = Field(
        default={}, description="The centre admin's list: person = their account here."
    )
    reserved: list[str] = Field(default=["root"], description="Accounts that nobody may link.")

    @model_validator(mode="after")
    def _one_person_each(self) -> Self:
        twice = sorted({account for account in self.accounts.values() if list(self.accounts.values()).count(account) > 1})
        if twice and self.mode != "shared":
            raise ValueError(f"accounts gives {twice[0]} to more than one person")
        return self


class NetworkSpec(_Document):
    """How hub and sessions reach each other: `direct`, or `forward` through the login node's sshd."""

    sessions: Literal["direct", "forward"] = Field(default="direct", description="From the hub to a session's port on a node.")
    hub: Literal["direct", "forward"] = Field(default="direct", description="From a session to hub and broker.")
    hub_url: str = Field(
        default="", pattern=r"^(https?://[^/\s]+)?$", description="direct: the hub as seen from the nodes, if not its public URL."
    )
    listen: str = Field(default="", description="forward: address of the login node that its nodes can reach.")
    listen_port: int = Field(default=18000, ge=1024, le=65535, description="forward: the port there.")
    nodes: list[Network] = Field(
        default=[], description="Networks of the compute nodes, like 10.1.0.0/16: nowhere else may a session listen."
    )

    domains: list[Host] = Field(
        default=[], description="Domains in the nodes' full names, like cluster.example, where the scheduler says short names."
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.hub == "forward" and not self.listen:
            raise ValueError('listen must name the login node\'s address that its nodes can reach, because hub = "forward"')
        return self


class StorageSpec(_Document):
    """A file system that sessions see. In `path`, `{account}` stands for the person's account."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="A short name, like scratch.")]
    path: str = Field(description="Where it is mounted on login node and nodes.")
    purpose: str = Field(default="", max_length=200, description="What belongs there, and for how long it stays.")


class Maintenance(_Document):
    """A time in which the centre runs no sessions: none is placed that could run into it."""

    start: Instant = Field(description="With its time zone: 2027-01-15T08:00:00+08:00.")
    end: Instant = Field(description="The same.")
    reason: str = Field(default="", max_length=200, description="What people are told.")

    @model_validator(mode="after")
    def _forward_in_time(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class Announcement(_Document):
    """What everybody who uses the centre should know for a time: shown on the start page, in panels and at sessions there."""

    message: str = Field(min_length=1, max_length=500, description="One or two sentences.")
    start: Instant = Field(description="From when it counts, with its time zone: 2027-01-15T08:00:00+08:00.")
    end: Instant = Field(description="Until when.")
    blocks_starts: bool = Field(default=False, description="Whether no session is started there in that time; running ones go on.")

    @model_validator(mode="after")
    def _forward_in_time(self) -> Self:
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self


class SessionSpec(_Document):
    """Where sessions run. In `directory` and `home`, `{account}` stands for the person's account at the centre."""

    python: str = Field(
        description="The interpreter of the session environment, like /opt/scnet/session/bin/python: `scnet centre deploy` puts it there."
    )
    directory: str = Field(description="Folder for a session's own files; login node and nodes must share it.")
    home: str = Field(default="{directory}/home/{account}", description="Where a session starts: the person's home.")
    host: str = Field(default="", description="Address that sessions listen on; empty: the node's own name.")
    memory_per_core: Memory = Field(default=0, description="What a session gets per core if it does not say; 0: the scheduler's default.")
    log_limit: Memory = Field(
        default=64 * 2**20,
        description="The most that a session's log may take, 64M if nothing is said: it is cut, with a sentence in it. 0: no ceiling.",
    )


class Ceilings(_Document):
    """Ceilings on what is used at once; never money."""

    sessions: int | None = Field(default=None, ge=0, description="Sessions at once; not said: no ceiling.")
    cores: int | None = Field(default=None, ge=0, description="Cores of all of them; not said: no ceiling.")
    gpus: int | None = Field(default=None, ge=0, description="GPUs of all of them; not said: no ceiling.")

    def limits(self) -> dict[str, int]:
        """Those that there are."""
        found = {what: getattr(self, what) for what in Ceilings.model_fields}
        return {what: limit for what, limit in found.items() if limit is not None}


class CentreQuota(Ceilings):
    """What people of the federation may use here at once, all together. What would pass a ceiling is placed elsewhere."""

    each: Ceilings = Field(default=Ceilings(), description="What each person may.")


class Watch(_Document):
    """How often the centre is asked for all its jobs at once. A slow answer makes it rarer by itself."""

    interval: float = Field(default=30.0, ge=1, le=600, description="Seconds between looks when calm, and between looks at the nodes.")
    busy_interval: float = Field(
        default=10.0, ge=0.5, le=600, description="Seconds between looks while a session waits or starts, and the least at any time."
    )
    forget_after: float = Field(
        default=1800.0, ge=1, description="Seconds after which a job that the centre, queue and accounting, knows nothing of is given up."
    )


class CentreSpec(_Document):
    """One member centre: who runs it, how it is reached, what it offers at which price."""

    id: Identifier = Field(description="Its name in commands and addresses, for ever: small letters, digits, hyphens.")
    name: str = Field(min_length=1, max_length=100, description="Its name for people.")
    organisation: str = Field(default="", max_length=200, description="Who runs it.")
    contact: str = Field(default="", max_length=200, description="Whom people and operators ask: an address or a page.")
    time_zone: TimeZone = Field(default="Asia/Shanghai", description="Its wall clock, by which sales go: a name of the IANA list.")
    dialect: DialectName = Field(default="slurm", description="Its scheduler.")
    accounting: Literal["", "sacct", "scontrol"] = Field(
        default="", description="Slurm: where ended jobs are looked up; empty: found out (scontrol where there is no slurmdbd)."
    )
    accelerators: list[Gres] = Field(
        default=[], description="Slurm: the GresTypes that count as GPUs, like dcu; empty: found out (gpu, dcu, npu, mlu and their like)."
    )
    transport: EmbeddedTransport | LocalTransport | SshTransport = Field(discriminator="kind", description="How it is reached.")
    identity: IdentitySpec = Field(default=IdentitySpec(), description="Under which accounts people's jobs run.")
    network: NetworkSpec = Field(default=NetworkSpec(), description="How hub and sessions reach each other.")
    partition: list[PartitionSpec] = Field(min_length=1, description="What it offers, best first: ties go to the first one.")
    session: SessionSpec = Field(description="Where sessions run.")
    storage: list[StorageSpec] = Field(default=[], description="File systems that sessions see.")
    maintenance: list[Maintenance] = Field(default=[], description="Times in which it runs no sessions.")
    announcement: list[Announcement] = Field(default=[], description="What people are told of it, and when.")
    quota: CentreQuota = Field(default=CentreQuota(), description="What people of the federation may use at once.")
    watch: Watch = Field(default=Watch(), description="How often it is asked.")

    def offered(self, name: str) -> PartitionSpec | None:
        return next((partition for partition in self.partition if partition.name == name), None)

    @property
    def domains(self) -> set[str]:
        """Domains of the centre's own machines: what the page says, and the domains of its login nodes."""
        login = self.transport.hosts if isinstance(self.transport, SshTransport) else []
        return {*self.network.domains, *domains_of(login)}

    def maintenance_in(self, start: datetime, end: datetime) -> Maintenance | None:
        """The first maintenance that overlaps these times."""
        return next((one for one in sorted(self.maintenance, key=lambda one: one.start) if one.start < end and start < one.end), None)

    def remarks(self) -> list[str]:
        """What is allowed on a page, and was probably forgotten."""
        bare = [one.name for one in self.partition if one.gpus and any(tariff.gpu_hour is None for _, tariff in one.tariffs())]
        return [
            f"Partition {name} has GPUs and no gpu_hour in its tariff: they have no price, so nothing that asks for one can start there."
            for name in bare
        ]

    def announced(self, now: datetime) -> list[Announcement]:
        """Announcements that count now or will, the earliest first."""
        return sorted((one for one in self.announcement if now < one.end), key=lambda one: one.start)


def parse_centre(text: str, *, source: str) -> CentreSpec:
    """The spec in a `centre.toml`. Raises SpecError naming `source`, the key, and what was expected there."""
    return parse(CentreSpec, text, source=source)
