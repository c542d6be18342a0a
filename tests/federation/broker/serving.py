"""Runs the broker on a port of its own, over books and centres that answer without daemons: for tools that speak
HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.services.federation import Federation
from tests.unit.ledger.closing import LOAD, SPEC, Clock

from .door import vouch


class Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        self.listens.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def serving(database: Database) -> Iterator[str]:
    """The broker's address. Its tokens are names of people: see `vouch`."""
    centres = {name: Centre.of(known.spec) for name, known in LOAD.centres.items()}
    fed = Federation(SPEC, centres, database, call_home_url="http://127.0.0.1:9/{}", clock=Clock())
    gate = Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    server = Server(
        uvicorn.Config(create_app(fed, gate), host="127.0.0.1", port=0, lifespan="off", log_level="warning")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    assert server.listens.wait(30)
    try:
        yield server.url
    finally:
        server.should_exit = True
        thread.join(30)
