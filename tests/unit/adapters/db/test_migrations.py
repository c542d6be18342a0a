"""A database of an earlier version goes on: what it knew of sessions is what is known of their first copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import scnet_hub.adapters.db.database
from scnet_hub.adapters.db.database import migrate
from scnet_hub.adapters.db.engines import make_engine
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.adapters.db.tables import metadata
from scnet_hub.domain.sessions.records import Copy, Session
from scnet_hub.errors import SpecError
from scnet_hub.services.accounting import audit, books, sealing
from scnet_hub.units import Amount

NUMBERS = itertools.count(1)
T0 = datetime(2026, 11, 22, 9)  # noqa: DTZ001  # as SQLite keeps it
OLD: dict[str, Any] = {
    "id": "abcdefghijkm", "version": 3, "person": "ada", "project": "p", "kind": "lab", "name": "", "state": "ready",
    "live": True, "request": '{"cores": 1}', "placement": "{}", "payload": '{"argv": ["x"], "env": {}, "nonce": '
    '"plain"}', "nonce": "hash",
    "centre": "north", "partition": "main", "why": "because", "account": "ada", "job_id": "7", "node": "n1",
    "host": "127.0.0.1", "port": 5000, "address": "n1:5000", "reason": "", "place_in_queue": 0, "end_reason": "",
    "created_at": T0, "submitted_at": T0, "started_at": T0, "ready_at": T0, "unknown_why": "", "held": 5,
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """On a database in which there is nothing."""
    url = f"sqlite:///{tmp_path / 'b.sqlite'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").create(f"empty{next(NUMBERS)}")
    engine = make_engine(url)
    yield engine
    engine.dispose()


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(scnet_hub.adapters.db.database.__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def test_a_session_of_before_there_were_copies_has_one(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0002")
        columns = ", ".join(f'"{name}"' for name in OLD)
        connection.execute(
            sa.text(f"INSERT INTO scnet_sessions ({columns}) VALUES ({', '.join(f':{name}' for name in OLD)})"), OLD
        )
    migrate(engine)
    with engine.begin() as tx:
        row = session_rows.get(tx, "abcdefghijkm")
        assert row is not None and session_rows.copies_of(tx, row.session.id) == [row]
        assert (
            row.copy.number,
            row.copy.cause,
            row.copy.job_id,
            row.copy.state,
            row.copy.live,
            row.copy.secret,
            row.copy.nonce,
        ) == (
            1,
            "first",
            "7",
            "ready",
            True,
            "plain",
            "hash",
        )
        assert (row.copy.address, row.copy.asked_at, row.copy.used) == ("n1:5000", T0.replace(tzinfo=UTC), None)


def test_the_migrations_make_the_tables_of_the_page(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"include_name": _ours}), metadata)
    assert not found


def _ours(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "table" or (str(name).startswith("scnet_") and name != "scnet_alembic_version")


BOOKS = [  # (key, kind, session, postings): a grant, a session that was charged, one that runs
    ("grant:p:first", "grant", "", {"federation:grants": -10, "project:p": 10}),
    ("hold:a:1", "hold", "a", {"project:p": -4, "held:p": 4}),
    ("settle:a", "charge", "a", {"held:p": -4, "centre:north": 1, "project:p": 3}),
    ("hold:b:1", "hold", "b", {"project:p": -2, "held:p": 2}),
    ("hold:b:2", "hold", "b", {"project:p": -1, "held:p": 1}),
]


def test_books_of_before_there_were_lots_are_one_lot_and_go_on(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0005")
        for number, (key, kind, session, postings) in enumerate(BOOKS, 1):
            entry = {"key": key, "at": T0, "kind": kind, "project": "p", "session": session, "memo": ""}
            columns = ", ".join(entry)
            values = ", ".join(f":{name}" for name in entry)
            connection.execute(sa.text(f"INSERT INTO scnet_entries ({columns}) VALUES ({values})"), entry)
            for account, micros in postings.items():
                posting = {"entry": number, "account": account, "unit": "GRANT", "micros": micros}
                connection.execute(
                    sa.text(
                        "INSERT INTO scnet_postings (entry, account, unit, micros) VALUES (:entry, :account, "
                        ":unit, :micros)"
                    ),
                    posting,
                )
    migrate(engine)
    with engine.begin() as tx:
        money = books.balance(tx, "p")
        assert [amount.micros for amount in (money.granted, money.settled, money.on_hold, money.available)] == [
            10,
            1,
            3,
            6,
        ]
        assert audit.verify(tx).ok
        assert books.charge(tx, "p", "b", "north", Amount(2), T0.replace(tzinfo=UTC))
        assert books.balance(tx, "p").available == Amount(7)
        assert sealing.seal(tx) == 6 and audit.verify(tx).ok


SPELT = (
    ("b1", "Zoë", "lab", True),
    ("b2", "zoe\u0308", "dask", True),
    ("b3", "ada", "lab", False),
    ("b4", "ADA", "lab", True),
)


def _at_0008(connection: sa.Connection, sessions: Any, links: Any = ()) -> None:
    command.upgrade(_config(connection), "0008")
    for id, person, kind, live in sessions:
        row = {
            "id": id, "version": 1, "person": person, "project": "p", "kind": kind, "name": "", "state": "ready",
            "live": live, "request": "{}", "placement": "{}", "payload": "{}", "lead": 1, "continues": "",
            "in_line": False, "why": "", "end_reason": "", "created_at": T0, "held": 0,
        }  # fmt: skip
        _insert(connection, "sessions", row)
    for person, account in links:
        linked = {
            "person": person,
            "centre": "north",
            "account": account,
            "how": "proof",
            "linked_by": person,
            "linked_at": T0,
            "ended_by": "",
        }
        _insert(connection, "accounts", linked)
    _insert(connection, "projects", {"id": "p", "title": "P", "max_sessions": 1, "max_cores": 1, "max_gpus": 0})
    for position, person in enumerate(("ada", "ADA", "zoe\u0308")):
        _insert(connection, "members", {"project": "p", "person": person, "position": position})
    entry = {"key": "grant:p:x", "at": T0, "kind": "grant", "project": "p", "session": "", "memo": "", "actor": "ADA"}
    _insert(connection, "entries", entry)


def _insert(connection: sa.Connection, table: str, row: dict[str, Any]) -> None:
    columns, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO scnet_{table} ({columns}) VALUES ({values})"), row)


def _people(connection: sa.Connection, table: str, column: str = "person") -> list[str]:
    return sorted(connection.execute(sa.text(f"SELECT {column} FROM scnet_{table}")).scalars())


def test_people_of_before_have_one_name_each_and_the_books_stay_as_they_are(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        _at_0008(connection, SPELT, links=[("ADA", "alovelace")])
    migrate(engine)
    with engine.begin() as tx:
        assert _people(tx, "sessions") == ["ada", "ada", "zo\u00eb", "zo\u00eb"]
        assert _people(tx, "accounts") == _people(tx, "accounts", "linked_by") == ["ada"]
        assert _people(tx, "members") == ["ada", "zo\u00eb"]
        assert _people(tx, "entries", "actor") == ["ADA"]


@pytest.mark.parametrize(("sessions", "links", "what"), [
    ([("b1", "Ada", "lab", True), ("b2", "ada", "lab", True)], [], "running session"),
    ([], [("zo\u00eb", "z1"), ("zoe\u0308", "z2")], "linked account"),
])  # fmt: skip
def test_two_spellings_that_can_not_be_one_person_are_refused_and_nothing_is_changed(
    engine: sa.Engine, sessions: Any, links: Any, what: str
) -> None:
    with engine.begin() as connection:
        _at_0008(connection, sessions, links)
    before = [_people_of(engine, table) for table in ("sessions", "accounts", "members")]
    with pytest.raises(SpecError, match=what):
        migrate(engine)
    assert [_people_of(engine, table) for table in ("sessions", "accounts", "members")] == before


def _people_of(engine: sa.Engine, table: str) -> list[str]:
    with engine.connect() as connection:
        return _people(connection, table)


def _session_at_0011(name: str, **own: Any) -> dict[str, Any]:
    return {
        "id": name, "version": 4, "person": "ada", "project": "p", "kind": "lab", "name": name, "request": "{}",
        "placement": "{}", "payload": "{}", "lead": 2, "continues": "", "in_line": False, "why": "it starts there now",
        "created_at": T0, "ready_at": T0, "held": 5, **own,
    }  # fmt: skip


def _copy_at_0011(session: str, number: int, **own: Any) -> dict[str, Any]:
    return {
        "session": session, "number": number, "cause": "stalled" if number > 1 else "first", "asked_at": T0,
        "centre": "north", "partition": "main", "account": "ada", "secret": "", "nonce": "hash", "job_id": f"{number}",
        "node": "", "host": "", "port": 0, "address": "", "reason": "Priority", "place_in_queue": 0, "unknown_why": "",
        **own,
    }  # fmt: skip


RUNS = {"state": "ready", "live": True, "end_reason": "", "cancelled_at": None, "ended_at": None}
LATER, LAST = T0 + timedelta(minutes=5), T0 + timedelta(minutes=9)
BEATEN = {
    "state": "stopping",
    "live": True,
    "end_reason": "Another was first.",
    "cancelled_at": LATER,
    "ended_at": None,
}
WITHDRAWN = BEATEN | {"state": "charged", "live": False, "ended_at": LATER}
OVER = {"state": "charged", "live": False, "end_reason": "Stopped on request.", "cancelled_at": LATER, "ended_at": LAST}
DONE = {"state": "ended", "live": False, "end_reason": "It ended.", "cancelled_at": LATER, "ended_at": LATER}


def test_what_was_known_of_sessions_and_their_copies_stays_with_each(engine: sa.Engine) -> None:
    """At 0011 a copy's own columns began with `job_`, because they were read in one row with the session's."""
    before = {"state": "job_state", "live": "job_live", "end_reason": "job_end"}
    before |= {"cancelled_at": "job_cancelled_at", "ended_at": "job_ended_at"}
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0011")
        for name, own, copies in (("runs", RUNS, (BEATEN, RUNS)), ("over", OVER, (WITHDRAWN, DONE))):
            ending = "Project p has 0.00 credits left." if name == "runs" else ""
            _insert(connection, "sessions", _session_at_0011(name, lease_end=ending, **own))
            for number, of_copy in enumerate(copies, 1):
                given = {before[column]: value for column, value in of_copy.items()}
                _insert(connection, "copies", _copy_at_0011(name, number, **given))
    migrate(engine)
    with engine.begin() as tx:
        for name, own, copies in (("runs", RUNS, (BEATEN, RUNS)), ("over", OVER, (WITHDRAWN, DONE))):
            rows = session_rows.copies_of(tx, name)
            assert [_known(row.copy) for row in rows] == [*map(_aware, copies)]
            assert {tuple(_known(row.session).items()) for row in rows} == {tuple(_aware(own).items())}
            assert [(row.copy.job_id, row.copy.reason, row.leads) for row in rows] == [
                ("1", "Priority", False),
                ("2", "Priority", True),
            ]
        assert rows[0].session.lease_end_reason == ""
        runs = session_rows.get(tx, "runs")
        assert runs is not None and runs.session.lease_end_reason == "Project p has 0.00 credits left."
        assert [(row.copy.session, row.copy.number) for row in session_rows.live_copies(tx, centre="north")] == [
            ("runs", 1),
            ("runs", 2),
        ]
        session_rows.update_copy(tx, "runs", 0, state="stopping", cancelled_at=LAST.replace(tzinfo=UTC))
        changed = session_rows.get(tx, "runs")
        assert changed is not None and (changed.session.state, changed.copy.state) == ("ready", "stopping")


def _known(value: Session | Copy) -> dict[str, Any]:
    return {name: getattr(value, name) for name in RUNS}


def _aware(own: dict[str, Any]) -> dict[str, Any]:
    return {name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for name, value in own.items()}
