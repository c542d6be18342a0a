"""Tests the OAR dialect with real answers of OAR 2.5.9: `tests/samples/oar`."""

import getpass
import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.domain.commands import Completed
from scnet_hub.domain.dialects.dialect import dialect
from scnet_hub.domain.dialects.oar import Oar
from scnet_hub.domain.jobs import Ending, JobSpec, JobState
from scnet_hub.errors import BadOption, Garbled, Rejected, Unreachable

from .samples import said
from .samples import sample as sample_of

AT = datetime(2026, 11, 23, 4, 58, tzinfo=UTC)
MIB, GIB = 2**20, 2**30


def sample(name: str) -> Completed:
    return sample_of("oar", name)


oar = Oar().probed([sample("oarnodes")])
leveled = Oar().probed([sample("oarnodes_gpu_level")])


def spec(**changes: object) -> JobSpec:
    return JobSpec(**{"name": "s-1", "partition": "default", "argv": ("true",), **changes})  # type: ignore[arg-type]


def option(name: str, words: Oar = oar, **changes: object) -> str:
    argv = words.submit(spec(**changes)).argv
    return argv[argv.index(name) + 1] if name in argv else ""


# ---- probe


def test_an_installation_is_asked_for_its_properties() -> None:
    assert oar == Oar(model="gpumodel", models=("k80",), memory="mem")
    assert leveled == Oar(gpu=True, model="gpumodel", models=("k80",), memory="mem")
    assert isinstance(dialect("oar"), Oar)


def test_who_cannot_be_asked_is_not_probed() -> None:
    with pytest.raises(Unreachable):
        Oar().probed([sample("oarnodes_down")])


# ---- submit


def test_a_job_is_asked_for_with_arguments_and_one_quoted_command() -> None:
    command = oar.submit(
        spec(
            argv=("/opt/py thon", "-m", "x;$(y)"),
            cores=4,
            memory=3 * GIB + 1,
            walltime=timedelta(hours=30, seconds=61.5),
            output="/d/log",
        )
    )
    assert command.argv[-14:] == (
        "oarsub", "-n", "s-1", "-q", "default", "-l", "/nodes=1/core=4,walltime=30:01:02", "-p", "mem >= 3073",
        "-O", "/d/log", "-E", "/d/log", "exec '/opt/py thon' -m 'x;$(y)'",
    )  # fmt: skip
    assert command.stdin == b""


def test_one_core_of_a_gpus_model_is_one_gpu() -> None:
    assert option("-l", gpus=2, gpu_model="k80").startswith("/nodes=1/core=2,")
    assert option("-p", gpus=2, gpu_model="k80") == "gpumodel IN ('k80')"
    assert option("-p", gpus=2) == "gpumodel IN ('k80')"
    with pytest.raises(BadOption, match="one core") as caught:
        oar.submit(spec(gpus=1, cores=4))
    assert caught.value.hint


def test_a_gpu_that_is_a_level_comes_with_its_cores() -> None:
    assert option("-l", leveled, gpus=2, cores=8).startswith("/nodes=1/gpu=2,")
    assert option("-p", leveled, gpus=2) == ""
    assert option("-p", leveled, gpus=2, gpu_model="k80") == "gpumodel IN ('k80')"


def test_a_site_without_gpus_or_memory_is_asked_for_neither() -> None:
    assert option("-p", Oar(), memory=GIB) == ""
    with pytest.raises(BadOption):
        Oar().submit(spec(gpus=1))


def test_cores_gpus_and_memory_of_the_whole_job_are_spread_over_its_nodes() -> None:
    assert option("-l", nodes=2, cores=5).startswith("/nodes=2/core=3,")
    assert option("-p", nodes=2, memory=4 * GIB) == "mem >= 2048"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x\ny"},
        {"name": "-o/etc/passwd"},
        {"name": "x' OR 1=1"},
        {"partition": "default -t x"},
        {"gpus": 1, "gpu_model": "k80') OR ('1'='1"},
        {"output": "/tmp/%jobid%"},
        {"directory": "/tmp\x00"},
        {"argv": ("true", "a\nb")},
        {"argv": ()},
    ],
)
def test_no_text_can_add_an_option_or_a_line(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        oar.submit(spec(**changes))


def test_only_numbers_are_job_ids_and_only_names_are_looked_for() -> None:
    for ask in (oar.cancel, oar.usage):
        with pytest.raises(BadOption):
            ask(["1", "2) OR (1=1"])
    with pytest.raises(BadOption):
        oar.find("x' OR 1=1")


def test_the_job_id_is_read_after_any_admission_rule() -> None:
    assert oar.submitted(sample("submitted")) == "30"
    with pytest.raises(Garbled):
        oar.submitted(said("Submitted, thanks\n"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("oarsub_queue", "The queue no-such-queue does not exist"),
        ("oarsub_resources", "There are not enough resources for your request"),
        ("oarsub_memory", "There are not enough resources for your request"),
        ("oarsub_model", "There are not enough resources for your request"),
    ],
)
def test_a_refusal_keeps_oars_words_and_is_no_job_number_minus_5(name: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        oar.submitted(sample(name))
    assert str(caught.value) == words


def test_a_property_that_is_not_there_is_a_refusal_too() -> None:
    with pytest.raises(Rejected, match='column "nope" does not exist'):
        oar.submitted(sample("oarsub_property"))


# ---- could not ask


@pytest.mark.parametrize("name", ["oarstat_down", "oarnodes_down", "oarsub_down", "oardel_down", "oarsub_missing"])
def test_a_scheduler_that_cannot_be_asked_is_unreachable(name: str) -> None:
    read = {
        "oarstat": lambda done: oar.statuses(done, AT),
        "oarnodes": lambda done: oar.snapshot([done], said(), AT),
        "oarsub": oar.submitted,
        "oardel": oar.cancelled,
    }[name.split("_")[0]]
    with pytest.raises(Unreachable):
        read(sample(name))


def test_oarsub_and_oardel_are_not_begun_without_the_database() -> None:
    """They would try again for ever, out of anybody's reach, and do it in the end."""
    for command in (oar.submit(spec()), oar.cancel(["1"])):
        assert any("oarnodes -l > /dev/null" in word and "alarm" in word for word in command.argv)


# ---- look


def test_one_answer_gives_every_listed_job_its_state_node_place_and_start() -> None:
    found = oar.statuses(sample("oarstat_mixed"), AT)
    assert {job: (status.state, status.node, status.reason, status.place) for job, status in found.items()} == {
        "38": (JobState.RUNNING, "d1", "", 0),
        "39": (JobState.QUEUED, "", "", 1),
        "40": (JobState.QUEUED, "", "", 3),
        "41": (JobState.QUEUED, "", "", 2),
        "42": (JobState.QUEUED, "", "Hold", 0),
    }
    assert found["40"].starts_at == datetime(2026, 11, 23, 5, 13, 4, tzinfo=UTC)
    assert found["38"].starts_at is None


def test_no_answer_at_all_is_an_empty_queue() -> None:
    assert oar.statuses(sample("oarstat_empty"), AT) == {}
    assert oar.records(sample("oarstat_empty")) == []


def job(state: str, **facts: object) -> Completed:
    return said(
        json.dumps({"7": {"state": state, "queue": "default", "name": "x", "exit_code": None, "events": [], **facts}})
    )


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("Waiting Hold toAckReservation toLaunch Launching", JobState.QUEUED),
        ("Running Suspended Resuming Finishing toError", JobState.RUNNING),
        ("Dreaming", JobState.UNKNOWN),
    ],
)
def test_every_state_of_oar_has_one_of_ours(words: str, state: JobState) -> None:
    for word in words.split():
        status = oar.statuses(job(word), AT)["7"]
        assert status.state is state
        assert status.reason == (word if word in ("Hold", "Suspended", "Resuming", "toError", "Dreaming") else "")


def test_ended_jobs_are_not_in_the_queue() -> None:
    assert oar.statuses(job("Terminated"), AT) == oar.statuses(job("Error"), AT) == {}


def test_a_snapshot_has_what_is_booked_on_each_node_and_the_queue() -> None:
    part = oar.snapshot([sample("oarnodes")], sample("oarstat_mixed"), AT).partitions["default"]
    first, second = part.nodes
    assert (first.name, first.cores, first.cores_used, first.memory, first.up) == ("d1", 8, 6, 64000 * MIB, True)
    assert (first.gpus, first.gpus_used, first.gpu_model) == (2, 2, "k80")
    assert (second.name, second.cores_used) == ("d2", 6)
    assert (part.queued_jobs, part.queued_cores, part.running_jobs, part.up) == (3, 17, 1, True)
    limit = timedelta(minutes=10)
    assert [(one.cores, one.ends_at) for one in part.running] == [(12, datetime(2026, 11, 23, 5, 2, 52, tzinfo=UTC))]
    assert [(one.cores, one.gpus, one.walltime) for one in part.waiting] == [
        (1, 1, limit),
        (8, 0, limit),
        (8, 0, limit),
    ]


def test_every_known_queue_has_all_nodes() -> None:
    parts = replace(oar, queues=("default", "night")).snapshot([sample("oarnodes")], said(), AT).partitions
    assert parts["night"].nodes == parts["default"].nodes and len(parts["night"].nodes) == 2


def test_drained_and_absent_nodes_are_not_up() -> None:
    part = oar.snapshot([sample("oarnodes_closed")], said(), AT).partitions["default"]
    assert [node.up for node in part.nodes] == [False, False]
    assert part.cores_free == part.gpus_free == 0


def test_gpus_that_are_a_level_are_counted_as_such() -> None:
    part = leveled.snapshot([sample("oarnodes_gpu_level")], sample("oarstat_gpu_level"), AT).partitions["default"]
    first, second = part.nodes
    assert (first.cores_used, first.gpus, first.gpus_used) == (8, 2, 2)
    assert (second.gpus, second.gpus_used) == (2, 0)
    (record,) = leveled.records(sample("oarstat_gpu_level"))
    assert (record.cores, record.gpus) == (8, 2)


@pytest.mark.parametrize(
    "stdout",
    ['{"1": {', "garbage", "[]", '{"1": 2}', '{"1": {"state": "Running"}}', '{"x": {}}', '{"1": ' + "[" * 100_000],
)
def test_half_an_answer_is_garbled(stdout: str) -> None:
    for read in (lambda done: oar.statuses(done, AT), oar.records, oar.found):
        with pytest.raises(Garbled):
            read(said(stdout))


def test_an_answer_cut_anywhere_is_never_an_empty_queue() -> None:
    whole = sample("oarstat_mixed").stdout.rstrip()
    for length in range(1, len(whole) - 1, 97):
        with pytest.raises(Garbled):
            oar.statuses(said(whole[:length]), AT)


def test_a_banner_before_the_answer_is_no_part_of_it() -> None:
    done = sample("oarstat_mixed")
    assert len(oar.statuses(replace(done, stdout=f"*** maintenance tonight ***\n{done.stdout}"), AT)) == 5


# ---- find, cancel


def test_a_job_is_found_by_its_name_the_live_one_first() -> None:
    assert oar.found(sample("oarstat_found_none")) is None
    assert oar.found(sample("oarstat_found")) == "38"
    three = {
        job: {"state": state, "queue": "default"}
        for job, state in (("9", "Error"), ("10", "Terminated"), ("8", "Waiting"))
    }
    assert oar.found(said(json.dumps(three))) == "8"
    three["8"]["state"] = "Error"
    assert oar.found(said(json.dumps(three))) == "10"


def test_only_the_askers_own_jobs_are_looked_up_by_name(tmp_path: Path) -> None:
    """A stranger may give any name."""
    oarstat = tmp_path / "oarstat"
    oarstat.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    oarstat.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(oar.find("s-1").argv, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["-J", "--sql", f"job_name = 's-1' AND job_user = '{getpass.getuser()}'"]


def test_cancelling_what_is_gone_or_going_is_success() -> None:
    for name in ("oardel", "oardel_again", "oardel_none"):
        oar.cancelled(sample(name))


def test_cancelling_somebody_elses_job_is_rejected() -> None:
    with pytest.raises(Rejected, match="not the right user"):
        oar.cancelled(sample("oardel_stranger"))


# ---- usage


def test_events_and_exit_codes_tell_how_each_job_ended() -> None:
    found = {record.name: (record.state, record.exit_code) for record in oar.records(sample("oarstat_records"))}
    assert found == {
        "done": (JobState.COMPLETED, "0:0"),
        "seven": (JobState.FAILED, "7:0"),
        "program-killed": (JobState.FAILED, "0:9"),
        "overdue": (JobState.FAILED, ""),
        "deleted": (JobState.CANCELLED, ""),
        "given-up": (JobState.CANCELLED, ""),
        "nowhere": (JobState.FAILED, ""),
        "nooutput": (JobState.FAILED, ""),
        "besteffort": (JobState.LOST, ""),
        "wide": (JobState.RUNNING, ""),
        "gpu": (JobState.QUEUED, ""),
        "waiting": (JobState.QUEUED, ""),
        "second": (JobState.QUEUED, ""),
        "held": (JobState.QUEUED, ""),
    }


def test_accounting_tells_why_each_run_was_over_and_who_wished_it() -> None:
    found = {record.name: (record.ending, record.ended_by) for record in oar.records(sample("oarstat_runs"))}
    assert found == {
        "scnet-ok": (Ending.COMPLETED, ""),
        "scnet-fail": (Ending.FAILED, ""),
        "scnet-late": (Ending.TIMEOUT, ""),
        "scnet-del": (Ending.CANCELLED, "lovela"),
        "scnet-queued": (Ending.CANCELLED, "lovela"),
    }
    records = {record.name: record for record in oar.records(sample("oarstat_records"))}
    assert (records["besteffort"].ending, records["overdue"].ending) == (Ending.PREEMPTED, Ending.TIMEOUT)
    assert (records["wide"].ending, records["waiting"].ending) == (None, None)


def test_a_job_that_cannot_be_read_is_told_and_stops_no_other() -> None:
    good = {
        "state": "Terminated",
        "queue": "default",
        "startTime": 50,
        "stopTime": 60,
        "exit_code": 0,
        "assigned_resources": [1],
    }
    for broken in (
        {"state": "Terminated"},
        {**good, "assigned_resources": 7},
        {**good, "events": ["x"], "exit_code": None},
    ):
        first, second = oar.records(said(json.dumps({"1": broken, "2": good})))
        assert (first.state, first.cores, second.elapsed) == (JobState.UNKNOWN, 0, timedelta(seconds=10))
        assert "can't be read" in first.trouble and "'1'" in first.trouble


def test_accounting_tells_what_was_given() -> None:
    found = {record.name: record for record in oar.records(sample("oarstat_records"))}
    done, deleted = found["done"], found["deleted"]
    assert (done.cores, done.gpus, done.node, done.partition) == (2, 0, "d1", "default")
    assert (
        done.submitted_at
        and done.started_at
        and done.ended_at
        and done.ended_at - done.started_at == done.elapsed > timedelta()
    )
    assert (deleted.cores, deleted.gpus, deleted.elapsed) == (2, 2, timedelta(seconds=5))


def test_a_running_job_has_no_end_and_what_never_started_used_nothing() -> None:
    found = {record.name: record for record in oar.records(sample("oarstat_records"))}
    assert (found["wide"].cores, found["wide"].ended_at, found["wide"].elapsed) == (12, None, timedelta())
    for name in ("waiting", "given-up"):
        assert (found[name].cores, found[name].started_at, found[name].elapsed, found[name].node) == (
            0,
            None,
            timedelta(),
            "",
        )


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"exit_code": "1792 (7,0,0)"}, JobState.FAILED),
        ({"events": [{"type": "FRAG_JOB_REQUEST", "date": 90}, {"type": "WALLTIME", "date": 90}]}, JobState.FAILED),
        ({"events": [{"type": "FRAG_JOB_REQUEST", "date": 90}]}, JobState.CANCELLED),
        ({"events": [{"type": "FRAG_JOB_REQUEST", "date": 110}]}, JobState.LOST),  # a wish that came too late
        ({"events": [{"type": "PING_CHECKER_NODE_SUSPECTED", "date": 90}]}, JobState.LOST),
        ({}, JobState.LOST),
    ],
)
def test_every_way_to_end_has_a_state(facts: dict[str, object], state: JobState) -> None:
    (record,) = oar.records(job("Error", startTime=50, stopTime=100, assigned_resources=[1], **facts))
    assert (record.state, record.elapsed, record.cores) == (state, timedelta(seconds=50), 1)


def test_numbers_beyond_all_calendars_harm_nothing() -> None:
    (record,) = oar.records(job("Terminated", startTime=10**18, stopTime="9" * 5000, exit_code=0))
    assert (record.started_at, record.ended_at) == (None, None)
