"""The prices of a partition in a `centre.toml`: the tariff, later versions of it, and sales of idle hours.

Knows only the page's keys. `pricing.tariffs` finds the price at an instant, `pricing.rates` computes charges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from .times import Instant

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
OTHER = "other"  # in a table of GPU prices: every model that the table doesn't name
MIDNIGHT = 24 * 60
MODEL = "[A-Za-z0-9._+-]"  # a letter of a GPU's model: MIG profiles may have a plus sign
_MODEL = re.compile(rf"{MODEL}{{1,64}}")


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _decimals(most: int, why: str) -> Any:
    def check(value: float) -> float:
        exponent = Decimal(repr(value)).normalize().as_tuple().exponent
        if isinstance(exponent, int) and -exponent > most:
            raise ValueError(f"has more than {most} decimals: {why}")
        return value

    return AfterValidator(check)


Price = Annotated[
    float,
    Field(ge=0, le=1e6, allow_inf_nan=False),
    BeforeValidator(_number),
    _decimals(6, "prices are whole millionths of a credit"),
]
Percent = Annotated[
    float,
    Field(gt=0, le=100, allow_inf_nan=False),
    BeforeValidator(_number),
    _decimals(4, "a sale is whole millionths of the price"),
]
_PRICE: TypeAdapter[float] = TypeAdapter(Price)


def _gpu_price(value: Any) -> Any:
    """Returns a price, or a price for each model, by the model's name in lower case."""
    if not isinstance(value, Mapping):
        return None if value is None else _priced("", value)
    if not value:
        raise ValueError("should name at least one model, like { a100 = 20 }")
    prices: dict[str, float] = {}
    for name, one in value.items():
        if not _MODEL.fullmatch(str(name)):
            raise ValueError(f"{str(name)[:40]!r} is not the name of a GPU model")
        if name.lower() in prices:
            raise ValueError(f"names {name.lower()} twice")
        prices[name.lower()] = _priced(f"{name}: ", one)
    return prices


def _priced(name: str, value: Any) -> float:
    try:
        return _PRICE.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name}{error.errors(include_url=False)[0]['msg']}") from error


GpuPrice = Annotated[
    float | dict[str, float] | None,
    BeforeValidator(_gpu_price),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1e6},
                {
                    "type": "object",
                    "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e6},
                    "minProperties": 1,
                },
            ]
        }
    ),
]


def _clock(value: Any) -> int:
    """Returns the minutes since midnight of "22:00" or TOML's 22:00:00; "24:00" is the end of the day."""
    if isinstance(value, time) and not (value.second or value.microsecond or value.tzinfo):
        return value.hour * 60 + value.minute
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)|24:00", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise ValueError('should be a time of day in whole minutes, like "22:00"')
    return int(match[1]) * 60 + int(match[2]) if match[1] else MIDNIGHT


Clock = Annotated[
    int,
    BeforeValidator(_clock),
    WithJsonSchema(
        {
            "type": "string",
            "format": "clock",
            "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
            "examples": ["22:00"],
        }
    ),
]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # not in the list, not a key of it, a folder of it
        raise ValueError(f"{name[:40]!r} is not a time zone of the IANA list; write one like Asia/Shanghai") from error
    return name


TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_known_zone)]


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tariff(Document):
    """Credits per hour of allocated resources, used or not. `gpu_hour` is one price, or one for each model: `{ a100 =
    20, h100 = 40 }`; there `other` stands for every model that isn't named."""

    core_hour: Price = Field(default=1.0, description="Credits for a core-hour.")
    gpu_hour: GpuPrice = Field(
        default=None,
        description="Credits for a GPU-hour, in addition to its cores. Missing: GPUs have no price here, and their "
        "usage waits for one.",
    )
    gib_hour: Price = Field(default=0.0, description="Credits for a GiB of memory for an hour.")
    minimum: Price = Field(default=0.0, description="The lowest cost of a session that ran, in credits.")

    def gpu_price(self, model: str) -> float | None:
        """Returns the credits an hour for a GPU of this model ("": any); None: no price."""
        if not isinstance(self.gpu_hour, dict):
            return self.gpu_hour
        return self.gpu_hour.get(model.lower(), self.gpu_hour.get(OTHER))

    def followed_by(self, later: TariffFrom) -> Tariff:
        """Returns the tariff when `later` applies: prices that `later` doesn't name stay."""
        named = {key: value for key in Tariff.model_fields if (value := getattr(later, key)) is not None}
        return self.model_copy(update=named)


class TariffFrom(Document):
    """A later version of the tariff. It applies from its instant until the next version; prices that it doesn't name
    stay."""

    valid_from: Instant = Field(
        description="The instant from which it applies, with its time zone: 2027-01-01T00:00:00+08:00."
    )
    core_hour: Price | None = Field(default=None, description="As in `tariff`.")
    gpu_hour: GpuPrice = Field(default=None, description="As in `tariff`; a table replaces the whole earlier table.")
    gib_hour: Price | None = Field(default=None, description="As in `tariff`.")
    minimum: Price | None = Field(default=None, description="As in `tariff`.")

    @model_validator(mode="after")
    def _names_a_price(self) -> Self:
        if all(getattr(self, key) is None for key in Tariff.model_fields):
            raise ValueError("names no price: one of core_hour, gpu_hour, gib_hour, minimum")
        return self


class Sale(Document):
    """Hours of every week in which cores, GPUs and memory cost less, by the wall clock of the centre's `time_zone`.
    Sales don't add up: where two overlap, the larger one counts. The minimum stays."""

    name: str = Field(pattern=r'^[^"\x00-\x1f]{1,40}$', description="The name that people see, like nights.")
    days: list[Day] = Field(default=list(DAYS), min_length=1, description="The days on which the sale begins.")
    opens: Clock = Field(alias="from", description='Its beginning, like "22:00".')
    closes: Clock = Field(
        alias="to",
        description='Its end, like "06:00": a time before `from` is on the next day. "24:00": the end of the day.',
    )
    percent_off: Percent = Field(description="The reduction in percent of the price: more than 0, at most 100.")
    first_day: date | None = Field(default=None, description="The first day on which it begins; missing: no first day.")
    last_day: date | None = Field(default=None, description="The last day on which it begins; missing: no last day.")

    @model_validator(mode="after")
    def _has_a_length(self) -> Self:
        if self.opens == self.closes:
            raise ValueError('from and to are the same: a whole day is from "00:00" to "24:00"')
        if self.opens == MIDNIGHT:
            raise ValueError('from can\'t be the end of the day: write "00:00" and the next day')
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise ValueError("last_day must not be before first_day")
        return self
