"""Statements: one member's earnings and costs of a month, and the member's answer.

A statement's numbers are the sums of its lines, and each line says how many entries it adds up. A member accepts a
statement or disputes it, with a reason and in time; no answer is acceptance. A dispute changes no number: its result is
an entry in a later month.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from ...errors import BadOption, Refused
from ...units import Amount

COLUMNS = ("earned", "app_share", "fee", "subsidy", "sla_credit", "suspense", "clawback")
MONEY = "CNY"
NO_MONEY = Amount(0, MONEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The sum of `entries` entries on one account for a member, in one column. `corrects`: the closed month that they
    concern; only a clawback has one."""

    column: str
    account: str
    amount: Amount
    entries: int
    corrects: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One member's month in one book. What a member gets is positive, what it pays negative.

    earned      its work as a centre
    app_share   its apps
    fee         the platform's part
    subsidy     what it pays for: its grants that others spent, or the money it took in for them
    sla_credit  what it gave back as a centre that was down
    suspense    its work for which no payer is known yet
    clawback    corrections of months that are closed
    """

    member: str
    period: str
    unit: str
    lines: tuple[Line, ...]
    reimbursed: Amount = NO_MONEY  # GRANT: the money that grantors owe it, less what it owes as a grantor

    @property
    def name(self) -> str:
        """Returns the statement's name; its bills bear it as the invoice's id."""
        return f"{self.period}/{self.unit}/{self.member}"

    def sum(self, column: str) -> Amount:
        return Amount(sum(line.amount.micros for line in self.lines if line.column == column), self.unit)

    @property
    def net(self) -> Amount:
        return Amount(sum(line.amount.micros for line in self.lines), self.unit)

    @property
    def due(self) -> Amount:
        """Returns the money that it is to get (or pay, if negative): its net, or in GRANT the reimbursement."""
        return self.net if self.unit == MONEY else self.reimbursed

    def document(self) -> dict[str, object]:
        """Returns its numbers as JSON: millionths of `unit`, and of money in `due`."""
        columns = {column: self.sum(column).micros for column in COLUMNS}
        return {
            "period": self.period,
            "member_id": self.member,
            "book": self.unit,
            **columns,
            "net": self.net.micros,
            "due": {"micros": self.due.micros, "unit": self.due.unit},
        }


# ---- the member's answer


class StatementState(Enum):
    ISSUED = "issued"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A statement that was issued to its member, and its state. `words` are the member's own in a dispute, the
    operator's once it is settled."""

    statement: str
    issued_at: datetime
    accept_by: datetime
    state: StatementState = StatementState.ISSUED
    words: str = ""
    by: str = ""
    answered_at: datetime | None = None


def accept(issue: Issue, *, by: str, now: datetime) -> Issue:
    """Accepts a statement, also after the member disputed it, which withdraws the dispute. Raises Refused."""
    _expect(issue, StatementState.ISSUED, StatementState.DISPUTED)
    return replace(issue, state=StatementState.ACCEPTED, words="", by=by, answered_at=now)


def dispute(issue: Issue, *, words: str, by: str, now: datetime) -> Issue:
    """Disputes a statement. Raises Refused after `accept_by`, and BadOption without a reason."""
    _expect(issue, StatementState.ISSUED)
    if now >= issue.accept_by:
        raise Refused(
            f"Statement {issue.statement} could be disputed until {issue.accept_by:%Y-%m-%d %H:%M %Z}.",
            code="too-late",
            hint="Ask the operators for a correction: it comes in this month's statement.",
        )
    if not words.strip():
        raise BadOption(
            f"Give a reason for disputing {issue.statement}.", hint="Say which line is wrong, and what it should be."
        )
    return replace(issue, state=StatementState.DISPUTED, words=words.strip(), by=by, answered_at=now)


def lapse(issue: Issue, now: datetime) -> Issue:
    """Accepts a statement that was not answered in time."""
    if issue.state is StatementState.ISSUED and now >= issue.accept_by:
        return replace(issue, state=StatementState.ACCEPTED, words="not answered in time", answered_at=issue.accept_by)
    return issue


def settled(issue: Issue, *, by: str, now: datetime, words: str = "") -> Issue:
    """Settles a statement: paid, or nothing owed; after a dispute the operator states its result in `words`. Raises
    Refused, BadOption."""
    _expect(issue, StatementState.ACCEPTED, StatementState.DISPUTED)
    if issue.state is StatementState.DISPUTED and not words.strip():
        raise BadOption(
            f"{issue.statement} is disputed.", hint="Say what was decided, and in which entry it is corrected."
        )
    return replace(issue, state=StatementState.SETTLED, words=words.strip() or issue.words, by=by, answered_at=now)


def _expect(issue: Issue, *states: StatementState) -> None:
    if issue.state not in states:
        wanted = " or ".join(state.value for state in states)
        raise Refused(f"Statement {issue.statement} is {issue.state.value}, not {wanted}.", code="statement-answered")
