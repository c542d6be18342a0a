"""Tests the running embedded centre: its commands as stock tools use them, its jobs' processes, and its own death."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from scnet_hub.demo.embedded import EmbeddedCentre, Settings, centre_toml
from scnet_hub.domain.standard.centre import parse_centre
from scnet_hub.errors import SpecError, Unreachable


def until(true: Callable[[], object], what: str = "it happens", seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def call(
    centre: EmbeddedCentre, *argv: str, script: str = "", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command of the centre, as a stock tool calls it: found on PATH."""
    env = {"PATH": f"{centre.bin}{os.pathsep}{os.defpath}", "HOME": str(centre.home), **environment}
    return subprocess.run(
        [*argv], input=script, env=env, capture_output=True, text=True, timeout=20, cwd=cwd or centre.home
    )


def submit(centre: EmbeddedCentre, body: str, *options: str, **environment: str) -> str:
    done = call(centre, "sbatch", "--parsable", *options, script=f"#!/bin/bash\n{body}\n", **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(centre: EmbeddedCentre, job: str) -> str:
    return call(centre, "sacct", "-X", "-n", "-P", "-j", job, "-o", "State").stdout.strip()


def account(centre: EmbeddedCentre, job: str) -> dict[str, str]:
    names = ("State", "ElapsedRaw", "TotalCPU", "ExitCode", "NodeList")
    row = call(centre, "sacct", "-n", "-P", "-j", job, "-o", ",".join(names)).stdout.splitlines()[0]
    return dict(zip(names, row.split("|"), strict=True))


def first_node(centre: EmbeddedCentre) -> str:
    return centre.settings.node_names()[0]


def crash(centre: EmbeddedCentre) -> None:
    pid = centre.pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not centre.pid(), "the daemon is dead")


# ---- what a job finds


def test_a_job_gets_slurms_environment_its_gpus_and_its_output_file(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "env; pwd", "-J", "look", "-c", "2", "--gres=gpu:a100:2", "-o", "%x-%j.log", MINE="yes")
    output = embedded.home / f"look-{job}.log"
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended")
    found = dict(line.split("=", 1) for line in output.read_text().splitlines() if "=" in line)
    assert found["SLURM_JOB_ID"] == job and found["SLURM_JOB_NAME"] == "look" and found["SLURM_CPUS_PER_TASK"] == "2"
    assert found["SLURMD_NODENAME"] == first_node(embedded) and found["SLURM_JOB_PARTITION"] == "main"
    assert found["CUDA_VISIBLE_DEVICES"] == "0,1" and found["SLURM_JOB_GPUS"] == "0,1"
    assert found["MINE"] == "yes", "sbatch hands on the submitter's environment"
    assert output.read_text().splitlines()[-1] == str(embedded.home)


def test_export_none_keeps_the_submitters_environment_back(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "env > out; echo >> out", "--export=NONE", MINE="yes")
    other = submit(embedded, "env > out2; echo >> out2", "--export=MINE,NEW=1", MINE="yes", YOURS="no")
    until(lambda: state(embedded, job) == state(embedded, other) == "COMPLETED", "both ended")
    assert "MINE" not in (embedded.home / "out").read_text()
    second = (embedded.home / "out2").read_text()
    assert "MINE=yes" in second and "NEW=1" in second and "YOURS" not in second


def test_a_job_without_its_folder_runs_in_tmp_and_says_so(embedded: EmbeddedCentre) -> None:
    log = embedded.home / "log.txt"
    job = submit(embedded, "pwd", "-D", "/no/such/folder", "-o", str(log))
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended")
    assert "couldn't chdir" in log.read_text() and log.read_text().endswith("/tmp\n")


def test_a_job_whose_output_cannot_be_opened_fails_as_in_slurm(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "true", "-o", "/no/such/folder/out")
    until(lambda: state(embedded, job) == "FAILED", "the job failed")
    assert account(embedded, job)["ExitCode"] == "53:0"


def test_a_fifo_as_output_or_script_never_stops_the_centre(embedded: EmbeddedCentre) -> None:
    fifo = embedded.home / "fifo"
    os.mkfifo(fifo)
    job = submit(embedded, "true", "-o", str(fifo))
    until(lambda: state(embedded, job) == "FAILED", "a job that writes to a FIFO fails")
    done = call(embedded, "sbatch", str(fifo))
    assert done.returncode == 1 and "Unable to open file" in done.stderr
    quiet = submit(embedded, "true", "-o", "/dev/null")
    until(lambda: state(embedded, quiet) == "COMPLETED", "/dev/null takes a job's output")


def test_a_job_that_makes_its_log_a_fifo_is_cancelled_all_the_same(embedded: EmbeddedCentre) -> None:
    log = embedded.home / "log.txt"
    job = submit(embedded, f"rm {log}; mkfifo {log}; sleep 300", "-o", str(log))
    until(lambda: log.is_fifo(), "the log is a FIFO")
    call(embedded, "scancel", job)  # the centre wants to say in the log that it was cancelled
    until(lambda: state(embedded, job).startswith("CANCELLED"), "it is cancelled")


def test_a_script_in_a_file_gets_its_arguments(embedded: EmbeddedCentre) -> None:
    script = embedded.home / "job.sh"
    script.write_text('#!/bin/sh\n#SBATCH -J fromfile -o fromfile.log\necho "$1" $SLURM_JOB_NAME\n')
    done = call(embedded, "sbatch", "job.sh", "hello world")
    job = done.stdout.split()[-1]
    assert done.stdout == f"Submitted batch job {job}\n"
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended")
    assert (embedded.home / "fromfile.log").read_text() == "hello world fromfile\n"


def test_secrets_of_a_job_lie_in_private_files_and_are_gone_with_it(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 60", TOKEN="s3cret")
    folder = embedded.home / "jobs" / job
    until(lambda: (folder / "pid").exists(), "the job runs")
    assert embedded.home.stat().st_mode & 0o777 == 0o700 and embedded.socket.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700 and (folder / "environment.json").stat().st_mode & 0o777 == 0o600
    call(embedded, "scancel", job)
    until(lambda: not folder.exists(), "the folder is gone")
    assert b"s3cret" not in b"".join(path.read_bytes() for path in embedded.home.glob("jobs.sqlite*"))


# ---- how a job ends


def test_exit_codes_and_signals_are_told(embedded: EmbeddedCentre) -> None:
    good, bad, killed = submit(embedded, "true"), submit(embedded, "exit 7"), submit(embedded, "kill -9 $$")
    until(lambda: all(state(embedded, job) in ("COMPLETED", "FAILED") for job in (good, bad, killed)), "all ended")
    assert [account(embedded, job)["ExitCode"] for job in (good, bad, killed)] == ["0:0", "7:0", "0:9"]
    assert [state(embedded, job) for job in (good, bad, killed)] == ["COMPLETED", "FAILED", "FAILED"]


def test_cancel_kills_what_ignores_the_wish_and_children_in_sessions_of_their_own(embedded: EmbeddedCentre) -> None:
    pids = embedded.home / "pids"
    job = submit(
        embedded, f"trap '' TERM; setsid sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; while :; do sleep 0.1; done"
    )
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the job runs")
    call(embedded, "scancel", job)
    assert call(embedded, "squeue", "-h", "-j", job, "-o", "%T").stdout == "COMPLETING\n"
    until(lambda: state(embedded, job).startswith("CANCELLED"), "the job is killed")
    until(lambda: not any(running(int(pid)) for pid in pids.read_text().split()), "all its processes are gone")


def test_what_a_script_leaves_behind_is_counted_and_ends_with_it(embedded: EmbeddedCentre) -> None:
    pids = embedded.home / "pids"
    burn = "import pathlib, time\nwhile time.process_time() < 0.5: pass\npathlib.Path('burnt').touch()\ntime.sleep(300)"
    (embedded.home / "burn.py").write_text(burn)
    job = submit(
        embedded, f"(setsid {sys.executable} burn.py & echo $! > {pids}); while [ ! -e burnt ]; do sleep 0.05; done"
    )
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended", 20)
    assert not running(int(pids.read_text()))
    minutes, seconds = account(embedded, job)["TotalCPU"].split(":")
    assert int(minutes) * 60 + float(seconds) >= 0.4


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_gentle_end_is_seen_by_the_job(embedded: EmbeddedCentre) -> None:
    said = embedded.home / "said"
    job = submit(embedded, f"trap 'echo bye > {said}; exit 0' TERM; touch {said}; while :; do sleep 0.05; done")
    until(said.exists, "the job runs")
    call(embedded, "scancel", job)
    until(lambda: state(embedded, job).startswith("CANCELLED"), "the job ended")
    assert said.read_text() == "bye\n"


def test_a_job_over_its_limit_is_ended_as_timeout(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 60", "-t", "00:00:01", "-o", "limit.log")
    until(lambda: state(embedded, job) == "TIMEOUT", "the limit is hit", 5)
    assert account(embedded, job)["ElapsedRaw"] in ("1", "2")
    assert "DUE TO TIME LIMIT" in (embedded.home / "limit.log").read_text()


def test_cpu_time_counts_the_whole_tree(embedded: EmbeddedCentre) -> None:
    burn = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    (embedded.home / "burn.py").write_text(burn)
    job = submit(embedded, f"{sys.executable} burn.py & {sys.executable} burn.py; wait")
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended", 20)
    minutes, seconds = account(embedded, job)["TotalCPU"].split(":")
    assert 0.8 <= int(minutes) * 60 + float(seconds) < 5


# ---- the queue


def test_a_job_that_does_not_fit_waits_and_starts_when_there_is_room(embedded: EmbeddedCentre) -> None:
    first = submit(embedded, "sleep 60", "-c", "4", "-N", "2", "-n", "2")
    second = submit(embedded, "true", "-c", "4")
    assert call(embedded, "squeue", "-h", "-j", second, "-o", "%T %r").stdout == "PENDING Resources\n"
    call(embedded, "scancel", first)
    until(lambda: state(embedded, second) == "COMPLETED", "the second ran")


def test_others_can_fill_the_centre_and_leave_it(embedded: EmbeddedCentre) -> None:
    embedded.ask("background", "fill")
    assert call(embedded, "sinfo", "-h", "-o", "%C").stdout == "8/0/0/8\n"
    mine = submit(embedded, "true")
    assert call(embedded, "squeue", "-h", "-j", mine, "-o", "%T").stdout == "PENDING\n"
    users = set(call(embedded, "squeue", "-h", "-t", "R", "-o", "%u").stdout.split())
    assert users and psutil.Process().username() not in users
    embedded.ask("background", "off")
    until(lambda: state(embedded, mine) == "COMPLETED", "there is room again")
    with pytest.raises(SpecError):
        embedded.ask("background", "sometimes")


# ---- stock tools' words


def test_what_batchspawner_asks(embedded: EmbeddedCentre) -> None:
    script = (
        "#!/bin/bash\n#SBATCH --output=/dev/null\n#SBATCH --job-name=spawner-jupyterhub\n#SBATCH "
        "--chdir=/tmp\n#SBATCH --export=PATH,HOME\n"
    )
    script += (
        "#SBATCH --get-user-env=L\n#SBATCH --partition=main\n#SBATCH --time=1:00:00\n#SBATCH "
        "--mem=400M\n#SBATCH --cpus-per-task=1\n"
    )
    script += "#SBATCH \n\nset -euo pipefail\nsleep 30\n"
    job = call(embedded, "sbatch", "--parsable", script=script).stdout.strip()
    assert job.isdecimal()
    assert call(embedded, "squeue", "-h", "-j", job, "-o", "%T %B").stdout == f"RUNNING {first_node(embedded)}\n"
    assert call(embedded, "scancel", job).returncode == 0
    until(lambda: state(embedded, job).startswith("CANCELLED"), "the job ended")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("sbatch", "--frobnicate"), "sbatch: unrecognized option '--frobnicate'"),
        (("sbatch", "-p", "nope"), "invalid partition specified: nope"),
        (("sbatch", "-c", "5"), "Requested node configuration is not available"),
        (("sbatch", "-c", "99"), "More processors requested than permitted"),
        (("sbatch", "--mem=900G"), "Memory specification can not be satisfied"),
        (("sbatch", "--gres=gpu:3"), "Requested node configuration is not available"),
        (("sbatch", "--gres=banana"), "Invalid generic resource (gres) specification"),
        (("sbatch", "-t", "3-0"), "Requested time limit is invalid (missing or exceeds some limit)"),
        (("sbatch", "-t", "soon"), "Invalid --time specification"),
        (("sbatch", "-J", "a\nb"), "Invalid character"),
        (("sbatch", "/no/file"), "Unable to open file /no/file"),
        (("squeue", "--frob"), "squeue: unrecognized option '--frob'"),
        (("squeue", "-j", "abc"), "Invalid job id: abc"),
        (("squeue", "-j", "99"), "Invalid job id specified"),
        (("squeue", "-t", "banana"), "Invalid job state specified: banana"),
        (("squeue", "-o", "%s"), "Invalid job format specification"),
        (("scancel",), "No job identification provided"),
        (("scancel", "abc"), "Invalid job id abc"),
        (("scontrol", "frob"), "invalid keyword: frob"),
        (("scontrol", "show", "job", "99"), "Invalid job id specified"),
        (("sacct", "-o", "Weather"), 'Invalid field requested: "Weather"'),
        (("sinfo", "--weather"), "unrecognized option '--weather'"),
    ],
)
def test_a_refusal_has_slurms_words(standing: EmbeddedCentre, argv: tuple[str, ...], words: str) -> None:
    done = call(standing, *argv, script="#!/bin/sh\ntrue\n")
    assert done.returncode in (1, 255) and words in done.stderr and not done.stdout


@pytest.mark.parametrize(
    "script",
    [
        "",
        "echo no interpreter",
        "#!/bin/sh\r\ntrue\r\n",
        "#!/bin/sh\n#SBATCH -J 'open\ntrue\n",
        "#!/bin/sh\n#SBATCH --frob\n",
    ],
)
def test_a_script_that_slurm_would_not_take_is_refused(standing: EmbeddedCentre, script: str) -> None:
    done = call(standing, "sbatch", script=script)
    assert done.returncode in (1, 255) and "sbatch: " in done.stderr


def test_directives_end_at_the_first_command(embedded: EmbeddedCentre) -> None:
    job = call(
        embedded, "sbatch", "--parsable", script="#!/bin/sh\n#SBATCH -J early\ntrue\n#SBATCH -J late\n#SBATCH --frob\n"
    ).stdout.strip()
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended")
    assert call(embedded, "squeue", "-h", "-t", "all", "-j", job, "-o", "%j").stdout == "early\n"


def test_dask_jobqueues_slurm_cluster_computes_with_nothing_but_the_path(
    embedded: EmbeddedCentre, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        from dask_jobqueue import SLURMCluster
        from distributed import Client
    finally:
        signal.signal(signal.SIGINT, interrupt)  # dask_jobqueue replaces it when imported
    monkeypatch.setenv("PATH", f"{embedded.bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    options = {"host": "127.0.0.1", "dashboard": False}
    with SLURMCluster(
        queue="main", cores=1, memory="1GB", processes=1, walltime="00:05:00", scheduler_options=options, nanny=False,
        worker_extra_args=["--host", "127.0.0.1", "--no-dashboard"], local_directory=str(tmp_path),
    ) as cluster, Client(cluster, timeout=30) as client:  # fmt: skip
        cluster.scale(jobs=1)
        assert client.submit(sum, [1, 2, 3]).result(timeout=60) == 6
        listed = call(embedded, "squeue", "-h", "-o", "%j %T").stdout
        assert listed == "dask-worker RUNNING\n"
    until(lambda: not call(embedded, "squeue", "-h").stdout, "the workers are gone", 20)


# ---- its own death


def test_a_killed_daemon_finds_its_running_job_again_and_accounts_for_it(embedded: EmbeddedCentre) -> None:
    go = embedded.home / "go"
    job = submit(embedded, f"while [ ! -e {go} ]; do sleep 0.05; done; exit 5")
    pid_file = embedded.home / "jobs" / job / "pid"
    until(pid_file.exists, "the job runs")
    process = psutil.Process(int(pid_file.read_text().split()[0]))
    crash(embedded)
    assert process.is_running(), "the job outlives the daemon"
    embedded.start()
    assert call(embedded, "squeue", "-h", "-j", job, "-o", "%T %B").stdout == f"RUNNING {first_node(embedded)}\n"
    assert call(embedded, "sinfo", "-h", "-o", "%C").stdout == "1/7/0/8\n", "its core is booked again"
    go.touch()
    until(lambda: state(embedded, job) == "FAILED", "its end is seen")
    assert account(embedded, job)["ExitCode"] == "5:0"


def test_a_job_that_ended_while_the_daemon_was_dead_keeps_its_exit_code_and_times(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 0.3; exit 3")
    folder = embedded.home / "jobs" / job
    until((folder / "pid").exists, "the job runs")
    crash(embedded)
    until((folder / "exit").exists, "the job ended")
    ended = (folder / "exit").stat().st_mtime
    until(lambda: time.time() > ended + 1.1, "time passes")
    embedded.start()
    facts = account(embedded, job)
    assert (facts["State"], facts["ExitCode"]) == ("FAILED", "3:0")
    assert facts["ElapsedRaw"] == "0", "it ends when it ended, not when that was noticed"


def test_a_job_cancelled_after_the_daemon_came_back_is_killed(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 300")
    pid_file = embedded.home / "jobs" / job / "pid"
    until(pid_file.exists, "the job runs")
    pid = int(pid_file.read_text().split()[0])
    crash(embedded)
    embedded.start()
    call(embedded, "scancel", job)
    until(lambda: state(embedded, job).startswith("CANCELLED"), "it is cancelled")
    assert not running(pid)


def test_a_job_whose_processes_vanished_is_lost_not_ended_well(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 300")
    pid_file = embedded.home / "jobs" / job / "pid"
    until(pid_file.exists, "the job runs")
    launcher = psutil.Process(int(pid_file.read_text().split()[0])).parent()
    assert launcher is not None
    crash(embedded)
    for process in [launcher, *launcher.children(recursive=True)]:
        process.kill()
    embedded.start()
    assert state(embedded, job) == "NODE_FAIL"


def test_waiting_jobs_survive_and_ids_go_on(embedded: EmbeddedCentre) -> None:
    embedded.ask("background", "fill")
    job = submit(embedded, "true")
    crash(embedded)
    embedded.start()
    assert call(embedded, "squeue", "-h", "-j", job, "-o", "%T").stdout == "PENDING\n"
    embedded.ask("background", "off")
    until(lambda: state(embedded, job) == "COMPLETED", "it ran after all")
    assert int(submit(embedded, "true")) > int(job)


def test_sigterm_leaves_the_jobs_and_stop_ends_them(embedded: EmbeddedCentre) -> None:
    job = submit(embedded, "sleep 300")
    pid_file = embedded.home / "jobs" / job / "pid"
    until(pid_file.exists, "the job runs")
    pid = int(pid_file.read_text().split()[0])
    embedded.stop(cancel_jobs=False)
    assert running(pid)
    with pytest.raises(Unreachable):
        embedded.ask("ping")
    embedded.start()
    embedded.stop()
    assert not running(pid)


def test_a_second_daemon_for_the_same_home_gives_way(embedded: EmbeddedCentre) -> None:
    pid = embedded.pid()
    embedded.start()
    assert embedded.pid() == pid
    other = subprocess.run(
        [sys.executable, "-m", "scnet_hub.demo.embedded", "serve", "--home", str(embedded.home)],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert other.returncode == 3 and embedded.pid() == pid


# ---- its page and its settings


def test_a_long_home_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    centre = EmbeddedCentre(tmp_path / ("x" * 100), Settings(nodes=1, cores=1))
    assert len(os.fsencode(centre.socket)) < 104
    centre.start()
    try:
        assert call(centre, "scontrol", "ping").stdout.endswith("is UP\n")
        assert centre.socket.parent.stat().st_mode & 0o077 == 0
    finally:
        centre.stop()
    assert not centre.socket.exists()


def test_its_page_is_a_centre_spec(embedded: EmbeddedCentre) -> None:
    spec = parse_centre(
        centre_toml(embedded, title='The "first"', python=sys.executable, directory="/d", gpu_hour=4), source="x"
    )
    assert spec.name == 'The "first"' and spec.partition[0].cores == 4 and spec.partition[0].gpu_model == "a100"
    assert spec.partition[0].memory == 8 * 2**30 and spec.session.memory_per_core == 2 * 2**30
    assert spec.transport.kind == "embedded"


def test_a_wrong_setting_is_named(short_path: Path) -> None:
    with pytest.raises(SpecError, match="nodes"):
        Settings(nodes=0)
    centre = EmbeddedCentre(short_path)
    (short_path / "centre.json").write_text(json.dumps({"colour": "red"}))
    from scnet_hub.demo.embedded.settings import read_settings

    with pytest.raises(SpecError, match="colour"):
        read_settings(centre.home)
