"""A fake broker that follows docs/reference/rest.md over real HTTP and really starts the argv of each session, on this
machine.

Tests turn its knobs (`hold`, `silent`, `refusals`) and read what it was asked (`calls`). It has no ledger and no
schedulers: its centres are names, its places the first centre that is up and does not refuse.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from scnet_hub.client import Client
from scnet_hub.errors import BadOption, NoPlacement, NotFound, ScnetError
from tests.unit.client.panels import samples

Json = dict[str, Any]


class FakeBroker:
    """`refusals[CENTRE]` (or `refusals[""]`, the person's own) is raised for every submission there, until removed."""

    def __init__(self) -> None:
        self.centres = [samples.centre(), samples.centre(id="beta", name="Beta")]
        self.balances = [samples.balance()]
        self.sessions: dict[str, Json] = {}
        self.payloads: dict[str, Json] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.refusals: dict[str, ScnetError] = {}
        self.calls: list[tuple[str, str]] = []
        self.hold = False
        self.too_many: ScnetError | None = None  # why not all jobs of a cluster would be taken
        self.silent = False
        self.changed = threading.Condition()
        self.logs = tempfile.TemporaryDirectory(prefix="sc-")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/services/scnet/api/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in list(self.processes.values()):
            if process.poll() is None:
                process.kill()
            process.wait(10)
        self.server.shutdown()
        self.server.server_close()
        self.logs.cleanup()

    def client(self) -> Client:
        return Client(self.url, "a-token")

    def environment(self) -> dict[str, str]:
        """What a session has in its environment to find this broker."""
        return {"SCNET_API_URL": self.url, "JUPYTERHUB_API_TOKEN": "a-token"}

    def wait(self, condition: Callable[[], Any], seconds: float = 30) -> None:
        """Returns once `condition` holds; it is looked at after each call and each end of a process."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), f"not within {seconds} s; sessions: {self.states()}"

    def states(self) -> dict[str, str]:
        return {one["name"]: f"{one['state']} {one['end_reason']}".strip() for one in self.sessions.values()}

    def alive(self) -> list[int]:
        return [process.pid for process in list(self.processes.values()) if process.poll() is None]

    def live(self) -> list[Json]:
        return [one for one in self.sessions.values() if one["live"]]

    def kill(self, session_id: str) -> None:
        """The centre ends a job without a word."""
        self.processes[session_id].kill()

    # ---- the calls

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        noun, _, key = path.removeprefix("/services/scnet/api/v1/").partition("/")
        if method == "POST" and key.endswith("/continue"):
            return self.go_on(self.find(key.removesuffix("/continue")))
        if method == "POST" and noun == "sessions":
            return self.submit(body)
        if method == "DELETE":
            return 202, self.cancel(self.find(key), query.get("why", ["Stopped on request."])[0])
        if method == "POST" and noun == "placements":
            return 200, self.place(body)
        if method == "POST" and noun == "cluster-placements":
            return 200, self.place_cluster(body)
        if key.endswith("/log"):
            return 200, {"log": self.log_of(self.find(key.removesuffix("/log")))}
        if key:
            seen, wait = int(query.get("seen", ["-1"])[0]), float(query.get("wait", ["0"])[0])
            self.changed.wait_for(lambda: self.find(key)["version"] != seen, wait)
            return 200, self.find(key)
        return 200, {
            "me": {
                "person": "ada",
                "roles": ["member"],
                "projects": [{"id": "climate", "title": ""}],
                "default_project": "climate",
            },
            "health": {"ok": True, "version": "0", "centres": len(self.centres)},
            "centres": {"centres": self.centres},
            "sessions": {"sessions": [one for one in self.sessions.values() if one["live"] or "all" in query]},
            "balances": {"balances": self.balances},
            "usage": samples.usage(),
        }[noun]

    def find(self, session_id: str) -> Json:
        if session_id not in self.sessions:
            raise NotFound(f"There is no session {session_id!r}.", code="unknown-session")
        return self.sessions[session_id]

    def place(self, body: Json) -> Json:
        up = [one for one in self.centres if one["state"] == "up" and body.get("centre") in ("", None, one["id"])]
        ranked = [
            {
                "centre": one["id"],
                "centre_name": one["name"],
                "partition": "cpu",
                "wait": "now",
                "expected_start": "now",
                "cost": 1.6,
            }
            for one in up
            if one["id"] not in self.refusals
        ]
        refusals = [
            {"centre": one["id"], "partition": "cpu", "reason": "it does not answer"}
            for one in self.centres
            if one["state"] != "up"
        ]
        reason = f"{ranked[0]['centre_name']} starts it now" if ranked else "nothing fits"
        return {"reason": reason, "best": ranked[0] if ranked else None, "ranked": ranked, "refusals": refusals}

    def place_cluster(self, body: Json) -> Json:
        placement, jobs = self.place(body), sum(one.get("count", 1) for one in body["jobs"])
        names = ("low", "expected", "max", "held_first")
        ranked = [
            {
                "centre": one["centre"],
                "centre_name": one["centre_name"],
                "partition": one["partition"],
                "jobs": jobs,
                "soon": jobs,
                "reason": f"{one['centre_name']}: {jobs} of {jobs} jobs would start now.",
                "quote": {name: jobs * (1.0 + number) for number, name in enumerate(names)},
            }
            for one in placement["ranked"]
        ]
        reason = ranked[0]["reason"] if ranked else placement["reason"]
        best = ranked[0] if ranked else None
        refusal = self.too_many.problem() if self.too_many else None
        return {**placement, "jobs": jobs, "reason": reason, "best": best, "ranked": ranked, "refusal": refusal}

    def submit(self, body: Json) -> tuple[int, Json]:
        same = [one for one in self.live() if (one["kind"], one["name"]) == (body["kind"], body["name"])]
        if same:
            return 200, same[0]
        if not isinstance(body.get("argv"), list):
            raise BadOption("argv: a dask session needs a list of words, the program first.")
        for refused in (self.refusals.get(""), self.refusals.get(body.get("centre") or "")):
            if refused:
                raise refused
        placement = self.place(body)
        if not placement["best"]:
            raise NoPlacement("No centre fits.", hint="Ask for less.")
        return 201, self.start(body, placement)

    def start(self, body: Json, placement: Json) -> Json:
        best, key = placement["best"], f"s{len(self.sessions)}"
        session = samples.session(datetime.now(UTC)) | {
            "id": key, "kind": body["kind"], "name": body["name"], "state": "queued", "cores": body.get("cores", 1),
            "gpus": body.get("gpus", 0),
            "centre": best["centre"], "centre_name": best["centre_name"], "why": placement["reason"], "node": "",
            "in_flight": 0.25, "per_hour": None, "reason": "Resources", "place_in_queue": 1, "walltime_s": 3600,
            "placement": placement,
            "created_at": _iso(),
        }  # fmt: skip
        self.sessions[key], self.payloads[key] = session, body
        if not self.hold:
            self.run(key)
        return session

    def run(self, key: str) -> None:
        """The centre starts the job: exactly the argv that was posted, in its environment, "python" being ours."""
        body = self.payloads[key]
        argv = [sys.executable, *body["argv"][1:]] if body["argv"][0] == "python" else body["argv"]
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | body.get("env", {})
        folder = Path(self.logs.name) / key
        for name, data in body.get("files", {}).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(base64.b64decode(data))
            (folder / name).chmod(0o700)
        folder.mkdir(exist_ok=True)
        with self.log_path(key).open("wb") as output:
            process = subprocess.Popen(
                argv, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=folder
            )
        self.processes[key] = process
        self.update(
            key, state="ready", node="node-1", reason="", place_in_queue=0, per_hour=0.8 * self.sessions[key]["cores"]
        )
        threading.Thread(target=self._until_it_ends, args=(key, process), daemon=True).start()

    def _until_it_ends(self, key: str, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        stopped = self.sessions[key]["state"] == "stopping"
        words = (
            "Stopped on request."
            if stopped
            else "The program ended by itself."
            if not code
            else f"The job failed (exit {code})."
        )
        with self.changed:
            self.update(
                key, state="charged", live=False, end_reason=words, ended_at=_iso(), charged=0.5, in_flight=0.0,
                per_hour=None,
            )  # fmt: skip
            self.changed.notify_all()

    def lab(self, key: str = "lab", **changes: Any) -> Json:
        """A JupyterLab session that was started elsewhere, as the hub's spawner does."""
        self.sessions[key] = samples.session(
            datetime.now(UTC), **{"id": key, "warnings": [], "successor": None, **changes}
        )
        return self.sessions[key]

    def go_on(self, session: Json) -> tuple[int, Json]:
        """The session after a Lab's; it stays queued until a test changes that."""
        for refused in filter(None, [self.refusals.get("")]):
            raise refused
        if session["successor"] and session["successor"]["live"]:
            return 200, self.find(session["successor"]["id"])
        after = self.lab(f"{session['id']}-2", state="queued", expires_at=None)
        self.update(
            session["id"], successor={name: after[name] for name in ("id", "state", "live", "centre", "centre_name")}
        )
        return 201, after

    def cancel(self, session: Json, why: str = "Stopped on request.") -> Json:
        key = session["id"]
        if not session["live"]:
            return session
        self.update(key, state="stopping", end_reason=why)
        if key in self.processes:
            self.processes[key].terminate()
            threading.Thread(target=self._kill_the_stubborn, args=(self.processes[key],), daemon=True).start()
        else:
            self.update(key, state="charged", live=False, end_reason=why, ended_at=_iso(), charged=0.0)
        return self.sessions[key]

    def _kill_the_stubborn(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL some seconds after SIGTERM, as centres do: a worker told to end while it starts may miss the
        first."""
        try:
            process.wait(float(os.environ.get("STUB", "3")))
        except subprocess.TimeoutExpired:
            process.kill()

    def update(self, key: str, **changes: Any) -> None:
        self.sessions[key] = self.sessions[key] | changes | {"version": self.sessions[key]["version"] + 1}

    def log_path(self, key: str) -> Path:
        return Path(self.logs.name) / f"{key}.out"

    def log_of(self, session: Json) -> str:
        path = self.log_path(session["id"])
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""


def _iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _handler(broker: FakeBroker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_call(self) -> None:
            url = urlsplit(self.path)
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            if self.headers["Authorization"] != "token a-token":
                return self.reply(403, {"detail": "no"})
            if broker.silent:
                return self.reply(502, {})
            try:
                with broker.changed:
                    broker.calls.append((self.command, url.path.rpartition("/v1/")[2]))
                    status, document = broker.answer(self.command, url.path, parse_qs(url.query), body)
                    broker.changed.notify_all()
            except ScnetError as error:
                status, document = error.status, error.problem()
            self.reply(status, document)

        do_GET = do_POST = do_DELETE = handle_one_call

        def reply(self, status: int, document: Json) -> None:
            data = json.dumps(document).encode()
            with suppress(OSError):
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def until(condition: Callable[[], Any], seconds: float = 30, pause: float = 0.05) -> Any:
    """What `condition` returns once that is true; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(pause)
    return found
