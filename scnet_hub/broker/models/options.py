"""The options of a session, as `domain/sessions/requests.py` takes them: the model is made from the table of request
fields."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pydantic import ConfigDict, Field, WithJsonSchema, create_model

from ...display import request_fields
from ...display.request_fields import FIELDS
from ...domain.jobs import JobRequest
from ...domain.sessions import requests
from .base import Document, Taken

Text = Annotated[str, Field(max_length=requests.MAX_TEXT)]
# the JSON types that are allowed besides text
SIZES = {
    request_fields.Kind.MEMORY: "integer",
    request_fields.Kind.WALLTIME: "number",
}
ADDED = ("dashboard", "ends_with", "second_chance")  # fields that older stored requests do not have


def field_of(one: request_fields.Field) -> tuple[Any, Any]:
    """Returns the type and the default of a table's field, for the model."""
    if one.kind is request_fields.Kind.COUNT:
        return Annotated[int, Field(ge=one.least, le=one.most)] | None, Field(one.least, description=one.words)
    if one.choices:
        words = {choice.upper(): choice for choice in one.choices}
        choices: Any = Enum(one.name.title().replace("_", ""), words, type=str)  # type: ignore[misc]
        return choices | None, Field(choices(one.choices[0]), description=one.words)
    return (_size(SIZES[one.kind]) if one.kind in SIZES else Text | None), Field("", description=one.words)


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
        __doc__='What a session needs; null and "" mean the default. `POST placements` and `POST quotes` take the '
        "same, and start nothing.",
        **{one.name: field_of(one) for one in FIELDS},
    )
    _hints = get_type_hints(JobRequest)
    Requested = create_model(
        "Requested",
        __base__=Document,
        __doc__="Options as understood: sizes of the whole job, memory in bytes (0: the centre's default).",
        **{
            one.name: (
                list[str] if one.name == "centres" else _hints[one.name],
                one.default if one.name in ADDED else ...,
            )
            for one in fields(JobRequest)
            if _hints[one.name] is not timedelta
        },
        walltime_s=(float, ...),
    )


class Start(Options):
    """What a session needs, and the program that runs in it."""

    model_config = ConfigDict(title="Start")

    argv: list[str] = Field(
        default=[], description="The program and its arguments; required for the kinds dask and batch."
    )
    env: dict[str, str] = Field(
        default={}, description="The program's environment variables: at most 64 KiB together with `argv`."
    )
    files: dict[str, Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]] = Field(
        default={},
        max_length=requests.MAX_FILES,
        description="Files of a batch job: relative names to base64, 128 KiB in all; they lie in its working folder.",
    )
