"""A board of offers on which many requests are placed: a judgement is kept until the offer, or the time, changes it.

`Board.place` answers as `place` does on the same offers, and its cost grows with the changes since the last request of
that size, not with the list: a thousand centres answer thirty snapshots a second, and nearly all snapshots leave nearly
all judgements as they were. The values that people see (ages, seconds, words) are computed at the time of the answer,
only for the places shown.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple

from ..jobs import JobRequest
from .calibration import UNTRIED, Forecast
from .fast_replace import alike
from .offers import Offer
from .placement import Placement, Refusal, answer
from .policies import ALIKE, Policy, Ranked, judge, soonest, tie
from .rules import RULES, Rule, refusal
from .wait_model import START_SECONDS, TURN_SECONDS, Chance, Wait, expect

SIZES = 32  # sizes of requests whose judgements are kept
SHOWN = 10  # runners-up and refusals that an answer lists, if it can't list all
# sizes requested recently that are judged before the next request; how recently
READY, OF_LATE = 8, timedelta(minutes=5)
MINUTE = 60.0  # seconds: estimates of one kind are within a power of two of it
CLOSE = timedelta(seconds=30)  # to a flip: near enough to check whether it will happen at all
LEAST = timedelta(microseconds=1)
FOR_EVER = timedelta(days=36500)

Place = tuple[str, str]  # centre, partition
Line = list[tuple[tuple[Any, ...], Place]]  # sorted


class _Judged(NamedTuple):
    fits: bool
    key: tuple[Any, ...]  # its place in the order: the policy's key; for a refusal its tie
    until: datetime  # from then on, time alone may change `key`
    turns: datetime  # from then on, time alone may change `fits`
    floor: tuple[Any, ...]  # the best key that time alone may give it


class _Size:
    """All offers as they are judged for requests of one size, best first."""

    def __init__(
        self, request: JobRequest, startups: Mapping[str, float] | None = None, asked_at: datetime | None = None
    ) -> None:
        self.request, self.startups, self.asked_at, self.seen = request, startups or {}, asked_at, 0
        self.judged: dict[Place, _Judged] = {}
        self.fitting: Line = []
        self.refused: Line = []
        self.due: list[tuple[datetime, Place]] = []
        self.late: set[Place] = set()  # due, but by their floor too far behind to be looked at
        self.floor: tuple[Any, ...] | None = None  # the best key that any of them can have

    def forget(self, place: Place) -> None:
        self.late.discard(place)
        if known := self.judged.pop(place, None):
            line = self.fitting if known.fits else self.refused
            del line[bisect_left(line, (known.key, place))]

    def take(self, place: Place, judged: _Judged) -> None:
        self.forget(place)
        self.judged[place] = judged
        insort(self.fitting if judged.fits else self.refused, (judged.key, place))
        heapq.heappush(self.due, (judged.until, place))

    def overdue(self, now: datetime, most: int) -> Iterator[Place]:
        """Yields the places that time alone may have changed. A place that cannot thereby come among the first `most`
        waits until it can."""
        last = self.fitting[most][0] if most < len(self.fitting) else None
        while self.due and self.due[0][0] <= now:
            until, place = heapq.heappop(self.due)
            if not (known := self.judged.get(place)) or until not in (known.until, known.turns):
                continue
            if until < known.turns and last and last < known.floor and last < known.key:
                self.floor = min(self.floor, known.floor) if self.late and self.floor else known.floor
                self.late.add(place)
                heapq.heappush(self.due, (known.turns, place))
            else:
                yield place


class Board:
    """`put` the changed offers, then `place`. A board has one policy and one set of rules; `now` may not go back by
    more than a few seconds.

    A size is the demand of a request on a place. Requests of one size that differ by person, project or files differ
    only in which centres are open to them and which one is nearer. So a rule may use those only to refuse, and a policy
    may use `near` only to put that centre before all others alike. A policy may not prefer a longer wait."""

    def __init__(self, *, policy: Policy = soonest, rules: Sequence[Rule] = RULES, shown: int = SHOWN) -> None:
        self.policy, self.rules, self.shown = policy, rules, shown
        self.offers: dict[Place, Offer] = {}
        self.forecast = UNTRIED
        self._centres: dict[str, dict[Place, Offer]] = {}  # each offer with the consequences of its load
        self._order: Line = []
        self._changes: list[Place] = []
        self._sizes: OrderedDict[tuple[JobRequest, str], _Size] = OrderedDict()

    def put(self, offers: Iterable[Offer]) -> None:
        """Adds offers that are new or changed. A load without the time at which it was taken is ignored."""
        for offer in offers:
            place = (offer.centre, offer.partition)
            self._order_out(place)
            self.offers[place] = offer
            self._centres.setdefault(offer.centre, {})[place] = offer.settled()
            insort(self._order, (tie(offer), place))
            self._changes.append(place)
        if len(self._changes) > 4 * len(self.offers) + 1000:
            self._trim(len(self._changes) // 2)

    def drop(self, centre: str) -> None:
        for place in self._centres.pop(centre, {}):
            self._order_out(place)
            del self.offers[place]
            self._changes.append(place)

    def expect(self, forecast: Forecast) -> None:
        """Uses these ranges from now on. Where they differ, everything is judged again."""
        if forecast is not self.forecast and forecast != self.forecast:
            for key, size in self._sizes.items():
                self._sizes[key] = _Size(size.request, size.startups, size.asked_at)
        self.forecast = forecast

    def keep_up(self, now: datetime) -> None:
        """Judges changed offers for the sizes requested recently, so that a start does not have to wait for it."""
        for size in list(self._sizes.values())[-READY:]:
            if size.asked_at and now - size.asked_at <= OF_LATE:
                self._refresh(size, now, self.shown)

    def place(
        self,
        request: JobRequest,
        *,
        now: datetime,
        refused: Mapping[str, str] | None = None,
        startups: Mapping[str, float] | None = None,
        whole: bool = False,
    ) -> Placement:
        """Answers as `place` does on all offers. `refused` says, by centre, why this person can't be there; `startups`,
        how many seconds such a session takes there until it is ready, where that is known. Lists as many places as
        `shown`, or the `whole`."""
        size = self._size(request, startups or {})
        size.asked_at = now
        most = len(self.offers) if whole else self.shown
        self._refresh(size, now, most)
        view = _View(self, size, request, refused or {}, now)
        if size.late and not view.sure(most + 1):
            self._catch_up(size, now)
            view = _View(self, size, request, refused or {}, now)
        ranked, refusals = view.ranked(most + 1), view.refusals(most)
        unfit = len(self.offers) - view.count
        return answer(request, now, ranked, refusals, more=view.count - len(ranked), more_refused=unfit - len(refusals))

    def _order_out(self, place: Place) -> None:
        if known := self.offers.get(place):
            del self._order[bisect_left(self._order, (tie(known), place))]

    def _trim(self, cut: int) -> None:
        """Forgets the older changes, and the sizes that were not requested since."""
        del self._changes[:cut]
        self._sizes = OrderedDict((key, size) for key, size in self._sizes.items() if size.seen >= cut)
        for size in self._sizes.values():
            size.seen -= cut

    def _size(self, request: JobRequest, startups: Mapping[str, float]) -> _Size:
        like = JobRequest(
            person="", project="", cores=request.cores, memory=request.memory, gpus=request.gpus,
            gpu_model=request.gpu_model, nodes=request.nodes, walltime=request.walltime, max_price=request.max_price,
        )  # fmt: skip
        key = (like, request.app if startups else "")
        size = self._sizes.pop(key, None) or _Size(like)
        self._sizes[key] = size
        if len(self._sizes) > SIZES:
            self._sizes.popitem(last=False)
        if startups is not size.startups:
            before, size.startups = size.startups, startups
            for centre in startups.keys() | before.keys():
                if startups.get(centre) != before.get(centre):
                    self._changes += self._centres.get(centre, ())
        return size

    def _refresh(self, size: _Size, now: datetime, most: int) -> None:
        stale = {*self._changes[size.seen :], *size.overdue(now, most)} if size.judged else set(self.offers)
        size.seen = len(self._changes)
        for place in stale:
            if place in self.offers:
                size.take(place, self._judge(size, place, now))
            else:
                size.forget(place)

    def _catch_up(self, size: _Size, now: datetime) -> None:
        for place in list(size.late):
            size.take(place, self._judge(size, place, now))

    def _judge(self, size: _Size, place: Place, now: datetime) -> _Judged:
        request, offer = size.request, self.seen(size, place, now)
        turns = _turns(request, offer, now)
        if refusal(request, offer, self.rules):
            return _Judged(False, tie(offer), turns, turns, ())
        ranked = judge(request, offer, now, self.forecast)
        key, flips = self.policy(request, ranked), _flips(request, ranked, now, self.forecast)
        if flips >= turns:
            return _Judged(True, key, turns, turns, key)
        at_best = alike(ranked, wait=Wait(Chance.HOLE, "", 0.0, now), range=None)
        return _Judged(True, key, flips, turns, self.policy(request, at_best))

    def seen(self, size: _Size, place: Place, now: datetime, refused: str = "") -> Offer:
        """Returns an offer as it is now for that size, and for a person who is `refused` there."""
        changes: dict[str, Any] = {"refused": refused} if refused else {}
        if place[0] in size.startups:
            changes["startup"] = size.startups[place[0]]
        return self._centres[place[0]][place].aged(now, **changes)

    def centres(self) -> Iterable[str]:
        return self._centres

    def places(self, centre: str) -> Iterable[Place]:
        return self._centres.get(centre, ())

    def in_order(self) -> Iterator[Place]:
        """Yields the places in the federation's order."""
        return (place for _, place in self._order)


class _View:
    """A board for one request: adds the facts of its person and its project, which no size includes."""

    def __init__(
        self, board: Board, size: _Size, request: JobRequest, refused: Mapping[str, str], now: datetime
    ) -> None:
        self.board, self.size, self.request, self.refused, self.now = board, size, request, refused, now
        self.only = {request.centre} if request.centre else {*request.centres}
        self.somewhere = bool(self.only or request.partition)
        if self.somewhere:
            self.asked = {
                place for centre in self.only or board.centres() for place in board.places(centre) if self._named(place)
            }
            self.fitting = sorted((size.judged[place].key, place) for place in self.asked if self._fits(place))
            self.shut: list[Place] = []
            self.count = len(self.fitting)
        else:  # everywhere: few places are looked at that are not shown
            self.asked, self.fitting = set(), size.fitting
            self.shut = [place for centre in refused for place in board.places(centre) if size.judged[place].fits]
            self.count = len(self.fitting) - len(self.shut)

    def sure(self, most: int) -> bool:
        """Tells whether the first `most` places are certain, whatever became of the late ones."""
        if self.somewhere:
            return self.size.late.isdisjoint(self.asked)
        last = next(islice((key for key, place in self.fitting if place[0] not in self.refused), most - 1, None), None)
        return last is not None and self.size.floor is not None and last < self.size.floor

    def _named(self, place: Place) -> bool:
        return self.request.partition in ("", place[1]) and (not self.only or place[0] in self.only)

    def _fits(self, place: Place) -> bool:
        allowed = place[0] not in self.refused and (not self.request.centres or place[0] in self.request.centres)
        return allowed and self._named(place) and self.size.judged[place].fits

    def ranked(self, most: int) -> list[Ranked]:
        """Returns the first `most` places that fit, best first."""
        first = dict.fromkeys(islice((place for _, place in self.fitting if place[0] not in self.refused), most))
        near = [place for place in self.board.places(self.request.near) if self._fits(place)]
        ranked = [
            judge(self.request, self._offer(place), self.now, self.board.forecast)
            for place in first | dict.fromkeys(near)
        ]
        return sorted(ranked, key=lambda one: self.board.policy(self.request, one))[:most] if near else ranked

    def refusals(self, most: int) -> list[Refusal]:
        """Returns the first `most` places that don't fit, in the federation's order; places that were asked for by name
        come first."""
        if self.somewhere:
            own = sorted((place for place in self.asked if not self._fits(place)), key=self._tie)
            others = (place for place in self.board.in_order() if place not in self.asked)
            places = list(islice(chain(own, others), most))
        else:
            places = [place for _, place in self.size.refused[:most]] + heapq.nsmallest(most, self.shut, key=self._tie)
        offers = [self._offer(place) for place in sorted(places, key=self._tie)[:most]]
        return [
            Refusal(
                centre=one.centre,
                centre_name=one.centre_name,
                partition=one.partition,
                reason=refusal(self.request, one, self.board.rules),
            )
            for one in offers
        ]

    def _tie(self, place: Place) -> tuple[Any, ...]:
        return tie(self.board.offers[place])

    def _offer(self, place: Place) -> Offer:
        return self.board.seen(self.size, place, self.now, self.refused.get(place[0], ""))


def _turns(request: JobRequest, offer: Offer, now: datetime) -> datetime:
    """Returns when time alone may make an offer fit or no longer fit: its answer grows old, or a maintenance or an
    announcement begins or ends."""
    times = [offer.taken_at + offer.max_age + LEAST] if offer.taken_at else []
    for window in offer.maintenance:
        times += [window.start - request.walltime + LEAST, window.end]
    for word in offer.announcements:
        times += [word.start, word.end]
    return min((at for at in times if at > now), default=now + FOR_EVER)


def _flips(request: JobRequest, ranked: Ranked, now: datetime, forecast: Forecast) -> datetime:
    """Returns when time alone moves the offer in the order: a hole opens or closes, its scheduler has looked, or an
    estimate, which only falls, gets below the next power of two."""
    offer, wait = ranked.offer, ranked.wait
    plan = offer.seen.plan if offer.seen else None
    turn = plan.next_turn(now - LEAST, request.walltime) if plan else None
    # a job that ends at exactly that time is over, a job that begins then has not begun
    until = max(turn, now + LEAST) if turn else now + FOR_EVER
    if wait.look:
        until = min(until, wait.look - timedelta(seconds=START_SECONDS))  # a later submission is for the look after it
    elif wait.seconds is None or wait.chance <= Chance.HOLE or wait.seconds <= TURN_SECONDS:
        return until
    left = math.inf
    if ranked.range is None and ranked.ready_s is not None:
        left = _above(ranked.ready_s, ALIKE) / ranked.scale
    if forecast.ranges and wait.seconds is not None:
        left = min(left, _above(wait.seconds, MINUTE))
    if left == math.inf:
        return until
    falls = now + timedelta(seconds=left) + LEAST
    if falls < now + CLOSE < until and expect(request, offer, now + CLOSE).seconds == wait.seconds:
        return now + CLOSE  # the estimate does not fall yet
    return min(until, falls)


def _above(seconds: float, unit: float) -> float:
    """Returns by how much `seconds` is above the next lower power of two of `unit`."""
    steps = int(seconds // unit).bit_length()
    return seconds - unit * 2 ** (steps - 1) if steps else math.inf
