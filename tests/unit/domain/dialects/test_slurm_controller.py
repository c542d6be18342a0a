"""Tests Slurm's accounting without slurmdbd: the controller's own memory, queried for each job separately."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scnet_hub.domain.commands import Command, Completed
from scnet_hub.domain.dialects.slurm import Slurm
from scnet_hub.domain.dialects.slurm_backfill import Cycle
from scnet_hub.domain.dialects.slurm_site import Site
from scnet_hub.domain.jobs import JobState
from scnet_hub.errors import Garbled, Unreachable

from .samples import sample, shown, shown_sample

AT = datetime(2026, 11, 23, 1, 40, tzinfo=UTC)


def test_nothing_that_strangers_write_makes_up_a_row_of_the_controller(tmp_path: Path) -> None:
    """All of theirs that scontrol could print, a comment with line ends too: only the job that was asked for is
    read."""
    line = sample("slurm", "scontrol_jobs").stdout.splitlines()[0]
    told = controller(
        tmp_path,
        {"4": f"{line}\n", "9": f"{line.replace('JobId=4', 'JobId=9')} Comment=x\n{line.replace('=4', '=7')}\n"},
    )
    bare = Slurm("scontrol")
    for asked in (bare.usage(["4", "7", "9"], "a1"), bare.usage_between(AT, AT, "a1")):
        records = bare.records(told(asked))
        assert [(one.job_id, one.trouble) for one in records] == [("4", ""), ("9", "")]
    name = line.replace("JobName=run", "JobName=run UserId=a(1) JobState=COMPLETED RunTime=00:00:00")
    own, _ = bare.records(shown(name, line.replace("=4", "=5")))
    assert own.state is JobState.UNKNOWN and "two owners" in own.trouble


def test_the_controllers_answer_ends_with_its_end_or_its_failure(tmp_path: Path) -> None:
    line, bare = sample("slurm", "scontrol_jobs").stdout.splitlines()[0], Slurm("scontrol")
    told = controller(tmp_path, {"4": f"{line}\n", "5": ""})
    with pytest.raises(Unreachable):
        bare.records(told(bare.usage(["4", "5"], "a1")))
    with pytest.raises(Garbled, match="breaks off"):
        bare.records(replace(shown(line), stdout=f"w: 4\n{line}\n"))


def controller(folder: Path, jobs: Mapping[str, str]) -> Callable[[Command], Completed]:
    """Runs a question beside a scontrol that knows these jobs ("": it can't be asked for that one), and a squeue that
    lists them all."""
    for job, text in jobs.items():
        (folder / job).write_text(text)
    programs = {
        "squeue": f"cat <<'END'\n{''.join(f'{job} scnet-x{chr(10)}' for job in jobs)}3 other\nscnet-y\nEND\n",
        "scontrol": f'[ -e {folder}/"$4" ] || {{ echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; '
        f"}}\n"
        f'[ -s {folder}/"$4" ] && exec cat {folder}/"$4"\necho "slurm_load_jobs error: Unable to contact slurm '
        'controller" >&2; exit 1\n',
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}")
        (folder / name).chmod(0o755)

    def run(asked: Command) -> Completed:
        done = subprocess.run(
            asked.argv, env={"PATH": f"{folder}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False
        )
        return Completed(asked, done.returncode, done.stdout, done.stderr)

    return run


def test_without_slurmdbd_the_controller_is_the_accounting() -> None:
    bare = Slurm("scontrol")
    records = {record.job_id: record for record in bare.records(shown_sample("scontrol_jobs"))}
    run = records["4"]
    assert (run.name, run.state, run.cores, run.gpus, run.memory) == ("run", JobState.RUNNING, 2, 1, 2**30)
    assert (run.elapsed, run.ended_at, run.node) == (timedelta(seconds=116), None, "gamma1")
    assert (records["5"].state, records["5"].started_at, records["5"].cores) == (JobState.QUEUED, None, 0)
    assert bare.records(replace(shown(), stdout="w: 4\nw: 5\nw: end\n")) == []
    assert bare.usage(["4", "5"], "a1").argv[-3:] == ("a1", "4", "5")


def test_no_setting_of_an_account_leaves_jobs_out(tmp_path: Path) -> None:
    """squeue(1) of 20.11 to 26.05: these count where no option says otherwise."""
    settings = {
        f"SQUEUE_{name}": "x"
        for name in ("PARTITION", "ACCOUNT", "NAMES", "LICENSES", "QOS", "USERS", "ARRAY", "PRIORITY", "SIB")
    }
    for program in ("squeue", "sinfo"):
        (tmp_path / program).write_text("#!/bin/sh\nenv\n")
        (tmp_path / program).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SINFO_PARTITION": "x",
        "SLURM_CONF": "/etc/slurm.conf",
        **settings,
    }
    words = Slurm("sacct", Cycle(), Site())
    for asked in (words.queue(), words.find("scnet-a"), *words.nodes()):
        said = subprocess.run(
            asked.argv, env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert not [line for line in said if line.startswith(("SQUEUE_", "SINFO_"))]
        assert {"SLURM_CONF=/etc/slurm.conf", "SLURM_TIME_FORMAT=%s", "TZ=UTC", "LC_ALL=C"} <= {*said}
