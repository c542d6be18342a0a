"""What the tables of a centre's page share: the base of their models, and the types of their fields."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ...errors import BadOption
from ...units import parse_memory, parse_walltime
from .. import identifiers as identity

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
    str,
    BeforeValidator(lambda value: str(ipaddress.ip_network(value))),
    WithJsonSchema({"type": "string", "format": "network"}),
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
    """Refuses a table in which two keys are one person. The field's type refuses other values."""
    names = [name for name in value if isinstance(name, str)] if isinstance(value, dict) else []
    if twice := identity.alike(names):
        both = next(iter(twice.values()))
        raise ValueError(f"{' and '.join(map(repr, both))} are one person; keep one of them")
    return value


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
