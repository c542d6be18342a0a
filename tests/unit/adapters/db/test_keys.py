"""What is secret in the database is encrypted: a copy of it lets nobody act as anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.keys import MARK, Keys, add_key
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.domain.sessions.records import SessionCopy
from scnet_hub.errors import SpecError
from tests.builders.copies import split

T0 = datetime(2026, 11, 22, 9, tzinfo=UTC)
TOKEN, NONCE = "a-token-that-the-hub-takes", "a-nonce-that-the-broker-takes"
PAYLOAD = {"argv": ["x"], "env": {"JUPYTERHUB_API_TOKEN": TOKEN}}


def write(tx: Tx) -> None:
    own, of_copy = split(
        id="s1", person="ada", project="p", kind="lab", name="", state="intent", live=True, request={"cores": 1},
        placement={}, payload=PAYLOAD, why="", end_reason="", created_at=T0, held=0, continues="", in_line=False,
        cause="first", asked_at=T0, centre="north", partition="main", account="ada", secret=NONCE, nonce="its hash",
    )  # fmt: skip
    session_rows.insert(tx, own, of_copy)


def read(db: Database) -> SessionCopy:
    row = db.run_here(session_rows.get, "s1")
    assert row is not None
    return row


def files_of(path: Path) -> bytes:
    """Every byte that SQLite keeps, its journal included."""
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


def test_a_dump_of_the_database_holds_no_live_token_and_no_nonce(tmp_path: Path) -> None:
    path = tmp_path / "b.sqlite"
    db = Database(f"sqlite:///{path}", Keys.read(tmp_path / "secrets" / "database.keys"))
    db.open()
    db.run_here(write)
    assert (read(db).session.payload, read(db).copy.secret) == (PAYLOAD, NONCE)
    dump = files_of(path)
    assert TOKEN.encode() not in dump and NONCE.encode() not in dump and MARK.encode() in dump
    db.close()
    assert (tmp_path / "secrets" / "database.keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_stood_there_in_plain_text_is_encrypted_at_the_next_start(
    kind: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database(kind)
    before = Database(url)
    before.open()
    before.run_here(write)
    before.close()
    db = Database(url, Keys.read(tmp_path / "database.keys"))
    db.open()
    assert (read(db).session.payload, read(db).copy.secret) == (PAYLOAD, NONCE)
    with db.engine.connect() as tx:
        told = [*tx.exec_driver_sql("SELECT CAST(payload AS TEXT) FROM scnet_sessions").scalars()]
        told += tx.exec_driver_sql("SELECT secret FROM scnet_copies").scalars()
    assert len(told) == 2 and all(MARK in one and TOKEN not in one and NONCE not in one for one in told)
    db.close()
    if kind == "sqlite":
        left = files_of(Path(url.removeprefix("sqlite:///")))
        assert TOKEN.encode() not in left and NONCE.encode() not in left  # not in pages that were set free either
    without = Database(url)
    without.open()
    with pytest.raises(SpecError, match="opened without its keys"):
        read(without)
    without.close()


def test_a_new_key_takes_over_and_the_old_one_may_go(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'b.sqlite'}", tmp_path / "database.keys"
    db = Database(url, Keys.read(file))
    db.open()
    db.run_here(write)
    db.close()
    old = file.read_text()
    add_key(file)
    assert file.read_text().split()[1:] == old.split()
    db = Database(url, Keys.read(file))
    db.open()
    db.close()
    file.write_text(file.read_text().split()[0])
    db = Database(url, Keys.read(file))
    db.open()
    assert read(db).copy.secret == NONCE
    db.close()
    file.write_text(old)
    with pytest.raises(SpecError, match=r"not in .*database\.keys"):
        Database(url, Keys.read(file)).open()


def test_a_key_file_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("no key\n")
    (tmp_path / "k").chmod(0o600)
    with pytest.raises(SpecError, match="a line that is not a key"):
        Keys.read(tmp_path / "k")
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(SpecError, match="others can read"):
        Keys.read(tmp_path / "k")


def test_a_key_file_that_can_not_be_read_is_named_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "k"
    file.write_bytes(b"\xff\xfe")
    file.chmod(0o600)
    with pytest.raises(SpecError, match="k is not text in UTF-8"):
        Keys.read(file)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "a-disk-that-is-not-mounted" / "keys")
    with pytest.raises(SpecError, match="link: No such file"):
        Keys.read(link)
    assert link.is_symlink()


def test_a_key_is_kept_before_anything_is_encrypted_with_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    url = f"sqlite:///{tmp_path / 'b.sqlite'}"
    with pytest.raises(SpecError, match="keys can't be written"):
        Database(url, Keys.read(tmp_path / "file" / "keys")).open()
    assert not (tmp_path / "b.sqlite").exists()
    keys = Keys.read(tmp_path / "keys")
    keys.keep()
    before = (tmp_path / "keys").read_text()
    keys.keep()
    assert (tmp_path / "keys").read_text() == before and Keys.read(tmp_path / "keys").open(keys.seal("x")) == "x"
