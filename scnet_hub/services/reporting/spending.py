"""Reports spending by person, centre and time, each project's rate of spending, and until when its credits last. Reads
the ledger and the running sessions; writes nothing.

Charges come from the centres' records and are dated by when the charged use began, in days of the federation's zone.
Running sessions are an estimate, reported beside the charges and never in the same number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from ...adapters.db.database import Database, Tx
from ...adapters.db.queries import open_sessions as open_session_rows
from ...adapters.db.queries import spending as spending_rows
from ...adapters.db.queries.open_sessions import OpenRow
from ...adapters.db.queries.spending import ChargeRow
from ...display import endings
from ...display.times import parse_instant
from ...domain.centres.state import CentreStates
from ...domain.ledger.burn_down import burn_down, runs_out_at
from ...domain.ledger.lots import Lot
from ...domain.sessions.records import SessionCopy
from ...errors import BadOption
from ...units import CREDIT, Amount, credits
from ..accounting.running_costs import Flown, flown
from ..documents import iso, number
from .usage_question import BY, Question, seen

Json = dict[str, Any]
T = TypeVar("T")
K = TypeVar("K")
DAYS, WEEK = 14, 7  # days that a balance lists one by one; days over which the rate is taken
LONGEST = timedelta(days=366)
BACK = timedelta(days=30)  # how far back a burn-down goes


class Recent(NamedTuple):
    """A project's spending on each of its last days, today last, read when its lots had `spent` in sum. `after`: the id
    of an entry older than all of these; `began`: when its ledger began; `record`: when its newest charge was
    written."""

    spent: int
    today: date
    after: int
    days: tuple[int, ...]
    began: datetime | None
    record: datetime | None


class Spending:
    """Reports from the ledger in `db`, with the running sessions at the centres in `load`."""

    def __init__(self, db: Database, states: CentreStates, clock: Callable[[], datetime], zone: str) -> None:
        self.db, self.states, self.clock = db, states, clock
        self.zone = ZoneInfo(zone)
        self._recent: dict[str, Recent] = {}

    # ---- how long credits last

    def outlook(self, tx: Tx, project: str, lots: Sequence[Lot], rows: Sequence[OpenRow], flights: Flown) -> Json:
        """Returns the outlook shown beside a project's balance: its rate of spending, until when its credits last, and
        the age of the numbers. `rows`: its uncharged sessions; `flights`: their use."""
        now, in_flight = self.clock(), flights.total()
        recent = self.recent(tx, project, lots, now)
        running = {row.centre for row in rows if row.started_at and row.job_live}
        rate, hourly = self.rate(recent, in_flight, now), sum(flights.hourly.values())
        return {
            "burn_rate": None if rate is None else number(rate),
            "per_hour": number(hourly),
            "runs_out_at": None if rate is None else self._ends(lots, in_flight, rate.micros, now),
            "runs_out_now_at": self._ends(lots, in_flight, 24 * hourly, now),
            "as_of": {"settled": iso(recent.record), "in_flight": iso(self._looked(running, now))},
            "waiting": sum(not row.job_live for row in rows),
            "last_days": [
                {"day": f"{day}", "charged": number(micros)}
                for day, micros in zip(self._days(now), recent.days, strict=True)
            ],
        }

    def recent(self, tx: Tx, project: str, lots: Sequence[Lot], now: datetime) -> Recent:
        """Returns the recent spending. Reads again only after a new charge, and then only the entries of these days."""
        days, spent = self._days(now), sum(lot.spent for lot in lots)
        known = self._recent.get(project)
        if known and (known.spent, known.today) == (spent, days[-1]):
            return known
        rows = spending_rows.charges(
            tx, self.midnight(days[0]), now + LONGEST, project=project, after=known.after if known else 0, unit=CREDIT
        )
        sums = dict.fromkeys(days, 0)
        for row in rows:
            day = min(self.day(row.at), days[-1])
            sums[day] += row.micros
        after = min((row.id for row in rows), default=known.after + 1 if known else 1) - 1
        record = max(
            (row.recorded_at for row in rows),
            default=known.record if known else spending_rows.last_charged(tx, project),
        )
        began = known.began if known and known.began else spending_rows.began(tx, project)
        found = Recent(spent=spent, today=days[-1], after=after, days=tuple(sums.values()), began=began, record=record)
        self._recent[project] = found
        return found

    def _ends(self, lots: Sequence[Lot], in_flight: Amount, per_day: int, now: datetime) -> str | None:
        """Returns until when the lots last at `per_day` micro-credits; None: nothing is spent, or they last for three
        years."""
        return iso(runs_out_at(burn_down(lots, in_flight.micros, per_day, now), per_day))

    def rate(self, recent: Recent, in_flight: Amount, now: datetime) -> Amount | None:
        """Returns credits per day over the last week, in flight included; for a younger ledger since it began. None
        while unknown: if everything in that week was spent today, because an hour's use does not predict a day's."""
        week = recent.days[-WEEK:]
        if (any(week) or in_flight) and not any(week[:-1]):
            return None
        since = max(self.midnight(self._days(now)[-WEEK]), recent.began or now)
        lasted = max(now - since, timedelta(days=1))
        micros = max(0, sum(recent.days[-WEEK:]) + in_flight.micros)
        return Amount(micros * 86_400_000_000 // (lasted // timedelta(microseconds=1)))

    def _looked(self, centres: Iterable[str], now: datetime) -> datetime:
        """Returns the time of the oldest look on which the amount in flight is based."""
        known = [self.states.centres[one].snapshot for one in centres if one in self.states.centres]
        return min((one.taken_at for one in known if one), default=now)

    def burning(self, tx: Tx, project: str, lots: Sequence[Lot], flying: float) -> Json:
        """Returns a project's credits at the ends of its last days, and a forecast at its current rate. `flying`:
        credits in flight."""
        now, in_flight = self.clock(), credits(flying)
        recent = self.recent(tx, project, lots, now)
        rate = self.rate(recent, in_flight, now)
        ahead = burn_down(lots, in_flight.micros, rate.micros, now) if rate is not None else ()
        left = sum(lot.available + lot.held for lot in lots)
        changes = spending_rows.moved(tx, project, CREDIT, now - BACK)[::-1]
        past: list[Json] = []
        for back, day in enumerate(reversed(self._days(now, BACK.days))):
            end = now if not back else self.midnight(day + timedelta(days=1))
            if recent.began and end < recent.began:
                break
            later = sum(micros for at, micros in changes if at >= end)
            past.append({"at": iso(end), "left": number(left - later - (0 if back else in_flight.micros))})
        return {
            "past": past[::-1],
            "ahead": [{"at": iso(one.at), "left": number(one.left), "lost": number(one.lost)} for one in ahead],
        }

    # ---- who spent what

    async def usage(self, question: Question, asker: str, *, operator: bool = False) -> Json:
        """Answers a question. Raises NotEntitled, NotFound or BadOption."""
        if question.by not in BY:
            raise BadOption(f"by: {question.by[:40]!r} is not one of {', '.join(BY)}.")
        if (question.until or self.clock()) - question.since > LONGEST:
            raise BadOption("The range is longer than a year.", hint="Give a shorter range with since and until.")
        if question.until and question.until <= question.since:
            raise BadOption("until: must be after since.")
        return await self.db.query(self._usage, question, asker, operator)

    def _usage(self, tx: Tx, question: Question, asker: str, operator: bool) -> Json:
        person = question.person if operator else seen(tx, asker, question.project, question.person)
        now = self.clock()
        until = question.until or now + timedelta(days=1)  # includes charges that a centre's clock dates ahead
        rows = spending_rows.charges(tx, question.since, until, project=question.project, person=person, unit=CREDIT)
        asked_now = question.since <= now < until
        running = (
            open_session_rows.uncharged(tx, project=question.project, person=person, begun=True) if asked_now else []
        )
        unpaid = flown(tx, self.states, running, now, self.month(now)).unpaid
        flights = {one: micros for one, micros in unpaid.items() if micros}
        runs = {row.id: row for row in running if row.id in flights}
        count, found = MADE[question.by](self, tx, question, rows, runs, flights)
        left = max(0, count - question.after - len(found))
        return {
            "as_of": iso(now), "zone": self.zone.key, "since": iso(question.since), "until": iso(question.until),
            "first_day": f"{self.day(question.since)}", "last_day": f"{self._last(question)}", "by": question.by,
            "project": question.project, "person": person, "unit": CREDIT,
            "charged": number(sum(row.micros for row in rows)), "in_flight": number(sum(flights.values())),
            "sessions": len({row.session for row in rows} | set(runs)), "rows": found, "more": left,
            "next": question.after + len(found) if left else None,
        }  # fmt: skip

    def _by_day(self, tx: Tx, question: Question, rows: Rows, runs: Runs, flights: Flights) -> Found:
        by_day, first, today = (
            _grouped(rows, lambda row: self.day(row.at)),
            self.day(question.since),
            self.day(self.clock()),
        )
        days = [first + timedelta(days=on) for on in range((self._last(question) - first).days + 1)]
        days += sorted({*by_day} - {*days})
        shown = [
            {"day": f"{day}", **_sums(by_day.get(day, []), runs if day == today else {}, flights)}
            for day in question.of(days)
        ]
        return len(days), shown

    def _by_centre(self, tx: Tx, question: Question, rows: Rows, runs: Runs, flights: Flights) -> Found:
        found = _by_name("centre", rows, runs, flights)
        return len(found), [one | {"centre_name": self._name(one["centre"])} for one in question.of(found)]

    def _by_person(self, tx: Tx, question: Question, rows: Rows, runs: Runs, flights: Flights) -> Found:
        found = _by_name("person", rows, runs, flights)
        return len(found), question.of(found)

    def _by_session(self, tx: Tx, question: Question, rows: Rows, runs: Runs, flights: Flights) -> Found:
        latest = {row.session: row.at for row in rows} | {
            one: row.started_at for one, row in runs.items() if row.started_at
        }
        order = sorted(latest, key=lambda one: (one in runs, latest[one], one), reverse=True)
        page = question.of(order)
        known = spending_rows.by_id(tx, page)
        charges: dict[str, list[Json]] = {one: [] for one in page}
        for row in rows:
            if row.session in charges:
                charges[row.session].append(charge(row))
        return len(order), [self._session(one, known.get(one), charges[one], flights.get(one, 0)) for one in page]

    def _session(self, session: str, row: SessionCopy | None, charges: list[Json], flight: int) -> Json:
        facts: Json = {
            "name": "",
            "kind": "",
            "person": "",
            "project": "",
            "centre": "",
            "started_at": None,
            "ended_at": None,
            "live": False,
            "outcome": "",
        }
        if row:
            known, copy = row
            facts = {name: getattr(known, name) for name in ("name", "kind", "person", "project", "live")}
            facts |= {"centre": copy.centre, "started_at": iso(copy.started_at), "ended_at": iso(known.ended_at)}
            facts["outcome"] = endings.outcome(facts | {"state": known.state, "end_reason": known.end_reason})
        return {
            "session": session, **facts, "centre_name": self._name(facts["centre"]), "in_flight": number(flight),
            "charged": round(sum(one["amount"] for one in charges), 6), "charges": charges,
        }  # fmt: skip

    def _by_charge(self, tx: Tx, question: Question, rows: Rows, runs: Runs, flights: Flights) -> Found:
        page = question.of(rows)
        known = spending_rows.by_id(tx, [row.session for row in page])
        return len(rows), [
            charge(row) | {
                "session": row.session, "name": known[row.session].session.name if row.session in known else "",
                "person": row.person, "project": row.project, "centre": row.centre,
                "centre_name": self._name(row.centre),
            }
            for row in page
        ]  # fmt: skip

    # ---- days

    def day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def moment(self, name: str, text: str | None) -> datetime | None:
        """Reads an instant; "2026-11-23" is its midnight in the federation's zone. Raises BadOption."""
        return None if text is None else parse_instant(text, option=name, zone=self.zone)

    def month(self, now: datetime) -> datetime:
        """Returns when this month began."""
        return self.midnight(self.day(now).replace(day=1))

    def _days(self, now: datetime, count: int = DAYS) -> list[date]:
        """Returns the last days, today last."""
        return [self.day(now) - timedelta(days=back) for back in range(count - 1, -1, -1)]

    def _last(self, question: Question) -> date:
        """Returns the last day that the question covers and that has begun."""
        now = self.clock()
        return self.day(min(question.until - timedelta(microseconds=1), now) if question.until else now)

    def _name(self, centre: str) -> str:
        known = self.states.centres.get(centre)
        return known.spec.name if known else centre


Rows = Sequence[ChargeRow]
Runs = dict[str, OpenRow]
Flights = dict[str, int]  # micro-credits by session
Found = tuple[int, list[Json]]  # the number of rows in all, and the rows of the page
MADE: dict[str, Callable[[Spending, Tx, Question, Rows, Runs, Flights], Found]] = {
    "day": Spending._by_day, "centre": Spending._by_centre, "person": Spending._by_person,
    "session": Spending._by_session, "charge": Spending._by_charge,
}  # fmt: skip


def charge(row: ChargeRow) -> Json:
    return {
        "at": iso(row.at), "recorded_at": iso(row.recorded_at), "kind": row.kind, "amount": number(row.micros),
        "formula": row.memo, "key": row.key, "reverses": row.reverses,
    }  # fmt: skip


def _by_name(name: str, rows: Rows, runs: Runs, flights: Flights) -> list[Json]:
    """Returns sums by centre or person, the largest first."""
    by = _grouped(rows, lambda row: str(getattr(row, name)))
    on = _grouped(runs.values(), lambda row: str(getattr(row, name)))
    found = [
        {name: one, **_sums(by.get(one, []), {row.id: row for row in on.get(one, [])}, flights)} for one in {*by, *on}
    ]
    return sorted(found, key=lambda one: (-one["charged"] - one["in_flight"], one[name]))


def _grouped(rows: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _sums(rows: Sequence[ChargeRow], runs: Runs, flights: Flights) -> Json:
    return {
        "charged": number(sum(row.micros for row in rows)), "in_flight": number(sum(flights[one] for one in runs)),
        "sessions": len({row.session for row in rows} | set(runs)),
    }  # fmt: skip
