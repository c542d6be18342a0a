"""The single-user server of a "lab" session, in this process: its port, its quick start, its patience with the hub.

Three changes to JupyterHub's own start: a 2 s import that nobody needs is left out; the check of the hub's version waits
in the background instead of ending the server when the hub is away; and while the hub is away, people who were let in
in the last ten minutes stay in. Needs jupyterhub >=6.1,<7 (private names; tests/session watches them).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from . import callhome

GRACE = 600.0  # seconds that an answer of the hub counts while the hub is away
REMEMBERED = 1000  # tokens and cookies


def serve(start: dict[str, Any]) -> int:
    """Runs the server until it stops; returns its exit code."""
    host = start.get("host") or socket.gethostname()
    port = free_port(host)
    url = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    os.environ["JUPYTERHUB_SERVICE_URL"] = url._replace(scheme="http", netloc=f"{host}:{port}").geturl()
    config = str(Path(__file__).parent / "jupyter")
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [os.environ.get("JUPYTER_CONFIG_PATH"), config]))
    threading.Thread(
        target=callhome.when_listening, args=(start, host, port), kwargs={"node": socket.gethostname()}, daemon=True
    ).start()
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # an ImportError that jsonschema expects: saves 2 s
    sys.argv = [*start["argv"], *(["--allow-root"] if os.geteuid() == 0 else [])]
    check_the_hub_later()
    remember_the_hubs_answers()
    from jupyterhub.singleuser import main

    return main() or 0


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def check_the_hub_later() -> None:
    from jupyterhub.singleuser import extension

    check = extension.JupyterHubSingleUser.check_hub_version

    async def until_the_hub_answers(self: Any) -> None:
        while True:
            try:
                await extension.fetch(self.hub_auth.api_url, **self.hub_http_client_opts)
                return await check(self)
            except Exception as error:
                self.log.info("The hub does not answer yet (%s); the server runs on.", error)
                await asyncio.sleep(5)

    async def in_background(self: Any) -> None:
        self._scnet_hub_check = asyncio.ensure_future(until_the_hub_answers(self))

    extension.JupyterHubSingleUser.check_hub_version = in_background


def remember_the_hubs_answers() -> None:
    """A 5xx from the hub's check of a token falls back on its last answer, for at most GRACE seconds."""
    from jupyterhub.services import auth
    from tornado.web import HTTPError

    check = auth.HubAuth._check_hub_authorization
    answers: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    async def patient(self: Any, url: str, api_token: str, cache_key: Any = None, use_cache: bool = True) -> Any:
        try:
            answer = await check(self, url, api_token, cache_key, use_cache)
        except HTTPError as error:
            at, last = answers.get(cache_key, (0.0, None))
            if error.status_code < 500 or last is None or time.monotonic() - at > GRACE:
                raise
            return last
        if cache_key and answer:
            answers[cache_key] = (time.monotonic(), answer)
            answers.move_to_end(cache_key)
            while len(answers) > REMEMBERED:
                answers.popitem(last=False)
        return answer

    auth.HubAuth._check_hub_authorization = patient
