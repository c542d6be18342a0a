"""A real hub process with stand-ins for Labs: a broker whose sessions a test controls, and servers that answer.

The broker keeps to docs/reference/rest.md as far as the hub's spawner asks it; `routes` is what the hub told its proxy.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import jupyterhub

from tests.system.hub.process import HubProcess
from tests.system.hub.together import Routes

Json = dict[str, Any]
HUB = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from jupyterhub.auth import DummyAuthenticator
from scnet_hub.hub import configure, rejoin
from scnet_hub.hub.proxy import KeepsStopped
from scnet_hub.hub.stopping import Keeping
from tests.system.hub.labs import Written

rejoin.EVERY, rejoin.PATIENCE = 0.3, {patience}
configure(c, Path({home!r}))
class Standing(Written, Keeping, KeepsStopped): file = Path({seen!r}) / "routes.json"
c.JupyterHub.proxy_class = Standing
c.JupyterHub.authenticator_class = DummyAuthenticator
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.services.append({{"name": "test", "api_token": "the-token-of-these-tests"}})
c.JupyterHub.load_roles.append({{"name": "test", "scopes": ["admin:users", "admin:servers"], "services": ["test"]}})
"""


def lasting_port() -> int:
    """A free one that stays so while a hub is down: below those that outgoing connections are given."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


class Written(Routes):
    """A proxy that writes its routes down."""

    file: Path

    def _write(self, routes: Json) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(routes))
        new.replace(self.file)

    async def get_all_routes(self) -> Json:
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self._write(
            {**await self.get_all_routes(), routespec: {"routespec": routespec, "target": target, "data": data}}
        )

    async def delete_route(self, routespec: str) -> None:
        self._write({spec: route for spec, route in (await self.get_all_routes()).items() if spec != routespec})


def serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


NOW = "2026-11-23T09:00:00.000Z"  # to the broker


class Lab(BaseHTTPRequestHandler):
    """A single-user server as far as the hub looks."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", jupyterhub.__version__)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None: ...


class LabBroker:
    """`sessions` by id; `move` changes one and wakes who waits. `calls` are what the hub asked that changes something,
    `looks` the sessions that it looked at one by one."""

    def __init__(self) -> None:
        self.sessions: dict[str, Json] = {}
        self.calls: list[str] = []
        self.looks: list[str] = []
        self.away = False  # a proxy answers in its place
        self.rounds: list[int] = []  # how many live sessions each list had
        self.changed = threading.Condition()
        broker = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                person = unquote(self.headers.get("X-SCNet-Person", ""))
                found: Json = {}
                if not broker.away:
                    found = broker.answer(
                        self.command, url.path.rpartition("/v1/")[2], query, person, json.loads(body or b"{}")
                    )
                text = b"bad gateway" if broker.away else json.dumps(found).encode()
                self.send_response(502 if broker.away else 200 if "code" not in found else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: Any) -> None: ...

        self.server = serve(Handler)
        self.port: int = self.server.server_address[1]

    def answer(self, method: str, path: str, query: dict[str, str], person: str, body: Json) -> Json:
        noun, _, key = path.partition("/")
        with self.changed:
            if method == "POST":
                return self.submit(person, body)
            if noun == "sessions" and not key:
                live = [one for one in self.sessions.values() if one["live"]]
                self.rounds.append(len(live))
                return {"as_of": NOW, "sessions": [*self.sessions.values()] if "all" in query else live, "next": None}
            if key not in self.sessions or person not in ("", self.sessions[key]["person"]):
                return {"code": "not-found", "title": f"There is no {path}."}
            if method == "DELETE":
                self.calls.append(f"stop {key} {query.get('why', '')}".strip())
                self.move(key, state="ended", live=False, end_reason="Stopped on request.")
            if "wait" in query:
                self.changed.wait_for(lambda: self.sessions[key]["version"] != int(query["seen"]), float(query["wait"]))
            elif method == "GET":
                self.looks.append(key)
            return self.sessions[key]

    def submit(self, person: str, body: Json) -> Json:
        same = [
            one
            for one in self.sessions.values()
            if one["live"] and (one["person"], one["name"]) == (person, body["name"])
        ]
        if same:
            return same[-1]
        self.calls.append(f"start {person} {body['name']}".strip())
        return self.session(person=person, name=body["name"], token=body["env"]["JUPYTERHUB_API_TOKEN"])

    def session(self, **facts: Any) -> Json:
        usual: Json = {
            "id": f"s{len(self.sessions) + 1}",
            "version": 1,
            "person": "ada",
            "kind": "lab",
            "name": "",
            "state": "queued",
        }
        usual |= {
            "live": True,
            "host": "",
            "port": 0,
            "token": "",
            "created_at": f"2026-11-23T08:00:{len(self.sessions):02}.000Z",
        }
        usual |= {
            "centre_name": "Alpha",
            "place_in_queue": 1,
            "reason": "",
            "why": "",
            "end_reason": "",
            "events": [],
            "warnings": [],
        }
        usual |= {
            "continues": "",
            "centre": "alpha",
            "cores": 1,
            "gpus": 0,
            "started_at": None,
            "ended_at": None,
            "exit_code": "",
        }
        usual |= {"in_flight": 0.5, "charged": None}
        made = usual | facts
        self.sessions[made["id"]] = made
        return made

    def move(self, session: str, **facts: Any) -> None:
        with self.changed:
            self.sessions[session] |= {**facts, "version": self.sessions[session]["version"] + 1}
            self.changed.notify_all()

    def ready(self, session: str, lab: ThreadingHTTPServer) -> None:
        self.move(session, state="ready", host="127.0.0.1", port=lab.server_address[1])


class LabHub:
    """The hub's process: `start`, `kill` it, start it again. `api` is its REST with a token that may do much."""

    def __init__(self, home: Path, broker: LabBroker, *, patience: float = 600, state: Path | None = None) -> None:
        """`state` is the hub's own folder, if not `home`: there `home` only holds what a test reads."""
        self.home, self.broker = home, broker
        state = state or home
        self.port = lasting_port()
        (state / "secrets").mkdir(mode=0o700)
        ports = {"host": "127.0.0.1", "public": self.port, "hub": self.port, "proxy_api": 1, "broker": broker.port}
        (state / "ports.json").write_text(json.dumps(ports))
        (home / "config.py").write_text(
            HUB.format(root=str(Path(__file__).parents[3]), home=str(state), seen=str(home), patience=patience)
        )
        self.url = f"http://127.0.0.1:{self.port}/hub/api/"
        self.api = httpx.Client(
            base_url=self.url, headers={"Authorization": "token the-token-of-these-tests"}, trust_env=False, timeout=30
        )

    def start(self) -> None:
        self.process = HubProcess(self.home / "config.py", self.home, self.home / "hub.log")
        self.until(lambda: self.api.get("").status_code == 200)

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        self.kill()
        self.api.close()

    @property
    def log(self) -> str:
        return (self.home / "hub.log").read_text()

    @property
    def routes(self) -> dict[str, str]:
        """Where people are sent, by path."""
        file = self.home / "routes.json"
        return {spec: route["target"] for spec, route in json.loads(file.read_text()).items()} if file.exists() else {}

    def server(self, person: str = "ada", name: str = "") -> Json:
        """The hub's own word on a server; {} if it lists none that is active."""
        answer = self.api.get(f"users/{person}")
        found: Json = (answer.json().get("servers") or {}).get(name) or {} if answer.status_code == 200 else {}
        return found if found.get("pending") or found.get("ready") else {}

    def begin(self, person: str = "ada", name: str = "") -> None:
        self.api.post(f"users/{person}")
        assert self.api.post(f"users/{person}/{f'servers/{name}' if name else 'server'}", json={}).status_code in (
            201,
            202,
        )

    def browser(self, person: str) -> httpx.Client:
        """A browser in which that person is logged in; its addresses begin at the hub's host."""
        client = httpx.Client(
            base_url=self.url.removesuffix("/hub/api/"), trust_env=False, timeout=30, follow_redirects=True
        )
        client.get("/hub/login")
        data = {"username": person, "password": "", "_xsrf": client.cookies["_xsrf"]}
        answer = client.post("/hub/login", data=data, headers={"Sec-Fetch-Site": "same-origin"}, follow_redirects=False)
        assert answer.status_code == 302
        return client

    def until(self, true: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except httpx.HTTPError:
                pass
            assert self.process.runs() and time.monotonic() < deadline, re.sub(r"(?m)^.*\[D .*\n", "", self.log)[-4000:]
            time.sleep(0.05)
