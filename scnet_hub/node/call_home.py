"""Calls home: tells the broker where the session listens, again and again until the broker answers.

The broker may be restarting, so a missing answer is no reason to give up; a refusal (wrong nonce, session cancelled) is
final. The refusal must come from the broker itself: while a new proxy has no routes yet, the hub answers 403 in the
broker's place. A job that was also submitted elsewhere asks in the same way, before its program begins, whether it is
the first to start.
"""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
PROBLEM = "application/problem+json"  # only the broker refuses with this type


def node_name() -> str:
    """Returns the scheduler's name of this node, else the node's own name."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def own_address(start: Json) -> str:
    """Returns where this session listens: the address that the centre's page gives, else this node's address in the
    centre's networks (of several, the address that packets to the hub leave by), else the node's name."""
    if start.get("host"):
        return str(start["host"])
    networks = [ipaddress.ip_network(network) for network in start.get("networks", ())]
    found = [
        one
        for one in (*_resolved(), *_outgoing(start))
        if any(ipaddress.ip_address(one) in network for network in networks)
    ]
    return found[-1] if found else socket.gethostname()


def _resolved() -> list[str]:
    try:
        return socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return []


def _outgoing(start: Json) -> list[str]:
    """Returns the address that packets towards the hub leave by; connecting a UDP socket sends nothing."""
    to = urlsplit(start["call_home"])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((to.hostname, to.port or 80))
            return [probe.getsockname()[0]]
    except OSError:
        return []


def in_background(start: Json, *, node: str) -> None:
    """Calls home from a detached process, so that this process may become another program; gives up when that program
    has ended."""
    program = os.getpid()
    if os.fork() == 0:
        if os.fork() == 0:
            # the output belongs to the program, which may end before this process
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            tell(start, started(node), program)
        os._exit(0)
    os.wait()


def may_begin(start: Json, *, node: str, patience: float) -> bool:
    """Asks the broker whether this job is the first of its session to start, and blocks until the broker answers: a job
    that was the first remains so, and may ask again. Raises TimeoutError after `patience` seconds."""
    return tell(start, started(node), patience=patience)


def started(node: str) -> Json:
    return {"phase": "started", "node": node, "host": "", "port": 0}


def tell(start: Json, news: Json, program: int = 0, patience: float = float("inf")) -> bool:
    """Delivers `news`. Returns True once the broker accepted, False if the broker refused, or if process `program` (0:
    none) has ended. Blocks in between. Raises TimeoutError after `patience` seconds."""
    import http.client
    import urllib.error
    import urllib.request

    body = json.dumps({"nonce": start["nonce"], **news}).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/json", **({"Host": start["hub_host"]} if start.get("hub_host") else {})}
    pause, until = FIRST_PAUSE, time.monotonic() + patience
    while True:
        try:
            request = urllib.request.Request(start["call_home"], body, headers)
            with opener.open(request, timeout=20) as answer:
                if answer.geturl() == start["call_home"]:  # after a redirect, another server answered
                    return True
        except urllib.error.HTTPError as error:
            if error.code in (400, 403, 404, 409, 410, 422) and error.headers.get_content_type() == PROBLEM:
                print(f"call home refused ({error.code}): {error.read()[:300]!r}", file=sys.stderr)
                return False
        except (OSError, http.client.HTTPException):  # also an answer that is no HTTP
            pass
        if time.monotonic() + pause > until:
            raise TimeoutError
        time.sleep(pause)
        if program and not lives(program):
            return False
        pause = min(pause * 1.6, LONGEST_PAUSE)


def lives(program: int) -> bool:
    """Returns whether a process with that number exists."""
    try:
        os.kill(program, 0)
    except OSError:
        return False
    return True


def when_listening(start: Json, host: str, port: int, *, node: str) -> None:
    """Waits until `host:port` accepts connections (checked every 20 ms), then calls home."""
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    if not tell(start, {"phase": "listening", "node": node, "host": host, "port": port}):
        os.kill(os.getpid(), signal.SIGTERM)  # this session is not needed: another copy won, or the session was stopped
