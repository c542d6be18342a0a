"""Tests what the guard of clusters stops, and for how long it tries."""

from __future__ import annotations

from scnet_hub.client.clusters.guard import PERSIST, stop
from scnet_hub.errors import BrokerError


class Broker:
    """Answers as the client does: `away` times not at all; a stop shows in the list at once."""

    def __init__(self, *names: str, away: int = 0) -> None:
        self.live = {name: {"id": name, "kind": "dask", "name": name, "state": "queued"} for name in names}
        self.away, self.now, self.stopped = away, 0.0, list[str]()

    def sessions(self) -> list[dict[str, str]]:
        self.away -= 1
        if self.away >= 0:
            raise BrokerError("No answer.")
        return [*self.live.values()]

    def stop(self, session_id: str) -> None:
        self.stopped.append(session_id)
        self.live[session_id]["state"] = "stopping"

    def run(self, *clusters: str) -> None:
        stop(self, clusters, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_every_job_of_an_open_cluster_is_stopped_once_and_no_other() -> None:
    broker = Broker("d-1f-0", "d-1f-10", "d-1f", "d-1f-x-0", "other-0")
    broker.run("d-1f")
    assert broker.stopped == ["d-1f-0", "d-1f-10"]


def test_a_broker_that_is_away_is_asked_again_but_not_for_ever() -> None:
    broker = Broker("d-0", away=5)
    broker.run("d")
    assert broker.stopped == ["d-0"]
    away = Broker("d-0", away=10**6)
    away.run("d")
    assert away.stopped == [] and PERSIST <= away.now < PERSIST + 5


def test_a_submission_that_was_on_its_way_is_stopped_too() -> None:
    broker = Broker()
    sleep = broker.sleep

    def arrives(seconds: float) -> None:
        sleep(seconds)
        broker.live.setdefault("d-0", {"id": "d-0", "kind": "dask", "name": "d-0", "state": "intent"})

    broker.sleep = arrives  # type: ignore[method-assign]
    broker.run("d")
    assert broker.stopped == ["d-0"]


def test_other_kinds_are_left_alone() -> None:
    broker = Broker("d-0")
    broker.live["d-0"]["kind"] = "batch"
    broker.run("d")
    assert broker.stopped == []
