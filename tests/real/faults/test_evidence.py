"""Tests that the evidence is read as it was written: the operations log, the centres' answers (captured), the broker's
tables."""

from __future__ import annotations

import random
from pathlib import Path

from .accounting import live, runs
from .evidence import Broken, Start
from .history import History, read
from .run import evidence
from .workload import Mix, seats

SACCT = (
    "1|scnet-aaaabbbbcccc|COMPLETED|1795418196|1795418199|3|2|billing=2,cpu=2,gres/gpu=1,mem=2000M,node=1|a1\n"
    "2|scnet-ddddeeeeffff|RUNNING|1795418196|Unknown|10|1|billing=1,cpu=1,mem=2000M,node=1|a2\n"
    "3|scnet-gggghhhhiiii|CANCELLED by 0|None|1795418199|0|0||None assigned\n"
    "4|interactive|RUNNING|1795418196|Unknown|10|1|cpu=1|a2\n"
)
QSTAT = """<?xml version='1.0'?>
<job_info><queue_info><job_list state="running"><JB_job_number>2</JB_job_number><JB_name>scnet-ddddeeeeffff</JB_name>
<state>r</state><JAT_start_time>2026-11-23T07:16:36</JAT_start_time><queue_name>all.q@c2</queue_name><slots>1</slots></job_list>
</queue_info><job_info></job_info></job_info>
"""
QACCT = f"""{"=" * 62}
qname        all.q
hostname     c1
jobname      scnet-aaaabbbbcccc
jobnumber    1
start_time   Mon Nov 23 07:16:36 2026
end_time     Mon Nov 23 07:16:39 2026
slots        2
failed       25  : rescheduling
category     -l gpu=1 -pe smp 2
"""
OARSTAT = """{"1": {"name": "scnet-aaaabbbbcccc", "state": "Terminated", "startTime": 1795418198, "stopTime": 1795418201,
"assigned_resources": [1, 2], "assigned_network_address": ["d1"]}, "2": {"name": "scnet-ddddeeeeffff", "state": "Running",
"startTime": 1795418198, "stopTime": 0, "assigned_resources": [3], "assigned_network_address": ["d2"]}}"""


def asked(centre: str, command: str) -> str:
    """Captured words of the real programs."""
    said = {
        "sacct": SACCT,
        "qstat": QSTAT,
        "qacct": QACCT,
        "oarstat": OARSTAT,
        "squeue": "2 scnet-ddddeeeeffff\n4 interactive\n",
    }
    return next(words for program, words in said.items() if program in command)


def test_each_centres_accounting_tells_the_same_two_jobs() -> None:
    for centre, cores, word in (("a", 2, "COMPLETED"), ("c", 2, "25 : rescheduling"), ("d", 2, "Terminated")):
        one, other = sorted(runs(asked, centre), key=lambda run: int(run.job_id))[:2]
        assert (one.name, one.cores, one.elapsed, one.live, one.word) == ("scnet-aaaabbbbcccc", cores, 3, False, word)
        assert (other.name, other.live, other.ended) == ("scnet-ddddeeeeffff", True, None) and other.started
        assert live(asked, centre) == [("2", "scnet-ddddeeeeffff")]


def test_a_job_that_never_started_costs_nothing() -> None:
    never = next(run for run in runs(asked, "a") if run.job_id == "3")
    assert never.started is None and never.price == 0 and not never.live


def test_a_price_is_the_pages() -> None:
    run = next(run for run in runs(asked, "a") if run.job_id == "1")
    assert round(run.price) == round((2 * 1.0 + 16.0) * 3 / 3600 * 1e6)


def test_the_log_survives_a_death_in_the_middle_of_a_line(tmp_path: Path) -> None:
    history = History(tmp_path / "log", clock=lambda: 5.0)
    history.tell("start", seat="batch-1", round=1)
    history.close()
    with (tmp_path / "log").open("a") as file:
        file.write('{"at": 6, "op": "acc')
    assert list(read(tmp_path / "log")) == [{"at": 5.0, "op": "start", "seat": "batch-1", "round": 1}]


def test_the_log_becomes_evidence() -> None:
    lines = [
        {"at": 1, "op": "start", "seat": "finite-1", "round": 1},
        {"at": 2, "op": "accepted", "seat": "finite-1", "round": 1, "session": "aaaabbbbcccc"},
        {"at": 3, "op": "start", "seat": "batch-2", "round": 1},
        {"at": 4, "op": "refused", "seat": "batch-2", "round": 1, "words": "No centre fits."},
        {"at": 5, "op": "start", "seat": "batch-2", "round": 2},
        {"at": 6, "op": "break", "name": "node-cut", "target": "a", "at_": "a1"},
        {"at": 7, "op": "break", "name": "ctl-kill", "target": "b", "at_": ""},
        {"at": 8, "op": "not-now", "name": "ctl-kill", "target": "b", "at_": ""},
        {"at": 9, "op": "mend", "name": "node-cut", "target": "a", "at_": "a1"},
        {"at": 9, "op": "mend", "name": "ctl-kill", "target": "b", "at_": ""},
        {"at": 9.5, "op": "break", "name": "net-down", "target": "c", "at_": ""},
        {"at": 10, "op": "stop", "session": "aaaabbbbcccc"},
        {"at": 11, "op": "stop-taken", "session": "aaaabbbbcccc"},
        {"at": 12, "op": "stop-taken", "session": "aaaabbbbcccc"},
        {"at": 13, "op": "stop", "session": "ddddeeeeffff"},
    ]
    seen = evidence(lines, (), (), (), ended=20)
    assert seen.starts == (
        Start(at=1, outcome="accepted", session="aaaabbbbcccc"),
        Start(at=3, outcome="refused", words="No centre fits."),
        Start(at=5, outcome="gave-up"),
    )
    assert seen.finite == {"aaaabbbbcccc"} and seen.stops == {"aaaabbbbcccc": 11, "ddddeeeeffff": 20}
    assert seen.broken == (
        Broken(name="node-cut", target="a", at="a1", began=6, ended=9),
        Broken(name="net-down", target="c", began=9.5, ended=20),
    )


def test_seats_are_the_same_for_the_same_seed() -> None:
    one, other = seats(Mix(seed=3)), seats(Mix(seed=3))
    assert len(one) == Mix().seats == 40
    assert [(seat.name, seat.kind, seat.person, seat.keeps) for seat in one] == [
        (s.name, s.kind, s.person, s.keeps) for s in other
    ]
    assert [seat.dice.random() for seat in one] == [seat.dice.random() for seat in other]
    # the hub's five servers of two people
    assert isinstance(one[0].dice, random.Random) and sum(seat.is_lab for seat in one) <= 10
