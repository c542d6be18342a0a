"""The broker's database: one engine, one thread, short transactions. SQLAlchemy is imported only in this room.

`await db.run(work, *args)` runs `work(tx, *args)` in one transaction on the database's own thread: all blocking work
goes through this place. A check and the write that depends on the check are one step. SQLite takes the write lock at
BEGIN. On PostgreSQL transactions are SERIALIZABLE, and a transaction that lost a race against another is run again from
its beginning: everything that `work` does besides reading and writing by `tx` must be safe to repeat. Work that locks
the rows it depends on is marked with `by_locks`. Tables are in one file (`tables`), queries in one file for each noun.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from ...errors import BadOption, NotStored, SpecError
from .engines import IN_SETTINGS, MIGRATIONS, make_engine, read_only_engine
from .keys import Keys
from .tables import KEYS

Tx = Connection
P = ParamSpec("P")
T = TypeVar("T")

# PostgreSQL's words for "another transaction was in the way, run it again": serialization_failure, deadlock_detected
LOST_A_RACE = {"40001", "40P01"}
TRIES = 60  # about three seconds, a third of the time that SQLite waits for its one writer
FIRST_PAUSE = 0.002  # seconds at most; doubles each time, up to the longest
LONGEST_PAUSE = 0.1
READING = {"reading": True, "postgresql_readonly": True, "postgresql_deferrable": True}
# On PostgreSQL a short read must neither wait for a moment without writers nor lose a race against a writer: a snapshot
# is enough.
QUERYING: dict[str, dict[str, Any]] = {
    "sqlite": {"reading": True}, "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}  # fmt: skip
log = logging.getLogger(__name__)
QUERIERS = 2  # threads; more would share one interpreter
BY_LOCKS = "by_locks"


def by_locks(work: Callable[Concatenate[Tx, P], T]) -> Callable[Concatenate[Tx, P], T]:
    """Marks `work` as work that locks the rows it depends on before reading them (`FOR UPDATE`), while keys guard the
    rest. On PostgreSQL the work then waits for its turn (READ COMMITTED) instead of being run again; SQLite has one
    writer at a time anyway."""
    setattr(work, BY_LOCKS, True)
    return work


class Database:
    """The broker's database. `url` is SQLAlchemy's, for example `sqlite:////path/broker.sqlite`. `open()` migrates to
    the newest schema. `keys` encrypt the secrets; without `keys`, secrets are written in plain text."""

    def __init__(self, url: str, keys: Keys | None = None) -> None:
        self.url, self.keys, self.tries = url, keys, TRIES
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="db")
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="db-read")
        self._querier = ThreadPoolExecutor(max_workers=QUERIERS, thread_name_prefix="db-query")
        self.trouble = ""  # why writing is impossible since the last failed write, until `recover` succeeds

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    def open(self) -> None:
        """Opens the database. Raises SpecError if the database that `url` names can't be reached or used. If only disk
        space is missing, the database is opened for reading, and `trouble` says so."""
        try:
            self._engine = self._opened()
        except OperationalError as error:
            hint = "Free space on the disk that holds the database." if _lacks_room(error) else IN_SETTINGS
            self._engine = self._opened_for_reading(f"{error.orig}", hint, error)
        except NotStored as error:
            self._engine = self._opened_for_reading(str(error).rstrip("."), error.hint, error)

    def _opened_for_reading(self, why: str, hint: str, cause: Exception) -> Engine:
        engine = read_only_engine(self.url)
        if engine is None:
            raise SpecError(f"The broker's database can't be opened: {why}.", hint=hint) from cause
        self._keep_secrets(engine)
        self.trouble = f"The broker's database can't be written: {why}."
        return engine

    def _opened(self) -> Engine:
        if self.keys:
            self.keys.keep()
        engine = make_engine(self.url)
        try:
            migrate(engine)
            self._keep_secrets(engine)
            if self.keys:
                encrypt_anew(engine, self.keys)
        except BaseException:
            engine.dispose()
            raise
        return engine

    def _keep_secrets(self, engine: Engine) -> None:
        if self.keys:
            setattr(engine.dialect, KEYS, self.keys)

    async def recover(self) -> bool:
        """Returns whether the database can be written, by writing something if there was `trouble`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._recover)

    def _recover(self) -> bool:
        try:
            if self.engine.get_execution_options().get("read_only"):
                self.engine.dispose()
                self._engine = self._opened()
            self._once(_write_a_page)
        except (OperationalError, NotStored):
            return False
        self.trouble = ""
        return True

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        for threads in (self._reader, self._querier):
            threads.shutdown(wait=True, cancel_futures=True)
        if self._engine is not None:
            self._engine.dispose()

    async def run(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work(tx, ...)` in one transaction: committed if `work` returns, rolled back if it raises. Raises
        NotStored."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self.run_here(work, *args, **kwargs)
        )

    async def read(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work` reads as of one moment, while others may write: for long reads. `work` must not write."""
        return await asyncio.get_running_loop().run_in_executor(
            self._reader, lambda: self.read_here(work, *args, **kwargs)
        )

    async def query(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what `work` reads as of one moment, while others may write: for people's short questions. `work` must
        not write. Runs on threads of its own, so that neither writers nor long reads delay a person."""
        call = partial(self._reading, QUERYING[self.engine.dialect.name], work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._querier, call)

    async def reach_writer(self) -> None:
        """Returns when the thread of `run` has reached this call."""
        await asyncio.get_running_loop().run_in_executor(self._thread, int)

    async def reach_reader(self) -> None:
        """Returns when a thread of `query` has reached this call."""
        await asyncio.get_running_loop().run_in_executor(self._querier, int)

    def read_here(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._reading(READING, work, *args, **kwargs)

    def _reading(
        self, options: Mapping[str, Any], work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            with self.engine.connect().execution_options(**options) as tx:
                return work(tx, *args, **kwargs)
        except DataError as error:
            raise BadOption(f"The broker's database can't hold this: {_said(error)}.") from error
        except OperationalError as error:
            raise NotStored(
                f"The broker's database can't be read now: {_said(error)}.", hint="Try again in a minute."
            ) from error

    def run_here(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `work` like `run`, on the caller's thread, which may block: for commands and for several writers at
        once."""
        pause = FIRST_PAUSE
        for _ in range(self.tries - 1):
            try:
                return self._once(work, *args, **kwargs)
            except NotStored as lost:
                if not _lost_a_race(lost.__cause__):
                    raise
                time.sleep(random.uniform(0, pause))
                pause = min(2 * pause, LONGEST_PAUSE)
        return self._once(work, *args, **kwargs)

    def _once(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        worked = False
        try:
            with self._engine_for(work).begin() as tx:
                result = work(tx, *args, **kwargs)
                worked = True
            return result
        except DataError as error:  # PostgreSQL limits text and integers and accepts no NUL; SQLite accepts everything
            raise BadOption(f"The broker's database can't hold this: {_said(error)}.") from error
        except OperationalError as error:  # a full disk, a lock, an unreachable server: the same may work in a moment
            hint = "Nothing was changed. Try again when there is free space."
            if _lost_a_race(error):
                hint = "Nothing was changed: too much else was written at the same time. Try again."
            elif worked and error.connection_invalidated:
                hint = "The answer to COMMIT was lost: the change may or may not be stored. Check before you try again."
            words = f"The broker's database can't be used now: {_said(error)}."
            if _lacks_room(error) and not self.trouble:
                self.trouble = f"The broker's database can't be written: {_said(error)}."
            raise NotStored(words, hint=hint) from error

    def _on_a_server(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def _engine_for(self, work: object) -> Engine:
        if self._on_a_server() and getattr(work, BY_LOCKS, False):
            return self.engine.execution_options(isolation_level="READ COMMITTED")
        return self.engine


def _lacks_room(error: DBAPIError) -> bool:
    """Returns whether the disk is full or not writable: SQLite's SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY;
    PostgreSQL's disk_full."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return (
        code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)
        or getattr(error.orig, "sqlstate", None) == "53100"
    )


def _said(error: DBAPIError) -> str:
    """Returns the database's own words, fit for all readers: a driver's message about a lost connection names the
    server and a login, and is only logged."""
    if isinstance(error.orig, sqlite3.Error) or not isinstance(error, OperationalError):
        return str(error.orig)
    if words := getattr(getattr(error.orig, "diag", None), "message_primary", None):
        return str(words)
    log.warning("the broker's database: %s", error.orig)
    return "its server can't be reached, or closed the connection"


def _write_a_page(tx: Tx) -> None:
    """Changes a value without meaning, so that the database must write."""
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(f"PRAGMA user_version = {random.randrange(2**31)}")
    else:
        tx.exec_driver_sql("CREATE TEMPORARY TABLE scnet_probe (id INTEGER) ON COMMIT DROP")


def _lost_a_race(error: BaseException | None) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOST_A_RACE


def encrypt_anew(engine: Engine, keys: Keys) -> None:
    """Encrypts every secret in the database with the first key, including secrets in plain text: SQLite's freed pages
    keep no plain text. Raises SpecError if a secret can't be read."""
    from .sealing import seal_all

    with engine.begin() as tx:
        plain = seal_all(tx, keys)
    if plain and engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.connection.execute("VACUUM")
            connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def migrate(engine: Engine) -> None:
    """Migrates to the newest schema by the migrations in this folder; safe to call at every start."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
