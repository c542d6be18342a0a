"""Computes the cost of a session at its place before it starts, from the centre's page and from the use of earlier
sessions.

Computes also its hold at the start: its full cost, or, where it has a lease, the cost of the first one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...domain.centres.state import CentreStates
from ...domain.jobs import JobRequest
from ...domain.placement.clusters import ClusterPlace
from ...domain.placement.placement import Ranked, allotted, memory_of, more_than_asked
from ...domain.pricing import leases, quotes
from ...domain.pricing.quotes import ClusterQuote, Quote, quote
from ...domain.pricing.tariffs import NoPrice, Tariff, tariff_of
from ...domain.sessions.records import SessionCopy
from ...units import Amount, format_duration

KNOWN = 50  # newest sessions of the person and kind that count
CENTRES = 100  # centres that are quoted at once, the best ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The hold of a session at its start, and until when it lasts if the session has a lease (None: for its whole
    walltime). `note` says where the session gets more than it asks for."""

    amount: Amount
    lasts: timedelta
    leased_until: datetime | None
    note: str = ""

    @property
    def words(self) -> str:
        most = f"the first {format_duration(self.lasts)} at most" if self.leased_until else "the most it may cost"
        return f"{most}. {self.note}" if self.note else most


def hold_of(request: JobRequest, place: Ranked, states: CentreStates, length: timedelta, now: datetime) -> Hold:
    """Returns the hold for `request` at that place, with leases of that length: a quote's `first`. Raises NoPrice."""
    lasts = leases.first_for(request.kind, request.walltime, length)
    starts_at = _starts_at(place, now)
    amount = quotes.most(
        _given(request, place), _tariff(place, states), now, starts_at + quotes.PATIENCE,
        memory=memory_of(request, place.offer), walltime=lasts,
    )  # fmt: skip
    return Hold(
        amount=amount, lasts=lasts, leased_until=leases.until_first(now, request.kind, request.walltime, length),
        note=more_than_asked(request, place.offer),
    )  # fmt: skip


def would_pass(request: JobRequest, place: Ranked, states: CentreStates, limit: Amount, now: datetime) -> timedelta:
    """Returns the longest walltime, in whole minutes, that costs no more than `limit` there. Raises NoPrice."""
    tariff, memory, starts_by = (
        _tariff(place, states),
        memory_of(request, place.offer),
        _starts_at(place, now) + quotes.PATIENCE,
    )

    given = _given(request, place)

    def passes(minutes: int) -> bool:
        return quotes.most(given, tariff, now, starts_by, memory=memory, walltime=timedelta(minutes=minutes)) <= limit

    minutes = range(1, request.walltime // timedelta(minutes=1) + 1)
    return timedelta(minutes=bisect_left(minutes, True, key=lambda each: not passes(each)))


def quoted(
    tx: Tx,
    request: JobRequest,
    place: Ranked,
    states: CentreStates,
    available: Amount | None,
    now: datetime,
    length: timedelta = timedelta(),
) -> Quote:
    """Quotes `request` at that place. `available` is None where no project would pay; `length` is that of leases (0: no
    leases). Raises NoPrice where the centre's page has no price for the request."""
    return _quote(request, place, states, available, now, length, _history(tx, request))


def quoted_each(
    tx: Tx,
    request: JobRequest,
    places: Sequence[Ranked],
    states: CentreStates,
    available: Amount | None,
    now: datetime,
    length: timedelta,
) -> list[tuple[Ranked, Quote | NoPrice]]:
    """Quotes the first of `places` at each centre, or returns why there is no quote, for a person who chooses among
    them."""
    history, found = _history(tx, request), []
    firsts: dict[str, Ranked] = {}
    for place in places:
        firsts.setdefault(place.offer.centre, place)
    for place in [*firsts.values()][:CENTRES]:
        one: Quote | NoPrice
        try:
            one = _quote(request, place, states, available, now, length, history)
        except NoPrice as error:
            one = error
        found.append((place, one))
    return found


def _quote(
    request: JobRequest,
    place: Ranked,
    states: CentreStates,
    available: Amount | None,
    now: datetime,
    length: timedelta,
    history: Sequence[float],
) -> Quote:
    given = replace(_given(request, place), memory=memory_of(request, place.offer))
    first_for = leases.first_for(request.kind, request.walltime, length)
    made = quote(
        given, _tariff(place, states), now, starts_at=_starts_at(place, now), history=history, first_for=first_for
    )
    return replace(made, available=available, note=more_than_asked(request, place.offer))


def quoted_cluster(
    tx: Tx, place: ClusterPlace, states: CentreStates, available: Amount | None, now: datetime, length: timedelta
) -> ClusterQuote:
    """Quotes all jobs at that place together. Raises NoPrice."""
    history = _history(tx, place.jobs[0])
    alike = Counter((job, judged.told_s) for job, judged in place.each())
    judged_for = {(job, judged.told_s): judged for job, judged in place.each()}
    return quotes.together(
        [
            (count, _quote(job, judged_for[job, told], states, available, now, length, history))
            for (job, told), count in alike.items()
        ]
    )


def quoted_clusters(
    tx: Tx,
    places: Sequence[ClusterPlace],
    states: CentreStates,
    available: Amount | None,
    now: datetime,
    length: timedelta,
) -> list[ClusterQuote | NoPrice]:
    """Quotes all jobs at each of these places, or returns why there is no quote."""
    found: list[ClusterQuote | NoPrice] = []
    for place in places:
        try:
            found.append(quoted_cluster(tx, place, states, available, now, length))
        except NoPrice as error:
            found.append(error)
    return found


def _history(tx: Tx, request: JobRequest) -> list[float]:
    return shares(session_rows.ended(tx, person=request.person, kind=request.kind, limit=KNOWN))


def _given(request: JobRequest, place: Ranked) -> JobRequest:
    return allotted(request, place.offer.load, place.offer.gpu_model)


def _tariff(place: Ranked, states: CentreStates) -> Tariff:
    spec = states.centres[place.offer.centre].spec
    offered = spec.offered(place.offer.partition)
    assert offered is not None  # the place is an offer of that page
    return tariff_of(spec, offered)


def _starts_at(place: Ranked, now: datetime) -> datetime:
    return now + timedelta(seconds=place.told_s or 0)


def shares(rows: Sequence[SessionCopy]) -> list[float]:
    """Returns which parts of their walltimes sessions used that ran."""
    found = []
    for session, copy in rows:
        started, ended, walltime = copy.started_at, session.ended_at, session.request.get("walltime_s")
        if started and ended and ended >= started and walltime:
            found.append((ended - started).total_seconds() / walltime)
    return found
