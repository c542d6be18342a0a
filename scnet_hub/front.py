"""The notebook's one-liners on a client that the whole kernel shares: centres, place, sessions, balance, stop.

Each is one call of docs/reference/rest.md and returns its JSON as lists and dicts; refusals are raised as in `errors.py`.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from .client import Client

Json = dict[str, Any]
_lock = threading.Lock()
_shared: dict[int, Client] = {}


def shared_client() -> Client:
    """This process's client (a forked child makes its own). Raises BrokerError if there is no broker to be found."""
    with _lock:
        if os.getpid() not in _shared:
            _shared[os.getpid()] = Client()
        return _shared[os.getpid()]


def centres() -> list[Json]:
    """The member centres: state, free cores and GPUs, queue, prices, age of the facts."""
    return shared_client().centres()


def place(**options: Any) -> Json:
    """Where a session with these options (cores=, gpus=, walltime=, ...) would start now, at what price and why.
    Starts nothing."""
    return shared_client().place(**options)


def sessions(*, all: bool = False) -> list[Json]:
    """Your live sessions; with `all`, the last 50 ended ones too."""
    return shared_client().sessions(all=all)


def balance() -> list[Json]:
    """Your projects' allocations: settled, in flight, held, available (credits), and quotas."""
    return shared_client().balance()


def stop(session_id: str) -> Json:
    """Asks the session's centre to stop it; "stopping" until the centre confirms."""
    return shared_client().stop(session_id)
