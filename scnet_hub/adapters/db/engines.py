"""The engines of SQLite and PostgreSQL, and whether a database has the newest schema."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from ...errors import SpecError

VERSIONS = "scnet_alembic_version"  # our own table, beside the hub's if the database is shared
MIGRATIONS = Path(__file__).parent / "migrations"
IN_SETTINGS = "Check `database` in the broker's settings, and whether that database answers: docs/how-to/postgresql.md."


def make_engine(url: str) -> Engine:
    """Returns an engine whose transactions see one state from their first statement on; a new SQLite file is 0600.
    Raises SpecError."""
    try:
        where = make_url(url)
    except ArgumentError:
        # not the given URL: it may hold a password
        raise SpecError("The broker's database URL is not valid.", hint=IN_SETTINGS) from None
    if where.get_backend_name() != "sqlite":
        return _server(where)
    if where.database and where.database != ":memory:":
        Path(where.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(where.database, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(where)
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def read_only_engine(url: str) -> Engine | None:
    """Returns a read-only engine for an SQLite file with the newest schema that was closed properly, for a disk where
    SQLite can't even make the files that it needs for sharing; None for anything else. The file must not change
    meanwhile: no other process writes a broker's database."""
    where = make_url(url)
    file = Path(where.database or "")
    wal = Path(f"{file}-wal")
    if where.get_backend_name() != "sqlite" or not file.is_file() or (wal.exists() and wal.stat().st_size):
        return None
    address = f"sqlite:///file:{quote(str(file.absolute()))}?mode=ro&immutable=1&uri=true"
    engine = create_engine(address, execution_options={"read_only": True})
    event.listen(engine, "connect", lambda connection, record: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN") and None)
    try:
        return engine if is_newest(engine) else None
    except OperationalError:
        return None


def is_newest(engine: Engine) -> bool:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with engine.connect() as connection:
        there = MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision()
    return there == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _server(where: URL) -> Engine:
    if where.drivername == "postgresql":  # SQLAlchemy 2.0 would use psycopg2
        where = where.set(drivername="postgresql+psycopg")
    # psycopg warns of statements that were still under way when a race was lost
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        return create_engine(where, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        needs = (
            f"The broker's database at {where.render_as_string(hide_password=True)} needs a driver that is not "
            f"installed: {error}."
        )
        raise SpecError(needs, hint='For PostgreSQL: pip install "scnet-hub[postgresql]".') from error


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, not the driver's late BEGIN
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")
