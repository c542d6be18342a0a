"""Transcripts of Slurm's commands: records what a real Slurm prints, and reads such a record.

    SLURM_CONF=... python -m tests.unit.adapters.centres.transcripts > tests/samples/slurm_commands/commands.txt
    SLURM_CONF=... python -m tests.unit.adapters.centres.transcripts away > tests/samples/slurm_commands/away.txt    (slurmctld is
    down)

Needs an idle cluster `alpha` of two nodes `alpha[1-2]` with 4 CPUs, 8192 MB and 2 GPUs `a100` each, one partition
`main` (4 hours, 2048 MB a CPU), `MinJobAge` of hours, accounting by slurmdbd with `AccountingStorageTRES=gres/gpu`, and
no job yet. A record is a line `$ COMMAND`, then what it printed, then each line of standard error behind `2> `, then
`exit N` unless N is 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass

SUBMIT = """\
sbatch -J done -o /dev/null --wrap 'sleep 2'
sbatch -J failed -o /dev/null --wrap 'exit 3'
sbatch -J killed -o /dev/null --wrap 'kill -9 $$'
sbatch -J stopped -o /dev/null --wrap 'sleep 600'
sbatch -J late -t 1 -o /dev/null --wrap 'sleep 600'
"""
LIVE = """\
sbatch -J a-long-job-name-indeed -c 3 --mem=1500M --gres=gpu:a100:1 -t 0:30:00 --comment='x y' -o /dev/null --wrap 'sleep 6000'
sbatch -J wide -N 2 -n 2 -t 2:00:00 -o /dev/null --wrap 'sleep 6000'
sbatch -J waits -N 2 --ntasks-per-node=4 -t 4:00:00 -o /dev/null --wrap 'sleep 6000'
sbatch -J behind -c 4 -t 30 -o /dev/null --wrap 'sleep 6000'
"""
SQUEUE_LETTERS = "|".join(f"%{letter}" for letter in "aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRStTuUvVwWxXyYzZ")
SINFO_LETTERS = "|".join(f"%{letter}" for letter in "aAbBcCdDEfFgGhHIlLmMNopPrRsSuUvVwXYzZ")
SACCT_FIELDS = (
    "JobID,JobIDRaw,JobName,Account,AllocCPUS,AllocNodes,AllocTRES,Comment,CPUTime,CPUTimeRAW,Elapsed,ElapsedRaw,Eligible,End,ExitCode,"
    "GID,Group,NCPUS,NNodes,NodeList,NTasks,Partition,Priority,QOS,ReqCPUS,ReqMem,ReqNodes,ReqTRES,Reserved,ResvCPU,Start,State,Submit,"
    "Suspended,Timelimit,TimelimitRaw,TotalCPU,UID,User"
)
ASK = f"""\
squeue
squeue -a
squeue -l
squeue -h
squeue -t all
squeue -t all -l
squeue -t PD
squeue -t R -h
squeue --me
squeue -j 6
squeue -j 6,7
squeue -j 6,9999
squeue -j 9999
squeue -j abc
squeue -n wide
squeue -w alpha1
squeue -w nowhere
squeue -p nowhere
squeue -u nobody
squeue -A root
squeue -q normal
squeue -o '%R %F'
squeue -o '%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R'
squeue -o '%5j|%.5j|%30j|%.30j|%j|'
squeue -o '%i %%'
squeue -o '%i %'
squeue -o 'words only'
squeue -t all -o '{SQUEUE_LETTERS}'
squeue -O jobid,name,state
squeue -O 'JobID:8,Name:.12,StateCompact:4 ,NodeList'
squeue -o %i -O jobid
squeue -S i
squeue -S -i
squeue -h -S j -o %j
squeue -h -S D,-i -o '%D %i'
squeue -r
squeue --start
squeue -h -j 1 -t all -o '%T %B'
squeue --frob
squeue -X
squeue -j
squeue --jobs
squeue --me=1
squeue --st=all -h -o %i
squeue --sta
squeue -t banana
squeue --version
squeue -V
sinfo
sinfo -N
sinfo -l
sinfo -N -l
sinfo -s
sinfo -h
sinfo -N -h
sinfo -R
sinfo -p main
sinfo -p nowhere
sinfo -n alpha1
sinfo -t idle
sinfo -t mix
sinfo -t banana
sinfo -e
sinfo -d
sinfo -r
sinfo -o '%C'
sinfo -h -o '%C'
sinfo -o '%D %t %N'
sinfo -N -o '%N %C %t'
sinfo -o '%R %F'
sinfo -o '%P|%.5a|%10l|%.6D|%6t|%N'
sinfo -o '%T %c'
sinfo -o '{SINFO_LETTERS}'
sinfo -N -o '{SINFO_LETTERS}'
sinfo -O nodelist,cpusstate,gres
sinfo -N -O 'NodeList:10,CPUsState,GresUsed:30'
sinfo -h -N -O 'CPUsState:.12,AllocMem:8,Memory:8 '
sinfo --frob
sinfo --version
sacct -S now-1hours
sacct -S now-1hours -X
sacct -j 6
sacct -j 1,2 -n
sacct -j 1 -p
sacct -j 1 -P
sacct -j 1 -P --delimiter=,
sacct -j 9999
sacct -j abc
sacct -j 1.batch
sacct -b -S now-1hours
sacct -S now-1hours -X --name=done,late
sacct -S now-1hours -X -o 'jobid%5,jobname%-12,jobname%12,jobname,state%30,end'
sacct -o Weather
sacct -j 1 -o
sacct frob
sacct --frob
sacct --version
sacct -X -j 4 -o state%40
sacct -S banana
sacct -X -S now-1hours -r main -o jobid
sacct -X -S now-1hours -r nowhere -o jobid
sacct -X -S now-1hours -N alpha2 -o jobid,nodelist
sacct -S now-1hours -j 1,3,4,6,7,8 -o {SACCT_FIELDS}
sacct -S now-1hours -j 1,3,4,6,7,8 -P -o {SACCT_FIELDS}
scontrol show job 1
scontrol show job 6
scontrol show job 7
scontrol show job 8
scontrol -o show job 6
scontrol show job 9999
scontrol show job abc
scontrol show hostnames 'alpha[1-2],beta3'
scontrol show hostnames alpha01
scontrol show hostlist alpha1,alpha2,alpha4
scontrol show frob
scontrol frob
scontrol --version
scancel
scancel abc
scancel 9999
scancel 1
scancel --frob
scancel --version
sbatch --frob
sbatch /no/file
sbatch -p nowhere --wrap true
sbatch -n 99 --wrap true
sbatch -c 5 --wrap true
sbatch --mem=900G --wrap true
sbatch --gres=gpu:3 --wrap true
sbatch --gres=banana --wrap true
sbatch --gres=gpu:v100:1 --wrap true
sbatch -t 3-0 --wrap true
sbatch -t soon --wrap true
sbatch --mem=lots --wrap true
sbatch -n 0 --wrap true
sbatch -c x --wrap true
sbatch --open-mode=x --wrap true
printf '#!/bin/sh\\r\\ntrue\\r\\n' | sbatch
printf '' | sbatch
printf 'true\\n' | sbatch
printf '#!/bin/sh\\n#SBATCH --frob\\n' | sbatch
sbatch --version
srun --version
srun
srun --frob true
sacct --usage
"""
AWAY = """\
squeue
squeue -h -j 1 -o '%T %B'
sinfo
scancel 1
sbatch --wrap true
scontrol show job 1
srun true
squeue --version
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What one command printed, and its exit code."""

    command: str
    stdout: str
    stderr: str
    code: int


def ask(command: str) -> Said:
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=120)
    return Said(command, done.stdout, done.stderr, done.returncode)


def written(said: Said) -> str:
    errors = "".join(f"2> {line}\n" for line in said.stderr.splitlines())
    return f"$ {said.command}\n{said.stdout}{errors}" + (f"exit {said.code}\n" if said.code else "")


def read(text: str) -> list[Said]:
    """The commands of a transcript, in their order."""
    found = []
    for block in ("\n" + text.removesuffix("\n")).split("\n$ ")[1:]:
        command, *lines = block.split("\n")
        code = int(lines.pop().removeprefix("exit ")) if lines and lines[-1].startswith("exit ") else 0
        errors = [line.removeprefix("2> ") for line in lines if line.startswith("2> ")]
        output = [line for line in lines if not line.startswith("2> ")]
        found.append(
            Said(command, "".join(f"{line}\n" for line in output), "".join(f"{line}\n" for line in errors), code)
        )
    return found


def record(commands: str) -> None:
    for command in commands.splitlines():
        print(written(ask(command)), end="", flush=True)


def record_all() -> None:
    record(SUBMIT)
    time.sleep(4)
    record("scancel 4")
    while "late" in ask("squeue -h -o %j").stdout:
        time.sleep(1)
    record(LIVE)
    # both have an expected start
    while len(ask("squeue --start -h -t PD -o %S").stdout.replace("N/A", "").split()) < 2:
        time.sleep(1)
    record(ASK)


if __name__ == "__main__":
    record(AWAY) if "away" in sys.argv else record_all()
