"""A trial session: `python -m scnet_hub.node.trial FOLDER WORD` starts a real Lab on this node, uses it and ends it.

The trial proves an environment before people use it. Its hub is a stand-in in this process, on the loopback address; a
JupyterLab is started by `node.start` as usual, calls home, shows its page and runs a kernel. The last line is `WORD
JSON`: `error` is "" if all went well.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PERSON, PREFIX = "trial", "/user/trial/"
PATIENCE = 90.0  # seconds for a cold start from a slow file system
ENDS = 10.0


def main(argv: list[str]) -> int:
    if len(argv) != 3:
        sys.exit("usage: python -m scnet_hub.node.trial FOLDER WORD")
    folder, word = Path(argv[1]), argv[2]
    found = attempt(folder)
    print(f"\n{word} {json.dumps(found)}", flush=True)
    return 1 if found["error"] else 0


def attempt(folder: Path) -> Json:
    """Returns the times of the steps of a session's life, in seconds: until it `listened`, until its `page` was there,
    until a `kernel` had computed."""
    began = time.monotonic()
    found: Json = {"error": "", "python": sys.version.split()[0], "node": os.uname().nodename}
    hub = StandIn()
    with (folder / "trial.log").open("wb") as log:
        session = subprocess.Popen(
            [sys.executable, "-P", "-m", "scnet_hub.node.start", str(start_file(folder, hub))],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        url = hub.listening(session)
        found["listened"] = round(time.monotonic() - began, 2)
        if "JupyterLab" not in ask(f"{url}lab", hub.token):
            raise Failed("its page is not JupyterLab's")
        found["page"] = round(time.monotonic() - began, 2)
        run_kernel(url, hub.token)
        found["kernel"] = round(time.monotonic() - began, 2)
    except (Failed, OSError, ValueError, KeyError) as error:
        found["error"] = f"{error}; the server's last words: {last_words(folder / 'trial.log')}"
    finally:
        end(session)
    return found


class Failed(Exception):
    """Raised with a sentence that names the failed step of the session's life."""


def run_kernel(url: str, token: str) -> None:
    """Starts a kernel and lets it compute something, through its websocket as a notebook does. Raises Failed."""
    import asyncio

    kernel = json.loads(ask(f"{url}api/kernels", token, b"{}"))["id"]
    try:
        asyncio.run(_compute(f"{url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels", token))
    except TimeoutError as error:
        raise Failed(f"its kernel computed nothing within {PATIENCE:g} s") from error


async def _compute(url: str, token: str) -> None:
    import asyncio

    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    content = {"code": "print(6 * 7)", "silent": False}
    header = {
        "msg_id": secrets.token_hex(8),
        "msg_type": "execute_request",
        "username": "",
        "session": "",
        "version": "5.3",
    }
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    async with asyncio.timeout(PATIENCE):
        socket = await websocket_connect(HTTPRequest(url, headers={"Authorization": f"token {token}"}))
        await socket.write_message(json.dumps(message))
        while heard := await socket.read_message():
            told = json.loads(heard)
            if told["msg_type"] == "stream" and "42" in told["content"]["text"]:
                return
    raise Failed("its kernel closed the connection")


def start_file(folder: Path, hub: StandIn) -> Path:
    env = {
        "JUPYTERHUB_API_TOKEN": hub.token, "JUPYTERHUB_API_URL": f"{hub.url}/hub/api", "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_HOST": "", "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-trial", "JUPYTERHUB_USER": PERSON,
        "JUPYTERHUB_SERVER_NAME": "", "JUPYTERHUB_SERVICE_PREFIX": PREFIX, "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:0{PREFIX}",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback", "JUPYTERHUB_OAUTH_SCOPES": '["access:servers"]',
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers"]',
        "JUPYTERHUB_ACTIVITY_URL": f"{hub.url}/hub/api/users/trial/activity", "JPY_API_TOKEN": hub.token,
    }  # fmt: skip
    start = {
        "session": "trial", "kind": "lab", "argv": ["jupyterhub-singleuser"], "env": env, "nonce": hub.token,
        "call_home": f"{hub.url}/call-home", "home": str(folder / "home"), "host": "127.0.0.1", "networks": [],
    }  # fmt: skip
    path = folder / "trial.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(start, file)
    return path


class StandIn:
    """A stand-in for hub and broker, as far as one session needs them. Its token is valid nowhere else."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(16)
        self.news: Json = {}
        self.called = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def listening(self, session: subprocess.Popen[bytes]) -> str:
        """Returns the session's address once the session has called home. Raises Failed if the session ends before, or
        does not call home in time."""
        deadline = time.monotonic() + PATIENCE
        while not self.called.wait(0.1):
            if session.poll() is not None:
                raise Failed(f"it ended with {session.returncode} before it listened")
            if time.monotonic() > deadline:
                raise Failed(f"it did not listen within {PATIENCE:g} s")
        return f"http://{self.news['host']}:{self.news['port']}{PREFIX}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self
        scopes = ["access:servers", f"access:servers!server={PERSON}/", f"access:servers!user={PERSON}"]
        person = {"kind": "user", "name": PERSON, "admin": False, "groups": [], "scopes": scopes, "session_id": ""}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/hub/api/user"):
                    known = hub.token in (self.headers["Authorization"] or "")
                    self._say(200 if known else 403, person if known else {})
                else:
                    self._say(200, {"version": _jupyterhub()})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.path == "/call-home":
                    hub.news = json.loads(body)
                    hub.called.set()
                self._say(200, {})

            def _say(self, status: int, document: Json) -> None:
                text = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.send_header("X-JupyterHub-Version", _jupyterhub())
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def _jupyterhub() -> str:
    from importlib.metadata import version

    return version("jupyterhub")


def ask(url: str, token: str, body: bytes | None = None) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, body, {"Authorization": f"token {token}"}), timeout=30) as answer:
        text: bytes = answer.read()
        return text.decode(errors="replace")


def end(session: subprocess.Popen[bytes]) -> None:
    """Ends the session with all its processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            session.wait(ENDS)
            return


def last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-3:])[-400:] or "none"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
