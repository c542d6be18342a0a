"""Runs on a compute node, as a job, beside copies of `node/call_home.py` and its own `errand.json`, and reports what a
session finds there.

Prints each fact as a line `WORD key JSON` in the job's output: the home, the session environment, the hub. Then answers
HTTP on a port until the check has connected and has allowed the job to end. Uses only the standard library of Python
3.9.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STAYS = 50.0  # seconds to wait for the check; the job's walltime is over a minute
TRIES = 2


def main() -> None:
    word, folder = sys.argv[1:3]
    with open(os.path.join(folder, "errand.json")) as file:
        errand = json.load(file)

    def say(key: str, fact: object) -> None:
        print(word, key, json.dumps(fact), flush=True)

    host = importlib.import_module("call_home").own_address(errand)
    door = Door(word, host)
    try:
        server = ThreadingHTTPServer((host, 0), door.handler())
    except OSError as error:
        say("listens", {"host": host, "port": 0, "error": str(error)})
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say("listens", {"host": host, "port": server.server_address[1], "error": ""})
    say("home", {"there": os.path.isdir(errand["home"]), "writable": os.access(errand["home"], os.W_OK)})
    say("hub", fetch(errand["hub"], errand["hub_host"]) if errand["hub"] else {"error": "no address was given"})
    say("environment", environment(errand["python"], errand["imports"], errand["report"]))
    door.ended.wait(STAYS)


class Door:
    """Answers `/WORD/end` with the word, and lets the job end."""

    def __init__(self, word: str, host: str) -> None:
        self.word, self.host, self.ended = word, host, threading.Event()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == f"/{door.word}/end"
                body = door.word.encode() if known else b""
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if known:
                    door.ended.set()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def fetch(url: str, host: str) -> dict[str, Any]:
    """Returns the answer of the hub's address to a request for `host`; the last of TRIES errors if nothing answers."""
    request = urllib.request.Request(url, headers={"Host": host})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    error = ""
    for attempt in range(TRIES):
        try:
            with opener.open(request, timeout=5) as answer:
                return {"status": answer.status, "body": answer.read(400).decode(errors="replace"), "error": ""}
        except urllib.error.HTTPError as problem:
            return {"status": problem.code, "body": problem.read(400).decode(errors="replace"), "error": ""}
        except OSError as problem:
            error = str(getattr(problem, "reason", problem))
            if attempt < TRIES - 1:
                time.sleep(1)
    return {"status": 0, "body": "", "error": error}


def environment(python: str, imports: list[str], report: str) -> dict[str, Any]:
    """Returns the session environment's own report, from this node."""
    try:
        done = subprocess.run([python, "-I", "-", *imports], input=report, capture_output=True, text=True, timeout=60)
        facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return {"error": "", **facts}
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        words = done.stderr.strip().splitlines() if "done" in locals() else []
        return {"error": words[-1] if words else str(error)}


if __name__ == "__main__":
    main()
