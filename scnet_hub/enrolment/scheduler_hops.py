"""Hops from the scheduler to a job of the person's account: the partitions, one small job, its output, its node, its
accounting record.

One job serves all of these hops: `errand.py` on a node. Knows no scheduler's words: the centre's dialect does.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..domain.jobs import JobSpec, JobState, JobStatus, PartitionLoad, UsageRecord
from ..domain.standard.centre import PartitionSpec
from ..errors import CentreError, Garbled, Rejected, Unreachable
from ..node import call_home
from ..units import format_duration, format_memory
from . import answers, network_hops
from .environment_hops import IMPORTS, judged
from .findings import Doubt, Hop, Problem
from .visit import Visit, noise, said, script

WALLTIME = timedelta(minutes=2)  # the errand ends on its own within a minute
MEMORY = 500 * 2**20
SLOW = 5.0  # seconds that a scheduler's answer may take before the check warns
ACCOUNTED = 60.0  # seconds in which accounting must know of an end
LATER = 20.0  # seconds until the output must be visible on the login node: file systems cache
PAUSE = 1.0


async def scheduler(visit: Visit) -> str:
    began = time.monotonic()
    taken = await visit.centre.load()
    seconds = time.monotonic() - began
    words = (
        f"{visit.spec.dialect} answers in {seconds:.1f} s, with {len(taken.partitions)} partitions: "
        f"{', '.join(taken.partitions)}"
    )
    if seconds > SLOW:
        raise Doubt(words, hint="Slow answers make sessions start late. Check the scheduler's load.")
    return words


async def partitions(visit: Visit) -> str:
    live = (await visit.centre.load()).partitions
    wrong, doubts = [], []
    for offered in visit.spec.partition:
        if (there := live.get(offered.name)) is None:
            wrong.append(f"there is no partition {offered.name} (there are {', '.join(live)})")
        elif lacks := shortcomings(offered, there):
            wrong.append(f"partition {offered.name} {', '.join(lacks)}")
        elif not there.up or not there.cores:
            doubts.append(f"partition {offered.name} is down")
    if wrong:
        raise Problem("; ".join(wrong), hint="Correct the page ([[partition]]), or the scheduler's partition.")
    if doubts:
        raise Doubt("; ".join(doubts), hint=f"No session can start there until it is up again: ask {visit.contact}.")
    return "; ".join(
        f"{offered.name} as promised, {live[offered.name].cores_free} cores free" for offered in visit.spec.partition
    )


async def charges(visit: Visit) -> str:
    """Checks the resources that sessions receive for their requests, and whether accounting records them."""
    taken = await visit.centre.load()
    if taken.untracked and any(offered.gpus for offered in visit.spec.partition):
        missing = ", ".join(f"gres/{name}" for name in taken.untracked)
        raise Problem(
            f"accounting does not track {missing}: sessions with GPUs can't be charged, their usage records wait "
            "for an operator",
            hint=f"Add {missing} to AccountingStorageTRES in slurm.conf and restart slurmctld. This applies to jobs "
            "that start later.",
        )
    if taken.strange:
        raise Doubt(
            f"unknown words: {', '.join(taken.strange)}",
            hint="Nodes and jobs with these words count as neither up, free nor ended. Report the words, with the "
            "scheduler's version.",
        )
    live = ((offered.name, taken.partitions.get(offered.name)) for offered in visit.spec.partition)
    said = [f"partition {name} {more}" for name, load in live if load and (more := steps(load))]
    return "; ".join(said) or "a session is given, and charged for, exactly the requested resources"


def steps(load: PartitionLoad) -> str:
    """Returns how a session of one core is given, and charged for, more than one core; "" if it is not."""
    cores, gpus = load.allotted(1, 0, 1)
    if (cores, gpus) == (1, 0):
        return ""
    more = f" and {gpus} GPU{'s' * (gpus != 1)}" if gpus else ""
    return (
        f"gives the cores of a node in steps of {load.core_unit}: a session of 1 core holds, and is charged for, "
        f"{cores} cores{more}"
    )


def shortcomings(offered: PartitionSpec, live: PartitionLoad) -> list[str]:
    """Returns the promises of a partition's page that the scheduler does not keep, whether its nodes are up or not."""
    nodes = live.nodes
    models = sorted({node.gpu_model for node in nodes if node.gpu_model})
    facts = (
        (len(nodes) < offered.nodes, f"has {len(nodes)} nodes, not {offered.nodes}"),
        (offered.cores > max((node.cores for node in nodes), default=0), f"has no node of {offered.cores} cores"),
        (
            0 < max((node.memory for node in nodes), default=0) < offered.memory,
            f"has no node of {format_memory(offered.memory)}",
        ),
        (offered.gpus > max((node.gpus for node in nodes), default=0), f"has no node of {offered.gpus} GPUs"),
        (
            bool(offered.gpu_model and models) and offered.gpu_model not in models,
            f"has {', '.join(models)}, no {offered.gpu_model}",
        ),
        (
            live.max_walltime is not None and live.max_walltime < offered.max_walltime,
            f"ends jobs after {format_duration(live.max_walltime or timedelta())}, not "
            f"{format_duration(offered.max_walltime)}",
        ),
    )
    return [words for true, words in facts if true]


async def job(visit: Visit) -> str:
    """Submits the errand and waits until it runs under the account; `output` waits for its report."""
    await network_hops.open_home(visit)
    await _pack(visit)
    argv = ("/bin/sh", f"{visit.folder}/errand.sh", visit.word, visit.folder, visit.spec.session.python)
    spec = JobSpec(
        name=visit.word,
        partition=visit.spec.partition[0].name,
        argv=argv,
        memory=MEMORY,
        walltime=WALLTIME,
        output=f"{visit.folder}/log",
        directory=visit.folder,
    )
    began = time.monotonic()
    try:
        visit.job_id = await visit.centre.submit(spec, account=visit.account)
    except Rejected as error:
        raise Problem(
            f"the scheduler refuses a job of one core: {error}", hint=error.hint or f"Ask {visit.contact}."
        ) from error
    except Garbled as error:
        visit.job_id = await visit.centre.find(visit.word, account=visit.account) or ""
        raise Problem(
            f"the answer to the submission can't be read: {error}", hint="Check for a wrapper around the command."
        ) from error
    status = await _started(visit, began + visit.patience)
    visit.node = status.node
    return (
        f"job {visit.job_id} runs on {status.node or 'a node'}, {time.monotonic() - began:.0f} s after it was submitted"
    )


async def _pack(visit: Visit) -> None:
    errand = {
        "host": visit.spec.session.host,
        "networks": visit.spec.network.nodes,
        "call_home": visit.hub_url or "http://192.0.2.1",
        "hub": visit.hub_url,
        "hub_host": visit.address.netloc,
        "home": visit.home_there,
        "python": visit.spec.session.python,
        "imports": IMPORTS,
        "report": script("report.py").decode(),
    }
    files = {
        "errand.sh": script("errand.sh"),
        "errand.py": script("errand.py"),
        "call_home.py": Path(call_home.__file__).read_bytes(),
        "errand.json": json.dumps(errand).encode(),
    }
    visit.left_files = True
    for name, data in files.items():
        await visit.transport.put(f"{visit.folder}/{name}", data, account=visit.account)


async def _started(visit: Visit, deadline: float) -> JobStatus:
    """Returns the status of the job once it runs or has run. Raises Problem if it can't start, or does not start in
    time."""
    while True:
        status = (await visit.centre.statuses([visit.job_id]))[visit.job_id]
        if status.state is JobState.RUNNING or status.state.ended:
            return status
        if status.hopeless:
            raise Problem(
                f"job {visit.job_id} can never start: {status.reason}",
                hint=f"The scheduler itself reports this: ask {visit.contact}.",
            )
        if time.monotonic() > deadline:
            raise await _not_started(visit, status)
        await asyncio.sleep(PAUSE)


async def _not_started(visit: Visit, status: JobStatus) -> Problem:
    if status.state is JobState.UNKNOWN and await visit.centre.find(visit.word, account=visit.account):
        return Problem(
            f"job {visit.job_id} is in the queue, but the federation's account can't see it",
            hint="It must see all users' jobs and accounting: in Slurm with PrivateData, give it AdminLevel=Operator.",
        )
    place = f", place {status.place} in the queue" if status.place else ""
    return Problem(
        f"job {visit.job_id} has not started after {visit.patience:g} s ({status.reason or status.state.value}{place})",
        hint="If it only waits for its turn, use --patience 1h.",
    )


async def output(visit: Visit) -> str:
    """Checks the job's output, read on the login node as the account."""
    log, text = f"{visit.folder}/log", ""
    deadline = time.monotonic() + LATER
    while "environment" not in visit.facts:
        text = await visit.transport.tail(log, account=visit.account, size=20000)
        visit.facts = answers.errand(said(text, visit.word))
        if "no_python" in visit.facts or visit.facts.get("listens", {}).get("error"):
            break
        if visit.facts:
            deadline = max(deadline, time.monotonic() + 5)
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(PAUSE)
    if not visit.facts:
        seen = noise(text, visit.word)
        raise Problem(
            f"job {visit.job_id} ran, but {log} "
            f"{f'holds only {seen[-120:]!r}' if seen else 'does not appear on the login node'}",
            hint="session.directory must be on a file system that the login node and the compute nodes share.",
        )
    who = visit.facts.get("who")
    if visit.account and who != visit.account:
        raise Problem(f"the job ran as {who}, not as {visit.account}", hint=f"Ask {visit.contact}.")
    return f"it ran as {who} on {visit.facts.get('node')}, and its output can be read"


async def node(visit: Visit) -> str:
    """Checks the home and the session environment, as a job on a node sees them."""
    if "no_python" in visit.facts:
        raise Problem("no Python of 3.9 or newer on the node, nor the session environment", hint="See the hop python.")
    at_home, found = visit.facts.get("home", {}), visit.facts.get("environment", {"error": "the job did not report it"})
    if not at_home.get("writable"):
        raise Problem(
            f"{visit.home_there} {'can not be written' if at_home.get('there') else 'does not exist'} on a node",
            hint="Check that it is mounted on the nodes.",
        )
    if found["error"]:
        raise Problem(
            f"{visit.spec.session.python} does not run on a node: {found['error']}",
            hint="The nodes must see the session environment, and the Python that it is built on.",
        )
    return judged(visit, found)


async def accounting(visit: Visit) -> str:
    record = await _record(visit)
    now = datetime.now(UTC)
    if record.started_at and abs((now - record.started_at).total_seconds()) > visit.patience + 600:
        raise Problem(
            f"accounting says that the job began at {record.started_at:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M}",
            hint="The scheduler's clock or time zone is wrong: charges would be wrong.",
        )
    if record.cores < 1 or not record.elapsed:
        raise Problem(
            f"accounting has {record.cores} cores for {record.elapsed} on its record", hint="Nothing could be charged."
        )
    return f"job {visit.job_id}: {record.cores} cores for {format_duration(record.elapsed)}, {record.state.value}"


async def _record(visit: Visit) -> UsageRecord:
    if not visit.job_let_go:
        await visit.centre.cancel([visit.job_id], account=visit.account)
    deadline, trouble = time.monotonic() + ACCOUNTED, ""
    while time.monotonic() < deadline:
        try:
            for record in await visit.centre.usage([visit.job_id]):
                if record.state.ended:
                    return record
        except (Unreachable, CentreError) as error:
            trouble = f": {error}"
        await asyncio.sleep(PAUSE)
    raise Problem(
        f"accounting has no end of job {visit.job_id} after {ACCOUNTED:g} s{trouble}",
        hint="Charges depend on accounting. Check that it is on, and that the federation's account may read it.",
    )


HOPS: tuple[Hop[Visit], ...] = (
    Hop("scheduler", scheduler, ("shell",)),
    Hop("partitions", partitions, ("scheduler",)),
    Hop("charges", charges, ("scheduler",)),
    Hop("job", job, ("scheduler", "account", "home")),
    Hop("output", output, ("job",)),
    Hop("node", node, ("output",)),
)
AFTERWARDS: tuple[Hop[Visit], ...] = (Hop("accounting", accounting, ("job",)),)
