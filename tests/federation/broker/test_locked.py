"""Tests a database that is locked for writing, and a full disk: reads are answered, writes wait or are refused with a
sentence."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.secret_files import make_secret
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services.federation import Federation
from scnet_hub.services.projects import projects
from tests.unit.ledger.closing import CENTRE, LOAD

from .door import by, vouch

PAGE = """
centres = ["alpha.toml"]
[[project]]
id = "p"
members = ["ada"]
grants = { first = 100 }
[[member]]
id = "north"
centres = ["alpha"]
people = ["ada"]
"""
READS = (
    "me", "centres", "profiles", "sessions", "sessions?all=1", "balances", "usage", "usage?by=session", "projects/p",
    "allocations", "account-links", "tariffs",
    "entries?project=p", "statements", "periods", "decisions", "orphans", "metrics", "usage-records/suspense",
    "settlement/board",
)  # fmt: skip
OPERATORS = ("decisions", "orphans", "metrics", "usage-records/suspense", "settlement/board")
PATIENCE = 5  # seconds: SQLite itself waits 10 for a lock


def over(db: Database) -> Federation:
    db.run_here(projects.apply, parse_federation(PAGE, source="p").project, datetime.now(UTC))
    centres = {"alpha": Centre.of(LOAD.centres["alpha"].spec)}
    return Federation(parse_federation(PAGE, source="p"), centres, db, call_home_url="http://127.0.0.1:9/{}")


def asking(federation: Federation) -> httpx.AsyncClient:
    gate = Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    transport = httpx.ASGITransport(create_app(federation, gate))
    return httpx.AsyncClient(transport=transport, base_url=f"http://broker{PREFIX}/", timeout=None)


async def all_answered(http: httpx.AsyncClient) -> None:
    for path in READS:
        answer = await http.get(path, headers=by("olga" if path in OPERATORS else "ada"))
        assert answer.status_code == 200, (path, answer.text)


async def test_questions_are_read_where_nothing_may_be_written(database: Database) -> None:
    """On PostgreSQL a lock would be refused there."""
    async with asking(over(database)) as http:
        asked = await http.post("allocations", headers=by("ada"), json={"project": "p", "amount": 1, "words": "x"})
        await http.post(f"allocations/{asked.json()['id']}/approve", headers=by("olga"), json={})
        await all_answered(http)


async def test_questions_are_answered_while_the_database_is_locked_for_writing(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'broker.sqlite'}")
    db.open()
    async with asking(over(db)) as http:
        lock = sqlite3.connect(tmp_path / "broker.sqlite", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        body = {"project": "p", "amount": 1, "words": "x"}
        # for the lock, on the writer's thread
        waiting = asyncio.ensure_future(http.post("allocations", headers=by("ada"), json=body))
        async with asyncio.timeout(PATIENCE):
            await all_answered(http)
            strange = await http.post(
                "sessions/nosuchsession/call-home",
                json={"nonce": "n", "phase": "started", "host": "", "port": 0, "node": ""},
            )
            assert strange.status_code == 404  # anybody may call: it costs the writer nothing
        assert not waiting.done()
        lock.execute("ROLLBACK")
        assert (await waiting).status_code == 201
    lock.close()
    db.close()


# ---- a full disk: the system refuses each write of the broker's process to a file


def room(process: subprocess.Popen[bytes], size: int) -> None:
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def until(true: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if found := true():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    assert process.stderr is not None
    process.terminate()
    raise AssertionError(process.stderr.read()[-3000:].decode())


def test_a_broker_whose_disk_is_full_answers_questions_until_there_is_room(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = make_secret(tmp_path / "hub.token")
    (tmp_path / "federation.toml").write_text(PAGE)
    (tmp_path / "alpha.toml").write_text(CENTRE.format(name="alpha", title="Alpha"))
    settings = {
        "federation": str(tmp_path / "federation.toml"), "database": f"sqlite:///{tmp_path / 'broker.sqlite'}",
        "hub_api": "http://127.0.0.1:9", "token_file": str(tmp_path / "hub.token"), "public_url": "http://127.0.0.1:9",
        "folder": str(tmp_path), "port": port,
    }  # fmt: skip
    (tmp_path / "broker.json").write_text(json.dumps(settings))
    db = Database(settings["database"])
    db.open()
    db.run_here(projects.apply, parse_federation(PAGE, source="p").project, datetime.now(UTC))
    db.close()  # in order: not even the files are there by which SQLite shares a database
    words = [sys.executable, "-m", "scnet_hub.broker", str(tmp_path / "broker.json")]
    env = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        words, preexec_fn=no_room, stderr=subprocess.PIPE, env=env, cwd=Path(__file__).parents[3]
    )
    headers = {"Authorization": f"token {token}", "X-SCNet-Person": "ada"}
    body = {"project": "p", "amount": 1, "words": "x"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}{PREFIX}/", headers=headers, trust_env=False) as http:
            health = until(lambda: http.get("health").json(), process)
            assert "can't be written" in health["read_only"]
            assert [http.get(path).status_code for path in ("me", "centres", "sessions", "balances")] == [200] * 4
            refused = http.post("allocations", json=body)
            assert (refused.status_code, refused.json()["code"]) == (
                503,
                "not-stored",
            ) and "free space" in refused.json()["hint"]
            room(process, resource.RLIM_INFINITY)
            until(lambda: not http.get("health").json()["read_only"], process)
            assert http.post("allocations", json=body).status_code == 201
            room(process, 0)
            assert http.post("allocations", json=body).json()["code"] == "not-stored"
            assert http.get("health").json()["read_only"] and len(http.get("allocations").json()["allocations"]) == 1
    finally:
        process.terminate()
        process.communicate(timeout=60)
