"""A real hub process, without proxy and spawning nothing, and the real broker over centres that only keep files.

The centres answer no scheduler's question; `left` is what people wrote into their homes there, (centre, account, path)
→ text.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.adapters.secret_files import make_secret
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.dialects.dialect import dialect
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.domain.standard.federation import parse_federation
from scnet_hub.errors import ScnetError, Unreachable
from scnet_hub.services.federation import Federation
from tests.system.hub.process import HubProcess

FEDERATION = """
centres = ["alpha.toml", "beta.toml", "gamma.toml", "delta.toml"]
[[project]]
id = "climate"
members = ["ada", "grace", "mary"]
grants = { first = 100 }
"""
CENTRE = """
id = "%(id)s"
name = "%(name)s"
organisation = "University of %(name)s"
contact = "%(contact)s"
[transport]
kind = "ssh"
hosts = ["login.example"]
host_keys = ["ssh-ed25519 AAAA"]
[identity]
mode = "%(mode)s"
accounts = { %(listed)s }
[session]
python = "/p"
directory = "/home/{account}/.scnet"
home = "/home/{account}"
[[partition]]
name = "batch"
cores = 4
"""
CENTRES = [
    {
        "id": "alpha",
        "name": "Alpha",
        "contact": "hpc@alpha.example",
        "mode": "certificate",
        "listed": 'ada = "u4711", mary = "u4712"',
    },
    {"id": "beta", "name": "Beta", "contact": "https://beta.example/help", "mode": "certificate", "listed": ""},
    {"id": "gamma", "name": "Gamma", "contact": "Room 12 <b>", "mode": "service", "listed": ""},
    {"id": "delta", "name": "Delta", "contact": "", "mode": "shared", "listed": ""},
]
HUB = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.proxy import Proxy
from scnet_hub.hub import configure
from tests.system.hub.together import Routes

configure(c, Path({home!r}))
class Standing(Routes, Proxy): pass
c.JupyterHub.proxy_class = Standing
c.JupyterHub.authenticator_class = DummyAuthenticator
c.DummyAuthenticator.password = "a-password-for-tests"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"olga"}}
c.JupyterHub.cookie_secret_file = {home!r} + "/secrets/cookie_secret"
"""


class Routes:
    """Where a proxy would be: people go to the hub's own port."""

    should_start = False

    async def get_all_routes(self) -> dict[str, Any]:
        return {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None: ...
    async def delete_route(self, routespec: str) -> None: ...


class Files:
    """A centre's transport of which nothing answers but its files; `fault` is raised instead, once set."""

    def __init__(self, centre: str, left: dict[tuple[str, str, str], str]) -> None:
        self.centre, self.left = centre, left
        self.fault: ScnetError | None = None

    async def run(self, command: Any, *, account: str = "", timeout: float = 30) -> Any:
        raise Unreachable("no scheduler here")

    async def tail(self, path: str, *, account: str = "", size: int = 4000) -> str:
        if self.fault:
            raise self.fault
        return self.left.get((self.centre, account, path), "")

    async def hub_url(self) -> str:
        return ""

    async def keep(self, wanted: Any) -> None: ...
    async def close(self) -> None: ...
    async def end(self) -> None: ...


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Together:
    """`url` is the hub's; `broker` may be stopped and started again under it. `more` is added to the federation's page,
    `settings` to the hub's."""

    def __init__(self, home: Path, more: str = "", settings: str = "") -> None:
        self.home, self.page, self.settings = home, FEDERATION + more, settings
        self.ports = {name: free_port() for name in ("public", "hub", "proxy_api", "broker")}
        self.url = f"http://127.0.0.1:{self.ports['hub']}/hub/"
        self.left: dict[tuple[str, str, str], str] = {}
        self.ways = {one["id"]: Files(one["id"], self.left) for one in CENTRES}

    def start(self) -> None:
        (self.home / "ports.json").write_text(str(self.ports).replace("'", '"'))
        make_secret(self.home / "secrets" / "hub.token")
        page = self.home / "jupyterhub_config.py"
        page.write_text(HUB.format(root=str(Path(__file__).parents[3]), home=str(self.home)) + self.settings)
        self.start_broker()
        self.process = HubProcess(page, self.home, self.home / "hub.log")
        self.until(lambda: httpx.get(f"{self.url}health", trust_env=False).status_code == 200)

    def until(self, true: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except httpx.HTTPError:
                pass
            assert self.process.runs() and time.monotonic() < deadline, (self.home / "hub.log").read_text()[-3000:]
            time.sleep(0.05)

    def start_broker(self) -> None:
        centres = {}
        for facts in CENTRES:
            spec = parse_centre(CENTRE % facts, source=facts["id"])
            centres[spec.id] = Centre(spec, dialect(spec.dialect), self.ways[spec.id])  # type: ignore[arg-type]
        db = Database(f"sqlite:///{self.home / 'broker.sqlite'}")
        db.open()
        federation = Federation(
            parse_federation(self.page, source="federation"), centres, db, call_home_url="http://127.0.0.1:9/{}"
        )
        gate = Gate(f"{self.url}api", make_secret(self.home / "secrets" / "hub.token"))
        self.server = uvicorn.Server(
            uvicorn.Config(create_app(federation, gate), port=self.ports["broker"], log_level="warning")
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not self.server.started:
            assert self.thread.is_alive() and time.monotonic() < deadline
            time.sleep(0.02)
        self.db, self.federation = db, federation

    def stop_broker(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()
        self.db.close()

    def stop(self) -> None:
        self.process.terminate()
        self.stop_broker()

    def run_there(self, centre: str, account: str, command: str) -> None:
        """The person signs in at the centre and runs what the page showed."""
        found = re.fullmatch(r"umask 077; echo (\S+) > (\S+)", command)
        assert found, command
        self.left[centre, account, found[2]] = f"{found[1]}\n"

    def log_in(self, person: str) -> httpx.Client:
        client = httpx.Client(base_url=self.url, trust_env=False, timeout=30, follow_redirects=True)
        client.get("login")
        data = {"username": person, "password": "a-password-for-tests", "_xsrf": client.cookies["_xsrf"]}
        assert client.post("login", data=data, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
        return client
