"""Months and statements: what each member gets or pays."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from ...services.settlement.answers import WORDS
from .base import Dated, DatedList, Document, Listed, Prose, Seconds, Taken, Time, texts

Reason = Annotated[Prose, WithJsonSchema(texts(WORDS))]


class Period(Document):
    name: str
    """Like 2026-11."""
    start: Time
    end: Time
    state: str
    """open · closing: its time has passed, late records still land in it · closed"""
    closing_at: Time | None
    closed_at: Time | None
    closed_by: str
    cut: bool
    """It is closed to entries, its statements are being made: the state is still closing."""
    hinders: list[str]
    """Why a closing one can't be closed now."""
    excuses: dict[str, str]
    """By centre."""
    entries: int
    """Its statements are made from the first so many of the journal's chain; 0 before."""
    head: str
    """The hash of the last of them."""


class Periods(DatedList):
    periods: list[Period]


class Completeness(Document):
    """How much of a centre's month is in."""

    centre: str
    name: str
    ran: bool
    """It had work in that month."""
    missing: list[str]
    excuse: str


class Suspended(Document):
    id: int
    centre: str
    record: str
    reason: str


class SuspendedSeen(Suspended):
    session: str
    seen_at: Time


class Statement(Document):
    """What a month brought one member and cost it. What a member gets is positive."""

    name: str
    """Like 2026-11/GRANT/alpha."""
    period: str
    book: str
    """GRANT or CNY"""
    member: str
    title: str
    columns: dict[str, float]
    """earned, app_share, fee, subsidy, sla_credit, suspense, clawback"""
    net: float
    due: float
    due_unit: str
    state: str
    """preview, issued, accepted, disputed or settled"""
    issued_at: Time
    accept_by: Time
    words: str
    answered_by: str
    """"": by silence"""
    answered_at: Time | None
    trail: list[str]
    """Every answer it had."""
    may: list[str]
    """accept, dispute, settle: what the caller may do now"""


class Statements(Listed):
    statements: list[Statement]


class Line(Document):
    column: str
    account: str
    amount: float
    entries: int
    """How many entries it adds up."""
    corrects: str
    """A closed month, or "" """


class Reimbursement(Document):
    grantor: str
    member: str
    rate: float
    credits: float
    money: float


class WholeStatement(Statement):
    lines: list[Line]
    reimbursements: list[Reimbursement]
    entries: int
    head: str


class StatementEntry(Document):
    position: int
    key: str
    at: Time
    kind: str
    project: str
    session: str
    column: str
    account: str
    amount: float
    corrects: str
    reverses: str


class StatementEntries(Document):
    entries: list[StatementEntry]
    next: int | None
    """The next page's `after`; null on the last page."""


class Answer(Taken):
    words: Reason = ""


class Position(Document):
    member: str
    title: str
    amount: float


class Payment(Document):
    payer: str
    payee: str
    amount: float


class Netting(Document):
    """What each member gets or pays over both books, and the payments that even it out."""

    period: str
    unit: str
    positions: list[Position]
    payments: list[Payment]


class WholePeriod(Period):
    """A month with all that hinders it; once it is closed, with its statements."""

    centres: list[Completeness]
    suspense: list[Suspended]
    """The oldest 200."""
    suspended: int
    """So many in all."""
    statements: list[Statement] | None = None
    netting: Netting | None = None


class Close(Taken):
    excuses: dict[str, Reason] = Field(default={})
    """By centre, why its month is closed without what is missing."""
    preview: bool = False
    """Closes nothing."""


class Closing(Document):
    period: WholePeriod | Period
    closed: bool
    """false: a preview"""
    statements: list[Statement]
    netting: Netting


class CentreNews(Document):
    centre: str
    name: str
    last_day: str | None
    """Of its newest manifest."""
    last_record_at: Time | None
    age_s: Seconds | None
    late: bool
    why: str


class SuspenseCount(Document):
    count: int
    oldest_at: Time | None
    records: list[SuspendedSeen]
    """The oldest 50."""


class Trial(Document):
    unit: str
    sum: Annotated[float, Field(description="0, or the books are broken.")]
    accounts: dict[str, float]
    """Amounts by class."""


class Board(Dated):
    """What operators see of settlement."""

    periods: list[Period]
    centres: list[CentreNews]
    suspense: SuspenseCount
    trial: list[Trial]
    answers: dict[str, int]
    disputes: list[Statement]
    netting: Netting | None
    """Of the newest closed month."""
