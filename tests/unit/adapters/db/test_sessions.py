"""Queries on sessions and their copies: each has columns of its own, also where both have one of that name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import CompileError

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.sessions.records import SessionCopy
from tests.builders.copies import split
from tests.builders.postgres import undone

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SHARED = ("state", "live", "end_reason", "cancelled_at", "ended_at")
COPY = {
    "cause": "stalled", "asked_at": NOW, "centre": "b", "partition": "m", "account": "", "secret": "", "nonce": "",
}  # fmt: skip


@pytest.fixture
def tx(database: Database) -> Iterator[Tx]:
    """With a session that has two copies; the first leads."""
    with undone(database) as transaction:
        own, of_copy = split(
            id="s", person="ada", project="p", kind="lab", name="s", state="ready", live=True, request={"cores": 1},
            placement={}, payload={}, why="", end_reason="", created_at=NOW, held=0, continues="", in_line=False,
            **COPY | {"cause": "first", "centre": "a"},
        )  # fmt: skip
        session_rows.insert(transaction, own, of_copy)
        session_rows.add_copy(transaction, "s", 2, **COPY)
        yield transaction


def of(tx: Tx, number: int) -> SessionCopy:
    row = session_rows.get(tx, "s", number)
    assert row is not None
    return row


def test_a_session_and_each_of_its_copies_are_changed_by_themselves(tx: Tx) -> None:
    first, second = (of(tx, number).copy for number in (1, 2))
    session_rows.update(tx, "s", state="ended", live=False, end_reason="of the session", cancelled_at=NOW, ended_at=NOW)
    session = of(tx, 1).session
    assert (session.version, session.state, session.live, session.end_reason) == (2, "ended", False, "of the session")
    assert [of(tx, number).copy for number in (1, 2)] == [first, second]
    session_rows.update_copy(
        tx, "s", 2, state="queued", end_reason="of the second copy", cancelled_at=NOW, ended_at=NOW
    )
    assert of(tx, 1).copy == first
    assert [getattr(of(tx, 2).copy, name) for name in SHARED] == ["queued", True, "of the second copy", NOW, NOW]
    after = of(tx, 2).session
    assert after.version == 3 and [getattr(after, name) for name in SHARED] == [
        getattr(session, name) for name in SHARED
    ]


def test_copy_0_is_the_leading_one(tx: Tx) -> None:
    session_rows.update(tx, "s", lead=2)
    session_rows.update_copy(tx, "s", 0, job_id="7")
    assert [row.copy.job_id for row in session_rows.copies_of(tx, "s")] == ["", "7"]
    leading = of(tx, 0)
    assert (leading.copy.number, leading.leads, of(tx, 1).leads) == (2, True, False)


def test_a_list_without_long_columns_has_the_same_values_as_the_whole_row(tx: Tx) -> None:
    session_rows.update(tx, "s", payload={"env": {"JUPYTERHUB_API_TOKEN": "t", "MORE": "x"}}, placement={"why": "x"})
    whole, (short,) = of(tx, 1), session_rows.listed(tx, limit=2)
    assert short.copy == whole.copy
    assert short.session.payload == {"env": {"JUPYTERHUB_API_TOKEN": "t"}} and short.session.placement == {}
    kept = [name for name in whole.session.__slots__ if name not in ("payload", "placement")]
    assert [getattr(short.session, name) for name in kept] == [getattr(whole.session, name) for name in kept]
    (brief,) = session_rows.briefs(tx, ["s"])
    assert (brief.state, brief.centre, brief.token, brief.lease_end_reason) == ("ready", "a", "t", "")


@pytest.mark.parametrize("column", ["job_id", "centre", "job_state", "used"])
def test_a_column_that_sessions_do_not_have_is_refused(tx: Tx, column: str) -> None:
    with pytest.raises(CompileError, match=column):
        session_rows.update(tx, "s", **{column: None})


@pytest.mark.parametrize("column", ["held", "ready_at", "job_live", "version"])
def test_a_column_that_copies_do_not_have_is_refused(tx: Tx, column: str) -> None:
    with pytest.raises(CompileError, match=column):
        session_rows.update_copy(tx, "s", 1, **{column: None})
