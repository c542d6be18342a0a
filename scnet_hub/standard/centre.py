"""`CentreSpec`: one member centre as its `centre.toml` says it. A mistake is a `SpecError` with the key and what was expected.

Knows the document only: whether the centre is up, how full it is and who may use it are other files' business.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..errors import BadOption, SpecError
from ..units import parse_memory, parse_walltime

D = TypeVar("D", bound=BaseModel)
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Walltime = Annotated[timedelta, BeforeValidator(lambda value: _plain(parse_walltime, value))]
Memory = Annotated[int, BeforeValidator(lambda value: _plain(parse_memory, value)), Field(ge=0)]


def _plain(parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except BadOption as error:
        raise ValueError(f"{error} {error.hint}") from error


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tariff(_Document):
    """Credits per hour of what is allocated, used or not."""

    core_hour: float = Field(default=1.0, ge=0, le=1e6)
    gpu_hour: float = Field(default=0.0, ge=0, le=1e6)


class PartitionSpec(_Document):
    """What a centre offers of one partition. Sizes are per node; the live numbers come from the scheduler."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    nodes: int = Field(default=1, ge=1)
    cores: int = Field(ge=1, description="Cores of one node.")
    memory: Memory = Field(default=0, description="Memory of one node; 0: not said.")
    gpus: int = Field(default=0, ge=0, description="GPUs or DCUs of one node.")
    gpu_model: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    max_walltime: Walltime = timedelta(days=1)
    tariff: Tariff = Tariff()


class EmbeddedTransport(_Document):
    kind: Literal["embedded"]
    socket: str = Field(description="Unix socket of the embedded centre.")


class LocalTransport(_Document):
    kind: Literal["local"]
    environment: dict[str, str] = Field(default={}, description="Set for every command, for example SLURM_CONF.")
    path: str = Field(default="", description="Folder of the scheduler's commands, put before PATH.")


class SessionSpec(_Document):
    """Where sessions run. In `home`, `{account}` stands for the person's account at the centre."""

    python: str = Field(description="The interpreter of the session environment, at the centre.")
    directory: str = Field(description="Folder at the centre for the sessions' files (0700).")
    home: str = Field(default="{directory}/home/{account}", description="Working folder of a session.")
    host: str = Field(default="", description="Address that sessions listen on; empty: the node's own name.")
    memory_per_core: Memory = Field(default=0, description="What a session gets per core if it does not say; 0: the scheduler's default.")


class Watch(_Document):
    interval: float = Field(default=15.0, ge=1, le=600, description="Seconds between status queries when calm.")
    busy_interval: float = Field(default=3.0, ge=0.5, le=600, description="The same while a session waits or starts.")


class CentreSpec(_Document):
    """One member centre: who runs it, how it is reached, what it offers at which price."""

    id: Identifier
    name: str = Field(min_length=1, max_length=100)
    organisation: str = Field(default="", max_length=200)
    dialect: str = "slurm"
    accounting: Literal["sacct", "scontrol"] = Field(
        default="sacct", description="Slurm: where ended jobs are looked up; scontrol where there is no slurmdbd."
    )
    transport: EmbeddedTransport | LocalTransport = Field(discriminator="kind")
    partition: list[PartitionSpec] = Field(min_length=1, description="Best first: ties go to the first one.")
    session: SessionSpec
    watch: Watch = Watch()

    def offered(self, name: str) -> PartitionSpec | None:
        return next((partition for partition in self.partition if partition.name == name), None)


def parse_centre(text: str, *, source: str) -> CentreSpec:
    """The spec in a `centre.toml`. Raises SpecError naming `source`, the key, and what was expected there."""
    return parse(CentreSpec, text, source=source)


def parse(document: type[D], text: str, *, source: str) -> D:
    try:
        return document.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{source}: not TOML: {error}.", hint="Mend the line it names.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
        raise SpecError(
            f"{source}: {key}: {first['msg']}{more}.",
            hint=f"It says {str(first.get('input'))[:80]!r}.",
            details={"source": source, "key": key},
        ) from error
