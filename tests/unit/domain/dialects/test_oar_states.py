"""Tests every state that OAR has for jobs and resources, and its lists of hosts and resources.

By the tables `jobs` and `resources` of OAR 2.5 (docs/admin/database-scheme, pg_structure.sql), `available_upto` by
oar.conf and `get_resources_that_can_be_waked_up`; `drain` came with 2.5.4.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from scnet_hub.domain.commands import Completed
from scnet_hub.domain.dialects.oar import Oar
from scnet_hub.domain.dialects.oar_answers import ENDED, STATES
from scnet_hub.domain.jobs import JobState, LoadSnapshot
from scnet_hub.errors import Garbled

from .samples import said

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
SOON, PAST = int(AT.timestamp()) + 3600, int(AT.timestamp()) - 3600
DEFAULT, ENERGY = 2147483647, 2147483646
Q, R, U = JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN
JOBS: dict[JobState | None, str] = {
    Q: "Waiting Hold toAckReservation toLaunch Launching",
    R: "Running Suspended Resuming Finishing toError",
    None: "Terminated Error",
    U: "waiting RUNNING Running! Dreaming toTerminate Scheduled",
}
RESOURCES: tuple[tuple[dict[str, Any], bool], ...] = (
    ({"state": "Alive"}, True),
    ({"state": "Alive", "drain": "NO"}, True),
    ({"state": "Alive", "drain": None}, True),  # before 2.5.4
    ({"state": "Alive", "drain": "YES"}, False),
    ({"state": "Alive", "drain": "SOON"}, False),
    ({"state": "Absent", "available_upto": DEFAULT}, False),  # nobody said that it may be woken
    ({"state": "Absent", "available_upto": 0}, False),  # maintenance
    ({"state": "Absent", "available_upto": ENERGY}, True),  # asleep, and woken for a job
    ({"state": "Absent", "available_upto": SOON}, True),
    ({"state": "Absent", "available_upto": PAST}, False),
    ({"state": "Absent", "available_upto": ENERGY, "drain": "YES"}, False),
    ({"state": "Suspected", "available_upto": ENERGY}, False),
    ({"state": "Dead"}, False),
    ({"state": "alive"}, False),
    ({"state": "Absent (standby)", "available_upto": ENERGY}, False),  # the words of the listing for people
    ({"state": None}, False),
    ({}, False),
)


def answer(table: dict[int, Any]) -> Completed:
    return said(json.dumps({str(key): value for key, value in table.items()}, indent=3) + "\n")


def job(state: str, **facts: Any) -> dict[str, Any]:
    return {"state": state, "queue": "default", "name": "x", "message": "R=2,W=1:0:0,J=B", **facts}


def resource(number: int = 1, node: str = "d1", **facts: Any) -> dict[str, Any]:
    return {"resource_id": number, "type": "default", "network_address": node, **facts}


def look(resources: dict[int, Any], jobs: dict[int, Any] | None = None) -> LoadSnapshot:
    return Oar().snapshot([answer(resources)], answer(jobs or {}), AT)


@pytest.mark.parametrize(("state", "word"), [(state, word) for state, words in JOBS.items() for word in words.split()])
def test_each_state_of_a_job_has_one_of_ours(state: JobState | None, word: str) -> None:
    found = Oar().statuses(answer({7: job(word)}), AT)
    assert (found["7"].state if found else None) is state
    taken = look({1: resource(state="Alive")}, {7: job(word, assigned_resources=[1])})
    assert taken.strange == ((f"job state {word!r}",) if state is U else ())
    assert taken.partitions["default"].queued_jobs == (word == "Waiting")
    if state is U:  # what it has is not free, and it reads as neither running nor ended
        assert taken.partitions["default"].cores_free == 0 and taken.partitions["default"].running_jobs == 0
        (record,) = Oar().records(answer({7: job(word, startTime=PAST)}))
        assert record.state is U and record.ended_at is None


def test_the_table_has_every_state() -> None:
    listed = {word for state, words in JOBS.items() if state is not U for word in words.split()}
    assert listed == {*STATES, *ENDED}


@pytest.mark.parametrize(("facts", "up"), RESOURCES)
def test_each_state_of_a_resource_is_up_or_not(facts: dict[str, Any], up: bool) -> None:
    taken = look({1: resource(**facts)})
    (node,) = taken.partitions["default"].nodes
    assert node.up is up and (taken.partitions["default"].cores_free == 1) is up
    known = facts.get("state") in ("Alive", "Absent", "Suspected", "Dead") and facts.get("drain") in ("YES", "NO", None)
    assert bool(taken.strange) is not known


def test_only_those_cores_of_a_node_count_that_take_jobs() -> None:
    states = (
        {"state": "Alive"},
        {"state": "Dead"},
        {"state": "Alive", "drain": "YES"},
        {"state": "Suspected"},
        {"state": "odd"},
    )
    (node,) = (
        look({number: resource(number, **facts) for number, facts in enumerate(states)}).partitions["default"].nodes
    )
    assert (node.cores, node.up) == (1, True)


@pytest.mark.parametrize("name", ["d1", "d1.cluster.example", "N-1.example", "10.1.2.3"])
def test_a_node_has_its_network_address_as_its_name(name: str) -> None:
    jobs = {7: job("Running", assigned_network_address=[name, "d2"], assigned_resources=[1])}
    taken = look({1: resource(node=name, state="Alive")}, jobs)
    assert [node.name for node in taken.partitions["default"].nodes] == [name]
    assert Oar().statuses(answer(jobs), AT)["7"].node == name == taken.partitions["default"].running[0].node


def test_each_job_of_an_array_is_a_job() -> None:
    """OAR makes them jobs of their own, with numbers of their own."""
    jobs = {number: job("Waiting", array_id=7, array_index=number - 6) for number in range(7, 27)}
    part = look({1: resource(state="Alive")}, jobs).partitions["default"]
    assert (part.queued_jobs, part.queued_cores) == (20, 40)


@pytest.mark.parametrize(
    "facts",
    [
        {"state": ["Running"]},
        {"queue": {"x": 1}},
        {"name": 7},
        {"message": ["R=1"]},
        {"assigned_resources": 7},
        {"assigned_resources": [[1]]},
        {"assigned_network_address": "d1"},
        {"events": ["x"]},
    ],
)
def test_a_value_of_another_kind_is_garbled(facts: dict[str, Any]) -> None:
    with pytest.raises(Garbled, match="job '7'"):
        Oar().statuses(answer({7: {**job("Running"), **facts}}), AT)


@pytest.mark.parametrize("stdout", ["{}\n{", '{"7": {\n{}\n', "{home: 81%}\n", "Welcome\n"])
def test_words_and_half_a_document_are_no_empty_queue(stdout: str) -> None:
    with pytest.raises(Garbled):
        Oar().statuses(said(stdout), AT)


@pytest.mark.parametrize("banner", ["{home: 81%}\n", "{}\n", "a {\n", '{"quota": 81}\n'])
def test_a_banner_with_brackets_is_read_past(banner: str) -> None:
    stdout = answer({7: job("Running")}).stdout
    assert set(Oar().statuses(said(banner + stdout), AT)) == {"7"} == set(Oar().statuses(said(stdout + "Bye {}\n"), AT))
