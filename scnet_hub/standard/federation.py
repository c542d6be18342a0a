"""`FederationSpec`: the federation's own page: its centres, projects and the profiles that the start form offers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from .centre import Identifier, Memory, Walltime, _Document, parse
from .tariff import TimeZone

Person = Annotated[str, Field(min_length=1, max_length=255)]
LotName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^/]*$")]
Credits = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Quota(_Document):
    """Ceilings on a project's use at once; never money."""

    sessions: int = Field(default=8, ge=0)
    cores: int = Field(default=32, ge=0)
    gpus: int = Field(default=0, ge=0)


class GrantSpec(_Document):
    """A lot of credits."""

    amount: Credits
    until: AwareDatetime | None = Field(default=None, description="What is not spent then is gone; none: never.")
    centres: list[Identifier] = Field(default=[], description="Where it may be spent; none: everywhere.")
    grantor: Identifier = Field(default="federation", description="Who gives it.")
    rate: float = Field(default=0, ge=0, le=1e6, allow_inf_nan=False, description="Money that the grantor pays a centre for each credit.")


class GrantorSpec(_Document):
    """Who gives credits: a ministry, a member, the federation itself."""

    id: Identifier
    title: str = Field(default="", max_length=200)
    budget: Credits | None = Field(default=None, description="The most that it gives in all, expired credits not counted; none: no limit.")


class ProjectSpec(_Document):
    id: Identifier
    title: str = Field(default="", max_length=200)
    kind: Literal["research", "personal", "company", "class"] = "research"
    members: list[Person] = []
    pi: Person | Literal[""] = Field(default="", description="Who leads it; a member too, who asks for allocations.")
    managers: list[Person] = Field(default=[], description="Members who do so for the PI.")
    caps: dict[Person, Credits] = Field(default={}, description="The most that one of its members may spend, held included.")
    overdraft: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False, description="Credits that it may go below zero.")
    grants: dict[LotName, Credits | GrantSpec] = Field(default={}, description="Lots of credits by name; a name is granted once.")
    quota: Quota = Quota()
    centres: list[Identifier] = Field(default=[], description="Where its sessions may go; none: everywhere.")
    max_price: float | None = Field(default=None, ge=0, description="The most that an hour of one session may cost, in credits.")


class Weights(_Document):
    """What counts between places that are ready equally soon, in the same coin: a step of 5 % of fullness is 1. Then comes the price."""

    fullness: float = Field(default=1.0, ge=0, le=1000, description="Each 5 % that a partition is fuller.")
    price: float = Field(default=0.0, ge=0, le=1000, description="Each credit that an hour of the session costs more.")
    away: float = Field(default=3.0, ge=0, le=1000, description="Another centre than the one where the person's last Lab session was.")


class Profile(_Document):
    """A size that the start form offers by name."""

    id: Identifier
    title: str = Field(min_length=1, max_length=60)
    description: str = Field(default="", max_length=200)
    cores: int = Field(default=1, ge=1)
    memory: Memory = 0
    gpus: int = Field(default=0, ge=0)
    walltime: Walltime


class SecondChanceSpec(_Document):
    """When a start goes on elsewhere by itself. Times are seconds."""

    patience: float = Field(default=40, gt=0, description="A Lab that is not running after so long is also asked for elsewhere.")
    pinned_patience: float = Field(default=600, gt=0, description="Where the person chose the centre: in another of its partitions.")
    start_patience: float = Field(default=180, gt=0, description="How long one that runs has to call home.")
    copies: int = Field(default=3, ge=1, le=5, description="Copies of a session that may be at centres at once; 1: none beside the first.")
    tries: int = Field(default=3, ge=1, le=10, description="Places that are tried, one after the other, if they refuse or the start dies.")
    extra_share: float = Field(default=0.4, ge=0, le=1, description="Further copies in an hour, as a share of that hour's other starts...")
    extra_free: int = Field(default=5, ge=0, description="... and so many besides for each centre of the federation.")


class Idle(_Document):
    """When a JupyterLab session that nobody uses and in which nothing runs is stopped; its person is warned before."""

    timeout: Walltime = Field(default=timedelta(hours=2), description="0: never.", ge=timedelta())


class DecisionsSpec(_Document):
    """How long the decision log is kept, in days."""

    keep_days: int = Field(default=90, ge=1, le=3650, description="Each decision with its reasons and what became of it.")
    replay_days: int = Field(default=14, ge=1, le=3650, description="What it was made from, which is larger: for replaying it.")


class FederationSpec(_Document):
    """`centres` are paths of centre.toml files, relative to this file; a `*` stands for all of a folder, by name."""

    name: str = Field(default="SCNet Hub", max_length=100)
    time_zone: TimeZone = Field(default="Asia/Shanghai", description="Where its months begin and end.")
    centres: list[str] = Field(min_length=1)
    project: list[ProjectSpec] = []
    grantor: list[GrantorSpec] = Field(default=[], description="Who may give credits; none: anybody whom an operator names.")
    profile: list[Profile] = []
    second_chance: SecondChanceSpec = SecondChanceSpec()
    placement: Weights = Weights()
    idle: Idle = Idle()
    decisions: DecisionsSpec = DecisionsSpec()


def parse_federation(text: str, *, source: str) -> FederationSpec:
    """The spec in a `federation.toml`. Raises SpecError naming `source`, the key, and what was expected there."""
    return parse(FederationSpec, text, source=source)
