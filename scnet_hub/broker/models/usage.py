"""Usage by day, centre, person, session or charge."""

from __future__ import annotations

from typing import Literal

from .base import Credits, Dated, Day, Document, Time


class Charge(Document):
    at: Time
    """When the charged use began."""
    recorded_at: Time
    kind: Literal["charge", "reverse"]
    """reverse: a charge that was taken back"""
    amount: Credits
    formula: str
    key: str
    reverses: str


class Row(Document):
    charged: Credits
    in_flight: Credits
    """Running sessions whose requested time has not ended."""


class DayRow(Row):
    day: Day
    sessions: int


class CentreRow(Row):
    centre: str
    centre_name: str
    sessions: int


class PersonRow(Row):
    person: str
    sessions: int


class SessionRow(Row):
    session: str
    name: str
    kind: str
    person: str
    project: str
    centre: str
    centre_name: str
    started_at: Time | None
    ended_at: Time | None
    live: bool
    outcome: str
    """The session's state while it is live; then done, stopped or failed."""
    charges: list[Charge]


class ChargeRow(Charge):
    session: str
    name: str
    person: str
    project: str
    centre: str
    centre_name: str


class Usage(Dated):
    """What was spent. Charges come from the centres' records; what is in flight is an estimate beside them."""

    zone: str
    since: Time
    until: Time | None
    first_day: Day
    last_day: Day
    by: Literal["day", "centre", "person", "session", "charge"]
    project: str
    person: str
    """"": all"""
    unit: str
    charged: Credits
    in_flight: Credits
    sessions: int
    rows: list[DayRow | CentreRow | PersonRow | SessionRow | ChargeRow]
    """In the form that `by` names; sessions newest first, charges oldest first."""
    more: int
    """The number of rows after this page."""
    next: int | None
    """The next page's `after`; null on the last page."""
