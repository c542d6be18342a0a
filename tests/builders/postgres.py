"""A real PostgreSQL of the tests' own, and the fixture `database`: the newest schema on SQLite, and on PostgreSQL.

The server lives in a temporary folder, is met by a unix socket only, and ends with who started it. It is set up to find
what SQLite forgives: fsync is on, text sorts as in English and not by bytes, and its zone is not UTC. Knows nothing of
what is stored.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from scnet_hub.adapters.db.database import Database, Tx, migrate
from scnet_hub.adapters.db.engines import make_engine

INSTALL = "apt-get install --no-install-recommends postgresql"
NEWEST_FIRST = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda found: int(found.parent.name), reverse=True)
SETTINGS = {
    "listen_addresses": "",
    "timezone": "Asia/Shanghai",
    "max_connections": "40",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
}
UP_WITHIN = 60  # seconds


class Absent(Exception):
    """No PostgreSQL is installed here; says what installs it."""


class PostgreSQL:
    """One server in `folder`, which it makes. As root it runs as the account `postgres`, since PostgreSQL refuses to be
    root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> PostgreSQL:
        """Raises Absent, and RuntimeError with the server's own words."""
        run_as: dict[str, Any] = {}
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            account = _account()
            run_as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        data, log = self.folder / "data", self.folder / "log"
        # the folder is 0700: who may enter it is we
        words = [
            "-D",
            str(data),
            "-U",
            "scnet",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
        ]
        words += ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        done = subprocess.run(
            [_binary("initdb"), *words], cwd=self.folder, capture_output=True, text=True, check=False, **run_as
        )
        if done.returncode:
            raise RuntimeError(f"initdb: {done.stdout}{done.stderr}")
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [_binary("postgres"), "-D", str(data), "-k", str(self.folder), *settings],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, **run_as,
            )  # fmt: skip
        self._until_it_answers(log)
        return self

    def _until_it_answers(self, log: Path) -> None:
        assert self.process
        until = time.monotonic() + UP_WITHIN
        while True:
            try:
                return self.command("SELECT 1")
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(f"PostgreSQL did not start: {log.read_text(errors='replace')}") from None
            time.sleep(0.02)

    def stop(self) -> None:
        """At once, without writing anything more: connections that are open are cut, and what it holds is as after a
        crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)

    def url(self, name: str) -> str:
        return f"postgresql://scnet@/{name}?host={self.folder}"

    def command(self, sql: str) -> None:
        """Outside of any transaction, in the database that is always there."""
        with psycopg.connect(host=str(self.folder), user="scnet", dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.encode())

    def create(self, name: str, *, template: str = "template1") -> str:
        """A new database like `template`; its url."""
        self.command(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        self.command(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _binary(name: str) -> str:
    found = next((str(folder / name) for folder in NEWEST_FIRST if (folder / name).exists()), shutil.which(name))
    if not found:
        raise Absent(f"PostgreSQL ({name}) is not installed. As root, on Debian: {INSTALL}")
    return found


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@contextmanager
def standing() -> Iterator[PostgreSQL]:
    """A server in a folder of its own that is gone afterwards. Raises Absent."""
    folder = Path(tempfile.mkdtemp(prefix="sc-pg-"))
    server = PostgreSQL(folder)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


# ---- fixtures


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for the whole session. Where none is installed its tests fail and say what installs it."""
    try:
        with standing() as server:
            yield server
    except Absent as absent:
        pytest.fail(str(absent), pytrace=False)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The url of a further database with the newest schema, of "sqlite" or of "postgresql": a copy of one that is made
    once."""
    numbers = itertools.count(1)
    folder = tmp_path_factory.mktemp("databases")
    makers: dict[str, Callable[[], str]] = {}

    def sqlite() -> str:
        copy = folder / f"{next(numbers)}.sqlite"
        shutil.copyfile(folder / "newest.sqlite", copy)
        return f"sqlite:///{copy}"

    def postgresql() -> str:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        return server.create(f"d{next(numbers)}", template="newest")

    def new(engine: str) -> str:
        if engine not in makers:
            first = f"sqlite:///{folder / 'newest.sqlite'}"
            if engine == "postgresql":
                first = request.getfixturevalue("postgresql").create("newest")
            db = Database(first)
            db.open()
            db.close()
            makers[engine] = {"sqlite": sqlite, "postgresql": postgresql}[engine]
        return makers[engine]()

    return new


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """A SQLite database in memory on the newest schema: what is written to it is to be rolled back."""
    made = make_engine("sqlite://")
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> Iterator[Database]:
    """An open database with the newest schema and nothing in it: a test that asks for it runs on both kinds."""
    db = Database(new_database(request.param))
    db.open()
    yield db
    db.close()


@contextmanager
def undone(db: Database) -> Iterator[Tx]:
    """A transaction that leaves nothing behind: thousands of examples can share one database."""
    with db.engine.connect() as tx, tx.begin() as transaction:
        yield tx
        transaction.rollback()
