"""What all models share: their settings, and the types of times, amounts and texts."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from ...display.times import parse_day, parse_instant
from ...domain.sessions.requests import MAX_TEXT, text
from ...errors import BadOption
from ...units import MOST_CREDITS, Amount, check_credits

Json = dict[str, Any]
MOST = 64  # characters of one word, as in names of projects and centres


class Document(BaseModel):
    """An answer, or a part of an answer. New fields may be added; existing fields keep their meaning."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Taken(BaseModel):
    """A body: unknown fields are refused, and no value is converted to fit."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid", strict=True, arbitrary_types_allowed=True)


class Listed(Document):
    """A page of a list."""

    next: str | None
    """The next page's `after`; null on the last page."""


class Dated(Document):
    as_of: datetime
    """When the list was true."""


class DatedList(Listed, Dated):
    """A page of a list, with the time when it was true."""


Time = datetime
Day = date
Seconds = float
Credits = Annotated[float, Field(description="Credits, exact to a micro-credit.")]


# ---- fields of bodies: each check refuses in its own sentence, which names the field


def _word(value: object, info: ValidationInfo) -> str:
    name = info.field_name or ""
    if len(found := text(name, value)) > MOST:
        raise BadOption(f"{name}: must have at most {MOST} characters, not {len(found)}.", details={"field": name})
    return found


def _prose(value: object, info: ValidationInfo) -> str:
    """Validates text for people: line breaks are allowed, terminal control characters are not."""
    if not isinstance(value, str) or any(not one.isprintable() and one != "\n" for one in value):
        raise BadOption(
            f"{info.field_name}: must be text without control characters.", details={"field": info.field_name}
        )
    return value


def _instant(value: object, info: ValidationInfo) -> datetime | None:
    return None if value in (None, "") else parse_instant(value, option=info.field_name or "")


def _day(value: object, info: ValidationInfo) -> date | None:
    return None if value in (None, "") else parse_day(value, option=info.field_name or "")


def _credits(value: object, info: ValidationInfo) -> Amount | None:
    return None if value is None else check_credits(value, option=info.field_name or "")


def texts(most: int = MAX_TEXT) -> Json:
    return {"type": "string", "maxLength": most}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


AMOUNT: Json = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_CREDITS}
Word = Annotated[str, BeforeValidator(_word), WithJsonSchema(texts(MOST))]
Prose = Annotated[str, BeforeValidator(_prose)]
Instant = Annotated[
    datetime | None, BeforeValidator(_instant), WithJsonSchema(_or_null({"type": "string", "format": "date-time"}))
]
DayTaken = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
DayOrNone = Annotated[
    date | None, BeforeValidator(_day), WithJsonSchema(_or_null({"type": "string", "format": "date"}))
]
CreditsTaken = Annotated[Amount, BeforeValidator(_credits), WithJsonSchema(AMOUNT)]
CreditsOrNone = Annotated[Amount | None, BeforeValidator(_credits), WithJsonSchema(_or_null(AMOUNT))]
