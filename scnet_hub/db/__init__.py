"""The broker's database: one engine, one thread, short transactions. The only room that imports SQLAlchemy.

`await db.run(work, *args)` runs `work(tx, *args)` in one transaction on the database's own thread: blocking work goes
through this one place. SQLite takes the write lock at BEGIN, so a check and the write that rests on it are one step;
PostgreSQL does the same with SERIALIZABLE. Tables are on one page (`tables`), queries in one file a noun.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from ..errors import NotStored

Tx = Connection
P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """`url` is SQLAlchemy's, for example `sqlite:////path/broker.sqlite`. `open()` migrates to the newest schema."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="db")

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    def open(self) -> None:
        self._engine = make_engine(self.url)
        migrate(self._engine)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        if self._engine is not None:
            self._engine.dispose()

    async def run(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(tx, ...)` in one transaction: committed if it returns, rolled back if it raises. Raises NotStored."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._work(work, *args, **kwargs))

    def _work(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self.engine.begin() as tx:
                return work(tx, *args, **kwargs)
        except OperationalError as error:  # a full disk, a lock, a server that is away: the same may work in a moment
            raise NotStored(
                f"The broker's database can't be used now: {error.orig}.", hint="Nothing was changed. Try again when there is room for it."
            ) from error


def make_engine(url: str) -> Engine:
    """An engine whose transactions see one state from their first statement on; a new SQLite file is 0600."""
    where = make_url(url)
    if where.get_backend_name() != "sqlite":
        return create_engine(url, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    if where.database and where.database != ":memory:":
        Path(where.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(where.database, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(url)
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, not the driver's late one
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(engine: Engine) -> None:
    """The newest schema, by the migrations in this folder; safe to call at every start."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
