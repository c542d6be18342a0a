"""`FederationSpec`: the federation's own page, with its centres, its projects and the profiles of the start form."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from .. import identifiers
from .centre import Ceilings
from .fields import Document, Identifier, Memory, Walltime, one_spelling
from .tariff import TimeZone
from .times import Instant
from .toml_page import parse

Person = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(identifiers.person)]
LotName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^/]*$")]
DOMAIN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
Address = Annotated[str, Field(max_length=255, pattern=rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{DOMAIN}$")]
Credits = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Quota(Document):
    """Ceilings on a project's use at once; never money."""

    sessions: int = Field(default=8, ge=0)
    cores: int = Field(default=32, ge=0)
    gpus: int = Field(default=0, ge=0)


class GrantSpec(Document):
    """A lot of credits."""

    amount: Credits
    until: Instant | None = Field(default=None, description="When unspent credits end; missing: never.")
    centres: list[Identifier] = Field(default=[], description="The centres where it may be spent; none: everywhere.")
    grantor: Identifier = Field(default="federation", description="The grantor.")
    rate: float = Field(
        default=0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="Money that the grantor pays a centre for each credit.",
    )


class GrantorSpec(Document):
    """A body that gives credits: a ministry, a member, the federation itself."""

    id: Identifier
    title: str = Field(default="", max_length=200)
    budget: Credits | None = Field(
        default=None, description="The most that it gives in total, without expired credits; missing: no limit."
    )


class ProjectSpec(Document):
    id: Identifier
    title: str = Field(default="", max_length=200)
    kind: Literal["research", "personal", "company", "class"] = "research"
    members: list[Person] = []
    pi: Person | Literal[""] = Field(
        default="", description="The person who leads it; also a member, who requests allocations."
    )
    managers: list[Person] = Field(default=[], description="Members who request allocations for the PI.")
    caps: Annotated[dict[Person, Credits], BeforeValidator(one_spelling)] = Field(
        default={}, description="The most that a member may spend, including held credits."
    )
    overdraft: float = Field(
        default=0, ge=0, le=1e9, allow_inf_nan=False, description="The credits that it may go below zero."
    )
    grants: dict[LotName, Credits | GrantSpec] = Field(
        default={}, description="Lots of credits by name; a name is granted once."
    )
    quota: Quota = Quota()
    each: Ceilings = Field(default=Ceilings(), description="Ceilings on each member's concurrent use.")
    centres: list[Identifier] = Field(default=[], description="The centres for its sessions; none: everywhere.")
    max_price: float | None = Field(
        default=None, ge=0, description="The most that an hour of one session may cost, in credits."
    )


class Weights(Document):
    """Weights between places that are ready equally soon, in one unit: a step of 5 % of fullness is 1. Ties go to the
    lower price."""

    fullness: float = Field(default=1.0, ge=0, le=1000, description="For each 5 % that a partition is fuller.")
    price: float = Field(
        default=0.0, ge=0, le=1000, description="For each credit that an hour of the session costs more."
    )
    away: float = Field(
        default=3.0, ge=0, le=1000, description="For a centre other than that of the person's last Lab session."
    )


class Profile(Document):
    """A size that the start form offers by name."""

    id: Identifier
    title: str = Field(min_length=1, max_length=60)
    description: str = Field(default="", max_length=200)
    cores: int = Field(default=1, ge=1)
    memory: Memory = 0
    gpus: int = Field(default=0, ge=0)
    walltime: Walltime


class SecondChanceSpec(Document):
    """When a start is continued elsewhere automatically. Times are seconds."""

    patience: float = Field(
        default=40, gt=0, description="A Lab that is not running after this time is also submitted elsewhere."
    )
    job_patience: float = Field(default=10, gt=0, description="The same for a batch job and a Dask worker.")
    pinned_patience: float = Field(
        default=600, gt=0, description="The same if the person chose the centre: in another of its partitions."
    )
    start_patience: float = Field(default=180, gt=0, description="How long a running Lab has to call home.")
    copies: int = Field(
        default=3,
        ge=1,
        le=5,
        description="The most concurrent copies of a session at centres; 1: none beside the first.",
    )
    tries: int = Field(
        default=3, ge=1, le=10, description="Places that are tried in turn if they refuse or the start dies."
    )
    extra_share: float = Field(
        default=0.4, ge=0, le=1, description="Further copies in an hour, as a share of that hour's other starts..."
    )
    extra_free: int = Field(
        default=5, ge=0, description="... and so many in addition for each centre of the federation."
    )


class Idle(Document):
    """When an idle JupyterLab session is stopped; its person is warned before."""

    timeout: Walltime = Field(default=timedelta(hours=2), description="0: never.", ge=timedelta())


class DecisionsSpec(Document):
    """How long the decision log is kept, in days."""

    keep_days: int = Field(default=90, ge=1, le=3650, description="Each decision with its reasons and its outcome.")
    replay_days: int = Field(
        default=14, ge=1, le=3650, description="The inputs of decisions, which are larger: for replaying them."
    )


class LeaseSpec(Document):
    """The hold of a Lab or a cluster: credits for a limited time ahead, extended while it lives, instead of for its
    whole walltime."""

    length: Walltime = Field(
        default=timedelta(hours=1), description="0: for the whole walltime, as a batch job does.", ge=timedelta()
    )


class SettlementSpec(Document):
    """How members settle with each other."""

    fee_percent: float = Field(
        default=0, ge=0, le=50, allow_inf_nan=False, description="The federation's part of each charge."
    )
    accept_days: int = Field(default=14, ge=1, le=365, description="How long a member can dispute a statement.")


class MemberSpec(Document):
    """A body of the federation that earns through its centres and answers its statements."""

    id: Identifier
    title: str = Field(default="", max_length=200)
    centres: list[Identifier] = Field(
        default=[], description="Its centres; a centre that no member has is a member of its own id."
    )
    people: list[Person] = Field(default=[], description="The people who may read and answer its statements.")


def _once(members: list[MemberSpec]) -> list[MemberSpec]:
    ids, centres = [one.id for one in members], [centre for one in members for centre in one.centres]
    if twice := next((one for one in ids if ids.count(one) > 1), ""):
        raise ValueError(f"two members are called {twice!r}")
    if twice := next((one for one in centres if centres.count(one) > 1), ""):
        raise ValueError(f"centre {twice!r} is listed twice, but it can belong to only one member")
    taken = {centre: one.id for one in members for centre in one.centres}
    if strange := next((one for one in ids if taken.get(one, one) != one), ""):
        raise ValueError(f"member {strange!r} has the id of a centre of {taken[strange]!r}: choose another id")
    return members


class MailSpec(Document):
    """The mail server; without a host no mails are sent, and pages show the same news."""

    host: str = Field(default="", max_length=255)
    port: int = Field(default=25, ge=1, le=65535)
    sender: Address = "scnet-hub@localhost"
    domain: str = Field(
        default="",
        pattern=rf"^({DOMAIN})?$",
        description="Appended to people's names that are not addresses; missing: those people get no mail.",
    )
    operators: list[Address] = Field(default=[], description="Addresses for mails to the federation's operators.")
    user: str = Field(default="", max_length=255, description="The user for the login at the host; missing: no login.")
    password_file: str = Field(
        default="", pattern=r"^(/.*)?$", description="Path of a file (0600) with that user's password."
    )


class FederationQuota(Document):
    """Ceilings on use at once, beside those of projects and centres."""

    person: Ceilings = Field(default=Ceilings(), description="Ceilings for each person, over all projects together.")


class FederationSpec(Document):
    """The federation's page. `centres` are paths of centre.toml files, relative to this file; `*` stands for all files
    of a folder."""

    name: str = Field(default="SCNet Hub", max_length=100)
    time_zone: TimeZone = Field(default="Asia/Shanghai", description="The zone in which its months begin and end.")
    centres: list[str] = Field(min_length=1)
    project: list[ProjectSpec] = []
    grantor: list[GrantorSpec] = Field(
        default=[], description="The bodies that may give credits; none: any that an operator names."
    )
    member: Annotated[list[MemberSpec], AfterValidator(_once)] = Field(
        default=[], description="The bodies that settle with each other."
    )
    profile: list[Profile] = []
    quota: FederationQuota = FederationQuota()
    second_chance: SecondChanceSpec = SecondChanceSpec()
    placement: Weights = Weights()
    idle: Idle = Idle()
    decisions: DecisionsSpec = DecisionsSpec()
    lease: LeaseSpec = LeaseSpec()
    settlement: SettlementSpec = SettlementSpec()
    mail: MailSpec = MailSpec()


def parse_federation(text: str, *, source: str) -> FederationSpec:
    """Parses a `federation.toml`. Raises SpecError with `source`, the key, and the expected value."""
    return parse(FederationSpec, text, source=source)
