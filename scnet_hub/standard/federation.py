"""`FederationSpec`: the federation's own page: its centres, projects and the profiles that the start form offers."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from .centre import Identifier, Memory, Walltime, _Document, parse

Person = Annotated[str, Field(min_length=1, max_length=255)]


class Quota(_Document):
    """Ceilings on a project's use at once; never money."""

    sessions: int = Field(default=8, ge=0)
    cores: int = Field(default=32, ge=0)
    gpus: int = Field(default=0, ge=0)


class ProjectSpec(_Document):
    id: Identifier
    title: str = Field(default="", max_length=200)
    members: list[Person] = []
    grants: dict[str, float] = Field(default={}, description="Lots of credits by name; a name is granted once.")
    quota: Quota = Quota()


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
    extra_share: float = Field(default=0.15, ge=0, le=1, description="Further copies in an hour, as a share of that hour's other starts...")
    extra_free: int = Field(default=5, ge=0, description="... and so many besides.")


class Idle(_Document):
    """When a JupyterLab session that nobody uses and in which nothing runs is stopped; its person is warned before."""

    timeout: Walltime = Field(default=timedelta(hours=2), description="0: never.", ge=timedelta())


class FederationSpec(_Document):
    """`centres` are paths of centre.toml files, relative to this file; a `*` stands for all of a folder, by name."""

    name: str = Field(default="SCNet Hub", max_length=100)
    centres: list[str] = Field(min_length=1)
    project: list[ProjectSpec] = []
    profile: list[Profile] = []
    second_chance: SecondChanceSpec = SecondChanceSpec()
    idle: Idle = Idle()


def parse_federation(text: str, *, source: str) -> FederationSpec:
    """The spec in a `federation.toml`. Raises SpecError naming `source`, the key, and what was expected there."""
    return parse(FederationSpec, text, source=source)
