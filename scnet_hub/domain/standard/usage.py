"""`UsageEvent`: one segment of one run of a job, as centres and the federation exchange it: OGF Usage Record names in a
CloudEvent 1.0.

Knows the document only: what a segment is and what it costs is the ledger's (`ledger/export.py` writes and reads
these).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_pascal

from ...errors import SpecError
from .tariff import MODEL
from .times import Instant

TYPE = "org.scnet.usage.v1"
D = TypeVar("D", bound=BaseModel)
STATUS = (
    "running", "completed", "failed", "cancelled", "timeout", "out of memory", "deadline", "requeued", "node failure",
    "boot failure", "preempted", "site failure",
)  # fmt: skip
CENTURY = timedelta(days=36525)
Duration = Annotated[
    timedelta,
    Field(ge=timedelta(), le=CENTURY),
    WithJsonSchema({"type": "string", "format": "duration", "examples": ["PT12S"]}),
]
Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
Quantity = Annotated[
    str,
    Field(pattern=r"^\d{1,30}(\.\d{1,40})?$", description="An exact decimal number; text, so that no digit is lost."),
]
Model = Annotated[str, Field(pattern=rf"^{MODEL}{{0,64}}$")]


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_pascal, populate_by_name=True)


class SegmentOf(Document):
    """The part of the run that this record describes: half-open, within one month of the federation's zone."""

    number: int = Field(ge=1, strict=True, description="1 for the first segment.")
    start_time: Instant
    end_time: Instant


class MeterReading(Document):
    """The segment's use of one meter."""

    meter: str = Field(
        pattern=rf"^[a-z]+(-[a-z]+)+(:{MODEL}{{1,64}})?$", description="core-second, gpu-second:MODEL, gib-second."
    )
    quantity: Quantity


class UsageData(Document):
    """The usage record. Amounts are allocated resources, used or not."""

    record_id: str = Field(
        max_length=500, description="The run's identity, segment and revision: unique in the federation."
    )
    create_time: Instant = Field(description="When the centre's accounting reported it.")
    revision: Count = Field(default=0, description="0, plus one for each correction of the same run.")
    final: bool = Field(strict=True, description="False: the run continues, and this is its usage so far.")
    site: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$", description="The centre's id.")
    birth: str = Field(
        max_length=100, description="The life of the centre's cluster: a cluster that lost its state assigns ids again."
    )
    queue: str = Field(default="", max_length=64, description="The partition.")
    host: str = Field(default="", max_length=255, description="The first node.")
    local_job_id: str = Field(min_length=1, max_length=64, description="The scheduler's job id.")
    global_job_id: str = Field(max_length=400, description="The run's identity.")
    job_name: str = Field(default="", max_length=1000)
    session_id: str = Field(default="", max_length=100, description="The session of the job, by its name.")
    copy_number: Count = Field(default=0, description="The number of the session's copy; 0: none.")
    project_name: str = Field(default="", max_length=100)
    global_user_id: str = Field(default="", max_length=255, description="A pseudonym, never a name.")
    restart: Count = Field(default=0, description="The number of earlier runs of the same job.")
    submit_time: Instant | None = None
    start_time: Instant | None = Field(default=None, description="Of the run; absent if it never started.")
    end_time: Instant | None = Field(default=None, description="Of the run; absent while it continues.")
    segment: SegmentOf | None = Field(default=None, description="Absent for a run that never started.")
    status: str = Field(json_schema_extra={"enum": list(STATUS)}, pattern="^(" + "|".join(STATUS) + ")$")
    state_raw: str = Field(default="", max_length=200, description="The scheduler's name of the state.")
    ended_by: str = Field(default="", max_length=100, description="Who cancelled the job, if known.")
    exit_status: str = Field(default="", max_length=40, description="Code and signal, like 7:0.")
    processors: Count = Field(default=0, description="Allocated cores.")
    gpus: dict[Model, Count] = Field(default={}, description='Allocated GPUs, by model; "": unknown model.')
    memory: Count = Field(default=0, description="Allocated bytes.")
    wall_duration: Duration = Field(default=timedelta(), description="Of the run, without suspended time.")
    cpu_duration: Duration = Field(default=timedelta(), description="Used CPU time, if accounting knows it.")
    meters: list[MeterReading] = Field(
        default=[], description="Of the segment: the allocated amounts times its length."
    )


class UsageEvent(BaseModel):
    """The envelope: a CloudEvent 1.0. `source` and `id` together are unique, so a receiver recognises a record that it
    already has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    type: Literal["org.scnet.usage.v1"] = "org.scnet.usage.v1"
    source: str = Field(
        pattern=r"^urn:scnet:cluster:[a-z][a-z0-9-]{0,30}:[^\s]{0,300}$",
        description="The centre and its cluster's birth.",
    )
    id: str = Field(min_length=1, max_length=300, description="job/submission/restart/segment/revision.")
    time: Instant
    datacontenttype: Literal["application/json"] = "application/json"
    data: UsageData


def parse_event(text: str | bytes, *, source: str) -> UsageEvent:
    """Parses an event in a JSON text. Raises SpecError with `source`, the field, and the expected value."""
    return read(UsageEvent, text, source=source)


def read(document: type[D], text: str | bytes, *, source: str) -> D:
    try:
        return document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        more = f" ({error.error_count() - 1} more like it)" if error.error_count() > 1 else ""
        raise SpecError(
            f"{source}: {field}: {first['msg']}{more}.",
            hint=f"The value is {str(first.get('input'))[:80]!r}.",
            details={"source": source, "key": field},
        ) from error


def schema() -> dict[str, JsonValue]:
    """Returns the JSON Schema of the event."""
    document: dict[str, Any] = _without_titles(UsageEvent.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": TYPE, **document}


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _without_titles(node: Any) -> Any:
    """Removes titles, by which pydantic repeats every key in title case, and the line ends of descriptions."""
    if isinstance(node, dict):
        return {
            key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _without_titles(value)
            for key, value in node.items()
            if key != "title" or isinstance(value, dict)
        }
    return [_without_titles(one) for one in node] if isinstance(node, list) else node
