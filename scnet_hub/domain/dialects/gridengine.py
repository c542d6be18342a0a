"""The dialect of Grid Engine: qsub, qstat, qdel and its accounting file, each a builder and its parser. A partition is
a queue.

Tested on Son of Grid Engine 8.1.9. Ended jobs are read from the accounting file and not through qacct, which reads the
whole file for every single job and prints times in the centre's zone. That file has no word for a deletion, and no row
for a job that was deleted before it started: `_end` and `never_started` interpret these cases.
"""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, repeat

from ...errors import BadOption, Garbled, Rejected
from ..commands import Command, Completed
from ..jobs import (
    Backfill,
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
from . import gridengine_qstat
from . import gridengine_states as states
from .command_checks import (
    AHEAD,
    FOR_EVER,
    check_name,
    each,
    ends_at,
    lines,
    moment,
    number,
    numbers,
    sentence,
    short,
)
from .gridengine_accounting import STATES, broken, ending_of, unreadable, wants_of
from .gridengine_options import SCRIPT, check_spec, grep_pattern, share_of_gpus
from .gridengine_qstat import ANY, PLAIN, Instance, Job, size
from .gridengine_queue import places_of, status_of
from .gridengine_site import TYPES, Complex, booked_of, first_complex, none_is_empty, tables, time_limit, told_lines

MIB = 2**20
# What sites call these complexes; the first that an installation has is used.
GPUS = ("gpu", "gpus", "ngpus", "ngpu", "num_gpus", "gpu_count", "nvidia_gpu", "cuda", "dcu", "dcus")
GPU_MODELS = ("gpu_model", "gpumodel", "gpu_type", "gputype", "gpu_card")
MEMORIES = ("m_mem_free", "mem_free", "h_vmem", "virtual_free", "h_rss", "memory", "mem")

_EACH = 'names=$(qconf "$1") || exit $?; for name in $names; do qconf "$2" "$name" || exit $?; done'

_GONE = re.compile(r"does not exist|already in deletion|has registered the job|has deleted job", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GridEngine:
    """`gpu`, `memory` and `model` are this installation's complexes, `environments` the parallel environment of each
    queue that keeps a job's slots on one node ($pe_slots), `limits` the queues' own walltimes. If no complex names GPU
    models, a queue has only the model of the centre's page. `reserves` is the number of jobs that places may be kept
    for: 0 is Grid Engine's default, None if unknown. `every` is the longest time that a submission waits for a run of
    the scheduler."""

    gpu: Complex | None = None
    memory: Complex | None = None
    model: Complex | None = None
    environments: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, timedelta | None] = field(default_factory=dict)
    reserves: int | None = None
    every: timedelta = timedelta()

    def probe(self) -> tuple[Command, ...]:
        each_one = (*PLAIN, "sh", "-c", _EACH, "sh")
        complexes, scheduler = (Command((*PLAIN, "qconf", which)) for which in ("-sc", "-ssconf"))
        return complexes, Command((*each_one, "-spl", "-sp")), Command((*each_one, "-sql", "-sq")), scheduler

    def probed(self, done: Sequence[Completed]) -> GridEngine:
        complexes, environments, queues = (
            gridengine_qstat.answered(one) for one in (done[0], none_is_empty(done[1]), done[2])
        )
        scheduler = next(tables(told_lines(done[3]), "algorithm"), {})
        # Univa's tables have more columns; a line without a type is not a row.
        known = {
            row[0]: row for row in map(str.split, complexes) if len(row) >= 8 and row[2] in TYPES and row[4] != "NO"
        }
        booked = {name: row for name, row in known.items() if row[5] != "NO"}
        one_node = [
            table["pe_name"] for table in tables(environments, "pe_name") if table.get("allocation_rule") == "$pe_slots"
        ]
        by_name = {table["qname"]: table for table in tables(queues, "qname")}
        return GridEngine(
            gpu=first_complex(GPUS, booked),
            memory=first_complex(MEMORIES, booked) or first_complex(("mem_free",), known),
            model=first_complex(GPU_MODELS, known),
            environments={
                name: pe
                for name, table in by_name.items()
                for pe in one_node[::-1]
                if pe in re.split(r"[\s,=\[\]]+", table.get("pe_list", ""))
            },
            limits={name: time_limit(table.get("h_rt", "")) for name, table in by_name.items()},
            reserves=number(scheduler["max_reservation"]) if "max_reservation" in scheduler else None,
            every=timedelta(seconds=number(scheduler.get("flush_submit_sec", "")))
            or time_limit(scheduler.get("schedule_interval", ""))
            or timedelta(),
        )

    # ---- submit

    def submit(self, spec: JobSpec) -> Command:
        """Builds the submission: options as arguments, the script by stdin. With `-w e` a job that no node could ever
        run is refused now; without it, the job would wait for ever. Raises BadOption."""
        check_spec(spec)
        slots = max(spec.cores, 1)
        requests = {"h_rt": f"{each(int(spec.walltime.total_seconds() * 1000), 1000)}", **self._hardware(spec, slots)}
        options = (
            *("-N", spec.name, "-q", spec.partition, *self._environment(spec.partition, slots)),
            *("-l", ",".join(f"{name}={value}" for name, value in requests.items())),
            *("-o", f":{spec.output}", "-j", "y", *(("-wd", spec.directory) if spec.directory else ())),
            *("-S", "/bin/bash", "-b", "n", "-r", "n", "-w", "e"),
        )
        return Command(("qsub", "-terse", *options), SCRIPT.format(shlex.join(spec.argv)).encode())

    def _environment(self, queue: str, slots: int) -> tuple[str, ...]:
        if slots == 1:
            return ()
        pe = self.environments.get(queue) or (
            "" if queue in self.limits else next(iter(self.environments.values()), "")
        )
        if not pe:
            raise BadOption(
                f"cores: queue {queue} has no parallel environment that keeps {slots} cores on one node; ask for 1."
            )
        return "-pe", pe, f"{slots}"

    def _hardware(self, spec: JobSpec, slots: int) -> dict[str, str]:
        wanted = {}
        if spec.memory and self.memory:
            wanted[self.memory.name] = f"{each(each(spec.memory, self.memory.times(slots)), MIB)}M"
        if spec.gpus:
            if not self.gpu:
                raise BadOption(
                    "gpus: this Grid Engine has no consumable for GPUs.",
                    hint=f"Its name would be {', '.join(GPUS[:4])} …",
                )
            wanted[self.gpu.name] = share_of_gpus(spec.gpus, self.gpu.times(slots))
            if spec.gpu_model and self.model:
                wanted[self.model.name] = spec.gpu_model
        return wanted

    def submitted(self, done: Completed) -> str:
        said = gridengine_qstat.answered(done)
        for line in reversed(said):
            if match := re.fullmatch(r"(?:Your job )?(\d{1,10})(?: \(.*)?", line, re.ASCII):
                return match[1]
        raise Garbled(f"qsub answered without a job id: {short(done.stdout)!r}.")

    # ---- find, cancel

    def find(self, name: str) -> Command:
        check_name("name", name)
        return gridengine_qstat.named(grep_pattern(name))

    def found(self, done: Completed) -> str | None:
        history = gridengine_qstat.told(done)
        named = [job for job in history.jobs if grep_pattern(job.name) in history.asked]
        live, ended = [job.id for job in named if not job.ended], [job.id for job in named if job.ended]
        ids = live or list(history.rows) or ended
        return max(ids, key=int) if ids else None

    def remembered(self, name: str) -> Command | None:
        return None  # `find` queries accounting too

    def recalled(self, done: Completed) -> str | None:
        return None

    def cancel(self, ids: Sequence[str]) -> Command:
        return Command((*PLAIN, "qdel", *numbers(ids)))

    def cancelled(self, done: Completed) -> None:
        gridengine_qstat.check_asked(done)
        complaints = [line for line in lines(done.stdout, done.stderr) if not _GONE.search(line)]
        if done.code and complaints:
            raise Rejected(sentence(complaints, done))

    # ---- look

    def queue(self) -> Command:
        """Queries queues, their nodes and all users' jobs in one answer, so that free resources and the jobs that use
        the rest always agree."""
        known = (self.gpu, self.memory, self.model)
        return gridengine_qstat.look(("slots", "mem_total", *(one.name for one in known if one)))

    def statuses(self, done: Completed, at: datetime) -> dict[str, JobStatus]:
        jobs = [job for job in done.read(gridengine_qstat.seen).jobs if not job.ended]
        places = places_of(jobs)
        found: dict[str, JobStatus] = {}
        for job in jobs:  # a job on several nodes is listed under each, its first node first
            found.setdefault(job.id, status_of(job, at, places.get(job.id, 0)))
        return found

    def nodes(self) -> tuple[Command, ...]:
        return ()

    def snapshot(self, nodes: Sequence[Completed], queue: Completed, at: datetime) -> LoadSnapshot:
        seen = queue.read(gridengine_qstat.seen)
        by_queue: dict[str, list[Instance]] = defaultdict(list)
        for instance in seen.instances:
            by_queue[instance.queue].append(instance)
        waiting, cores = Counter[str](), Counter[str]()
        line = [job for job in seen.jobs if states.waits(job.word)]
        for job in line:
            waiting[job.queue] += job.tasks
            cores[job.queue] += job.tasks * job.slots
        # The time of its last run is not reported: it is assumed to have run at the time of the look.
        backfill = Backfill(at, self.every) if self.every else None
        partitions = {}
        for name, members in by_queue.items():
            loads = tuple(self._node(member) for member in members)
            running = {job.id: job for member in members for job in member.jobs}
            ahead = (job for job in line if job.queue in (name, ANY))
            partitions[name] = PartitionLoad(
                name=name, nodes=loads, queued_jobs=waiting[name] + waiting[ANY], queued_cores=cores[name] + cores[ANY],
                running_jobs=len(running), max_walltime=self.limits.get(name), up=any(load.up for load in loads),
                running=tuple(self._booking(job, name, at) for job in running.values()),
                waiting=tuple(islice((one for job in ahead for one in repeat(self._waiting(job, name), job.tasks)),
                AHEAD)), reserves=self.reserves, backfill=backfill,
            )  # fmt: skip
        strange = {f"job state {short(job.word)!r}" for job in seen.jobs if states.strange_job(job.word)}
        strange |= {f"queue state {short(one.state)!r}" for one in seen.instances if states.strange_instance(one.state)}
        return LoadSnapshot(taken_at=at, partitions=partitions, strange=tuple(sorted(strange)))

    def _node(self, instance: Instance) -> NodeLoad:
        """Makes a node's load: the free amount is the scheduler's number, the used amount the sum over its jobs. (A job
        on several nodes may count at the first.) A node in alarm counts as full: no job is sent there."""
        free = min(instance.slots - instance.slots_used, int(size(instance.left.get("slots", f"{instance.slots}"))))
        memory, memory_used = size(instance.left.get("mem_total", "")), 0.0
        if self.memory and self.memory.booked:
            memory, memory_used = booked_of(self.memory, instance)
        gpus, gpus_used = booked_of(self.gpu, instance) if self.gpu else (0.0, 0.0)
        if states.alarmed(instance.state):
            free, gpus_used = 0, gpus
        return NodeLoad(
            name=instance.node, cores=instance.slots, cores_used=instance.slots - max(free, 0), memory=round(memory),
            memory_used=round(memory_used), gpus=round(gpus), gpus_used=min(math.ceil(gpus_used), round(gpus)),
            gpu_model=instance.left.get(self.model.name, "") if self.model else "",
            up=states.takes_jobs(instance.state),
        )  # fmt: skip

    def _booking(self, job: Job, queue: str, at: datetime) -> Booking:
        until = ends_at(gridengine_qstat.time(job.since) or at, self._walltime(job, queue) or FOR_EVER, at)
        return Booking(ends_at=until, cores=job.slots, gpus=self._gpus(job.wants, job.slots), node=job.node)

    def _waiting(self, job: Job, queue: str) -> Waiting:
        return Waiting(cores=job.slots, gpus=self._gpus(job.wants, job.slots), walltime=self._walltime(job, queue))

    def _walltime(self, job: Job, queue: str) -> timedelta | None:
        return time_limit(job.wants.get("h_rt", "")) or self.limits.get(queue)

    # ---- usage

    def usage(self, ids: Sequence[str], word: str = "") -> Command:
        return gridengine_qstat.history(gridengine_qstat.JOB_ID, numbers(ids))

    def usage_between(self, since: datetime, until: datetime, word: str = "") -> Command:
        """Queries all times: accounting is one file, which is read to its end anyway."""
        return gridengine_qstat.history(gridengine_qstat.JOB_NAME, [gridengine_qstat.OURS])

    def records(self, done: Completed) -> list[UsageRecord]:
        """Returns the runs of each job in their order. A job that is still listed has no row yet, except for a failed
        or an earlier start."""
        told = gridengine_qstat.told(done)
        asked = [job for job in told.jobs if job.id in told.asked]
        live = {job.id: job for job in asked if not job.ended}
        gone = [
            job for job in asked if job.ended and job.id not in told.rows and gridengine_qstat.never_started(job, told)
        ]
        records = [record for job, rows in told.rows.items() if job not in live for record in self._runs(rows)]
        again = {job: Counter(row[4] for row in rows) for job, rows in told.rows.items()}
        present = [self._live(job, again.get(job.id, Counter())[job.name]) for job in live.values()]
        return [*records, *present, *(self._live(job) for job in gone), *map(broken, told.broken)]

    def _live(self, job: Job, restart: int = 0) -> UsageRecord:
        state = JobState.CANCELLED if job.ended else states.state(job.word)
        runs, since = state is JobState.RUNNING, gridengine_qstat.time(job.since)
        gpus = self._gpus(job.wants, job.slots) if runs else 0
        return UsageRecord(
            job_id=job.id, name=job.name, state=state, cores=job.slots if runs else 0, gpus=gpus,
            gpu_models=self._models(job.wants, gpus), memory=self._memory(job.wants, job.slots),
            submitted_at=None if runs else since, started_at=since if runs else None, node=job.node,
            partition=job.queue, restart=restart, ending=Ending.CANCELLED if job.ended else None, state_raw=job.word,
        )  # fmt: skip

    def _runs(self, rows: Iterable[Sequence[str]]) -> Iterator[UsageRecord]:
        """Groups the rows into runs. A Grid Engine that lost its state assigns ids again: another name is another
        job."""
        before = Counter[str]()
        for row in rows:
            yield self._record(row, before[row[4]])
            before[row[4]] += 1

    def _record(self, row: Sequence[str], restart: int) -> UsageRecord:
        """Makes the record of one row; a row that can't be read becomes a record that says so, so that it neither stops
        the other rows nor counts as no usage."""
        words = f"failed {row[11]}, exit status {row[12]}"
        if bad := next((text for text in (*row[8:13], row[34], row[35]) if len(text) > 19 or not text.isdecimal()), ""):
            return unreadable(row, f"{short(bad)!r} is not a whole number")
        if row[35] != "0":
            return unreadable(row, "it belongs to a task of a job array, which the hub never submits")
        started, ended, slots, wants = (
            moment(number(row[9])),
            moment(number(row[10])),
            number(row[34]),
            wants_of(row[39]),
        )
        elapsed = ended - started if started and ended else timedelta()
        code = number(row[12])
        killed = row[11] != "0" and code > 128
        ending = ending_of(row, elapsed, wants)
        gpus = self._gpus(wants, slots) if started else 0
        return UsageRecord(
            job_id=row[5], name=row[4], state=STATES[ending], cores=slots if started else 0, gpus=gpus,
            gpu_models=self._models(wants, gpus), memory=self._memory(wants, slots),
            submitted_at=moment(number(row[8])), started_at=started, ended_at=ended, elapsed=elapsed,
            cpu=timedelta(seconds=min(size(row[36]), 10**9)), node=row[1] if started else "",
            exit_code=f"0:{code - 128}" if killed else f"{code}:0", partition=row[0], restart=restart, ending=ending,
            state_raw=words,
        )  # fmt: skip

    def _models(self, wants: Mapping[str, str], gpus: int) -> tuple[tuple[str, int], ...]:
        model = wants.get(self.model.name, "") if self.model else ""
        return ((model, gpus),) if model and gpus else ()

    def _gpus(self, wants: Mapping[str, str], slots: int) -> int:
        return round(size(wants.get(self.gpu.name, "")) * self.gpu.times(slots)) if self.gpu else 0

    def _memory(self, wants: Mapping[str, str], slots: int) -> int:
        return round(size(wants.get(self.memory.name, "")) * self.memory.times(slots)) if self.memory else 0
