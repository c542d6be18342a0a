"""The broker's database: one engine, one thread, short transactions. The only room that imports SQLAlchemy.

`await db.run(work, *args)` runs `work(tx, *args)` in one transaction on the database's own thread: blocking work goes
through this one place. A check and the write that rests on it are one step: SQLite takes the write lock at BEGIN; on
PostgreSQL transactions are SERIALIZABLE, and one that lost a race against another is run again from its beginning: what `work`
does beside reading and writing by `tx` must bear that. Work that locks what it rests on says so (`by_locks`). Tables are on one
page (`tables`), queries in one file a noun.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, OperationalError

from ...errors import BadOption, NotStored, SpecError
from .keys import Keys
from .tables import KEYS

Tx = Connection
P = ParamSpec("P")
T = TypeVar("T")

# PostgreSQL's words for "another transaction was in the way, run it again": serialization_failure, deadlock_detected
LOST_A_RACE = {"40001", "40P01"}
TRIES = 60  # some three seconds, a third of what SQLite waits for its one writer
FIRST_PAUSE = 0.002  # seconds at most, twice as long each time, never more than the longest
LONGEST_PAUSE = 0.1
READING = {"reading": True, "postgresql_readonly": True, "postgresql_deferrable": True}
# On PostgreSQL a short read must neither wait for a moment without writers nor lose a race against one: a snapshot is all that it needs
QUERYING: dict[str, dict[str, Any]] = {
    "sqlite": {"reading": True}, "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}  # fmt: skip
log = logging.getLogger(__name__)
QUERIERS = 2  # threads; more would share one interpreter
BY_LOCKS = "by_locks"
VERSIONS = "scnet_alembic_version"  # our own table, beside the hub's if the database is shared
MIGRATIONS = Path(__file__).parent / "migrations"
IN_SETTINGS = "Look at `database` in the broker's settings, and whether what it names answers: docs/how-to/postgresql.md."


def by_locks(work: Callable[Concatenate[Tx, P], T]) -> Callable[Concatenate[Tx, P], T]:
    """Says of `work` that it locks the rows that it rests on before it reads them (`FOR UPDATE`), and that keys guard the rest. On
    PostgreSQL it then waits for its turn (READ COMMITTED) instead of being run again; SQLite has one writer at a time anyway."""
    setattr(work, BY_LOCKS, True)
    return work


class Database:
    """`url` is SQLAlchemy's, for example `sqlite:////path/broker.sqlite`. `open()` migrates to the newest schema. `keys` encrypt what is
    secret in it; without them it is written as it is."""

    def __init__(self, url: str, keys: Keys | None = None) -> None:
        self.url, self.keys, self.tries = url, keys, TRIES
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="db")
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="db-read")
        self._querier = ThreadPoolExecutor(max_workers=QUERIERS, thread_name_prefix="db-query")
        self.trouble = ""  # why nothing can be written since the last write that failed, until `recover` succeeds

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    def open(self) -> None:
        """Raises SpecError if what `url` names can't be reached or used. Where only room on the disk lacks, it is open for reading, and
        `trouble` says so."""
        try:
            self._engine = self._opened()
        except OperationalError as error:
            hint = "Make room on the disk that it lies on." if _lacks_room(error) else IN_SETTINGS
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
        """Whether something can be written again, if not before: tried by writing. For a database with `trouble`."""
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
        """`work(tx, ...)` in one transaction: committed if it returns, rolled back if it raises. Raises NotStored."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self.run_here(work, *args, **kwargs))

    async def read(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` reads, as of one moment, beside all that is written meanwhile: for what takes long. It may write nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, lambda: self.read_here(work, *args, **kwargs))

    async def query(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` reads, as of one moment, beside all that is written meanwhile: for what people ask, which is short. It may write
        nothing. On threads of its own, so that neither writers nor long reads keep a person waiting."""
        call = partial(self._reading, QUERYING[self.engine.dialect.name], work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._querier, call)

    async def reach_writer(self) -> None:
        """Returns when its turn has come on the thread of `run`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, int)

    async def reach_reader(self) -> None:
        """The same of `query`."""
        await asyncio.get_running_loop().run_in_executor(self._querier, int)

    def read_here(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._reading(READING, work, *args, **kwargs)

    def _reading(self, options: Mapping[str, Any], work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self.engine.connect().execution_options(**options) as tx:
                return work(tx, *args, **kwargs)
        except DataError as error:
            raise BadOption(f"The broker's database can't hold this: {_said(error)}.") from error
        except OperationalError as error:
            raise NotStored(f"The broker's database can't be read now: {_said(error)}.", hint="Try again in a minute.") from error

    def run_here(self, work: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same on the caller's thread, which it may block: for commands and for several writers at once."""
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
        except DataError as error:  # PostgreSQL bounds text and integers and takes no NUL; SQLite takes what comes
            raise BadOption(f"The broker's database can't hold this: {_said(error)}.") from error
        except OperationalError as error:  # a full disk, a lock, a server that is away: the same may work in a moment
            hint = "Nothing was changed. Try again when there is room for it."
            if _lost_a_race(error):
                hint = "Nothing was changed: too much else was written at the same time. Try again."
            elif worked and error.connection_invalidated:
                hint = "The answer to COMMIT did not come: it is stored or it is not. Look before trying again."
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
    """Whether the disk is full, or can't be written: SQLite's SQLITE_FULL, SQLITE_IOERR, SQLITE_READONLY; PostgreSQL's disk_full."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY) or getattr(error.orig, "sqlstate", None) == "53100"


def _said(error: DBAPIError) -> str:
    """The database's own words, fit for everybody: what a driver says of a lost connection names the server and a login, and is logged."""
    if isinstance(error.orig, sqlite3.Error) or not isinstance(error, OperationalError):
        return str(error.orig)
    if words := getattr(getattr(error.orig, "diag", None), "message_primary", None):
        return str(words)
    log.warning("the broker's database: %s", error.orig)
    return "its server can't be reached, or broke off"


def _write_a_page(tx: Tx) -> None:
    """Changes something that means nothing, so that it must be stored."""
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql(f"PRAGMA user_version = {random.randrange(2**31)}")
    else:
        tx.exec_driver_sql("CREATE TEMPORARY TABLE scnet_probe (id INTEGER) ON COMMIT DROP")


def _lost_a_race(error: BaseException | None) -> bool:
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in LOST_A_RACE


def make_engine(url: str) -> Engine:
    """An engine whose transactions see one state from their first statement on; a new SQLite file is 0600."""
    try:
        where = make_url(url)
    except ArgumentError:
        raise SpecError("The url of the broker's database is none.", hint=IN_SETTINGS) from None  # and it may hold a password
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
    """Of an SQLite file with the newest schema that was closed in order, for where not even the files beside it can be made that SQLite
    needs to share it; None of anything else. It may not change meanwhile: no other process writes a broker's database."""
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
    if where.drivername == "postgresql":  # SQLAlchemy 2.0 would take psycopg2
        where = where.set(drivername="postgresql+psycopg")
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of what was still under way when a race was lost
    try:
        return create_engine(where, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        needs = f"The broker's database at {where.render_as_string(hide_password=True)} needs a driver that is not installed: {error}."
        raise SpecError(needs, hint='For PostgreSQL: pip install "scnet-hub[postgresql]".') from error


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, not the driver's late one
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reading") else "BEGIN IMMEDIATE")


def encrypt_anew(engine: Engine, keys: Keys) -> None:
    """Every secret in the database under the first key, also those that stood there in plain text: of these nothing is left in
    pages that SQLite has set free. Raises SpecError if one can't be read."""
    from .sealing import seal_all

    with engine.begin() as tx:
        plain = seal_all(tx, keys)
    if plain and engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.connection.execute("VACUUM")
            connection.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def migrate(engine: Engine) -> None:
    """The newest schema, by the migrations in this folder; safe to call at every start."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
