"""The single-user server of a "lab" session, in this process: its port, its quick start, its tolerance when the hub is
away.

Changes JupyterHub's own start in three ways: skips imports that only a hub needs; moves the check of the hub's version
to the background, so that the server does not end when the hub is away; and while the hub is away, keeps people signed
in who were accepted in the last ten minutes. Needs jupyterhub >=6.1,<7 (private names; tests/system/session watches
them).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlparse

from . import call_home

GRACE = 600.0  # seconds that an answer of the hub is valid while the hub is away
REMEMBERED = 1000  # tokens and cookies


def serve(start: dict[str, Any]) -> int:
    """Runs the server until it stops; returns the server's exit code."""
    host = call_home.own_address(start)
    port = free_port(host)
    url = urlparse(os.environ["JUPYTERHUB_SERVICE_URL"])
    os.environ["JUPYTERHUB_SERVICE_URL"] = url._replace(scheme="http", netloc=f"{host}:{port}").geturl()
    bring_our_own()
    threading.Thread(
        target=call_home.when_listening, args=(start, host, port), kwargs={"node": call_home.node_name()}, daemon=True
    ).start()
    sys.argv = [*start["argv"], *(["--allow-root"] if os.geteuid() == 0 else [])]
    with without_what_only_a_hub_needs():
        do_not_ask_node()
        check_the_hub_later()
        remember_the_hubs_answers()
        import jupyterlab.labapp  # noqa: F401
        from jupyterhub.singleuser import main
    return int(main() or 0)


def bring_our_own() -> None:
    """Adds our settings, the steward (steward.py) and the steward's part in JupyterLab, from this package's place:
    nothing is installed for them. Also makes a folder in which programs leave marks while they have work elsewhere."""
    here = Path(__file__).resolve()
    pages = next(
        (folder for folder in (here.parent / "pages", here.parents[2] / "extensions" / "lab") if folder.is_dir()), None
    )
    for name, folder in (("JUPYTER_CONFIG_PATH", here.parent / "jupyter"), ("JUPYTER_PATH", pages)):
        os.environ[name] = os.pathsep.join(filter(None, [os.environ.get(name), str(folder or "")]))
    os.environ.setdefault(
        "JUPYTERLAB_WORKSPACES_DIR",
        str(workspaces(Path(os.environ["HOME"]), os.environ.get("JUPYTERHUB_SERVER_NAME", ""))),
    )
    os.environ["SCNET_ACTIVE"] = active = tempfile.mkdtemp(prefix="scnet-active-")
    atexit.register(shutil.rmtree, active, ignore_errors=True)


def workspaces(home: Path, server: str) -> Path:
    """Returns where JupyterLab stores its open tabs: a named server has a folder of its own, or two sessions would
    share their tabs."""
    folder = Path(os.environ.get("JUPYTER_CONFIG_DIR") or home / ".jupyter") / "lab" / "workspaces"
    return folder / "servers" / quote(server, safe="").replace(".", "%2E") if server else folder


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def without_what_only_a_hub_needs() -> Iterator[None]:
    """Skips imports that a session never uses: 2.8 of 4 s where all of them are installed.

    jsonschema allows that `rfc3987_syntax` is missing (it builds a grammar at import, 2 s), httpx allows the same for
    `rich`; JupyterHub's log and metrics would import the hub's pages and its database layer for names that never occur
    here (0.4 s); jupyterlab asks node for the registry of its builds (0.4 s). Afterwards all of them can be imported as
    usual.
    """
    hubs = ("jupyterhub.handlers", "jupyterhub.handlers.pages", "jupyterhub.orm", "sqlalchemy", "sqlalchemy.exc")
    names = ("rfc3987_syntax", "rich", *hubs)
    absent = [name for name in names if name not in sys.modules]
    for name in absent:
        sys.modules[name] = _stand_in(name) if name in hubs else None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def _stand_in(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []
    module.__getattr__ = _nothing  # type: ignore[method-assign]
    return module


def _nothing(name: str) -> type[Exception]:
    """Returns an exception class that has no instances, for use in `except`."""
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (Exception,), {})


def do_not_ask_node() -> None:
    """Stops jupyterlab from running `node jlpm config list` at import, for a registry that only its builds use."""
    from jupyterlab import commands

    commands._yarn_config = lambda logger: {"yarn config": {}, "npm config": {}}


def check_the_hub_later() -> None:
    from jupyterhub.singleuser import extension

    check = extension.JupyterHubSingleUser.check_hub_version

    async def until_the_hub_answers(self: Any) -> None:
        while True:
            try:
                await extension.fetch(self.hub_auth.api_url, **self.hub_http_client_opts)
                await check(self)
                return
            except Exception as error:
                self.log.info("The hub does not answer yet (%s); the server runs on.", error)
                await asyncio.sleep(5)

    async def in_background(self: Any) -> None:
        self._scnet_hub_check = asyncio.ensure_future(until_the_hub_answers(self))

    extension.JupyterHubSingleUser.check_hub_version = in_background


def remember_the_hubs_answers() -> None:
    """Makes a 5xx from the hub's check of a token fall back to the hub's last answer, for at most GRACE seconds."""
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
