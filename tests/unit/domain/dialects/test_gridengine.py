"""Tests the Grid Engine dialect with real answers of Son of Grid Engine 8.1.9: `tests/samples/gridengine`."""

import getpass
import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from scnet_hub.domain.commands import Completed
from scnet_hub.domain.dialects.dialect import dialect
from scnet_hub.domain.dialects.gridengine import Complex, GridEngine
from scnet_hub.domain.jobs import Backfill, Ending, JobSpec, JobState
from scnet_hub.errors import BadOption, Garbled, Rejected, Unreachable

from .samples import said
from .samples import sample as sample_of

AT = datetime(2026, 11, 23, 4, 48, tzinfo=UTC)
MIB, GIB = 2**20, 2**30


def sample(name: str) -> Completed:
    return sample_of("gridengine", name)


def asked(*answers: str, scheduler: str = "qconf_scheduler") -> GridEngine:
    return GridEngine().probed([sample(name) for name in (*answers, scheduler)])


engine = asked("qconf_complexes", "qconf_environments", "qconf_queues")


def spec(**changes: object) -> JobSpec:
    return JobSpec(**{"name": "s-1", "partition": "all.q", "argv": ("true",), **changes})  # type: ignore[arg-type]


def options(command_argv: tuple[str, ...]) -> dict[str, str]:
    """Option → value; requests of -l as "-l name"."""
    pairs = dict(pairwise(command_argv))
    return pairs | {f"-l {name}": value for name, _, value in (one.partition("=") for one in pairs["-l"].split(","))}


# ---- probe


def test_an_installation_is_asked_what_it_can_do() -> None:
    assert engine == GridEngine(
        gpu=Complex("gpu", booked=True, per_slot=True), memory=Complex("h_vmem", booked=True, per_slot=True),
        model=None, environments={"all.q": "smp"}, limits={"all.q": None}, reserves=10, every=timedelta(seconds=1),
    )  # fmt: skip
    assert isinstance(dialect("gridengine"), GridEngine)


def test_an_installation_without_consumables_or_environments_is_asked_for_neither() -> None:
    plain = "\n".join(
        line for line in sample("qconf_complexes").stdout.splitlines() if not line.startswith(("gpu", "h_vmem"))
    )
    bare = GridEngine().probed([said(plain), sample("qconf_no_environments"), sample("qconf_queues"), said()])
    assert (bare.gpu, bare.memory, bare.environments) == (None, Complex("mem_free"), {})
    assert options(bare.submit(spec(memory=GIB)).argv)["-l mem_free"] == "1024M"
    for changes in ({"gpus": 1}, {"cores": 2}):
        with pytest.raises(BadOption):
            bare.submit(spec(**changes))


def test_the_environment_of_a_queue_keeps_its_slots_on_one_node() -> None:
    pes = (
        "pe_name mpi\nallocation_rule $fill_up\npe_name smp\nallocation_rule $pe_slots\npe_name "
        "gpus\nallocation_rule $pe_slots\n"
    )
    queues = (
        "qname a.q\npe_list make mpi smp\nh_rt 48:00:00,[n1=24:00:00]\nqname b.q\npe_list mpi,[@gpu=gpus]\nh_rt 3600\n"
    )
    queues += "qname c.q\npe_list NONE\n"
    found = GridEngine().probed([sample("qconf_complexes"), said(pes), said(queues), said()])
    assert found.environments == {"a.q": "smp", "b.q": "gpus"}
    assert found.limits == {"a.q": timedelta(hours=48), "b.q": timedelta(hours=1), "c.q": None}


@pytest.mark.parametrize(
    ("words", "reserves", "backfill"),
    [
        ("max_reservation 0\nschedule_interval 0:0:15\nflush_submit_sec 0\n", 0, Backfill(AT, timedelta(seconds=15))),
        ("schedule_interval 0:2:0\nflush_submit_sec 4\nmax_reservation 20\n", 20, Backfill(AT, timedelta(seconds=4))),
        ("", None, None),
    ],
)
def test_how_many_places_are_kept_and_when_holes_are_filled_is_the_schedulers_configuration(
    words: str, reserves: int | None, backfill: Backfill | None
) -> None:
    told = said(f"algorithm default\n{words}") if words else said(stderr="denied: you are no operator\n", code=1)
    found = GridEngine().probed([*map(sample, ("qconf_complexes", "qconf_environments", "qconf_queues")), told])
    load = found.snapshot([], sample("queue_mixed"), AT).partitions["all.q"]
    assert (load.reserves, load.backfill) == (reserves, backfill)


def test_who_cannot_be_asked_is_not_probed() -> None:
    with pytest.raises(Unreachable):
        asked("qconf_down", "qconf_environments", "qconf_queues")
    with pytest.raises(Unreachable):
        asked("qconf_complexes", "qconf_down", "qconf_queues")
    with pytest.raises(Unreachable):
        asked("qconf_complexes", "qconf_environments", "qconf_queues", scheduler="qconf_down")


# ---- submit


def test_a_job_is_asked_for_with_arguments_and_a_script_that_only_runs_the_program() -> None:
    command = engine.submit(
        spec(
            argv=("/opt/py thon", "-m", "x;$(y)"), cores=4, memory=3 * GIB + 1, gpus=8, directory="/d", output="/d/a:b"
        )
    )
    assert command.argv == (
        "qsub", "-terse", "-N", "s-1", "-q", "all.q", "-pe", "smp", "4", "-l", "h_rt=3600,h_vmem=769M,gpu=2", "-o",
        ":/d/a:b", "-j", "y", "-wd", "/d", "-S", "/bin/bash", "-b", "n", "-r", "n", "-w", "e",
    )  # fmt: skip
    assert b"\n'/opt/py thon' -m 'x;$(y)'\n" in command.stdin


@pytest.mark.parametrize(
    ("gpus", "cores", "asked_for"),
    [(1, 1, "1"), (2, 1, "2"), (1, 4, "0.25"), (2, 8, "0.25"), (3, 2, "1.5"), (1, 64, "0.015625")],
)
def test_gpus_per_slot_add_up_to_what_was_asked(gpus: int, cores: int, asked_for: str) -> None:
    assert options(engine.submit(spec(gpus=gpus, cores=cores)).argv)["-l gpu"] == asked_for


def test_gpus_that_cannot_be_shared_by_the_slots_are_refused_with_what_to_do() -> None:
    with pytest.raises(BadOption, match="per core") as caught:
        engine.submit(spec(gpus=1, cores=3))
    assert caught.value.hint


def test_what_is_booked_per_job_is_asked_for_as_a_whole() -> None:
    per_job = replace(engine, gpu=Complex("ngpus", booked=True), memory=Complex("mem_free", booked=True))
    found = options(per_job.submit(spec(gpus=1, cores=3, memory=3 * GIB)).argv)
    assert (found["-l ngpus"], found["-l mem_free"]) == ("1", "3072M")


def test_a_gpu_model_is_asked_for_where_a_complex_names_it_and_is_the_queues_own_elsewhere() -> None:
    assert "a100" not in engine.submit(spec(gpus=1, gpu_model="a100")).argv[10]
    named = replace(engine, model=Complex("gpu_type"))
    assert options(named.submit(spec(gpus=1, gpu_model="a100")).argv)["-l gpu_type"] == "a100"


@pytest.mark.parametrize(("ends", "code"), [("exit 7", 7), ("exit 99", 98), ("exit 100", 98), ("kill -KILL $$", 137)])
def test_the_script_ends_as_the_program_does_but_asks_for_no_other_run(ends: str, code: int) -> None:
    script = engine.submit(spec(argv=("sh", "-c", ends))).stdin
    assert subprocess.run(["bash"], input=script, capture_output=True, timeout=20, check=False).returncode == code


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x\n#$ -P other"},
        {"name": "-o/etc/passwd"},
        {"name": "1job"},
        {"partition": "all.q -P other"},
        {"partition": "*"},
        {"partition": "all.q@c1"},
        {"gpus": 1, "gpu_model": "a100,gpu=9"},
        {"output": "/tmp/x,/etc/y"},
        {"output": "/tmp/$USER"},
        {"directory": "/tmp/$JOB_ID"},
        {"directory": "/tmp\x00"},
        {"argv": ("true", "a\n#$ -pe smp 99")},
        {"argv": ()},
        {"nodes": 2},
    ],
)
def test_no_text_can_add_an_option_or_a_line(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        engine.submit(spec(**changes))


def test_only_numbers_are_job_ids() -> None:
    for ask in (engine.cancel, engine.usage):
        with pytest.raises(BadOption):
            ask(["1", "-u*"])


def test_the_job_id_is_read_after_any_banner() -> None:
    assert engine.submitted(sample("submitted")) == "1"
    assert engine.submitted(said("\x1b[1mWelcome to 2026\x1b[0m\n123\n")) == "123"
    assert engine.submitted(said('Your job 17 ("s-1") has been submitted\n')) == "17"
    with pytest.raises(Garbled):
        engine.submitted(said("Submitted, thanks\n"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("qsub_queue", 'Job was rejected because job requests unknown queue "no-such-queue"'),
        ("qsub_memory", "no suitable queues"),
        ("qsub_cores", "no suitable queues"),
        ("qsub_resource", 'unknown resource "nogpu"'),
        ("qsub_environment", 'job rejected: the requested parallel environment "nope" does not exist'),
    ],
)
def test_a_refusal_keeps_grid_engines_words(name: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        engine.submitted(sample(name))
    assert str(caught.value) == words


# ---- could not ask


@pytest.mark.parametrize(
    "name", ["queue_down", "queue_hung", "queue_no_qstat", "qstat_cell", "qsub_down", "qdel_down", "history_down"]
)
def test_a_scheduler_that_cannot_be_asked_is_unreachable(name: str) -> None:
    read = {
        "queue": lambda done: engine.statuses(done, AT),
        "qstat": lambda done: engine.snapshot([], done, AT),
        "qsub": engine.submitted,
        "qdel": engine.cancelled,
        "history": engine.records,
    }[name.split("_")[0]]
    with pytest.raises(Unreachable):
        read(sample(name))


def test_a_job_cannot_be_found_where_nobody_could_be_asked() -> None:
    with pytest.raises(Unreachable):
        engine.found(sample("history_down"))


def test_a_centre_without_the_commands_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="were not found"):
        engine.submitted(said(stderr="env: 'qsub': No such file or directory\n", code=127))


# ---- look


def test_one_answer_gives_every_listed_job_its_state_node_reason_and_place() -> None:
    found = engine.statuses(sample("queue_mixed"), AT)
    assert {job: (status.state, status.node, status.reason, status.place) for job, status in found.items()} == {
        "16": (JobState.RUNNING, "c2", "", 0),
        "17": (JobState.RUNNING, "c1", "s", 0),
        "18": (JobState.QUEUED, "", "Eqw: the job could not be started; qstat -j gives the reason", 0),
        "19": (JobState.QUEUED, "", "hqw: on hold", 0),
        "20": (JobState.RUNNING, "c1", "", 0),
        "21": (JobState.RUNNING, "c2", "", 0),
        "22": (JobState.QUEUED, "", "", 1),
        "23": (JobState.QUEUED, "", "", 2),
        "24": (JobState.QUEUED, "", "", 7),
    }
    assert {job for job, status in found.items() if status.hopeless} == {"18"}


def test_jobs_that_have_ended_are_not_in_the_queue() -> None:
    assert "<state>z</state>" in sample("queue_mixed").stdout
    assert "1" not in engine.statuses(sample("queue_mixed"), AT)
    assert engine.statuses(sample("queue_empty"), AT) == {}


def one_job(state: str) -> Completed:
    job = f"<job_list><JB_job_number>1</JB_job_number><JB_name>x</JB_name><state>{state}</state></job_list>"
    return said(f"<job_info><queue_info/><job_info>{job}</job_info></job_info>\nqstat 0\n")


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("qw Rq hqw hRwq Eqw Ehqw EhRqw t Rt", JobState.QUEUED),
        ("r hr Rr s ts S tS T tT hs Rs Rts RS RtS RT dr dt dRr ds dS", JobState.RUNNING),
        ("qx ?", JobState.UNKNOWN),
    ],
)
def test_every_state_of_grid_engine_has_one_of_ours(words: str, state: JobState) -> None:
    for word in words.split():
        status = engine.statuses(one_job(word), AT)["1"]
        assert status.state is state, word
        assert status.hopeless is ("E" in word)
        assert (word in status.reason) is (
            state is JobState.UNKNOWN or not set(word).isdisjoint("sSTdE") or (word[0] == "h" and "q" in word)
        )


def test_a_deletion_under_way_is_not_an_end() -> None:
    assert engine.statuses(sample("queue_deleting"), AT)["16"].state is JobState.RUNNING


def test_a_snapshot_has_what_is_booked_on_each_node_and_the_queue() -> None:
    assert engine.nodes() == ()
    part = engine.snapshot([], sample("queue_mixed"), AT).partitions["all.q"]
    first, second = part.nodes
    assert (first.name, first.cores, first.cores_used, first.gpus, first.gpus_used, first.up) == (
        "c1",
        48,
        2,
        4,
        3,
        True,
    )
    assert (second.name, second.cores_used, second.gpus, second.gpus_used) == ("c2", 5, 4, 4)
    assert first.memory == pytest.approx(192 * GIB, rel=1e-5) and first.memory_used == 200 * MIB
    # 5 of them one array; none held or broken
    assert (part.queued_jobs, part.queued_cores, part.running_jobs, part.up) == (
        7,
        7,
        4,
        True,
    )
    holder = datetime(2026, 11, 23, 4, 57, 35, tzinfo=UTC)
    assert [(one.cores, one.gpus) for one in part.running] == [(1, 0), (1, 3), (4, 1), (1, 3)] and part.running[
        2
    ].ends_at == holder
    assert [(one.cores, one.gpus) for one in part.waiting] == [(1, 3)] + [(1, 4)] * 6
    assert {one.walltime for one in part.waiting} == {timedelta(minutes=10)}


def test_disabled_and_silent_nodes_are_not_up() -> None:
    part = engine.snapshot([], sample("queue_closed"), AT).partitions["all.q"]
    assert [node.up for node in part.nodes] == [False, False]
    assert (part.up, part.cores_free, part.gpus_free) == (False, 0, 0)


def test_several_queues_share_the_slots_of_their_node() -> None:
    def instance(queue: str, used: int) -> str:
        counts = f"<slots_used>{used}</slots_used><slots_resv>1</slots_resv><slots_total>40</slots_total>"
        return f'<Queue-List><name>{queue}@n1</name>{counts}<resource name="slots" type="hc">8</resource></Queue-List>'

    xml = (
        f"<job_info><queue_info>{instance('a.q', 35)}{instance('b.q', 5)}</queue_info><job_info/></job_info>\nqstat 0\n"
    )
    parts = engine.snapshot([], said(xml), AT).partitions
    assert (parts["a.q"].cores_free, parts["b.q"].cores_free) == (4, 8)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "<job_info><queue_info>",
        "<job_info><queue_info></queue_info>\nqstat 0\n",
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><job_info><queue_info/></job_info>\nqstat 0\n',
    ],
)
def test_half_an_answer_is_garbled_and_so_is_more_than_data(stdout: str) -> None:
    for read in (lambda done: engine.statuses(done, AT), lambda done: engine.snapshot([], done, AT)):
        with pytest.raises(Garbled):
            read(said(stdout))


def test_an_answer_cut_anywhere_is_never_an_empty_queue() -> None:
    whole = sample("queue_mixed").stdout
    for length in range(0, len(whole) - 1, 97):
        with pytest.raises(Garbled):
            engine.statuses(said(whole[:length]), AT)


@pytest.mark.slow
def test_a_hundred_thousand_jobs_are_read_in_seconds() -> None:
    job = (
        "<job_list><JB_job_number>{}</JB_job_number><JB_name>s</JB_name><state>qw</state><slots>4</slots>"
        '<hard_request name="gpu">1</hard_request><hard_req_queue>all.q</hard_req_queue></job_list>\n'
    )
    text = "".join(job.format(number) for number in range(1, 100_001))
    found = engine.statuses(said(f"<job_info><queue_info/><job_info>{text}</job_info></job_info>\nqstat 0\n"), AT)
    assert len(found) == 100_000 and found["100000"].place == 100_000


# ---- find, cancel


def test_a_job_is_found_by_its_name_in_the_queue_else_in_accounting() -> None:
    assert engine.found(sample("history_found")) == "16"
    assert engine.found(sample("history_found_ended")) == "2"
    assert engine.found(sample("history_found_none")) is None
    assert engine.found(sample("history_no_accounting")) is None


def test_a_job_that_ended_before_accounting_wrote_it_is_found_all_the_same() -> None:
    done = sample("history_found")
    assert engine.found(replace(done, stdout=done.stdout.replace("end holder", "end waited"))) == "14"


def test_cancelling_what_is_gone_or_going_is_success() -> None:
    for name in ("qdel", "qdel_again", "qdel_unknown", "qdel_waiting"):
        engine.cancelled(sample(name))


def test_cancelling_somebody_elses_job_is_rejected() -> None:
    with pytest.raises(Rejected, match="necessary privileges"):
        engine.cancelled(sample("qdel_stranger"))


# ---- usage


def test_accounting_tells_how_each_job_ended() -> None:
    found = {
        record.name: (record.job_id, record.state, record.exit_code)
        for record in engine.records(sample("history_ended"))
    }
    assert found == {
        "done": ("1", JobState.COMPLETED, "0:0"),
        "seven": ("2", JobState.FAILED, "7:0"),
        "ninetynine": ("3", JobState.FAILED, "98:0"),
        "program-killed": ("4", JobState.FAILED, "137:0"),
        "segv": ("5", JobState.FAILED, "139:0"),
        "overdue": ("6", JobState.FAILED, "0:9"),
        "deleted": ("7", JobState.CANCELLED, "0:9"),
        "nowhere": ("8", JobState.QUEUED, ""),  # accounting has its failed start, the queue still has it
        "waited": ("14", JobState.CANCELLED, ""),
        "late": ("15", JobState.COMPLETED, "0:0"),
    }


def test_accounting_tells_what_was_given_and_used() -> None:
    found = {record.name: record for record in engine.records(sample("history_ended"))}
    done, deleted, waited = found["done"], found["deleted"], found["waited"]
    assert (done.cores, done.gpus, done.memory, done.node, done.partition) == (2, 0, 100 * MIB, "c2", "all.q")
    assert done.submitted_at and done.started_at and done.ended_at and done.ended_at - done.started_at == done.elapsed
    assert done.elapsed == timedelta(seconds=2) and timedelta() < done.cpu < timedelta(seconds=1)
    assert (deleted.cores, deleted.gpus) == (1, 1)
    assert (waited.cores, waited.started_at, waited.elapsed) == (0, None, timedelta())


def test_a_running_job_has_no_end_and_a_waiting_one_no_start() -> None:
    found = {record.name: record for record in engine.records(sample("history_running"))}
    run, wait = found["holder"], found["gpus2"]
    assert (run.state, run.cores, run.gpus, run.memory, run.node, run.ended_at) == (
        JobState.RUNNING,
        4,
        1,
        100 * MIB,
        "c2",
        None,
    )
    assert run.started_at == datetime(2026, 11, 23, 4, 47, 35, tzinfo=UTC)
    assert (wait.state, wait.cores, wait.started_at) == (JobState.QUEUED, 0, None)


def test_a_job_that_accounting_may_still_write_has_no_record_yet() -> None:
    """Only a later end that is written already says that a job without a row never started."""
    done = sample("history_ended")
    recent = done.stdout.split("recent\n")[1]
    for last, known in (("15:1795409234:0", True), ("1:1795409233:0", False), ("15:0:28", False), ("", False)):
        then = replace(done, stdout=done.stdout.replace(recent, f"{last}\nend 14\n"))
        assert ("14" in {record.job_id for record in engine.records(then)}) is known


def row(
    failed: int,
    code: int,
    seconds: int = 5,
    category: str = "-q all.q -l gpu=0.25,h_rt=600,h_vmem=100M -pe smp 4",
    peak: float = 0,
) -> str:
    times = f"1795409231:1795409231:{1795409231 + seconds}"
    head = f"all.q:c2:a:a:x:5:sge:0:{times}:{failed}:{code}:{seconds}"
    return f"{head}{':0' * 17}:NONE:d:smp:4:0:1.5:0:0:{category}:0:NONE:{peak}:0:0"


def accounted(*rows: str) -> Completed:
    text = "".join(f"{one}\n" for one in rows)
    return said(f"<job_info><queue_info/><job_info/></job_info>\nqstat 0\n{text}recent\nend 5\n")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (row(0, 0), JobState.COMPLETED),
        (row(0, 3), JobState.FAILED),
        (row(15, 0), JobState.COMPLETED),  # the epilog failed, not the job
        (row(100, 137), JobState.CANCELLED),
        (row(100, 137, seconds=600), JobState.FAILED),  # its walltime was over
        (row(100, 137, peak=401 * MIB), JobState.FAILED),  # its memory was over
        (row(100, 139), JobState.FAILED),
        (row(37, 137), JobState.FAILED),
        (row(26, 0, seconds=0), JobState.FAILED),
        (row(28, 0, seconds=0), JobState.FAILED),
        (row(8, 0), JobState.LOST),
        (row(19, 0), JobState.LOST),
        (row(25, 0), JobState.LOST),
    ],
)
def test_every_way_to_end_has_a_state(line: str, state: JobState) -> None:
    (record,) = engine.records(accounted(line))
    assert record.state is state
    assert (record.cores, record.gpus, record.memory, record.cpu) == (4, 1, 400 * MIB, timedelta(seconds=1.5))


def test_each_run_of_a_job_counts_and_tasks_of_a_parallel_job_do_not() -> None:
    task = row(0, 0).replace(":NONE:0:0:0", ":1.c2:0:0:0")
    first, second = engine.records(accounted(row(25, 0), row(0, 4), task))
    assert (first.restart, first.ending, second.restart, second.exit_code) == (0, Ending.SITE_FAILURE, 1, "4:0")


def test_accounting_tells_why_each_run_was_over() -> None:
    records = engine.records(sample("history_runs"))
    found = {(record.job_id, record.restart): record for record in records}
    assert {key: record.ending for key, record in found.items() if key[0] in "1237"} == {
        ("1", 0): Ending.SITE_FAILURE,  # rescheduled: Grid Engine tells no times of that run
        ("1", 1): Ending.CANCELLED,
        ("2", 0): Ending.CANCELLED,
        ("3", 0): Ending.TIMEOUT,
        ("7", 0): Ending.COMPLETED,
    }
    assert (found["1", 0].cores, found["1", 0].elapsed, found["1", 1].elapsed) == (
        0,
        timedelta(),
        timedelta(seconds=78),
    )
    assert found["4", 0].ending is Ending.CANCELLED  # its node went down: the accounting file has no word for that


def test_a_row_that_cannot_be_read_is_told_and_stops_no_other() -> None:
    half, array, nan = row(0, 0)[:30], row(0, 0), row(0, 0).replace(":1795409231:", ":nan:", 1)
    cells = array.split(":")
    cells[35] = "3"
    for broken, word in ((half, "fields"), (":".join(cells), "array"), (nan, "nan")):
        bad = [one for one in engine.records(accounted(broken, row(0, 4))) if one.trouble]
        good = [one for one in engine.records(accounted(broken, row(0, 4))) if not one.trouble]
        assert [(one.state, one.cores) for one in bad] == [(JobState.UNKNOWN, 0)] and word in bad[0].trouble
        assert [one.exit_code for one in good] == ["4:0"]


def test_half_an_accounting_row_is_garbled() -> None:
    for text in ("all.q:c1:a:a:x:5:sge\nrecent\nend 5\n", f"{row(0, 0)}\nrecent\n", f"{row(0, 0)}\n"):
        with pytest.raises(Garbled):
            engine.records(said(f"<job_info><queue_info/><job_info/></job_info>\nqstat 0\n{text}"))


def test_numbers_beyond_all_calendars_harm_nothing() -> None:
    huge = "9" * 5000
    assert engine.records(accounted(row(0, 0).replace("1795409231", huge)))[0].started_at is None


@pytest.fixture
def installation(tmp_path: Path) -> dict[str, str]:
    """A cell with a qstat that lists nothing."""
    (tmp_path / "default/common").mkdir(parents=True)
    qstat = tmp_path / "qstat"
    qstat.write_text("#!/bin/sh\necho '<job_info><queue_info/><job_info/></job_info>'\n")
    qstat.chmod(0o755)
    return {"SGE_ROOT": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def run(engine_command: object, environment: dict[str, str]) -> Completed:
    argv = engine_command.argv  # type: ignore[attr-defined]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=False)
    return said(done.stdout, done.stderr, done.returncode)


def test_accounting_is_read_for_exactly_the_wanted_jobs(installation: dict[str, str]) -> None:
    file = Path(installation["SGE_ROOT"]) / "default/common/accounting"
    assert engine.records(run(engine.usage(["5"]), installation)) == []
    me = getpass.getuser()
    names = (("x.y", 15, me), ("x.y", 22, "mallory"), ("xay", 51, me), ("5", 6, me))
    others = (row(0, 0).replace(":a:x:5:", f":{who}:{name}:{job}:") for name, job, who in names)
    file.write_text("\n".join(("# comment", *others, row(0, 0), "")))
    assert [record.job_id for record in engine.records(run(engine.usage(["5", "9"]), installation))] == ["5"]
    assert engine.found(run(engine.find("x.y"), installation)) == "15"  # a stranger may give any name
    assert engine.found(run(engine.find("x+"), installation)) is None


def test_accounting_that_is_written_as_json_only_is_said_and_is_no_empty_accounting(
    installation: dict[str, str],
) -> None:
    """The Open Cluster Scheduler's default."""
    (Path(installation["SGE_ROOT"]) / "default/common/accounting.jsonl").touch()
    for ask, read in ((engine.usage(["5"]), engine.records), (engine.find("x"), engine.found)):
        with pytest.raises(Rejected, match="old_accounting=true"):
            read(run(ask, installation))  # type: ignore[operator]


def test_a_cell_that_is_not_where_it_was_said_is_no_empty_accounting(installation: dict[str, str]) -> None:
    with pytest.raises(Rejected, match="elsewhere/common"):
        engine.records(run(engine.usage(["5"]), {**installation, "SGE_CELL": "elsewhere"}))
