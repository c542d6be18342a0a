"""The centres' own data about our jobs, read directly by their admin with sacct, qacct and oarstat: never through the
product.

Each question has a deadline: a centre that is broken is asked again later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

from tests.real.testbed import Testbed
from tests.real.testbed.layout import CENTRES

from .evidence import Run

Ask = Callable[[str, str], str]  # centre, shell command → its words
SACCT = (
    "TZ=UTC SLURM_TIME_FORMAT=%s sacct --allusers --allocations --duplicates --noheader --parsable2 "
    "--starttime=2020-01-01"
    " --format=JobIDRaw,JobName,State,Start,End,ElapsedRaw,AllocCPUS,AllocTRES,NodeList"
)
QACCT = "TZ=UTC qacct -j 'scnet-*' 2>&1 || true"  # it fails where there is none
OARSTAT = "oarstat -J -f --sql \"job_name LIKE 'scnet-%'\""
SQUEUE = "squeue --all --noheader --states=PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING --format='%A %j'"
QSTAT = "qstat -u '*' -s prs -xml"
OAR_ENDED = frozenset({"Terminated", "Error"})
SLURM_LIVE = frozenset({"PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"})


def asked_of(testbed: Testbed, seconds: float = 20) -> Ask:
    def ask(centre: str, command: str) -> str:
        done = testbed.at(centre, ["sh", "-c", command], timeout=seconds)
        if done.returncode:
            raise RuntimeError(f"{centre}: {command.split()[0]}: {done.stderr.strip()[-300:]}")
        return done.stdout

    return ask


def runs(ask: Ask, centre: str, birth: int = 0) -> list[Run]:
    """Every job of ours in that centre's accounting, ended or not. Raises RuntimeError, TimeoutExpired."""
    return list(_ACCOUNTED[CENTRES[centre].kind](ask, centre, birth))


def live(ask: Ask, centre: str) -> list[tuple[str, str]]:
    """(id, name) of every job of ours that the centre's queue lists as live."""
    found = _LIVE[CENTRES[centre].kind](ask, centre)
    return [(job_id, name) for job_id, name in found if name.startswith("scnet-")]


def _slurm(ask: Ask, centre: str, birth: int) -> Iterator[Run]:
    for line in ask(centre, SACCT).splitlines():
        job_id, name, state, start, end, elapsed, cores, tres, node = line.split("|")
        if name.startswith("scnet-"):
            gpus = re.search(r"gres/gpu=(\d+)", tres)
            yield Run(
                centre=centre, birth=birth, job_id=job_id, name=name, live=state.split()[0] in SLURM_LIVE,
                started=_number(start), ended=_number(end), elapsed=float(elapsed or 0), cores=int(cores or 0),
                gpus=int(gpus[1]) if gpus else 0, node=node, word=state.split()[0],
            )  # fmt: skip


def _number(text: str) -> float | None:
    """Seconds since the epoch; Slurm says "Unknown" or "None" for what did not happen."""
    return float(text) if text.isdecimal() and text != "0" else None


def _grid_engine(ask: Ask, centre: str, birth: int) -> Iterator[Run]:
    lived = _qstat(ask, centre)
    for job in lived:
        since = _moment(job.findtext("JAT_start_time") or "", "%Y-%m-%dT%H:%M:%S")
        yield Run(
            centre=centre, birth=birth, job_id=job.findtext("JB_job_number") or "", name=job.findtext("JB_name") or "",
            live=True, started=since, cores=int(job.findtext("slots") or 0),
            node=(job.findtext("queue_name") or "").partition("@")[2],
        )  # fmt: skip
    for block in ask(centre, QACCT).split("=" * 62)[1:]:
        row = {line.split()[0]: line.split(None, 1)[1].strip() for line in block.splitlines() if len(line.split()) > 1}
        started, ended = (_moment(row[which], "%a %b %d %H:%M:%S %Y") for which in ("start_time", "end_time"))
        wants = re.search(r"gpu=(\d+)", row.get("category", ""))
        yield Run(
            centre=centre, birth=birth, job_id=row["jobnumber"], name=row["jobname"], started=started, ended=ended,
            elapsed=ended - started if started and ended else 0.0, cores=int(row["slots"]),
            gpus=int(wants[1]) if wants else 0, node=row["hostname"], word=" ".join(row["failed"].split()),
        )  # fmt: skip


def _moment(text: str, form: str) -> float | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None  # "-/-": it did not start


def _oar(ask: Ask, centre: str, birth: int) -> Iterator[Run]:
    for job_id, job in json.loads(ask(centre, OARSTAT) or "{}").items():
        over = job["state"] in OAR_ENDED
        started = float(job["startTime"]) or None
        ended = (float(job["stopTime"]) or None) if over else None
        yield Run(
            centre=centre, birth=birth, job_id=job_id, name=job["name"] or "", live=not over, started=started,
            ended=ended, elapsed=ended - started if started and ended else 0.0,
            cores=len(job["assigned_resources"]) if started else 0, node=",".join(job["assigned_network_address"]),
            word=job["state"],
        )  # fmt: skip


def _qstat(ask: Ask, centre: str) -> list[ElementTree.Element]:
    jobs = ElementTree.fromstring(ask(centre, f"TZ=UTC {QSTAT}")).iter("job_list")
    return [
        job for job in jobs if (job.findtext("JB_name") or "").startswith("scnet-") and job.get("state") == "running"
    ]


def _slurm_live(ask: Ask, centre: str) -> list[tuple[str, str]]:
    return [(job_id, name) for job_id, _, name in (line.partition(" ") for line in ask(centre, SQUEUE).splitlines())]


def _grid_engine_live(ask: Ask, centre: str) -> list[tuple[str, str]]:
    jobs = ElementTree.fromstring(ask(centre, QSTAT)).iter("job_list")
    return [(job.findtext("JB_job_number") or "", job.findtext("JB_name") or "") for job in jobs]


def _oar_live(ask: Ask, centre: str) -> list[tuple[str, str]]:
    return [(run.job_id, run.name) for run in _oar(ask, centre, 0) if run.live]


_ACCOUNTED = {"slurm": _slurm, "gridengine": _grid_engine, "oar": _oar}
_LIVE = {"slurm": _slurm_live, "gridengine": _grid_engine_live, "oar": _oar_live}
