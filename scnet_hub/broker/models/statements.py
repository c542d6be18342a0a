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
    """open · closing: the month is over, late records still belong to it · closed"""
    closing_at: Time | None
    closed_at: Time | None
    closed_by: str
    cut: bool
    """The month takes no more entries and its statements are being made; the state is still closing."""
    hinders: list[str]
    """Why a closing month can't be closed now."""
    excuses: dict[str, str]
    """By centre."""
    entries: int
    """The statements are made from this many entries at the start of the journal's chain; 0 before."""
    head: str
    """The hash of the last of these entries."""


class Periods(DatedList):
    periods: list[Period]


class Completeness(Document):
    """How complete a centre's month is."""

    centre: str
    name: str
    ran: bool
    """Whether the centre had work in that month."""
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
    """What one member earned and what it owes for a month. Positive amounts go to the member."""

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
    """Empty if the statement was accepted because the member did not answer in time."""
    answered_at: Time | None
    trail: list[str]
    """Every answer that the statement had."""
    may: list[str]
    """accept, dispute, settle: what the caller may do now"""


class Statements(Listed):
    statements: list[Statement]


class Line(Document):
    column: str
    account: str
    amount: float
    entries: int
    """The number of entries in the sum."""
    corrects: str
    """A closed month, or ""."""


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
    """What each member gets or pays over both books, and the payments that balance them."""

    period: str
    unit: str
    positions: list[Position]
    payments: list[Payment]


class WholePeriod(Period):
    """A month with everything that prevents its closing; after closing, with its statements."""

    centres: list[Completeness]
    suspense: list[Suspended]
    """The oldest 200."""
    suspended: int
    """The total number."""
    statements: list[Statement] | None = None
    netting: Netting | None = None


class Close(Taken):
    excuses: dict[str, Reason] = Field(default={})
    """By centre, why its month is closed without the missing records."""
    preview: bool = False
    """A preview: closes nothing."""


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
    sum: Annotated[float, Field(description="0 if the books are right.")]
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
