"""Tests every state that Grid Engine's manuals list for jobs and queue instances, and its lists of queues and tasks.

`SOURCES` names them; a word stands under the oldest manual that lists it.
"""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime

import pytest

from scnet_hub.domain.centres.state import CentreState
from scnet_hub.domain.dialects import gridengine_states as states
from scnet_hub.domain.dialects.gridengine import Complex, GridEngine
from scnet_hub.domain.jobs import JobState, LoadSnapshot
from scnet_hub.domain.standard.centre import parse_centre

from .samples import said, sample

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
PAGE = """
id = "a"
name = "A"
transport = { kind = "local" }
session = { python = "/usr/bin/python3", directory = "/s" }
partition = [{ name = "all.q", cores = 8 }]
"""
Q, R, U = JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN
ENDED = "ended"
SOURCES = {
    "status": "sge_status(5) of Son of Grid Engine 8.1.9 and of Debian's gridengine 6.2u5 and 8.1.9",
    "univa": "qstat(1) of Univa Grid Engine 8.6",
    "ocs": "qstat(1), job_get_state_string and jatask_combine_state_and_status_for_output of the Open Cluster "
    "Scheduler 9",
    "none": "no manual",
}
JOBS: tuple[tuple[str, JobState | str, str], ...] = (
    ("status", Q, "qw Rq hqw hRwq Eqw Ehqw EhRqw"),
    ("status", Q, "t Rt"),
    ("status", R, "r hr Rr"),
    ("status", R, "s ts S tS T tT Rs Rts RS RtS RT RtT"),
    ("status", R, "dr dt dRr dRt ds dS dT dRs dRS dRT"),
    ("status", ENDED, "z"),
    ("univa", R, "N P"),
    ("univa", Q, "Sqw Nqw Pqw"),  # a pending job that was preempted
    ("ocs", Q, "hRq EhRq hRqw dqw dhqw Edqw w hw ht"),
    ("ocs", R, "hs hRr dSr STs dx x Rx dhRr sx"),
    ("ocs", ENDED, "f df hf EhRf"),
    ("none", U, "? qr rqw qx qt rz rf E d h R hR dE k Q 0 r? qw! running"),
)
INSTANCES: tuple[tuple[str, bool, bool, str], ...] = (  # source, up, free, states
    ("status", True, True, ""),
    ("status", True, False, "a A aA"),
    ("status", False, False, "u d D C s S E c o au du adu auE duE sS CDd co aAd Eaud dE us"),
    ("univa", False, False, "P dP"),
    ("none", False, False, "x ? aX up - 0"),
)
CASES = [(source, word, expected) for source, expected, words in JOBS for word in words.split()]
QUEUES = [(source, word, up, free) for source, up, free, words in INSTANCES for word in (words.split() or [""])]

engine = GridEngine(gpu=Complex("gpu", booked=True))


def job(word: str, tasks: str = "", queue: str = "") -> str:
    more = (f"<tasks>{tasks}</tasks>" if tasks else "") + (f"<hard_req_queue>{queue}</hard_req_queue>" if queue else "")
    return f"<job_list><JB_job_number>7</JB_job_number><JB_name>x</JB_name><state>{word}</state><slots>2</slots>{more}</job_list>"


def instance(word: str, name: str = "all.q@n1.cluster.example", jobs: str = "") -> str:
    state = f"<state>{word}</state>" if word else ""
    counts = "<slots_used>0</slots_used><slots_resv>0</slots_resv><slots_total>16</slots_total>"
    return (
        f'<Queue-List><name>{name}</name>{counts}{state}<resource name="gpu" type="hc">4</resource>{jobs}</Queue-List>'
    )


def look(instances: str = "", pending: str = "") -> LoadSnapshot:
    return engine.snapshot([], said(xml(instances, pending)), AT)


def xml(instances: str = "", pending: str = "") -> str:
    return f"<job_info><queue_info>{instances}</queue_info><job_info>{pending}</job_info></job_info>\nqstat 0\n"


@pytest.mark.parametrize(("source", "word", "expected"), CASES)
def test_each_state_of_a_job_is_what_its_manual_says(source: str, word: str, expected: JobState | str) -> None:
    found = engine.statuses(said(xml(pending=job(word))), AT)
    assert source in SOURCES
    if expected == ENDED:
        assert found == {} and states.ended(word)
        return
    status = found["7"]
    assert status.state is expected, SOURCES[source]
    assert status.hopeless is (expected is Q and "E" in word)
    assert (word in status.reason) is (
        expected is U or bool(set("sSTNPdx") & set(word)) or "E" in word or ("h" in word and "w" in word)
    )


@pytest.mark.parametrize(("source", "word", "up", "free"), QUEUES)
def test_each_state_of_a_queue_instance_is_what_its_manual_says(source: str, word: str, up: bool, free: bool) -> None:
    part = look(instance(word)).partitions["all.q"]
    assert source in SOURCES
    assert (part.nodes[0].up, part.cores_free > 0, part.gpus_free > 0) == (up, free, free), SOURCES[source]


def test_the_letters_of_a_state_say_the_same_in_any_order() -> None:
    for _, word, expected in CASES:
        for shuffled in itertools.islice(itertools.permutations(word), 24):
            assert (ENDED if states.ended("".join(shuffled)) else states.state("".join(shuffled))) == (
                ENDED if states.ended(word) else states.state(word)
            ), (word, expected)


def test_no_combination_of_letters_ends_a_job_but_those_that_say_so() -> None:
    for size in range(4):
        for letters in itertools.combinations("qwrtsSTNPxdEhRzf?", size):
            word = "".join(letters)
            assert not states.state(word).ended
            assert states.ended(word) <= bool({"z", "f"} & set(word))
            assert states.waits(word) <= (states.state(word) is Q)


def test_words_that_no_manual_has_are_told_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    taken = look(instance("x", jobs=job("k")) + instance("", "b.q@n2"), job("qw") + job("z"))
    assert taken.strange == ("job state 'k'", "queue state 'x'")
    assert look(instance("au"), job("hqw")).strange == ()
    known = CentreState(parse_centre(PAGE, source="a"), 0)
    with caplog.at_level(logging.WARNING, "scnet_hub.domain.centres.state"):
        known.update(taken)
        known.update(taken)
    assert (
        sum("queue state 'x' is unknown" in line for line in caplog.messages)
        == 1
        == sum("'k'" in line for line in caplog.messages)
    )


# ---- lists


@pytest.mark.parametrize(
    ("tasks", "count"),
    [
        ("", 1),
        ("7", 1),
        ("1-10", 10),
        ("1-10:2", 5),
        ("1,3-5", 4),
        ("1-9:2,12", 6),
        ("2-10:4,11-13:1,20", 7),
        ("5-1", 1),
        ("1-10:0", 10),
        ("1-999999999999", 10**6),
        ("1-" + "9" * 5000, 10**6),
        ("undefined", 1),
    ],
)
def test_waiting_tasks_are_counted_as_jobs_within_bounds(tasks: str, count: int) -> None:
    part = look(instance(""), job("qw", tasks)).partitions["all.q"]
    assert (part.queued_jobs, part.queued_cores) == (count, 2 * count)
    assert len(part.waiting) == min(count, 100)


@pytest.mark.parametrize(
    ("asked", "waits_in"),
    [
        ("", {"all.q": 1, "gpu.q": 1}),  # whichever
        ("all.q", {"all.q": 1, "gpu.q": 0}),
        ("gpu.q@n1.cluster.example", {"all.q": 0, "gpu.q": 1}),
        ("gpu.q@@gpuhosts", {"all.q": 0, "gpu.q": 1}),
        ("*", {"all.q": 1, "gpu.q": 1}),
        ("gpu*", {"all.q": 1, "gpu.q": 1}),
        ("*@n1", {"all.q": 1, "gpu.q": 1}),
        ("all.q|gpu.q", {"all.q": 1, "gpu.q": 1}),
        ("!(all.q)", {"all.q": 1, "gpu.q": 1}),
        ("[ag]ll.?", {"all.q": 1, "gpu.q": 1}),
    ],
)
def test_a_job_waits_in_the_queue_that_it_asks_for_and_in_all_where_it_asks_by_a_pattern(
    asked: str, waits_in: dict[str, int]
) -> None:
    parts = look(instance("") + instance("", "gpu.q@n2"), job("qw", queue=asked.replace("&", "&amp;"))).partitions
    assert {name: part.queued_jobs for name, part in parts.items()} == waits_in


@pytest.mark.parametrize("name", ["n1", "n1.cluster.example", "N-1.example", "10.1.2.3", "n_1"])
def test_a_node_has_the_name_that_its_queue_instance_has(name: str) -> None:
    (node,) = look(instance("", f"a.b.q@{name}")).partitions["a.b.q"].nodes
    assert node.name == name
    running = engine.statuses(said(xml(instance("", f"a.q@{name}", job("r")))), AT)
    assert running["7"].node == name


@pytest.mark.parametrize(
    ("left", "gpus"), [("4", 4), ("4.000000", 4), ("2(gpu0 gpu1)", 2), ("0", 0), ("NONE", 0), ("9" * 400, 0)]
)
def test_what_is_left_of_a_resource_is_read_in_each_of_its_forms(left: str, gpus: int) -> None:
    text = instance("").replace(">4<", f">{left}<")
    assert look(text).partitions["all.q"].nodes[0].gpus == gpus


def test_complexes_with_more_columns_are_read_and_lines_that_are_none_are_not() -> None:
    """Univa's have columns for preemption after the urgency; a motd of eight words is no complex."""
    rows = (
        "#name shortcut type relop requestable consumable default urgency aapre\ngpu gpu RSMAP <= YES YES NONE 0 YES\n"
    )
    motd = "gpus are down today please use CPU nodes\n"
    answers = [
        said(motd + rows),
        sample("gridengine", "qconf_environments"),
        sample("gridengine", "qconf_queues"),
        said(),
    ]
    assert GridEngine().probed(answers).gpu == Complex("gpu", booked=True, per_slot=True)
