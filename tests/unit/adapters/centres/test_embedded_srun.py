"""Tests srun on the embedded centre, in a job and outside, and what every job has in its environment whatever its
--export says."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from scnet_hub.demo.embedded import EmbeddedCentre
from tests.unit.adapters.centres.test_embedded import call, crash, first_node, running, state, submit, until


def output_of(centre: EmbeddedCentre, body: str, *options: str, **environment: str) -> str:
    """What a job of that script wrote, with its ending in its last line."""
    log = centre.home / "out.log"
    job = submit(centre, f"{body}\necho code $?", "-o", str(log), *options, **environment)
    until(lambda: state(centre, job) in ("COMPLETED", "FAILED", "TIMEOUT"), "the job ended")
    return log.read_text()


def test_srun_starts_the_program_once_for_each_task_with_its_place(embedded: EmbeddedCentre) -> None:
    body = (
        "srun sh -c 'echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID $SLURM_NTASKS $SLURM_STEP_ID $SLURMD_NODENAME "
        "$SCNET_NODE_ADDRESS'"
    )
    *lines, code = output_of(embedded, body, "-N", "2", "-n", "4").splitlines()
    first, second = embedded.settings.node_names()
    addresses = [embedded.settings.address(number) for number in (1, 2)]
    assert sorted(lines) == [
        f"0 0 0 4 0 {first} {addresses[0]}", f"1 1 0 4 0 {first} {addresses[0]}",
        f"2 0 1 4 0 {second} {addresses[1]}", f"3 1 1 4 0 {second} {addresses[1]}",
    ]  # fmt: skip
    assert code == "code 0"


def test_a_step_may_be_smaller_than_its_job_and_steps_are_numbered(embedded: EmbeddedCentre) -> None:
    body = "srun -n 1 sh -c 'echo $SLURM_STEP_ID $SLURM_NTASKS'; srun -n2 -l echo step; srun --ntasks=5 true"
    said = output_of(embedded, body, "-n", "4")
    assert said.splitlines()[0] == "0 1" and sorted(said.splitlines()[1:3]) == ["0: step", "1: step"]
    assert (
        "srun: error: Unable to create step for job 1: More processors requested than permitted" in said
        and said.endswith("code 1\n")
    )


def test_the_highest_exit_code_counts_and_each_failure_is_told(embedded: EmbeddedCentre) -> None:
    said = output_of(embedded, "srun sh -c 'exit $((SLURM_PROCID * 3))'", "-n", "3")
    node = first_node(embedded)
    assert f"srun: error: {node}: task 1: Exited with exit code 3" in said
    assert f"srun: error: {node}: task 2: Exited with exit code 6" in said and said.endswith("code 6\n")


def test_a_task_that_is_killed_or_does_not_exist_is_told_in_slurms_words(embedded: EmbeddedCentre) -> None:
    killed = output_of(embedded, "srun sh -c 'kill -9 $$'", "-n", "2")
    assert (
        f"srun: error: {first_node(embedded)}: task" in killed
        and ": Killed\n" in killed
        and killed.endswith("code 137\n")
    )
    assert "srun: Force Terminated StepId=1.0" in killed
    missing = output_of(embedded, "srun no-such-program")
    assert f"slurmstepd-{first_node(embedded)}: error: execve(): no-such-program: No such file or directory" in missing
    assert missing.endswith("code 2\n")


def test_tasks_output_is_merged_by_lines(embedded: EmbeddedCentre) -> None:
    program = "import os\nfor n in range(2000): print(os.environ['SLURM_PROCID'] * 60)"
    (embedded.home / "lines.py").write_text(program)
    *lines, _ = output_of(embedded, f"srun {sys.executable} lines.py", "-n", "4").splitlines()
    assert len(lines) == 8000 and set(lines) == {str(number) * 60 for number in range(4)}


def test_a_line_without_an_end_is_kept_and_both_streams_go_where_srun_was_told(embedded: EmbeddedCentre) -> None:
    body = "srun -n 2 -o 'task-%t-%j-%s.txt' -e errors.txt sh -c 'printf here; echo wrong >&2'; srun printf end; echo"
    said = output_of(embedded, body, "-n", "2")
    files = sorted(path.name for path in embedded.home.glob("task-*"))
    assert files == ["task-0-1-0.txt", "task-1-1-0.txt"] and (embedded.home / files[0]).read_text() == "here"
    assert (embedded.home / "errors.txt").read_text() == "wrong\nwrong\n"
    assert said.startswith("endend")


def test_input_goes_to_every_task(embedded: EmbeddedCentre) -> None:
    assert sorted(output_of(embedded, "echo word | srun -l cat", "-n", "2").splitlines()) == [
        "0: word",
        "1: word",
        "code 0",
    ]


def test_kill_on_bad_exit_ends_the_others(embedded: EmbeddedCentre) -> None:
    body = "srun -K sh -c 'if [ $SLURM_PROCID = 0 ]; then exit 4; fi; exec sleep 300'"
    said = output_of(embedded, body, "-n", "2")
    assert "Terminating StepId=1.0" in said and said.endswith("code 143\n")


def test_a_steps_processes_are_told_once_and_end_with_the_job(embedded: EmbeddedCentre) -> None:
    said, pids = embedded.home / "said", embedded.home / "pids"
    body = (
        f"trap 'true' TERM; srun sh -c 'trap \"echo told >> {said}; exit 0\" TERM; echo $$ >> {pids}; while :; do "
        "sleep 0.05; done'"
    )
    job = submit(embedded, body, "-n", "2")
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "both tasks run")
    call(embedded, "scancel", job)
    until(lambda: state(embedded, job).startswith("CANCELLED"), "the job ended")
    assert said.read_text() == "told\ntold\n"
    assert not any(running(int(pid)) for pid in pids.read_text().split())


def test_a_killed_srun_leaves_no_task_behind_its_job(embedded: EmbeddedCentre) -> None:
    pids = embedded.home / "pids"
    job = submit(embedded, f"srun sh -c 'echo $PPID >> {pids}; echo $$ >> {pids}; sleep 300'")
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the task runs")
    srun, task = (int(pid) for pid in pids.read_text().split())
    os.kill(srun, signal.SIGKILL)
    until(lambda: state(embedded, job) == "FAILED", "the job ended")
    until(lambda: not running(task), "its task is gone")


def test_steps_are_in_the_accounting(embedded: EmbeddedCentre) -> None:
    output_of(embedded, "srun -n 2 true; srun -J named sh -c 'exit 3'; true", "-n", "2")
    rows = call(
        embedded, "sacct", "-n", "-P", "-j", "1", "-o", "JobID,JobName,NTasks,State,ExitCode"
    ).stdout.splitlines()
    assert rows[1:] == ["1.batch|batch|1|COMPLETED|0:0", "1.0|true|2|COMPLETED|0:0", "1.1|named|2|FAILED|3:0"]
    assert call(embedded, "sacct", "-n", "-P", "-j", "1.1", "-o", "JobID").stdout == "1.1\n"


def test_srun_waits_in_a_job_for_a_daemon_that_is_being_restarted(embedded: EmbeddedCentre) -> None:
    go, log = embedded.home / "go", embedded.home / "out.log"
    job = submit(embedded, f"while [ ! -e {go} ]; do sleep 0.02; done; srun echo late", "-o", str(log))
    until(lambda: (embedded.home / "jobs" / job / "pid").exists(), "the job runs")
    crash(embedded)
    go.touch()
    embedded.start()
    until(lambda: state(embedded, job) == "COMPLETED", "the job ended")
    assert log.read_text() == "late\n"


@pytest.mark.parametrize(
    ("argv", "words", "code"),
    [
        (("srun",), "srun: fatal: No command given to execute.", 1),
        (("srun", "--pty", "bash"), "srun: unrecognized option '--pty'", 255),
        (("srun", "--mpi=pmi2", "true"), "mpi/pmi2", 1),
        (("srun", "-c", "5", "true"), "Requested node configuration is not available", 1),
        (("srun", "-p", "nowhere", "true"), "invalid partition specified: nowhere", 1),
    ],
)
def test_what_srun_does_not_know_is_refused(
    standing: EmbeddedCentre, argv: tuple[str, ...], words: str, code: int
) -> None:
    done = call(standing, *argv)
    assert words in done.stderr and done.returncode == code and not done.stdout


# ---- outside a job


def test_srun_outside_a_job_waits_for_one_and_hands_its_streams_on(embedded: EmbeddedCentre) -> None:
    done = call(embedded, "srun", "-n", "2", "-l", "sh", "-c", "cat; echo wrong >&2; exit 5", script="word\n")
    assert sorted(done.stdout.splitlines()) == ["0: word", "1: word"] and done.returncode == 5
    assert "0: wrong\n" in done.stderr and "1: wrong\n" in done.stderr and ": Exited with exit code 5\n" in done.stderr
    assert call(embedded, "sacct", "-X", "-n", "-P", "-o", "JobName,State,NCPUS").stdout == "sh|FAILED|2\n"


def test_srun_outside_a_job_says_that_it_waits_and_cancels_when_it_is_told_to_end(embedded: EmbeddedCentre) -> None:
    embedded.ask("background", "fill")
    env = {"PATH": f"{embedded.bin}{os.pathsep}{os.defpath}", "HOME": str(embedded.home)}
    process = subprocess.Popen(
        ["srun", "true"], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=embedded.home
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert "queued and waiting for resources" in line
    job = line.split()[2]
    process.terminate()
    assert process.wait(10) == 1 and state(embedded, job).startswith("CANCELLED")
    process.stderr.close()


def test_an_output_that_would_hang_the_daemon_fails_the_job(embedded: EmbeddedCentre) -> None:
    os.mkfifo(embedded.home / "pipe")
    job = submit(embedded, "true", "-o", str(embedded.home / "pipe"))
    until(lambda: state(embedded, job) == "FAILED", "the job failed")
    assert embedded.pid()


# ---- what a job finds


@pytest.mark.parametrize("export", ["ALL", "NONE", "NIL", "MINE,PATH", "MINE", "ALL,X=1", "PATH=/bin"])
def test_a_job_has_the_centres_commands_and_slurms_variables_whatever_it_exports(
    standing: EmbeddedCentre, export: str
) -> None:
    script = '#!/bin/bash\nsqueue -h -j $SLURM_JOB_ID -o %T; command -v srun; echo "$HOME|$SLURMD_NODENAME|$MINE"\n'
    env = {"PATH": os.defpath, "HOME": str(standing.home), "MINE": "yes"}
    done = subprocess.run(
        [standing.bin / "sbatch", "--parsable", f"--export={export}", "-o", "out.log"], input=script, env=env,
        cwd=standing.home, capture_output=True, text=True,
    )  # fmt: skip
    job = done.stdout.strip()
    until(lambda: state(standing, job) == "COMPLETED", f"the job ended: {done.stderr}")
    status, found, facts = (standing.home / "out.log").read_text().splitlines()
    home, node, mine = facts.split("|")
    assert status == "RUNNING" and found == str(standing.bin / "srun")
    assert home and node == first_node(standing) and mine == ("yes" if export.startswith(("ALL", "MINE")) else "")


def test_the_names_of_nodes_resolve_on_this_machine(embedded: EmbeddedCentre) -> None:
    names = call(embedded, "sinfo", "-h", "-N", "-o", "%N").stdout.split()
    assert names == embedded.settings.node_names()
    with socket.create_server((names[0], 0)) as server:
        socket.create_connection((socket.gethostbyname(names[0]), server.getsockname()[1]), 5).close()
    said = output_of(
        embedded, 'scontrol show hostnames "$SLURM_JOB_NODELIST"; scontrol show hostnames', "-N", "2", "-n", "2"
    )
    assert said.splitlines() == [*names, *names, "code 0"]


# ---- help


@pytest.mark.parametrize("program", ["sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol", "srun"])
def test_every_command_tells_its_options_its_usage_and_its_version(standing: EmbeddedCentre, program: str) -> None:
    text = call(standing, program, "--help").stdout
    assert program in text and "--version" in text and "--usage" in text
    assert program in call(standing, program, "--usage").stdout
    assert call(standing, program, "--version").stdout == call(standing, program, "-V").stdout == "slurm-wlm 22.05.8\n"


def test_a_script_file_with_dos_line_ends_is_refused(standing: EmbeddedCentre) -> None:
    (standing.home / "dos.sh").write_bytes(b"#!/bin/sh\r\ntrue\r\n")
    done = call(standing, "sbatch", "dos.sh")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == (
        "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\nsbatch: error: instead of expected UNIX "
        "line breaks (\\n).\n"
    )
