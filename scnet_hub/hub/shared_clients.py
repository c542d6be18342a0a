"""The clients that all spawners of a hub share."""

from __future__ import annotations

import functools
from pathlib import Path

from ..adapters.secret_files import read_secret
from .broker_client import Broker
from .pending_stops import PendingStops
from .poll_batcher import PollBatcher


@functools.cache
def broker_of(url: str, token_file: str) -> Broker:
    return Broker(url, read_secret(Path(token_file)))


@functools.cache
def polls_of(url: str, token_file: str) -> PollBatcher:
    return PollBatcher(broker_of(url, token_file))


@functools.cache
def cancels_of(folder: str) -> PendingStops:
    return PendingStops(Path(folder))
