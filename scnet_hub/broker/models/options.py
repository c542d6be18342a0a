"""The options of a session, as `domain/sessions/requests.py` takes them: the models are made from its tables."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, WithJsonSchema, create_model

from ...domain.jobs import JobRequest
from ...domain.sessions import requests
from .base import Document, Taken

Text = Annotated[str, Field(max_length=requests.MAX_TEXT)]
Kind = Enum("Kind", {kind.upper(): kind for kind in requests.KINDS}, type=str)  # type: ignore[misc]
SIZES = {"memory": "integer", "walltime": "number"}
DESCRIPTIONS = {
    "name": "The person's own label; of a Lab its server's name.",
    "project": "Who pays; the person's first project unless given.",
    "cores": "Of the whole job.",
    "memory": 'Like "4G", or bytes; the centre\'s share of so many cores unless given.',
    "gpus": "Of the whole job.",
    "walltime": 'Like "30m", "2h" or "1-12:00:00", or seconds; an hour unless given.',
    "centre": "Only there.",
    "partition": "Only there.",
}


def _field(name: str) -> tuple[Any, Any]:
    said = DESCRIPTIONS.get(name)
    if name == "kind":
        return Kind | None, Field(Kind("lab"), description=said)
    if name in requests.NUMBERS:
        least, most = requests.NUMBERS[name]
        return Annotated[int, Field(ge=least, le=most)] | None, Field(least, description=said)
    return (_size(SIZES[name]) if name in SIZES else Text | None), Field("", description=said)


def _size(number: str) -> Any:
    kinds = [{"type": "string", "maxLength": requests.MAX_TEXT}, {"type": number}, {"type": "null"}]
    return Annotated[str | float | None, WithJsonSchema({"anyOf": kinds})]


if TYPE_CHECKING:

    class Options(Taken):
        """What a session needs."""

    class Requested(Document):
        """Options as understood."""

else:
    Options = create_model(
        "Options",
        __base__=Taken,
        __doc__='What a session needs; null and "" are the default. `POST placements` and `POST quotes` take the same, and start nothing.',
        **{name: _field(name) for name in (*requests.TEXTS, *requests.NUMBERS, "memory", "walltime")},
    )
    _hints = get_type_hints(JobRequest)
    Requested = create_model(
        "Requested",
        __base__=Document,
        __doc__="Options as understood: sizes of the whole job, memory in bytes (0: the centre's default).",
        **{
            one.name: (list[str] if one.name == "centres" else _hints[one.name], ...)
            for one in fields(JobRequest)
            if _hints[one.name] is not timedelta
        },
        walltime_s=(float, ...),
    )


class Start(Options):
    """What a session needs, and what runs in it."""

    model_config = ConfigDict(title="Start")

    argv: list[str] = Field(default=[], description="The program and its arguments; kinds dask and batch need it.")
    env: dict[str, str] = Field(default={}, description="Variables of its environment: 64 KiB together with `argv`.")
    files: dict[str, Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]] = Field(
        default={},
        max_length=requests.MAX_FILES,
        description="Of a batch job: relative names to base64, 128 KiB in all, that lie in the job's working folder.",
    )
