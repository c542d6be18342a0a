"""A JupyterLab with the session's steward and its extension, as a session has them, but with no hub: its broker is a
fake one."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import httpx

from tests.builders.fakes.broker import FakeBroker, until

ROOT = Path(__file__).resolve().parents[3]
BARE = ("JUPYTERHUB_", "SCNET_", "JUPYTER_", "CUDA_")
Json = dict[str, Any]


class Lab:
    """`url` ends with a slash; `token` lets in; `home` is the working folder."""

    def __init__(
        self, broker: FakeBroker | None, session: str = "lab", home: Path | None = None, port: int = 0, **env: str
    ) -> None:
        self.token = "a-labs-token"
        self.folder = Path(tempfile.mkdtemp(prefix="sc-"))
        self.home = home or self.folder / "home"
        self.active = self.folder / "active"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/user/ada/"
        bare = {name: value for name, value in os.environ.items() if not name.startswith(BARE)}
        self.env = {
            **bare, **(broker.environment() if broker else {}), "HOME": str(self.home),
            "SCNET_SESSION": session, "SCNET_ACTIVE": str(self.active),
            "JUPYTER_CONFIG_PATH": str(ROOT / "scnet_hub/node/jupyter"), "JUPYTER_PATH": str(ROOT / "extensions/lab"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "run"), **env,
        }  # fmt: skip
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"token {self.token}"}, timeout=30, trust_env=False
        )

    def __enter__(self) -> Self:
        for folder in (self.home, self.active):
            folder.mkdir(exist_ok=True)
        argv = [
            sys.executable, "-c", "import sys; sys.modules['rfc3987_syntax'] = None; from jupyterlab.labapp import "
            "main; main()",
            "--no-browser", "--allow-root", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1", "--ServerApp.base_url=/user/ada/", f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.home}",
        ]  # fmt: skip
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            argv, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        until(self.answers, 90)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.log.close()

    def answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            return self.http.get("api/status").status_code == 200
        except httpx.TransportError:
            return False

    def told(self, here: bool = False) -> Json:
        answer = self.http.get("scnet/session", params={"here": "1"} if here else {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def kernel(self) -> Kernel:
        return Kernel(self, self.http.post("api/kernels", json={}).json()["id"])


class Kernel:
    """Its websocket, spoken to as a notebook does."""

    def __init__(self, lab: Lab, key: str) -> None:
        from websockets.sync.client import connect

        self.id = key
        address = f"{lab.url.replace('http', 'ws', 1)}api/kernels/{key}/channels?token={lab.token}"
        self.socket = connect(address, max_size=None)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.heard: list[Json] = []
        self.reader.start()

    def _read(self) -> None:
        import json

        from websockets.exceptions import ConnectionClosed

        try:
            for text in self.socket:
                self.heard.append(json.loads(text))
        except ConnectionClosed:
            pass

    def run(self, code: str) -> str:
        """Asks for it; the message's id."""
        return self.send("execute_request", {"code": code, "silent": False})

    def send(self, kind: str, content: Json) -> str:
        import json

        key = secrets.token_hex(8)
        header = {"msg_id": key, "msg_type": kind, "username": "", "session": "s", "version": "5.3", "date": ""}
        self.socket.send(
            json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"})
        )
        return key

    def until_idle(self, key: str) -> None:
        until(
            lambda: [
                one
                for one in self.heard
                if one["parent_header"].get("msg_id") == key and one["content"].get("execution_state") == "idle"
            ],
            60,
        )

    def said(self, words: str) -> bool:
        return any(words in one["content"].get("text", "") for one in list(self.heard) if one["msg_type"] == "stream")

    def close(self) -> None:
        self.socket.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hold(seconds: float, true: Any) -> None:
    """That `true()` stays so for so long: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert true()
        time.sleep(0.2)
