"""Tests which hop of the way to a centre fails, since when and why: with scripted answers to real queries, and
alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.domain.centres.health import Health, ProbeResult
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.jobs import LoadSnapshot, NodeLoad, PartitionLoad
from scnet_hub.errors import CentreError, Silent, Unreachable
from scnet_hub.services import documents
from tests.unit.adapters.centres.test_centre import Scripted, queued

AT = datetime(2026, 11, 23, 1, 40, tzinfo=UTC)
SINFO = "n1|main|0/4/0/4|8000|0|(null)|gpu:0|idle|1:00:00|up|\n"
DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


class Looked:
    """A centre that was looked at: its health, at a clock of our own."""

    def __init__(self) -> None:
        self.health, self.now = Health(), AT

    async def look(self, complaints: dict[str, str] | None = None, **answers: Any) -> None:
        way = Scripted(complaints, **{"squeue": queued("1", "RUNNING", "n1"), "sinfo": SINFO, **answers})
        one = Centre(None, Slurm("sacct", Cycle()), way, clock=lambda: self.now, observe=self.health.heard)  # type: ignore[arg-type]
        try:
            await one.look(["1", "2"], nodes=True)
        except CentreError:
            pass

    @property
    def said(self) -> dict[str, str]:
        return {hop.name: hop.why for hop in self.health.listed()}


async def test_a_centre_that_answers_is_well_at_every_hop() -> None:
    centre = Looked()
    await centre.look()
    assert (
        centre.said == {"login": "", "scheduler": "", "accounting": "", "nodes": ""} and centre.health.failing() is None
    )


async def test_a_login_node_that_cannot_be_reached_fails_at_the_login_and_says_nothing_of_the_rest() -> None:
    centre = Looked()
    await centre.look()
    centre.now += timedelta(seconds=30)
    gone = Unreachable("connection refused")
    await centre.look(squeue=gone, sinfo=gone)
    hop = centre.health.failing()
    assert hop and (hop.name, hop.why, hop.since) == ("login", "connection refused", AT + timedelta(seconds=30))
    assert centre.health.hops["scheduler"].seen_at == AT, "what can't be asked keeps its last word, and grows old"


async def test_a_scheduler_that_is_down_behind_a_login_node_that_works() -> None:
    centre = Looked()
    await centre.look({"squeue": DOWN, "sinfo": DOWN})
    assert centre.said["login"] == "" and "contact" in centre.said["scheduler"]


async def test_a_scheduler_that_hangs_is_not_taken_for_a_login_that_fails() -> None:
    centre = Looked()
    await centre.look(squeue=Silent("squeue did not end within 15 s and was stopped there"))
    assert centre.said == {"login": "", "scheduler": "squeue did not end within 15 s and was stopped there"}


async def test_accounting_that_fails_leaves_the_queue_well() -> None:
    centre = Looked()
    await centre.look({"sacct": "sacct: error: slurm_persist_conn_open: Connection refused"})
    assert centre.said["scheduler"] == "" and centre.said["accounting"]
    assert centre.health.failing() == centre.health.hops["accounting"]


async def test_an_answer_that_cannot_be_read_is_the_hops_own_fault() -> None:
    centre = Looked()
    await centre.look(squeue="1|RUNNING\n")
    assert centre.said["login"] == "" and centre.said["scheduler"]


def test_since_is_the_first_failure_and_age_the_last() -> None:
    health = Health()
    for seconds in (0, 30, 60):
        health.seen("scheduler", AT + timedelta(seconds=seconds), f"no answer {seconds}")
    hop = health.failing()
    assert hop and hop.since == AT and hop.why == "no answer 60"
    assert documents.hop(hop, AT + timedelta(seconds=75)) == {
        "name": "scheduler", "ok": False, "since": "2026-11-23T01:40:00.000Z", "age_s": 15.0, "why": "no answer 60",
    }  # fmt: skip
    health.seen("scheduler", AT + timedelta(seconds=90))
    assert health.failing() is None and health.hops["scheduler"].since == AT + timedelta(seconds=90)


def test_what_fails_for_one_person_is_no_fault_of_the_centre() -> None:
    health = Health()
    health.heard(ProbeResult(hop="login", at=AT, error=Unreachable("their home hangs"), account="ada"))
    assert health.listed() == []


@pytest.mark.parametrize(("up", "why"), [(True, ""), (False, "none of its 2 nodes is up")])
def test_a_centre_whose_every_node_is_down_is_not_well(up: bool, why: str) -> None:
    nodes = (NodeLoad(name="n1", cores=4, cores_used=0, up=False), NodeLoad(name="n2", cores=4, cores_used=0, up=up))
    health = Health()
    health.counted(
        LoadSnapshot(taken_at=AT, partitions={name: PartitionLoad(name=name, nodes=nodes) for name in ("cpu", "all")})
    )
    assert health.hops["nodes"].why == why
