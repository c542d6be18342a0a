"""The types of columns that the tables share, and the metadata that knows every table."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
)  # fmt: skip

from ....errors import SpecError
from ..keys import MARK

KEYS = "scnet_keys"  # the attribute of an engine's dialect that holds its `Keys`


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, naive UTC in the database (SQLite keeps no zone). A naive value is a mistake and raises."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Packed(TypeDecorator[Any]):
    """JSON that is long, much alike, and read seldom: compressed to a sixth or less."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> bytes:
        return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)

    def process_result_value(self, value: bytes | None, dialect: Any) -> Any:
        return None if value is None else json.loads(zlib.decompress(value))


class Sealed(TypeDecorator[Any]):
    """JSON that holds secrets: encrypted where the database was given keys. An empty document stays as it is."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        keys = getattr(dialect, KEYS, None)
        return keys.seal(json.dumps(value)) if keys and value else value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return json.loads(_opened(value, dialect)) if isinstance(value, str) else value


class SealedText(TypeDecorator[str]):
    """A secret, encrypted where the database was given keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        keys = getattr(dialect, KEYS, None)
        return str(keys.seal(value)) if keys and value else value

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return _opened(value, dialect) if value else value


def _opened(text: str, dialect: Any) -> str:
    keys = getattr(dialect, KEYS, None)
    if keys is None and text.startswith(MARK):
        raise SpecError("The broker's database holds encrypted secrets, and was opened without its keys.")
    return str(keys.open(text)) if keys else text


metadata = MetaData()
# for rows that are only ever added; SQLite's integers are of 64 bits anyway
Number = BigInteger().with_variant(Integer, "sqlite")
