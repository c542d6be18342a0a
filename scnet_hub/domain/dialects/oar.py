"""The dialect of OAR: oarsub, oarstat, oardel, oarnodes, each a builder and its parser. A partition is one of OAR's
queues.

Tested on OAR 2.5.9. OAR knows resources, not nodes: one resource counts as one core, its `network_address` as the node.
OAR keeps every job for ever, with its events, but neither CPU time nor, as a rule, memory; and it lists its queues only
to its admins, so all nodes count for each queue that is known by name.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ...errors import BadOption, Garbled, Rejected
from ..commands import Command, Completed
from ..jobs import (
    Booking,
    Ending,
    JobSpec,
    JobState,
    JobStatus,
    LoadSnapshot,
    NodeLoad,
    PartitionLoad,
    UsageRecord,
    Waiting,
)
from .command_checks import AHEAD, FOR_EVER, check, check_name, each, ends_at, lines, numbers, sentence, short
from .oar_answers import (
    ENDED,
    STATES,
    WITHIN,
    Facts,
    check_asked,
    check_said_yes,
    document,
    is_job,
    moment_of,
    named,
    number_of,
    strange,
    table,
    takes_jobs,
    text,
)
from .oar_answers import jobs as jobs_of
from .oar_jobs import cores_asked, ended_by, ending_of, exit_code_of, node_of, places_of, status_of, walltime_of

MIB = 2**20
PLAIN = ("env", "TZ=UTC", "LC_ALL=C.UTF-8")
# What sites call these properties of a resource; the first that an installation has is used.
GPU_MODELS = ("gpu_model", "gpumodel", "gpu_type")
MEMORIES = ("memnode", "mem", "memory")  # MiB of the node that a core belongs to
END_STATES: Mapping[Ending, JobState] = {
    Ending.COMPLETED: JobState.COMPLETED,
    **dict.fromkeys((Ending.FAILED, Ending.TIMEOUT), JobState.FAILED),
    Ending.CANCELLED: JobState.CANCELLED,
    **dict.fromkeys((Ending.PREEMPTED, Ending.SITE_FAILURE), JobState.LOST),
}
# Without its database oarsub and oardel retry for ever, as another user whom no timeout can end, and submit in the end.
# So the database is checked first; and if it disappears meanwhile, the kernel's own alarm, which survives the change of
# user, ends the command.
ASK_FIRST = (
    "perl",
    "-e",
    f'alarm {WITHIN}; system("oarnodes -l > /dev/null") and exit($? >> 8 || 1); exec @ARGV; exit 127',
)
# The last argument is SQL that ends before the account's name.
OWN = ("sh", "-c", """exec "$1" "$2" "$3" "$4'$(id -un)'\"""", "sh")
_ID = re.compile(r"OAR_JOB_ID=(\d{1,10})\b", re.ASCII)


@dataclass(frozen=True, slots=True)
class Oar:
    """`queues` are the queues whose load is reported. `model` and `memory` are properties of this installation's
    resources, `models` the values that name a GPU. `gpu`: each GPU is a level of its own that comes with its cores
    ("/gpu=1"); without it, one core of a GPU's model counts as one GPU. A job that asks for no GPU may still get such
    cores: the site's order of resources decides."""

    queues: tuple[str, ...] = ("default",)
    gpu: bool = False
    model: str = ""
    models: tuple[str, ...] = ()
    memory: str = ""

    def probe(self) -> tuple[Command, ...]:
        return self.nodes()

    def probed(self, done: Sequence[Completed]) -> Oar:
        resources = table(done[0])
        known = set[str]().union(*resources)
        model = next((name for name in GPU_MODELS if name in known), "")
        return replace(
            self, gpu=any(named(one.get("gpu")) for one in resources), model=model,
            models=tuple(sorted({found for one in resources if (found := named(one.get(model)))})) if model else (),
            memory=next((name for name in MEMORIES if name in known), ""),
        )  # fmt: skip

    # ---- submit

    def submit(self, spec: JobSpec) -> Command:
        """Builds the submission. The program is one argument, quoted for the shell that OAR passes it to on the node.
        Raises BadOption."""
        check(spec)
        if "%jobid%" in spec.output:
            raise BadOption("output: must not hold '%jobid%', which OAR replaces in a path.")
        seconds = each(int(spec.walltime.total_seconds() * 1000), 1000)
        walltime = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        where = " AND ".join(self._where(spec))
        options = (
            *("-n", spec.name, "-q", spec.partition, "-l", f"{self._resources(spec)},walltime={walltime}"),
            *(("-p", where) if where else ()),
            *("-O", spec.output, "-E", spec.output, *(("-d", spec.directory) if spec.directory else ())),
        )
        return Command((*ASK_FIRST, "oarsub", *options, f"exec {shlex.join(spec.argv)}"))

    def _resources(self, spec: JobSpec) -> str:
        nodes = max(spec.nodes, 1)
        cores, gpus = each(max(spec.cores, 1), nodes), each(spec.gpus, nodes)
        if gpus and self.gpu:
            return f"/nodes={nodes}/gpu={gpus}"
        if gpus and cores > gpus:
            raise BadOption(
                f"cores: at this centre each GPU comes with one core, so {gpus} GPUs can't have {cores} cores.",
                hint="Ask for one core a GPU.",
            )
        return f"/nodes={nodes}/core={gpus or cores}"

    def _where(self, spec: JobSpec) -> list[str]:
        where = []
        if spec.memory and self.memory:
            where.append(f"{self.memory} >= {each(each(spec.memory, max(spec.nodes, 1)), MIB)}")
        if spec.gpus:
            if not (self.gpu or self.models):
                raise BadOption("gpus: this OAR has no resource with a GPU.")
            if self.model and (spec.gpu_model or not self.gpu):
                where.append(
                    f"{self.model} IN "
                    f"({', '.join(_quoted(name) for name in ([spec.gpu_model] if spec.gpu_model else self.models))})"
                )
        return where

    def submitted(self, done: Completed) -> str:
        check_said_yes(done)  # after a refusal stdout says OAR_JOB_ID=-5
        if match := _ID.search(done.stdout):
            return match[1]
        raise Garbled(f"oarsub answered without a job id: {short(done.stdout)!r}.")

    # ---- find, cancel

    def find(self, name: str) -> Command:
        """Finds one of the account's own jobs: other users may use any name."""
        check_name("name", name)
        return Command((*PLAIN, *OWN, "oarstat", "-J", "--sql", f"job_name = {_quoted(name)} AND job_user = "))

    def found(self, done: Completed) -> str | None:
        jobs = jobs_of(done)
        live = [job for job in jobs if jobs[job]["state"] not in ENDED]
        return max(live or jobs, key=int, default=None)

    def remembered(self, name: str) -> Command | None:
        return None  # `find` queries accounting too

    def recalled(self, done: Completed) -> str | None:
        return None

    def cancel(self, ids: Sequence[str]) -> Command:
        """Cancels by SQL: asked by number, OAR gives the same answer for an unknown job as for another user's job."""
        ended = ", ".join(_quoted(state) for state in ENDED)
        return Command(
            (*PLAIN, *ASK_FIRST, "oardel", "--sql", f"job_id IN ({', '.join(numbers(ids))}) AND state NOT IN ({ended})")
        )

    def cancelled(self, done: Completed) -> None:
        check_asked(done)
        complaints = [line for line in lines(done.stderr) if "already killed" not in line]
        if done.code and complaints:
            raise Rejected(sentence(complaints, done))

    # ---- look

    def queue(self) -> Command:
        """Queries with -f, for the start that OAR expects: OAR needs about 3 ms a job for it."""
        return Command((*PLAIN, "oarstat", "-J", "-f"))

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        jobs = done.read(jobs_of)
        places = places_of(jobs)
        return {
            job: status_of(facts, at, places.get(job, 0)) for job, facts in jobs.items() if facts["state"] not in ENDED
        }

    def nodes(self) -> tuple[Command, ...]:
        return (Command((*PLAIN, "oarnodes", "-J")),)

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot:
        jobs, resources = queue.read(jobs_of), table(nodes[0])
        loads = self._loads(resources, jobs, at)
        line = [jobs[job] for job, _ in sorted(places_of(jobs).items(), key=lambda one: one[1])]
        busy = [facts for facts in jobs.values() if STATES.get(facts["state"]) is JobState.RUNNING]
        names = sorted({*self.queues, *(facts["queue"] for facts in (*line, *busy))})
        partitions = {name: self._partition(name, loads, busy, line, at) for name in names}
        return LoadSnapshot(taken_at=at, partitions=partitions, strange=strange(resources, jobs.values()))

    def _partition(
        self, name: str, loads: tuple[NodeLoad, ...], busy: Sequence[Facts], line: Sequence[Facts], at: datetime
    ) -> PartitionLoad:
        waiting = [facts for facts in line if facts["queue"] == name]
        return PartitionLoad(
            name=name, nodes=loads, queued_jobs=len(waiting), queued_cores=sum(map(cores_asked, waiting)),
            running_jobs=sum(facts["queue"] == name for facts in busy),
            running=tuple(self._booking(facts, at) for facts in busy),  # jobs of all queues: they share the nodes
            waiting=tuple(self._waiting(facts) for facts in waiting[:AHEAD]),
        )  # fmt: skip

    def _booking(self, facts: Facts, at: datetime) -> Booking:
        cores = len(facts.get("assigned_resources") or ())
        until = ends_at(moment_of(facts.get("startTime")) or at, walltime_of(facts) or FOR_EVER, at)
        nodes = len(facts.get("assigned_network_address") or ()) or 1
        return Booking(ends_at=until, cores=cores, gpus=self._given(facts, cores), nodes=nodes, node=node_of(facts))

    def _waiting(self, facts: Facts) -> Waiting:
        cores = cores_asked(facts)
        return Waiting(cores=cores, gpus=self._given(facts, cores), walltime=walltime_of(facts))

    def _loads(self, resources: Iterable[Facts], jobs: Mapping[str, Facts], at: datetime) -> tuple[NodeLoad, ...]:
        taken = {text(one) for facts in jobs.values() for one in facts.get("assigned_resources") or ()}
        by_node: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for one in resources:
            if one.get("type") == "default" and one.get("network_address"):
                by_node[text(one["network_address"])].append(one)
        return tuple(self._load(name, members, taken, at) for name, members in sorted(by_node.items()))

    def _load(self, name: str, cores: Sequence[Facts], taken: set[str], at: datetime) -> NodeLoad:
        working = [one for one in cores if takes_jobs(one, at)]
        used = [one for one in working or cores if text(one.get("resource_id")) in taken]
        return NodeLoad(
            name=name, cores=len(working or cores), cores_used=len(used),
            memory=number_of(cores[0].get(self.memory)) * MIB, gpus=len(self._gpus(working or cores)),
            gpus_used=len(self._gpus(used)),
            gpu_model=next((model for one in cores if (model := named(one.get(self.model)))), ""), up=bool(working),
        )  # fmt: skip

    def _gpus(self, cores: Iterable[Facts]) -> set[str]:
        """Returns the GPUs that these cores stand for, by name."""
        key, which = ("gpu", "gpu") if self.gpu else (self.model, "resource_id")
        return {text(one.get(which)) for one in cores if named(one.get(key))}

    # ---- usage

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        return Command((*PLAIN, "oarstat", "-J", "-f", "--sql", f"job_id IN ({', '.join(numbers(ids))})"))

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        first, last = int(since.timestamp()), int(until.timestamp())
        ran = f"start_time < {last} AND (stop_time = 0 OR stop_time >= {first})"
        return Command(
            (*PLAIN, "oarstat", "-J", "-f", "--sql", f"job_name LIKE 'scnet-%' AND submission_time < {last} AND {ran}")
        )

    def records(self, done: Completed) -> list[UsageRecord]:
        found = document(done)
        if found and not any(is_job(job, facts) for job, facts in found.items()):
            raise Garbled(f"No job in OAR's answer can be read: {short(done.stdout)!r}.")
        return [self._readable(job, facts) for job, facts in found.items()]

    def _readable(self, job: str, facts: Facts) -> UsageRecord:
        """Makes the record of one job; a job that can't be read becomes a record that says so, so that it neither stops
        the others nor counts as no usage."""
        try:
            if not is_job(job, facts):
                raise ValueError("it has no id, state or queue, or has values that OAR does not define")
            return self._record(job, facts)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            trouble = f"OAR's data about job {job[:20]!r} can't be read: {error}."
            return UsageRecord(
                job_id=job if job.isdecimal() else "", name="", state=JobState.UNKNOWN, cores=0, trouble=trouble
            )

    def _record(self, job: str, facts: Facts) -> UsageRecord:
        ending = ending_of(facts) if facts["state"] in ENDED else None
        state = END_STATES[ending] if ending else STATES.get(facts["state"], JobState.UNKNOWN)
        started, ended = moment_of(facts.get("startTime")), moment_of(facts.get("stopTime"))
        cores = len(facts.get("assigned_resources") or ()) if started else 0
        code, gpus = exit_code_of(facts), self._given(facts, cores)
        return UsageRecord(
            job_id=job, name=facts.get("name") or "", state=state, cores=cores, gpus=gpus,
            gpu_models=self._models(facts, gpus), submitted_at=moment_of(facts.get("submissionTime")),
            started_at=started, ended_at=ended if ending else None,
            elapsed=ended - started if ending and started and ended else timedelta(),
            node=node_of(facts) if started else "", exit_code="" if code is None else f"{code >> 8}:{code & 127}",
            partition=facts["queue"], ending=ending, ended_by=ended_by(facts) if ending is Ending.CANCELLED else "",
            state_raw=facts["state"],
        )  # fmt: skip

    def _given(self, facts: Facts, cores: int) -> int:
        """Returns the GPUs of a job, by what it asked for."""
        if self.gpu:
            asked = re.search(r"(?:network_address|nodes)=(\d{1,9})/gpu=(\d{1,9})", facts.get("wanted_resources") or "")
            return int(asked[1]) * int(asked[2]) if asked and cores else 0
        return cores if self.model and f"{self.model} IN (" in (facts.get("properties") or "") else 0

    def _models(self, facts: Facts, gpus: int) -> tuple[tuple[str, int], ...]:
        """Returns the GPUs by model, if the job asked for one model, or the installation has only one."""
        asked = (
            re.search(rf"{re.escape(self.model)} IN \('([^',]*)'\)", facts.get("properties") or "")
            if self.model
            else None
        )
        model = asked[1] if asked else self.models[0] if len(self.models) == 1 else ""
        return ((model, gpus),) if model and gpus else ()


# ---- what goes in


def _quoted(text: str) -> str:
    """Quotes a name that `check_name` accepted, for SQL."""
    return f"'{text}'"


# ---- what comes out
