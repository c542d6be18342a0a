"""What do the broker's lists, balances and starts cost where 10,000 sessions are live? `python
benchmarks/live_sessions.py --json`

Two brokers' doors in this process, over SQLite files of their own: one with 100 live sessions, one with 10,000. Both
are asked the same in turns through the ASGI app, by a member with ten sessions, by an operator and by the hub. Cost is
this process's CPU time, all threads included, so other work on the machine touches it little; the rounds' median
counts. The centres are pages only: nothing is submitted.
"""

from __future__ import annotations

import asyncio
import gc
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import reporting

from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.adapters.db.queries import sessions as session_rows
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.domain.jobs import JobRequest, LoadSnapshot, NodeLoad, PartitionLoad
from scnet_hub.domain.sessions import names
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.services import tokens
from scnet_hub.services.accounting import books, sealing
from scnet_hub.services.federation import Federation, centres_of
from scnet_hub.services.projects import projects
from scnet_hub.units import credits

FEW, MANY, CENTRES, ROUNDS = 100, 10_000, 22, 5
MOST = 0.5  # seconds of CPU
EACH = 10  # sessions of a person
HUB = "h" * 64
PAGE = """
id = "c{number}"
name = "Centre {number}"
[transport]
kind = "local"
[session]
python = "python3"
directory = "/nowhere/c{number}"
memory_per_core = "2G"
[[partition]]
name = "main"
cores = 64
nodes = 50
[partition.tariff]
core_hour = 0.8
gib_hour = 0.01
"""
FEDERATION = """
centres = ["c*.toml"]
[[project]]
id = "p"
members = [{members}]
grants = {{ first = 100000000 }}
quota = {{ sessions = 100000, cores = 1000000 }}
"""


class Broker:
    """A door over `count` live sessions."""

    def __init__(self, folder: Path, count: int) -> None:
        self.people = [f"p{number}" for number in range(max(1, count // EACH))]
        spec = parse_federation(FEDERATION.format(members=", ".join(f'"{one}"' for one in self.people)), source="p")
        pages = [parse_centre(PAGE.format(number=number), source="c") for number in range(CENTRES)]
        db = Database(f"sqlite:///{folder / f'{count}.sqlite'}")
        db.open()
        self.federation = Federation(spec, centres_of(pages), db, call_home_url="http://127.0.0.1:9/{}")
        self.count = count
        app = create_app(
            self.federation,
            Gate("http://hub/hub/api", HUB, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch))),
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=f"http://broker{PREFIX}/", timeout=600
        )

    async def fill(self) -> None:
        """As if every session had been started and were running since half an hour."""
        db, fed, now = self.federation.db, self.federation, datetime.now(UTC)
        await db.run(projects.apply, fed.spec.project, now)
        for name in fed.states.centres:
            self.look(name)
        await db.run(self._insert, now)
        await db.run(sealing.seal)

    def look(self, name: str) -> None:
        """A centre answers, now."""
        nodes = tuple(NodeLoad(name=f"{name}n{one}", cores=64, cores_used=4) for one in range(50))
        load = PartitionLoad(name="main", nodes=nodes, running_jobs=500)
        self.federation.states.centres[name].update(LoadSnapshot(taken_at=datetime.now(UTC), partitions={"main": load}))

    def _insert(self, tx: Tx, now: datetime) -> None:
        for number in range(self.count):
            person = self.people[number % len(self.people)]
            name = f"s{number}"
            request = JobRequest(
                person=person, project="p", kind="batch", name=name, cores=1 + number % 4, walltime=timedelta(hours=8)
            )
            session_id, began = tokens.new_id(), now - timedelta(minutes=30, seconds=number % 1000)
            session = {
                "id": session_id, "person": person, "project": "p", "kind": "batch", "name": name, "state": "ready",
                "live": True, "request": names.request_document(request),
                "placement": {"reason": "x" * 400, "ranked": [{"centre": "c"}] * 8},
                "payload": {"argv": ["python", "train.py"], "env": {"JUPYTERHUB_API_TOKEN": "t" * 32}},
                "why": "It starts there at once.", "end_reason": "", "created_at": began, "held": credits(10).micros,
                "leased_until": None, "continues": "", "in_line": False, "ready_at": began,
            }  # fmt: skip
            copy = {
                "cause": "first", "asked_at": began, "centre": f"c{number % CENTRES}", "partition": "main",
                "account": person, "secret": "n" * 32, "nonce": "n" * 64, "state": "ready", "job_id": str(number),
                "node": "n1", "host": "127.0.0.1", "port": 5000, "submitted_at": began, "started_at": began,
            }  # fmt: skip
            session_rows.insert(tx, session, copy)
            if number % 10:
                continue  # a hold and a log of each tenth: what is measured asks for a page of them at most
            books.hold(tx, "p", session_id, credits(10), began, "the most it may cost", centre=f"c{number % CENTRES}")
            for word in ("It starts there at once.", f"Submitted as job {number}.", "It runs.", "It can be reached."):
                session_rows.add_event(tx, session_id, began, word)


def vouch(request: httpx.Request) -> httpx.Response:
    """The hub: a token is its person's name; of olga, an operator's."""
    person = request.headers["authorization"].split()[-1]
    scopes = ["custom:scnet:use", *(["custom:scnet:operate"] if person == "olga" else [])]
    return httpx.Response(200, json={"name": person, "scopes": scopes})


def by(person: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"token {person}", **headers}


async def get(broker: Broker, path: str, headers: dict[str, str]) -> Any:
    answer = await broker.http.get(path, headers=headers)
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()


async def brief(broker: Broker) -> None:
    """As the hub compares sessions with servers, every ten seconds. What it does with the answers is its own cost."""
    after, pages = "", 0
    while pages == 0 or after:
        answer = await broker.http.get(f"sessions?brief=1&limit=1000{after and f'&after={after}'}", headers=by(HUB))
        assert answer.status_code == 200, answer.text[:300]
        found = re.search(rb'"next":"(\w+)"\}$', answer.content[-40:])
        after, pages = found[1].decode() if found else "", pages + 1
    assert pages >= broker.count // 1000


async def start(broker: Broker) -> None:
    """A start, up to the row, its hold and its decision; the launch that would follow is another cost."""
    for name in broker.federation.states.centres:
        broker.look(name)
    request = JobRequest(
        person="p0", project="p", kind="batch", name=f"new{time.monotonic_ns()}", cores=1, walltime=timedelta(hours=1)
    )
    row = await broker.federation.db.run(
        broker.federation.submission._begin, tokens.new_id(), request, {"argv": ["true"], "env": {}}
    )
    assert not isinstance(row, Exception), row


ASKED: dict[str, Callable[[Broker], Awaitable[Any]]] = {
    "balance of a member": lambda one: get(one, "balances", by("p0")),
    "balance of an operator": lambda one: get(one, "balances", by("olga")),
    "usage of an operator by centre": lambda one: get(one, "usage?by=centre", by("olga")),
    "sessions of a member": lambda one: get(one, "sessions", by("p0")),
    "sessions of an operator, the first page": lambda one: get(one, "sessions", by("olga")),
    "the hub's list, in brief, all pages": lambda one: brief(one),
    "entries, the first page": lambda one: get(one, "entries?project=p", by("olga")),
    "a start": start,
}


async def measure(few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        brokers = [Broker(Path(folder), few), Broker(Path(folder), many)]
        for broker in brokers:
            await broker.fill()
        seconds: dict[str, list[list[float]]] = {name: [[], []] for name in ASKED}
        for _ in range(rounds + 1):
            for name, ask in ASKED.items():
                for side, broker in enumerate(brokers):
                    gc.collect()
                    began = time.process_time()
                    await ask(broker)
                    seconds[name][side].append(time.process_time() - began)
                    print(f"{name}, {broker.count} live: {seconds[name][side][-1]:.3f} s", file=sys.stderr)
        for broker in brokers:
            broker.federation.db.close()
    # the first round warms up
    rows = {name: [statistics.median(side[1:]) for side in sides] for name, sides in seconds.items()}
    return {
        "live": [few, many],
        "most_s": MOST,
        "asked": {
            name: {"few_s": round(small, 4), "many_s": round(large, 4), "ratio": round(large / small, 2)}
            for name, (small, large) in rows.items()
        },
        "holds": all(large <= MOST for _, large in rows.values()),
    }


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    reporting.show(asyncio.run(measure(many=given.many, rounds=given.rounds)), as_json=given.json)


if __name__ == "__main__":
    main()
