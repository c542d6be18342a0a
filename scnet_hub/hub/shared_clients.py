"""The clients that all spawners of a hub share."""

from __future__ import annotations

import functools
from pathlib import Path

from ..adapters.secret_files import read_secret
from .broker_client import Broker
from .pending_stops import Cancels
from .poll_batcher import Polls


@functools.cache
def broker_of(url: str, token_file: str) -> Broker:
    return Broker(url, read_secret(Path(token_file)))


@functools.cache
def polls_of(url: str, token_file: str) -> Polls:
    return Polls(broker_of(url, token_file))


@functools.cache
def cancels_of(folder: str) -> Cancels:
    return Cancels(Path(folder))
