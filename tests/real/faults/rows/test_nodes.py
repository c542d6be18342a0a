"""Tests nodes and partitions that are closed, lost or come back: waiting sessions say so, lost jobs are not charged,
nothing runs twice."""

from __future__ import annotations

from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import wait_for

from .centre import Broken
from .stories import at


@at("b")
def test_all_nodes_drained_refuse_starts_in_words_and_what_waits_starts_after(centre: Broken) -> None:
    running = centre.ready("running")
    with centre.broken("submit-hold"):
        waiting = centre.start("waiting")
        centre.held()
        with centre.broken("drain", "b1"), centre.broken("drain", "b2"):
            centre.fault("submit-go")
            waits = centre.until(waiting, lambda seen: seen["state"] == "queued" and seen["reason"])
            assert "DRAINED" in waits["reason"] or "ReqNodeNotAvail" in waits["reason"]
            assert "waiting for" in centre.log(waits)
            assert "needs 1 node of that size; of its 0 working nodes, 0 can take it" in str(centre.refused())
            assert (
                centre.document()["state"] == "up"
                and "none of its 2 nodes is up" in centre.hop("nodes", ok=False)["why"]
            )
            assert centre.seen(running)["state"] == "ready" and not centre.seen(running)["unknown_since"]
    centre.state(waiting, "ready", seconds=90)
    centre.settled(waiting)
    centre.settled(running)


@at("b")
def test_a_partition_that_is_down_keeps_what_waits_and_refuses_starts(centre: Broken) -> None:
    with centre.broken("submit-hold"):
        waiting = centre.start("waiting-partition")
        centre.held()
        with centre.broken("partition-down"):
            centre.fault("submit-go")
            waits = centre.until(waiting, lambda seen: seen["state"] == "queued" and seen["reason"])
            assert "PartitionDown" in waits["reason"]
            assert "the centre has closed partition batch" in str(centre.refused())
    centre.state(waiting, "ready", seconds=90)
    centre.settled(waiting)


@at("b")
def test_a_partition_that_takes_no_jobs_ends_a_pinned_start_with_its_words_and_holds_nothing(centre: Broken) -> None:
    with centre.broken("submit-hold"):
        session = centre.start("inactive")
        centre.held()
        with centre.broken("partition-inactive"):
            centre.fault("submit-go")
            ended = centre.state(session, "charged")
            assert (
                "Required partition not available" in ended["end_reason"]
                and ended["charged"] == 0
                and ended["held"] == 0
            )
            assert "the centre has closed partition batch" in str(centre.refused())
    centre.usable()
    centre.settled(session)


@at("a")
def test_jobs_on_lost_slurm_nodes_end_as_lost_uncharged_and_the_nodes_come_back(centre: Broken) -> None:
    """One node's daemon is killed, another's cable cut: Slurm takes some 30 s to say so. What still runs there is no
    session any more."""
    killed = centre.placed("killed", "sleep", "3601")
    cores = CENTRES["a"].cores  # the second finds no room beside the first's node only if it fills one
    cut = centre.placed("cut", "sleep", "3602", cores=cores)
    on = {session["name"]: session["node"] for session in (killed, cut)}
    assert len(set(on.values())) == 2
    with centre.broken("node-kill", on[killed["name"]]), centre.broken("node-cut", on[cut["name"]]):
        for session in (killed, cut):
            ended = centre.state(session, "charged", seconds=90)
            assert (
                "Lost by the centre" in ended["end_reason"]
                and ended["charged"] == 0
                and not centre.entries(session, "charge")
            )
        again = centre.placed("again")
        assert again["node"] not in on.values()
    for session in (killed, cut, again):
        centre.settled(session)
    wait_for(lambda: not centre.processes("sleep 360[12]"), 120)
    centre.at("sh", "-c", "true")


@at("c")
def test_a_grid_engine_node_that_is_cut_off_keeps_its_job(centre: Broken) -> None:
    """Its queue is unusable after some 27 s; the job stays as it is for ever, and is there when the cable is."""
    session = centre.placed("cable", "sleep", "3603")
    node = session["node"]
    with centre.broken("node-cut", node):
        wait_for(lambda: "u" in _queue_state(centre, node), 90)
        seen = centre.seen(session)
        assert seen["state"] == "ready" and seen["live"] and not seen["unknown_since"]
        elsewhere = centre.placed("elsewhere")
        assert elsewhere["node"] != node
    wait_for(lambda: "u" not in _queue_state(centre, node), 90)
    assert centre.seen(session)["job_id"] == session["job_id"]
    centre.settled(session)
    centre.settled(elsewhere)
    wait_for(lambda: not centre.processes("sleep 3603"))


def _queue_state(centre: Broken, node: str) -> str:
    rows = [line.split() for line in centre.at("qstat", "-f", "-q", f"all.q@{node}").splitlines() if f"@{node}" in line]
    return rows[0][5] if len(rows[0]) > 5 else ""


@at("c")
def test_a_disabled_grid_engine_queue_keeps_what_waits_and_refuses_starts(centre: Broken) -> None:
    with centre.broken("submit-hold"):
        waiting = centre.start("disabled")
        centre.held()
        with centre.broken("partition-down"):
            centre.fault("submit-go")
            waits = centre.until(waiting, lambda seen: seen["state"] == "queued")
            assert "in the queue" in centre.log(waits)
            assert "the centre has closed partition all.q" in str(centre.refused())
    centre.state(waiting, "ready", seconds=90)
    centre.settled(waiting)


@at("d")
def test_an_oar_node_that_is_cut_off_keeps_its_job(centre: Broken) -> None:
    """OAR does not notice for minutes: the session stays as it is, and is there when the cable is."""
    session = centre.placed("cable", "sleep", "3604")
    with centre.broken("node-cut", session["node"]):
        heard = centre.document()["taken_at"]
        wait_for(lambda: centre.document()["taken_at"] > heard)
        seen = centre.seen(session)
        assert seen["state"] == "ready" and seen["live"] and not seen["unknown_since"]
    centre.settled(session)
    wait_for(lambda: not centre.processes("sleep 3604"))
