"""Tests the Slurm dialect with real answers of Slurm 22.05: `tests/samples/slurm`, captured from clusters with and
without slurmdbd."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.dialect import dialect
from scnet_hub.domain.dialects.slurm import PLAIN, Slurm
from scnet_hub.domain.dialects.slurm_accounting import STATES
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.dialects.slurm_hosts import first_host
from scnet_hub.domain.dialects.slurm_site import Site
from scnet_hub.domain.jobs import (
    Backfill,
    Booking,
    Ending,
    JobSpec,
    JobState,
    JobStatus,
    LoadSnapshot,
    UsageRecord,
    Waiting,
)
from scnet_hub.errors import BadOption, Garbled, Rejected, SpecError, Unreachable

from .samples import shown

SAMPLES = Path(__file__).parents[3] / "samples" / "slurm"
AT = datetime(2026, 11, 23, 1, 40, tzinfo=UTC)
GIB = 2**30
slurm = Slurm("sacct", Cycle())


def row(
    job: int, state: str, node: str = "n1", start: str = "N/A", reason: str = "None", tasks: str = "N/A", array: int = 0
) -> str:
    asked = "N/A|N/A|N/A|N/A|1|1|1"
    return (
        f"{job}|{state}|{node}|{start}|main|1|1:00:00|{asked}|{array or job}|{tasks}|{reason}|                a-job|.\n"
    )


def sample(name: str) -> Completed:
    head, rest = (SAMPLES / f"{name}.txt").read_text().split("---- stdout\n", 1)
    stdout, stderr = rest.split("---- stderr\n", 1)
    return Completed(Command(("x",)), int(head.removeprefix("code ")), stdout, stderr)


def said(stdout: str = "", stderr: str = "", code: int = 0) -> Completed:
    return Completed(Command(("x",)), code, stdout, stderr)


def spec(**changes: object) -> JobSpec:
    return JobSpec(**{"name": "s-1", "partition": "main", "argv": ("true",), **changes})  # type: ignore[arg-type]


# ---- submit


def test_a_job_is_asked_for_with_arguments_and_a_script_that_only_becomes_the_program() -> None:
    command = slurm.submit(
        spec(
            argv=("/opt/py thon", "-m", "x;$(y)"),
            cores=4,
            memory=3 * GIB + 1,
            gpus=2,
            gpu_model="a100",
            directory="/d",
            output="/d/%j",
        )
    )
    assert command.argv == (
        "sbatch", "--parsable", "--no-requeue", "--job-name=s-1", "--partition=main", "--nodes=1", "--ntasks=1",
        "--cpus-per-task=4", "--mem=3073M", "--time=01:00:00", "--gres=gpu:a100:2", "--output=/d/%%j", "--chdir=/d",
    )  # fmt: skip
    assert command.stdin == b"#!/bin/bash\nexec '/opt/py thon' -m 'x;$(y)'\n"


def test_cores_gpus_and_memory_of_the_whole_job_are_spread_over_its_nodes() -> None:
    argv = slurm.submit(spec(nodes=2, cores=5, gpus=3, memory=4 * GIB)).argv
    assert {"--nodes=2", "--ntasks=2", "--cpus-per-task=3", "--gres=gpu:2", "--mem=2048M"} <= set(argv)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x\n#SBATCH --uid=0"},
        {"name": "-o/etc/passwd"},
        {"name": ""},
        {"partition": "main --wrap=id"},
        {"partition": "a\rb"},
        {"gpu_model": "a100,gpu:9"},
        {"output": "/tmp/x\n#SBATCH --exclusive"},
        {"directory": "/tmp\x00"},
        {"argv": ("true", "a\n#SBATCH -n 99")},
        {"argv": ("true", "\x1b[2J")},
        {"argv": ("true", "\u202etxt")},
        {"argv": ()},
    ],
)
def test_no_text_can_add_an_option_or_a_line(changes: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        slurm.submit(spec(**changes))


def test_only_numbers_are_job_ids() -> None:
    for ask in (slurm.cancel, slurm.usage):
        with pytest.raises(BadOption):
            ask(["1", "--state=PENDING"])


def test_the_job_id_is_read_after_any_banner() -> None:
    assert slurm.submitted(sample("submitted")) == "4"
    assert (
        slurm.submitted(said("\x1b[1mWelcome to 2026\x1b[0m\nsbatch: lua: filled in 3 defaults\n123;beta\n")) == "123"
    )


def test_an_answer_without_an_id_is_garbled() -> None:
    with pytest.raises(Garbled):
        slurm.submitted(said("Submitted, thanks\n"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sbatch_partition", "invalid partition specified: nope; Invalid partition name specified"),
        ("sbatch_cores", "CPU count per node can not be satisfied; Requested node configuration is not available"),
        ("sbatch_memory", "Memory specification can not be satisfied; Requested node configuration is not available"),
        ("sbatch_time", "Requested time limit is invalid (missing or exceeds some limit)"),
        ("sbatch_gpus", "Requested node configuration is not available"),
        ("sbatch_nodes", "More processors requested than permitted"),
    ],
)
def test_a_refusal_keeps_slurms_words(name: str, words: str) -> None:
    with pytest.raises(Rejected) as caught:
        slurm.submitted(sample(name))
    assert str(caught.value) == words


# ---- could not ask


@pytest.mark.parametrize(
    "name", ["squeue_down", "squeue_hung", "sbatch_down", "scancel_down", "sinfo_down", "sacct_down"]
)
def test_a_scheduler_that_cannot_be_asked_is_unreachable(name: str) -> None:
    read = {
        "squeue": lambda done: slurm.statuses(done, AT),
        "sbatch": slurm.submitted,
        "scancel": slurm.cancelled,
        "sinfo": lambda done: slurm.snapshot([done], said(), AT),
        "sacct": slurm.records,
    }[name.split("_")[0]]
    with pytest.raises(Unreachable):
        read(sample(name))


@pytest.mark.parametrize(
    "stderr",
    [
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        'squeue: error: Munge encode failed: Failed to connect to "/run/munge/munge.socket.2": Connection refused',
        "slurm_load_jobs error: Protocol authentication error",
        "slurm_load_jobs error: Zero Bytes were transmitted or received",
        "squeue: error: RPC rate limit exceeded",
        "slurm_load_jobs error: Slurm backup controller in standby mode",
    ],
)
def test_other_ways_of_not_answering_are_unreachable_too(stderr: str) -> None:
    with pytest.raises(Unreachable):
        slurm.statuses(said(stderr=f"{stderr}\n", code=1), AT)


def test_a_centre_without_slurms_commands_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="were not found"):
        slurm.statuses(said(stderr="env: 'squeue': No such file or directory\n", code=127), AT)


# ---- status, find, cancel


def test_one_answer_gives_every_listed_job_its_state_node_and_reason() -> None:
    found = slurm.statuses(sample("squeue_queue"), AT)
    assert {job: status.state for job, status in found.items()} == {
        "1": JobState.COMPLETED, "2": JobState.FAILED, "3": JobState.FAILED, "4": JobState.RUNNING,
        "5": JobState.QUEUED, "6": JobState.QUEUED, "7": JobState.QUEUED, "8": JobState.QUEUED, "9": JobState.QUEUED,
    }  # fmt: skip
    assert found["4"] == JobStatus(state=JobState.RUNNING, seen_at=AT, name="a-job", node="gamma1")
    assert found["5"] == JobStatus(
        state=JobState.QUEUED,
        seen_at=AT,
        name="a-job",
        reason="Resources",
        place=1,
        starts_at=datetime.fromtimestamp(1795968766, UTC),
    )
    assert found["2"].reason == "NonZeroExitCode"


def test_one_purged_job_is_no_error() -> None:
    assert slurm.statuses(sample("squeue_one_unknown"), AT) == {}


def test_a_waiting_job_has_the_schedulers_own_estimate() -> None:
    found = slurm.statuses(said(row(5, "PENDING", "n/a", "1795401483", "Priority")), AT)
    assert found["5"].starts_at == datetime(2026, 11, 23, 2, 38, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("PENDING CONFIGURING REQUEUED REQUEUE_HOLD REQUEUE_FED RESV_DEL_HOLD SPECIAL_EXIT", JobState.QUEUED),
        ("RUNNING COMPLETING SUSPENDED STOPPED SIGNALING STAGE_OUT RESIZING", JobState.RUNNING),
        ("COMPLETED", JobState.COMPLETED),
        ("FAILED TIMEOUT OUT_OF_MEMORY DEADLINE", JobState.FAILED),
        ("CANCELLED REVOKED", JobState.CANCELLED),
        ("NODE_FAIL BOOT_FAIL PREEMPTED", JobState.LOST),
        ("WEATHER_HOLD", JobState.UNKNOWN),
    ],
)
def test_every_state_of_slurm_has_one_of_ours(words: str, state: JobState) -> None:
    for word in words.split():
        status = slurm.statuses(said(row(1, word)), AT)["1"]
        assert status.state is state
        assert STATES.get(word, JobState.UNKNOWN) is state


def test_an_unknown_state_is_told_as_its_own_reason() -> None:
    assert slurm.statuses(said(row(1, "WEATHER_HOLD")), AT)["1"].reason == "WEATHER_HOLD"


@pytest.mark.parametrize(
    "stdout", [row(1, "RUNNING") + "2|RUN", "1|RUNNING|n1\n", row(1, "RUNNING").replace("N/A|", "", 1)]
)
def test_half_an_answer_is_garbled(stdout: str) -> None:
    with pytest.raises(Garbled):
        slurm.statuses(said(stdout), AT)


@pytest.mark.parametrize(
    "name", ["x\n1|FAILED", "x|.\n1|FAILED|n|N/", "|.\n1|FAILED||||||||.", "1|", "é|.\n1|FAILED||||||"]
)
def test_a_strangers_name_is_no_row_and_breaks_none(name: str) -> None:
    """squeue prints a name as it is, cut to its width; captured from Slurm 22.05: `--job-name=$'x\\n1|FAILED'`."""
    theirs = row(9, "PENDING").replace("                a-job", f"{name:>21}"[:21])
    found = slurm.statuses(said(theirs + row(1, "RUNNING") + theirs.replace("9|", "8|", 1)), AT)
    assert found["1"].state is JobState.RUNNING and set(found) == {"1", "8", "9"}


def test_a_banner_is_no_row_and_a_reason_may_hold_the_separator() -> None:
    found = slurm.statuses(said("*** maintenance | tonight ***\n" + row(1, "PENDING", reason="a|b")), AT)
    assert found["1"].reason == "a|b"


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_read_in_seconds() -> None:
    text = "".join(row(number, "RUNNING") for number in range(1, 100_001))
    assert len(slurm.statuses(said(text), AT)) == 100_000


def test_a_job_is_found_by_its_name_the_live_one_first() -> None:
    assert slurm.found(sample("squeue_find")) == "4"
    assert slurm.found(sample("squeue_find_none")) is None
    assert slurm.found(said("J|3|COMPLETED|.\nJ|1|RUNNING|.\nJ|2|FAILED|.\n")) == "1"
    assert slurm.found(said("J|3|FAILED|.\nJ|2|COMPLETED|.\n")) == "3"


def test_cancelling_what_is_gone_is_success() -> None:
    slurm.cancelled(sample("scancel_unknown"))
    slurm.cancelled(
        said(stderr="scancel: error: Kill job error on job id 5: Job/step already completing or completed\n", code=1)
    )
    slurm.cancelled(said(stderr="scancel: error: Kill job error on job id 5: Invalid job id specified\n", code=1))


def test_cancelling_somebody_elses_job_is_rejected() -> None:
    with pytest.raises(Rejected, match="Access/permission denied"):
        slurm.cancelled(said(stderr="scancel: error: Kill job error on job id 5: Access/permission denied\n", code=1))


# ---- load


def test_a_snapshot_has_what_is_booked_on_each_node_and_the_queue() -> None:
    taken = slurm.snapshot([sample("sinfo_nodes")], sample("squeue_queue"), AT)
    main = taken.partitions["main"]
    first, second = main.nodes
    assert (first.name, first.cores, first.cores_used, first.memory, first.memory_used) == (
        "gamma1",
        4,
        2,
        8000 * 2**20,
        1024 * 2**20,
    )
    assert (first.gpus, first.gpus_used, first.gpu_model, first.up) == (2, 1, "a100", True)
    assert (second.cores_used, second.gpus_used) == (0, 0)
    assert (main.queued_jobs, main.queued_cores, main.running_jobs) == (4, 14, 1)  # the held job stands in nobody's way
    assert main.max_walltime == timedelta(hours=4)
    assert main.up and taken.taken_at == AT
    ends_at = datetime.fromtimestamp(1795961566, UTC) + timedelta(hours=2)
    assert main.running == (Booking(ends_at=ends_at, cores=2, gpus=1, node="gamma1"),)
    assert main.waiting == (
        Waiting(cores=8, nodes=2, walltime=timedelta(hours=1)),
        Waiting(cores=4, gpus=2, walltime=timedelta(hours=3)),
        *[Waiting(cores=1, walltime=timedelta(hours=4))] * 2,
    )


def test_a_drained_node_is_not_up() -> None:
    taken = slurm.snapshot([sample("sinfo_draining")], said(), AT)
    assert [node.up for node in taken.partitions["main"].nodes] == [True, False]
    assert taken.partitions["main"].cores_free == 1


@pytest.mark.parametrize(
    ("state", "up"),
    [("idle", True), ("mixed-", True), ("idle~", True), ("planned", True), ("allocated+", True), ("idle*", False),
    ("down*", False),
     ("maint", False), ("idle$", False), ("reserved", False), ("draining", False), ("unknown", False),
     ("mixed@", False)],
)  # fmt: skip
def test_a_nodes_state_says_whether_it_takes_jobs(state: str, up: bool) -> None:
    row = f"n1|main|0/4/0/4|8000|0|(null)|gpu:0|{state}|infinite|up|\n"
    part = slurm.snapshot([said(row)], said(), AT).partitions["main"]
    assert part.nodes[0].up is up
    assert part.max_walltime is None and part.nodes[0].gpus == 0


def test_a_closed_partition_is_not_up_and_gpus_of_several_kinds_add_up() -> None:
    row = "n1|gpu|8/56/0/64|256000|8000|gpu:a100:4(S:0-1),gpu:h100:2,shard:8|gpu:a100:1(IDX:0,2),gpu:h100:1(IDX:0)|mixed|1-00:00:00|inact|\n"
    part = slurm.snapshot([said(row)], said(), AT).partitions["gpu"]
    assert not part.up
    assert (part.nodes[0].gpus, part.nodes[0].gpus_used, part.nodes[0].gpu_model) == (6, 2, "a100")


def test_places_count_from_one_by_priority() -> None:
    assert [slurm.statuses(sample("squeue_queue"), AT)[job].place for job in ("5", "6", "7", "8", "9", "4")] == [
        1,
        2,
        3,
        4,
        0,
        0,
    ]


def test_what_slurm_says_can_never_start_is_hopeless_what_only_waits_is_not() -> None:
    reasons = (
        "PartitionTimeLimit",
        "QOSMaxWallDurationPerJobLimit",
        "Resources",
        "Priority",
        "ReqNodeNotAvail, UnavailableNodes:n1",
    )
    found = [slurm.statuses(said(row(1, "PENDING", "n/a", reason=reason)), AT)["1"].hopeless for reason in reasons]
    assert found == [True, True, False, False, False]
    assert not slurm.statuses(said(row(1, "RUNNING", reason="PartitionTimeLimit")), AT)["1"].hopeless


def test_a_job_that_can_never_start_stands_in_nobodys_way() -> None:
    queue = said(row(1, "PENDING", "n/a", reason="PartitionConfig") + row(2, "PENDING", "n/a", reason="Resources"))
    assert slurm.statuses(queue, AT)["1"].hopeless and slurm.statuses(queue, AT)["2"].place == 1
    assert slurm.snapshot([sample("sinfo_nodes")], queue, AT).partitions["main"].queued_jobs == 1


def test_where_ended_jobs_are_looked_up_is_asked_unless_it_is_said() -> None:
    rest = [sample("scontrol_config"), sample("sinfo_site")]
    assert Slurm("scontrol", Cycle(30), Site()).probe() == ()
    assert [command.argv[len(PLAIN)] for command in Slurm().probe()] == ["sacct", "scontrol", "sinfo"]
    assert [command.argv[len(PLAIN)] for command in Slurm("sacct").probe()] == ["scontrol", "sinfo"]
    assert Slurm().probed([sample("sacct_disabled"), *rest]).accounting == "scontrol"
    assert Slurm().probed([said(), *rest]).accounting == "sacct"
    with pytest.raises(Unreachable):
        Slurm().probed([sample("sacct_down"), *rest])


# ---- backfill


def looked(words: str, interval: int = 30) -> Backfill | None:
    taken: LoadSnapshot = Slurm("sacct", Cycle(interval)).snapshot(
        [said(sample("sinfo_nodes").stdout + words)], said(), AT
    )
    (backfill,) = {part.backfill for part in taken.partitions.values()}
    return backfill


def stats(said_at: int, last: int, *more: str, head: str = "Backfilling stats") -> str:
    rows = ("\tTotal cycles: 9", f"\tLast cycle when: Mon Nov 23 01:39:50 2026 ({last})", *(f"\t{row}" for row in more))
    return "\n".join(
        (f"sdiag output at Mon Nov 23 01:40:00 2026 ({said_at})", head, *rows, "\tLast depth cycle: 3", "")
    )


@pytest.mark.parametrize(
    ("config", "cycle"),
    [
        ("SchedulerParameters     = (null)\nSchedulerType           = sched/backfill\n", Cycle(30, 500)),
        (
            "SchedulerParameters     = defer,bf_interval=60,bf_continue\nSchedulerType           = sched/backfill\n",
            Cycle(60, 500),
        ),
        (
            "SchedulerParameters     = bf_max_job_test=90,bf_max_job_test_x=1\nSchedulerType           = "
            "sched/backfill\n",
            Cycle(30, 90),
        ),
        ("SchedulerParameters     = bf_interval=-1\nSchedulerType           = sched/backfill\n", Cycle(0, 500)),
        ("SchedulerParameters     = bf_interval=60\nSchedulerType           = sched/builtin\n", Cycle()),
        ("", Cycle()),
    ],
)
def test_how_often_backfill_looks_and_at_how_many_is_slurms_configuration(config: str, cycle: Cycle) -> None:
    assert Slurm("sacct").probed([said(config), said()]).cycle == cycle


def test_who_must_not_know_the_configuration_asks_for_nodes_alone() -> None:
    for code, words in ((1, "scontrol: error: Access/permission denied\n"), (127, "scontrol: not found\n")):
        assert Slurm("sacct").probed([said(stderr=words, code=code)] * 2).cycle == Cycle()
    with pytest.raises(Unreachable):
        Slurm("sacct").probed([sample("sinfo_down"), said()])
    assert Slurm("sacct").probed([sample("scontrol_config"), sample("sinfo_site")]).cycle == Cycle(2, 500)
    assert "sdiag" not in " ".join(slurm.nodes()[0].argv)


def test_a_snapshot_says_when_backfill_last_looked_and_how_often_it_does() -> None:
    ours = Slurm("sacct", Cycle(20, 300)).snapshot([sample("sinfo_backfill")], said(), AT)
    (backfill,) = {part.backfill for part in ours.partitions.values()}
    assert set(ours.partitions) == {"batch", "debug"} and len(ours.partitions["batch"].nodes) == 3
    assert backfill and AT - timedelta(seconds=20) < backfill.last <= AT
    assert timedelta(seconds=20) < backfill.every < timedelta(seconds=21) and backfill.depth == 300


def test_backfill_keeps_nodes_as_a_whole_and_other_schedulers_are_not_said_to() -> None:
    for cycle, keeps in ((Cycle(20, 300), True), (Cycle(), False)):
        taken = Slurm("sacct", cycle).snapshot([sample("sinfo_backfill")], said(), AT)
        assert {part.keeps_nodes for part in taken.partitions.values()} == {keeps}


def test_a_period_is_the_pause_and_a_cycle_with_its_own_pauses() -> None:
    assert looked(stats(1_000_000_050, 1_000_000_030, "Last cycle: 9000000", "Mean cycle: 8000000")) == Backfill(
        AT - timedelta(seconds=20), timedelta(seconds=40)
    )
    assert looked(stats(1_000_000_050, 1_000_000_030, "Last cycle: 4000000")) == Backfill(
        AT - timedelta(seconds=20), timedelta(seconds=35)
    )


def test_a_backfill_that_had_nothing_to_do_is_taken_to_look_now() -> None:
    assert looked(stats(1_000_000_050, 1_000_000_000)) == Backfill(AT, timedelta(seconds=30))
    within = "Backfilling stats (WARNING: data obtained in the middle of backfilling execution.)"
    assert looked(stats(1_000_000_050, 1_000_000_000, head=within)) == Backfill(
        AT - timedelta(seconds=50), timedelta(seconds=30)
    )


@pytest.mark.parametrize(
    "words",
    [
        "",
        "You are no operator.\n",
        "sdiag output at Mon (1000000050)\n",
        stats(5, 3),
        stats(10**12, 10**12),
        "Backfilling stats\n",
    ],
)
def test_a_look_without_a_word_of_backfill_is_a_look(words: str) -> None:
    assert looked(words) is None


def test_before_the_first_cycle_nothing_is_said_of_the_next() -> None:
    taken = Slurm("sacct", Cycle(2)).snapshot([sample("sinfo_no_cycle")], said(), AT)
    assert taken.partitions["batch"].backfill is None and taken.partitions["batch"].cores == 192


@pytest.mark.parametrize("sdiag", ["echo sdiag output at now; exit 1", "exec sleep 60", "exit 127"])
def test_a_look_does_not_fail_by_sdiag(sdiag: str, tmp_path: Path) -> None:
    timeout = f'shift; exec {shutil.which("timeout")} 0.2 "$@"'
    sinfo = 'echo "n1|main|0/4/0/4|8000|0|(null)|gpu:0|idle|1:00:00|up|"'
    for name, script in {"sinfo": sinfo, "sdiag": sdiag, "timeout": timeout}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    question = Slurm("sacct", Cycle(30)).nodes()[0]
    done = subprocess.run(
        question.argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0 and done.stderr == ""
    part = Slurm("sacct", Cycle(30)).snapshot([Completed(question, 0, done.stdout, "")], said(), AT).partitions["main"]
    assert part.cores == 4 and part.backfill is None


def test_what_sinfo_says_is_not_hidden_by_sdiag(tmp_path: Path) -> None:
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho sinfo: no >&2\nexit 3\n")
    (tmp_path / "sinfo").chmod(0o755)
    done = subprocess.run(
        Slurm("sacct", Cycle(30)).nodes()[0].argv,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (3, "sinfo: no\n")


# ---- usage


def test_accounting_tells_what_was_allocated_and_used() -> None:
    records = {record.job_id: record for record in slurm.records(sample("sacct"))}
    done = records["1"]
    assert (done.name, done.state, done.cores, done.gpus, done.memory) == ("ok", JobState.COMPLETED, 2, 1, 500 * 2**20)
    assert done.cpu == timedelta(milliseconds=44)
    assert (done.node, done.exit_code, done.partition) == ("gamma1", "0:0", "main")
    limit = records["7"]
    assert (limit.state, limit.elapsed) == (JobState.FAILED, timedelta(seconds=85))
    assert limit.ended_at is not None and limit.started_at is not None
    assert limit.ended_at - limit.started_at == limit.elapsed
    assert records["2"].exit_code == "7:0" and records["3"].exit_code == "0:9"


def test_a_running_job_has_no_end_and_a_waiting_one_no_start() -> None:
    records = {record.job_id: record for record in slurm.records(sample("sacct"))}
    assert (records["4"].state, records["4"].ended_at, records["4"].elapsed) == (
        JobState.RUNNING,
        None,
        timedelta(seconds=157),
    )
    assert (records["5"].state, records["5"].started_at) == (JobState.QUEUED, None)


def test_a_job_cancelled_while_it_waited_used_nothing() -> None:
    record = next(record for record in slurm.records(sample("sacct")) if record.job_id == "13")
    assert (record.state, record.started_at, record.cores, record.elapsed) == (JobState.CANCELLED, None, 0, timedelta())


def test_a_job_whose_start_accounting_has_not_heard_yet_has_no_record() -> None:
    half = "5|COMPLETED|0|||Unknown|1795397883|1795397885|2|00:00:00|a1|0:0||allocation\n"
    assert slurm.records(said(half)) == []


def test_steps_are_no_jobs() -> None:
    assert [record.job_id for record in slurm.records(sample("sacct"))] == [str(number) for number in range(1, 14)]


def test_jobs_that_accounting_never_saw_have_no_record() -> None:
    assert slurm.records(sample("sacct_none")) == []


def test_a_cluster_without_accounting_says_what_to_set() -> None:
    with pytest.raises(Rejected) as caught:
        slurm.records(sample("sacct_disabled"))
    assert "scontrol" in caught.value.hint


def test_half_an_accounting_row_is_garbled() -> None:
    with pytest.raises(Garbled):
        slurm.records(said("1|COMPLETED|2\n"))


def test_no_name_can_make_up_a_row_of_accounting() -> None:
    """Slurm takes line ends in names: what stands between fields is this question's own, and can't be known before."""
    asked = slurm.usage(["81", "82"], "c0ffee")
    mark = next(word for word in asked.argv if word.startswith("--delimiter=")).removeprefix("--delimiter=")
    assert "c0ffee" in mark
    row = "{0}|COMPLETED|1||1G|1795400000|1795400000|1795400009|9|00:01|b1|0:0|main|{1}"
    made_up = row.format(82, "scnet-b").replace("|9|", "|999999|")
    real = [row.format(82, "scnet-b").replace("|", mark), row.format(81, "x").replace("|", mark), made_up]
    records = slurm.records(Completed(asked, 0, "\n".join((*real, "")), ""))
    assert [(one.job_id, one.elapsed.seconds) for one in records] == [("82", 9), ("81", 9)]


def test_a_jobs_name_cannot_pretend_another_state() -> None:
    line = sample("scontrol_jobs").stdout.splitlines()[0].replace("JobName=run", "JobName=x JobState=COMPLETED")
    record = Slurm("scontrol").records(shown(line))[0]
    assert (record.state, record.name) == (JobState.RUNNING, "x JobState=COMPLETED")


def runs(name: str = "sacct_runs") -> dict[tuple[str, int], UsageRecord]:
    return {(record.job_id, record.restart): record for record in slurm.records(sample(name))}


def test_accounting_is_asked_for_every_run_of_a_job() -> None:
    assert "--duplicates" in slurm.usage(["1"]).argv


def test_every_run_of_a_requeued_job_is_a_record_of_its_own() -> None:
    """Slurm 22.05: each run has its own submission, the state of the first says why there is a second."""
    found = runs()
    first, second = found["6", 0], found["6", 1]
    assert (first.ending, first.state, first.elapsed) == (Ending.REQUEUED, JobState.QUEUED, timedelta(seconds=12))
    assert (second.ending, second.elapsed) == (Ending.COMPLETED, timedelta(minutes=5))
    assert (
        first.submitted_at
        and second.submitted_at
        and first.ended_at
        and first.submitted_at < first.ended_at == second.submitted_at
    )
    assert (
        found["8", 0].ending is Ending.NODE_FAILURE
        and found["8", 1].state is JobState.QUEUED
        and found["8", 1].cores == 0
    )
    assert (
        found["10", 0].ending is Ending.PREEMPTED
        and found["10", 1].state is JobState.RUNNING
        and found["10", 1].ending is None
    )
    # the last is the newest
    assert [record.restart for record in slurm.records(sample("sacct_runs")) if record.job_id == "6"] == [
        0,
        1,
    ]


def test_a_run_that_was_requeued_before_slurmdbd_knew_of_its_start_used_nothing() -> None:
    """Slurm 22.05, seen on the testbed: nodes and cores, but no start and no time."""
    tres, name = "billing=1,cpu=1,gres/gpu=1,mem=1G,node=1", "scnet-c3j637tfyjyf"
    first = f"299|REQUEUED|1|{tres}|1G|1795473825|None|1795473828|0|00:00.047|a1|0:0|batch|{name}"
    second = f"299|COMPLETED|1|{tres}|1G|1795473828|1795473830|1795473836|6|00:00.048|a1|0:0|batch|{name}"
    one, other = slurm.records(said(f"{first}\n{second}\n"))
    assert (one.ending, one.cores, one.gpus, one.elapsed, one.started_at) == (Ending.REQUEUED, 0, 0, timedelta(), None)
    assert (other.restart, other.cores, other.elapsed) == (1, 1, timedelta(seconds=6))
    # that would be something used, which is never dropped in silence
    with_time = first.replace("|0|00:00.047", "|2|00:00.047")
    assert slurm.records(said(f"{with_time}\n"))[0].cores == 1


def test_accounting_tells_why_each_run_was_over() -> None:
    found = runs()
    assert {job: found[job, 0].ending for job in ("1", "3", "4", "5", "7", "9", "11")} == {
        "1": Ending.COMPLETED, "3": Ending.TIMEOUT, "4": Ending.CANCELLED, "5": Ending.CANCELLED,
        "7": Ending.NODE_FAILURE, "9": Ending.PREEMPTED, "11": Ending.DEADLINE,
    }  # fmt: skip
    assert (found["4", 0].ended_by, found["4", 0].state_raw) == ("20001", "CANCELLED by 20001")
    assert (found["11", 0].cores, found["11", 0].started_at) == (0, None)


def test_the_model_of_gpus_is_told_where_the_cluster_tracks_it() -> None:
    assert (runs()["1", 0].gpus, runs()["1", 0].gpu_models) == (2, (("a100", 2),))
    assert slurm.records(sample("sacct"))[0].gpus == 1 and slurm.records(sample("sacct"))[0].gpu_models == ()


def test_time_in_which_a_job_was_suspended_is_not_elapsed() -> None:
    record = runs()["15", 0]
    assert record.started_at and record.ended_at
    assert (record.elapsed, record.ended_at - record.started_at) == (timedelta(seconds=8), timedelta(seconds=22))


def test_parts_of_arrays_and_of_heterogeneous_jobs_are_jobs_under_their_own_numbers() -> None:
    found = runs()
    assert [found[job, 0].name for job in ("12", "13", "14", "16", "17")] == [
        "scnet-arrayarrays", "scnet-hethethethe", "scnet-hethethethe", "scnet-arrayarrays", "scnet-arrayarrays"
    ]  # fmt: skip


def test_an_id_given_out_again_is_another_job_not_another_run() -> None:
    row = "7|COMPLETED|1|cpu=1|1G|{0}|{0}|{1}|9|00:01|b1|0:0|main|{2}\n"
    ours, later = slurm.records(
        said(row.format(1795400000, 1795400009, "scnet-a") + row.format(1795500000, 1795500009, "scnet-b"))
    )
    assert [(one.name, one.restart) for one in (ours, later)] == [("scnet-a", 0), ("scnet-b", 0)]


def accounted(**changes: str) -> UsageRecord:
    fields = {
        "JobIDRaw": "7", "State": "COMPLETED", "AllocCPUS": "4", "AllocTRES": "billing=4,cpu=4,mem=8G,node=2",
        "ReqMem": "1G", "Submit": "1795400000", "Start": "1795400010", "End": "1795400020", "ElapsedRaw": "10",
        "TotalCPU": "00:01", "NodeList": "n[1-2]", "ExitCode": "0:0", "Partition": "main", "JobName": "scnet-a",
        **changes,
    }  # fmt: skip
    other = sample("sacct").stdout.splitlines()[0]
    found = slurm.records(said("|".join(fields.values()) + f"\n{other}\n"))
    assert len(found) == 2  # whatever is in one row, the other one is read
    return found[0]


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("OUT_OF_MEMORY", Ending.OUT_OF_MEMORY),
        ("DEADLINE", Ending.DEADLINE),
        ("CANCELLED by 1000", Ending.CANCELLED),
        ("CANCELLED+", Ending.CANCELLED),
        ("BOOT_FAIL", Ending.BOOT_FAILURE),
        ("LAUNCH_FAILED", Ending.BOOT_FAILURE),
        ("SPECIAL_EXIT", Ending.REQUEUED),
        ("RUNNING", None),
    ],
)
def test_every_word_for_an_end_is_known(word: str, ending: Ending | None) -> None:
    record = accounted(State=word)
    assert (record.ending, record.trouble) == (ending, "")


@pytest.mark.parametrize("elapsed", [0, 59, 31 * 86400, 40 * 86400 + 1])
def test_no_length_of_a_job_is_out_of_reach(elapsed: int) -> None:
    assert accounted(ElapsedRaw=f"{elapsed}", End=f"{1795400010 + elapsed}").elapsed == timedelta(seconds=elapsed)
    line = sample("scontrol_jobs").stdout.splitlines()[0].replace("RunTime=00:01:56", "RunTime=40-00:00:01")
    assert Slurm("scontrol").records(shown(line))[0].elapsed == timedelta(days=40, seconds=1)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("ElapsedRaw", "-5"), ("ElapsedRaw", "nan"), ("ElapsedRaw", ""), ("ElapsedRaw", "9" * 15),
        ("ElapsedRaw", "9" * 5000), ("AllocCPUS", "-4"), ("AllocCPUS", "1e3"), ("AllocTRES", "gres/gpu=-1"),
        ("AllocTRES", "gres/gpu:a100=x"), ("State", "EXPLODED"), ("JobIDRaw", "7_[1-9]"), ("JobIDRaw", "7+1"),
        ("JobIDRaw", "what"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_told_and_stops_no_other(field: str, text: str) -> None:
    record = accounted(**{field: text})
    assert (record.state, record.ending, record.cores) == (JobState.UNKNOWN, None, 0)
    assert "can't be read" in record.trouble and (text[:40] in record.trouble or len(text) > 40)


def test_times_beyond_all_calendars_harm_nothing() -> None:
    assert accounted(Submit="9" * 19).submitted_at is None


@pytest.mark.parametrize(("asked", "size"), [("4Gn", 8), ("4Gc", 16), ("4G", 4)])
def test_memory_that_an_old_slurm_tells_per_node_or_core_is_that_of_the_whole_job(asked: str, size: int) -> None:
    assert accounted(AllocTRES="cpu=4,node=2", ReqMem=asked).memory == size * GIB


def test_the_controller_counts_restarts_itself() -> None:
    line = sample("scontrol_jobs").stdout.splitlines()[0].replace("Restarts=0", "Restarts=2")
    broken = line.replace("JobId=4", "JobId=5").replace("NumCPUs=2", "NumCPUs=nan")
    good, bad = Slurm("scontrol").records(shown(line, broken))
    assert (good.restart, good.trouble, bad.state) == (2, "", JobState.UNKNOWN) and "NumCPUs" in bad.trouble


# ---- the rest


@pytest.mark.parametrize(
    ("hosts", "first"), [("n1", "n1"), ("n[001-004,9]", "n001"), ("a1,b[1-2]", "a1"), ("r[1-2]-x", "r1-x"), ("", "")]
)
def test_the_first_host_of_a_list(hosts: str, first: str) -> None:
    assert first_host(hosts) == first


def test_unknown_dialects_and_accountings_are_spec_errors() -> None:
    with pytest.raises(SpecError, match="loadleveler"):
        dialect("loadleveler")
    with pytest.raises(SpecError, match="paper"):
        dialect("slurm", accounting="paper")


def test_a_job_that_the_queue_forgot_is_found_in_accounting_by_its_name() -> None:
    question = slurm.remembered("scnet-aaaabbbbcccc")
    assert (
        question is not None
        and "--name=scnet-aaaabbbbcccc" in question.argv
        and "--starttime=now-7days" in question.argv
    )
    assert slurm.recalled(said("12\n7\n")) == "12" and slurm.recalled(said("")) is None
    assert Slurm("scontrol").remembered("scnet-aaaabbbbcccc") is None
    with pytest.raises(Unreachable):
        slurm.recalled(said(stderr="sacct: error: Problem talking to the database: Connection refused", code=1))
