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
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError, OperationalError

from ..errors import BadOption, NotStored, SpecError
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
QUERIERS = 2  # threads; more would share one interpreter
BY_LOCKS = "by_locks"
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

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    def open(self) -> None:
        """Raises SpecError if what `url` names can't be reached or used."""
        self._engine = make_engine(self.url)
        try:
            migrate(self._engine)
            if self.keys:
                setattr(self._engine.dialect, KEYS, self.keys)
                encrypt_anew(self._engine, self.keys)
        except OperationalError as error:
            raise SpecError(f"The broker's database can't be opened: {error.orig}.", hint=IN_SETTINGS) from error

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._querier.shutdown(wait=True, cancel_futures=True)
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
            raise BadOption(f"The broker's database can't hold this: {error.orig}.") from error
        except OperationalError as error:
            raise NotStored(f"The broker's database can't be used now: {error.orig}.", hint="Try again in a minute.") from error

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
            raise BadOption(f"The broker's database can't hold this: {error.orig}.") from error
        except OperationalError as error:  # a full disk, a lock, a server that is away: the same may work in a moment
            hint = "Nothing was changed. Try again when there is room for it."
            if _lost_a_race(error):
                hint = "Nothing was changed: too much else was written at the same time. Try again."
            elif worked and error.connection_invalidated:
                hint = "The answer to COMMIT did not come: it is stored or it is not. Look before trying again."
            raise NotStored(f"The broker's database can't be used now: {error.orig}.", hint=hint) from error

    def _engine_for(self, work: object) -> Engine:
        if self.engine.dialect.name == "postgresql" and getattr(work, BY_LOCKS, False):
            return self.engine.execution_options(isolation_level="READ COMMITTED")
        return self.engine


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
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
