"""The policy `scnet`: the product's own placement, breaker, second chances and promises, over simulated centres.

Each centre is one partition of one big node. The product's knowledge is put into its own types (`Offer`,
`PartitionLoad`) once for each snapshot, with its own newer submissions added; `place()` decides, exactly as in the
broker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..domain.centres.breaker import Breaker
from ..domain.jobs import Backfill, Booking, JobRequest, NodeLoad, PartitionLoad, Waiting
from ..domain.placement import hedging
from ..domain.placement.calibration import UNTRIED
from ..domain.placement.fast_replace import alike
from ..domain.placement.placement import Calibration, Offer, Placement, Ranked, Shape, Wait, look, place, rank
from .local import CYCLE
from .machine import DEPTH
from .model import Job, Request, State
from .run import MOST_TRIES, Run, View

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
PARTITION = "batch"
LONGEST, EVERY = timedelta(days=30), timedelta(seconds=CYCLE)
AGAIN = 4  # a request for which no better place was found is examined again after this part of the patience
NOWHERE_FOR = 30.0  # seconds until a person for whom there was no place presses Start again
LEARNED_EVERY = 300.0  # seconds between readings of the real waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The federation's page with its defaults (`SecondChanceSpec`)."""

    patience: float = 40
    pinned_patience: float = 600
    start_patience: float = 180
    job_patience: float = 10
    copies: int = 3
    extra_share: float = 0.4
    extra_free: int = 5


class Session:
    """A request in the product's types, its expected wait, and whether its wait is watched."""

    __slots__ = ("asked", "centre", "learned", "looked_at", "promised", "wait", "watched")

    def __init__(self, request: Request) -> None:
        self.asked = JobRequest(
            person=f"p{request.person}",
            project="sim",
            cores=request.cores,
            walltime=timedelta(seconds=request.walltime),
        )
        self.wait: Wait | None = None
        self.centre = ""
        self.promised: float | None = None
        self.watched = self.learned = False
        self.looked_at = -1.0  # for a further copy


class Product:
    """`rule` is the product's rule; another may be given to measure its value."""

    watches = True

    def __init__(self, run: Run, rule: Rule | None = None) -> None:
        self.run, self.rule = run, rule or Rule()
        number = len(run.machines)
        self.breakers = [Breaker() for _ in range(number)]
        self.recent: list[list[Job]] = [[] for _ in range(number)]  # own submissions that the snapshot can't show yet
        self.freed_at = [-1.0] * number  # when one of those was withdrawn
        self.refusing = [False] * number  # centres that did not take a submission since the snapshot
        self._shown: list[tuple[int, float]] = [(-1, -1.0)] * number  # version and time of the facts in `_offers`
        self._offers: list[Offer] = []
        self.firsts: deque[float] = deque()
        self.furthers: deque[float] = deque()
        self.calibration, self.forecast, self._forecast_at = Calibration(), UNTRIED, 0.0
        self.promises = self.kept = 0

    # ---- reports of the run

    def arrived(self, request: Request) -> None:
        request.asked = Session(request)
        self._first(request)

    def started(self, job: Job) -> None:
        pass  # the others are withdrawn once it has called home

    def home(self, job: Job) -> None:
        """Records that its centre works, and that the other copies are not needed."""
        request = job.request
        assert request
        self.breakers[job.machine].succeeded()
        for other in request.copies:
            if other is not job and other.live:
                self.freed_at[other.machine] = self.run.now
                self.run.cancel_later(other)
        self._account(request)

    def died(self, job: Job, *, reached: bool) -> None:
        request = job.request
        assert request
        if reached:
            self.breakers[job.machine].failed(request.asked.asked.person, "it died", clock(self.run.now))
        else:
            self.refusing[job.machine] = True
        if request.winner:
            return
        if any(copy.live for copy in request.copies):
            self._watch(request)
        elif len(request.copies) < MOST_TRIES:
            self._first(request)
        else:
            self.run.give_up(request)

    # ---- first copies

    def _first(self, request: Request) -> None:
        tried = {copy.machine for copy in request.copies}
        best = (
            self._decide(request, [index for index in range(len(self.breakers)) if index not in tried]).best
            if tried
            else None
        )
        best = best or self._decide(request, range(len(self.breakers))).best
        if best is None:
            self.run.at(self.run.now + NOWHERE_FOR, self._first, request)
            return
        session = request.asked
        if session.wait is None:
            session.wait, session.centre = best.wait, best.offer.centre
            session.promised = best.range.p90 if best.range else None
        self.firsts.append(self.run.now)
        self._ask(request, best)

    def _ask(self, request: Request, best: Ranked) -> None:
        index = int(best.offer.centre)
        self.breakers[index].took(clock(self.run.now))
        self.recent[index].append(self.run.submit(request, index))
        self._watch(request)

    def _decide(self, request: Request, indices: Iterable[int]) -> Placement:
        self._learn()
        offers = [self._offer(index) for index in indices]
        return place(request.asked.asked, offers, now=clock(self.run.now), forecast=self.forecast, most=1)

    # ---- second chances

    def _watch(self, request: Request) -> None:
        if not request.asked.watched:
            request.asked.watched = True
            self.run.at(self.run.now + self.rule.patience, self._look, request)

    def _look(self, request: Request) -> None:
        live = [copy for copy in request.copies if copy.live]
        if request.winner or not 0 < len(live) < self.rule.copies:
            request.asked.watched = False
            return
        now, asked_at = self.run.now, max(copy.asked_at for copy in live)
        due_at = asked_at + self.rule.patience * len(live)
        if now < due_at:
            self.run.at(due_at, self._look, request)
            return
        if self._affordable() and (better := self._better(request)):
            self.furthers.append(now)
            self._ask(request, better)
        self.run.at(now + self.rule.patience / AGAIN, self._look, request)

    def _affordable(self) -> bool:
        hour_ago = self.run.now - 3600
        for times in (self.firsts, self.furthers):
            while times and times[0] < hour_ago:
                times.popleft()
        return hedging.affordable(
            self.rule, asked=len(self.firsts), further=len(self.furthers), centres=len(self.breakers)
        )

    def _better(self, request: Request) -> Ranked | None:
        """Returns where to submit too. Each offer is ranked alone, so until a further queue is worthwhile only those
        offers are ranked that have room and have changed since they were last ranked for this request: time alone makes
        no hole."""
        anywhere = hedging.anywhere(
            self.rule, asked_at=clock(request.copies[0].asked_at), pinned=False, now=clock(self.run.now)
        )
        tried = {copy.machine for copy in request.copies}
        since, request.asked.looked_at = request.asked.looked_at, self.run.now
        untried = [index for index in self.run.fits(request) if index not in tried]
        worth = untried if anywhere else [index for index in untried if self._news(index, request.cores, since)]
        if not worth:
            return None
        self._learn()
        offers = [self._offer(index) for index in worth]
        ranked = rank(request.asked.asked, offers, now=clock(self.run.now), forecast=self.forecast)[0]
        return hedging.where(ranked, anywhere=anywhere)

    def _news(self, index: int, cores: int, since: float) -> bool:
        view = self.run.view(index)
        return view.free >= cores and (view.since > since or self.freed_at[index] > since)

    # ---- promises

    def _account(self, request: Request) -> None:
        session = request.asked
        if session.learned or session.wait is None or request.started_at is None:
            return
        session.learned = True
        waited = request.started_at - request.arrived
        self.calibration.learn(session.wait, session.centre, waited, session.promised)
        if session.promised is not None and request.measured:
            self.promises += 1
            self.kept += waited <= session.promised

    def _learn(self) -> None:
        if self.run.now >= self._forecast_at:
            self.forecast, self._forecast_at = self.calibration.forecast(), self.run.now + LEARNED_EVERY

    # ---- offers

    def _offer(self, index: int) -> Offer:
        view, breaker = self.run.view(index), self.breakers[index]
        if not self._offers:
            self._offers = [
                offer_of(self.run.views[each], self.run.scenario.snapshot_age) for each in range(len(self.breakers))
            ]
        if (view.version, view.taken_at) != self._shown[index]:
            self._show(index, view)
        if self.recent[index]:
            self.recent[index] = [job for job in self.recent[index] if job.live]
        offer = self._offers[index]
        if (pending := tuple([Shape(job.cores) for job in self.recent[index]])) != offer.pending:
            offer = self._offers[index] = alike(offer, pending=pending)
        down, refused = (
            view.failing or self.refusing[index],
            breaker.refusal(clock(self.run.now)) if breaker.open_until else "",
        )
        if down or refused:
            return alike(offer, state="down" if down else "up", refused=refused)
        return offer

    def _show(self, index: int, view: View) -> None:
        """Takes a newer snapshot: own submissions that it shows are no longer pending."""
        if view.version == self._shown[index][0]:
            self._offers[index] = alike(self._offers[index], taken_at=clock(view.taken_at))
        else:
            taken_at, load = clock(view.taken_at), load_of(view)
            self._offers[index] = alike(self._offers[index], load=load, taken_at=taken_at, outlook=look(load, taken_at))
        self._shown[index] = (view.version, view.taken_at)
        self.recent[index] = [
            job for job in self.recent[index] if job.state == State.COMING or job.arrived >= view.taken_at
        ]
        self.refusing[index] = False


def offer_of(view: View, age: float) -> Offer:
    """Returns a centre as the product sees it in this snapshot."""
    taken_at, load = clock(view.taken_at), load_of(view)
    return Offer(
        centre=str(view.index), centre_name=f"Centre {view.index}", partition=PARTITION, cores=view.cores,
        max_walltime=LONGEST, order=view.index, load=load, taken_at=taken_at, max_age=timedelta(seconds=2 * age + 15),
        outlook=look(load, taken_at),
    )  # fmt: skip


class Bookings(Sequence[Booking]):
    """The running jobs of a snapshot, in the product's types: made from each job once, and only if a plan or a release
    is needed."""

    __slots__ = ("_view",)

    def __init__(self, view: View) -> None:
        self._view = view

    def __len__(self) -> int:
        return self._view.running_jobs

    def __iter__(self) -> Iterator[Booking]:
        return (job.booking or _booking(job) for _, _, _, job in self._view.running)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self)[index]


def load_of(view: View) -> PartitionLoad:
    node = NodeLoad(name="all", cores=view.cores, cores_used=view.cores - view.free)
    return PartitionLoad(
        name=PARTITION, nodes=(node,), queued_jobs=view.queued, queued_cores=view.queued_cores,
        running_jobs=view.running_jobs, running=Bookings(view),
        waiting=tuple([job.waiting or _waiting(job) for job in view.waiting]), reserves=1,
        backfill=Backfill(clock(view.passed_at), EVERY, DEPTH),
    )  # fmt: skip


def _booking(job: Job) -> Booking:
    made = job.booking = Booking(ends_at=clock(job.limit), cores=job.cores)
    return made


def _waiting(job: Job) -> Waiting:
    made = job.waiting = Waiting(cores=job.cores, walltime=timedelta(seconds=job.estimate))
    return made


def clock(at: float) -> datetime:
    return BEGIN + timedelta(seconds=at)
