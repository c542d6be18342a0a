"""A board of offers on which many requests are placed: what was judged is kept until the offer, or the time, changes it.

`Board.place` answers as `place` does on the same offers, and costs what changed since the last request of that size instead of what
there is: a thousand centres answer thirty snapshots a second, and nearly all of them say what they said before to nearly all requests.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..jobs import JobRequest
from . import Placement, Refusal, answer
from .calibration import UNTRIED, Forecast
from .offers import Offer
from .policy import ALIKE, Policy, Ranked, judge, soonest, tie
from .rules import RULES, Rule, refusal
from .wait import START_SECONDS, Chance

SIZES = 32  # kinds of requests whose judgements are kept
SHOWN = 20  # runners-up and refusals that an answer lists, if it can't list all
SOON = timedelta(seconds=10)  # a refusal's words may tell a time
FOR_EVER = timedelta(days=36500)

Place = tuple[str, str]  # centre, partition


class _Judged(NamedTuple):
    key: tuple[Any, ...]  # where it stands: the policy's key; of a refusal its tie
    ranked: Ranked | None
    reason: str


class _Size:
    """All offers as they are for requests of one size, best first."""

    def __init__(self, request: JobRequest) -> None:
        self.request, self.seen = request, 0
        self.judged: dict[Place, _Judged] = {}
        self.fitting: list[tuple[tuple[Any, ...], Place]] = []
        self.refused: list[tuple[tuple[Any, ...], Place]] = []
        self.due: list[tuple[datetime, Place]] = []

    def forget(self, place: Place) -> None:
        if known := self.judged.pop(place, None):
            line = self.fitting if known.ranked else self.refused
            del line[bisect_left(line, (known.key, place))]

    def take(self, place: Place, judged: _Judged, until: datetime) -> None:
        self.forget(place)
        self.judged[place] = judged
        insort(self.fitting if judged.ranked else self.refused, (judged.key, place))
        heapq.heappush(self.due, (until, place))


class Board:
    """`put` what changed, then `place`. One policy and one set of rules; `now` may not go back by more than a few seconds."""

    def __init__(self, *, policy: Policy = soonest, rules: Sequence[Rule] = RULES, shown: int = SHOWN) -> None:
        self.policy, self.rules, self.shown = policy, rules, shown
        self.offers: dict[Place, Offer] = {}
        self.forecast = UNTRIED
        self._changes: list[Place] = []
        self._sizes: OrderedDict[JobRequest, _Size] = OrderedDict()

    def put(self, offers: Iterable[Offer]) -> None:
        """These are new, or are not as they were."""
        for offer in offers:
            place = (offer.centre, offer.partition)
            self.offers[place] = offer
            self._changes.append(place)
        if len(self._changes) > 4 * len(self.offers) + 1000:
            self._sizes.clear()
            self._changes.clear()

    def drop(self, centre: str) -> None:
        for place in [place for place in self.offers if place[0] == centre]:
            del self.offers[place]
            self._changes.append(place)

    def expect(self, forecast: Forecast) -> None:
        """From now on by these ranges: everything is judged anew."""
        if forecast is not self.forecast:
            self.forecast = forecast
            self._sizes.clear()

    def place(self, request: JobRequest, *, now: datetime, refused: Mapping[str, str] | None = None) -> Placement:
        """As `place` on all offers; `refused` says by centre why this person can't be there."""
        size = self._size(request)
        self._refresh(size, now)
        closed = refused or {}
        ranked = [self._again(request, place, now) for place in self._first(size.fitting, closed)]
        refusals = [self._refusal(size, place, closed) for place in self._out(size, closed)]
        open_ = len(size.fitting) if not closed else sum(place[0] not in closed for _, place in size.fitting)
        return answer(request, now, ranked, refusals, more=open_ - len(ranked), more_refused=len(self.offers) - open_ - len(refusals))

    def _size(self, request: JobRequest) -> _Size:
        project = request.project if request.centres else ""  # a refusal names it
        like = JobRequest(
            person="", project=project, cores=request.cores, memory=request.memory, gpus=request.gpus, gpu_model=request.gpu_model,
            nodes=request.nodes, walltime=request.walltime, centre=request.centre, partition=request.partition,
            centres=request.centres, max_price=request.max_price, near=request.near,
        )  # fmt: skip
        size = self._sizes.pop(like, None) or _Size(like)
        self._sizes[like] = size
        if len(self._sizes) > SIZES:
            self._sizes.popitem(last=False)
        return size

    def _refresh(self, size: _Size, now: datetime) -> None:
        stale: set[Place] = set(self._changes[size.seen :]) if size.judged else set(self.offers)
        size.seen = len(self._changes)
        while size.due and size.due[0][0] <= now:
            stale.add(heapq.heappop(size.due)[1])
        for place in stale:
            if offer := self.offers.get(place):
                size.take(place, *self._judge(size.request, offer.at(now), now))
            else:
                size.forget(place)

    def _judge(self, request: JobRequest, offer: Offer, now: datetime) -> tuple[_Judged, datetime]:
        if reason := refusal(request, offer, self.rules):
            return _Judged(tie(offer), None, reason), min(now + SOON, _turns(request, offer, now))
        ranked = judge(request, offer, now, self.forecast)
        return _Judged(self.policy(request, ranked), ranked, ""), min(_turns(request, offer, now), _flips(request, ranked, now))

    def _again(self, request: JobRequest, place: Place, now: datetime) -> Ranked:
        """With the ages and estimates of this moment, which do not change where it stands."""
        return judge(request, self.offers[place].at(now), now, self.forecast)

    def _first(self, line: Sequence[tuple[Any, Place]], closed: Mapping[str, str]) -> list[Place]:
        found: list[Place] = []
        for _, place in line:
            if place[0] not in closed:
                found.append(place)
                if len(found) > self.shown:
                    break
        return found

    def _out(self, size: _Size, closed: Mapping[str, str]) -> list[Place]:
        """Who is refused, or closed to this person, in the federation's order."""
        first = [place for _, place in size.refused[: self.shown]]
        if not closed:
            return first
        more = [place for place in size.judged if place[0] in closed]
        return sorted({*first, *more}, key=lambda place: tie(self.offers[place]))[: self.shown]

    def _refusal(self, size: _Size, place: Place, closed: Mapping[str, str]) -> Refusal:
        offer = self.offers[place]
        reason = size.judged[place].reason
        if offer.centre in closed and not (size.request.centre and size.request.centre != offer.centre):
            reason = closed[offer.centre]
        return Refusal(centre=offer.centre, centre_name=offer.centre_name, partition=offer.partition, reason=reason)


def _turns(request: JobRequest, offer: Offer, now: datetime) -> datetime:
    """When time alone may make an offer fit, or fit no more: its answer grows old, or a maintenance or an announcement begins or ends."""
    times = [offer.taken_at + offer.max_age + timedelta(microseconds=1)] if offer.taken_at else []
    for window in offer.maintenance:
        times += [window.start - request.walltime + timedelta(microseconds=1), window.start, window.end]
    for word in offer.announcements:
        times += [word.start, word.end]
    return min((at for at in times if at > now), default=now + FOR_EVER)


def _flips(request: JobRequest, ranked: Ranked, now: datetime) -> datetime:
    """When time alone makes it stand elsewhere: a hole opens or closes, an estimate falls below the next power of two."""
    seen, wait, least = ranked.offer.seen, ranked.wait, timedelta(microseconds=1)
    turn = seen.plan.next_turn(now, request.walltime) if seen and seen.plan else None
    turns = turn + least if turn else now + FOR_EVER
    if wait.chance in (Chance.NOW, Chance.HOLE):
        arrives = wait.look and wait.look - timedelta(seconds=START_SECONDS)  # later than that it is for the look after it
        return min(turns, arrives) if arrives else turns
    if ranked.range is not None:
        return min(turns, now + SOON)  # its kind may change
    if ranked.ready_s is None:
        return turns
    steps = int(ranked.ready_s // ALIKE).bit_length()
    below = ALIKE * 2 ** (steps - 1) if steps else 0.0
    return min(turns, now + timedelta(seconds=max(0.0, ranked.ready_s - below)) + least)
