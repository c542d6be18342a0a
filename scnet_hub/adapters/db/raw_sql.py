"""SQL that goes to the driver as written, for the few statements of every hold and charge: through SQLAlchemy each
costs many times the database's own work. Values are passed as parameters, always marked `?`. Knows how each kind of
database stores times and JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.exc import DBAPIError

from .database import Tx

LOCK = " FOR UPDATE"


def run(tx: Tx, sql: str, *values: Any) -> Any:
    """Returns the driver's cursor after one statement; errors are SQLAlchemy's. Only PostgreSQL understands `FOR
    UPDATE`: SQLite has one writer at a time."""
    dialect = tx.dialect
    worded, kept = _worded(sql, dialect.name), tuple([_kept(value, dialect.name) for value in values])
    raised = dialect.loaded_dbapi.Error
    try:
        cursor = tx.connection.cursor()
        cursor.execute(worded, kept)
    except raised as error:
        raise DBAPIError.instance(worded, kept, error, raised, dialect=dialect) from error
    return cursor


@lru_cache(256)
def _worded(sql: str, name: str) -> str:
    return sql.replace(LOCK, "") if name == "sqlite" else sql.replace("?", "%s")


def _kept(value: Any, name: str) -> Any:
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is datetime:
        plain = value.astimezone(UTC).replace(tzinfo=None)
        return plain.isoformat(" ", "microseconds") if name == "sqlite" else plain
    return json.dumps(value) if kind in (dict, list) else value


def moment(value: Any) -> datetime | None:
    """Returns a time from a value that was read."""
    if value is None:
        return None
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


def document(value: Any) -> Any:
    """Returns JSON from a value that was read."""
    return json.loads(value) if isinstance(value, str) else value


def marks(rows: Sequence[Sequence[Any]]) -> str:
    """Returns "(?, ?), (?, ?)", marks for the values of that many rows."""
    return ", ".join([f"({', '.join('?' * len(rows[0]))})"] * len(rows))
