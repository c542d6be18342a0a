"""The session's first process: its file, its environment, its call home; on real processes and a real HTTP server."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


class Home(BaseHTTPRequestHandler):
    """A broker that is away for the first calls, then takes the news."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.calls.append(body)
        away = len(server.calls) <= server.away
        self.send_response(503 if away else server.answer)
        self.end_headers()
        if not away:
            server.heard.set()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def home() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Home)
    server.calls, server.away, server.answer, server.heard = [], 0, 200, threading.Event()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def start_file(folder: Path, home: Any, argv: list[str], **more: Any) -> Path:
    path = folder / "start.json"
    call_home = f"http://127.0.0.1:{home.server_port}/call-home"
    path.write_text(
        json.dumps(
            {"session": "s", "kind": "batch", "argv": argv, "env": {"TOKEN": "secret", "A": "b c"}, "nonce": "n", "call_home": call_home,
             "home": str(folder / "home"), "host": "", **more}
        )
    )  # fmt: skip
    path.chmod(0o600)
    return path


def run(path: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "scnet_hub.session.start", str(path)], capture_output=True, text=True, timeout=60, env=env, cwd=path.parent
    )


def test_a_batch_job_becomes_its_program_in_its_environment(tmp_path: Path, home: Any) -> None:
    code = "import os; print(os.environ['A'], os.getcwd() == os.environ['HOME'], os.environ['TOKEN'])"
    done = run(start_file(tmp_path, home, ["python", "-c", code]))
    assert (done.returncode, done.stdout) == (0, "b c True secret\n")
    assert home.heard.wait(20)
    assert home.calls[-1]["nonce"] == "n" and home.calls[-1]["phase"] == "started"


def test_a_broker_that_is_away_is_called_until_it_answers(tmp_path: Path, home: Any) -> None:
    home.away = 2
    assert run(start_file(tmp_path, home, ["true"])).returncode == 0
    assert home.heard.wait(20) and len(home.calls) == 3


def test_a_file_that_others_can_read_is_not_started(tmp_path: Path, home: Any) -> None:
    path = start_file(tmp_path, home, ["true"])
    path.chmod(0o644)
    done = run(path)
    assert done.returncode != 0 and "must be 600" in done.stderr and not home.calls


def test_a_program_that_is_not_there_is_named(tmp_path: Path, home: Any) -> None:
    done = run(start_file(tmp_path, home, ["no-such-program"]))
    assert done.returncode != 0 and "no-such-program: No such file" in done.stderr
