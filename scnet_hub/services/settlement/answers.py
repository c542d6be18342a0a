"""Keeps the answers of members to their statements (accept, dispute, or no answer in time), and the operators'
settlements.

`domain/settlement/statements.py` decides; here answers are read, written, and restricted to those who may give them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import statements as statement_rows
from ...adapters.db.queries.statements import StatementRow
from ...domain.settlement import statements
from ...domain.settlement.statements import Issue, StatementState
from ...errors import BadOption, NotEntitled, NotFound
from . import statement_mails

WORDS = 2000
MAY = {
    StatementState.ISSUED: ("accept", "dispute"),
    StatementState.DISPUTED: ("accept", "settle"),
    StatementState.ACCEPTED: ("settle",),
    StatementState.SETTLED: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The caller. `members` are those whose statements they may read and answer; operators may read and answer all."""

    person: str
    members: frozenset[str] = frozenset()
    operator: bool = False

    @property
    def scope(self) -> Collection[str] | None:
        return None if self.operator else self.members

    def sees(self, member: str) -> bool:
        return self.operator or member in self.members


def may(row: StatementRow, reader: Reader, now: datetime) -> list[str]:
    """Returns the verbs that this reader can apply to the statement now."""
    issue = _issue(row)
    late = row.state == "issued" and now >= row.accept_by
    if row.state == "preview" or not reader.sees(row.member):
        return []
    return [
        verb for verb in MAY[issue.state] if (verb != "settle" or reader.operator) and not (verb == "dispute" and late)
    ]


def find(tx: Tx, period: str, unit: str, member: str, reader: Reader, *, lock: bool = False) -> StatementRow:
    """Returns the statement. Raises NotFound if it does not exist or the reader may not see it."""
    row = statement_rows.get(tx, period, unit, member, lock=lock) if reader.sees(member) else None
    if row is None:
        name = f"{period}/{unit}/{member}"[:100]
        raise NotFound(
            f"There is no statement {name} that you may see.",
            hint="`scnet statements` lists them.",
            code="unknown-statement",
        )
    return row


def answer(
    tx: Tx,
    name: tuple[str, str, str],
    verb: str,
    words: str,
    reader: Reader,
    now: datetime,
    people: Collection[str] = (),
) -> StatementRow:
    """Writes an answer. Raises Refused if it cannot be given now, NotEntitled for a reader who may not. `people` are
    the member's."""
    row = find(tx, *name, reader, lock=True)
    if verb == "settle" and not reader.operator:
        raise NotEntitled("Statements are settled by operators.", hint="You can accept or dispute it.")
    if len(words) > WORDS:
        raise BadOption(f"words: over {WORDS} characters.")
    by = reader.person or "an operator"
    said: dict[str, Callable[[Issue], Issue]] = {
        "accept": lambda issue: statements.accept(issue, by=by, now=now),
        "dispute": lambda issue: statements.dispute(issue, words=words, by=by, now=now),
        "settle": lambda issue: statements.settled(issue, by=by, now=now, words=words),
    }
    answered = _write(tx, row, said[verb](_issue(row)))
    if verb == "dispute":
        statement_mails.disputed(tx, answered, now)
    elif verb == "settle":
        statement_mails.settled(tx, answered, people, now)
    return answered


def lapse(tx: Tx, now: datetime) -> int:
    """Accepts the statements that were not answered in time. Returns their number."""
    late = statement_rows.silent(tx, now)
    for row in late:
        _write(tx, row, statements.lapse(_issue(row), now))
    return len(late)


def _issue(row: StatementRow) -> Issue:
    state = StatementState(row.state) if row.state != "preview" else StatementState.ISSUED
    return Issue(
        statement=row.name, issued_at=row.issued_at, accept_by=row.accept_by, state=state, words=row.words,
        by=row.answered_by, answered_at=row.answered_at,
    )  # fmt: skip


def _write(tx: Tx, row: StatementRow, issue: Issue) -> StatementRow:
    at, by, words = issue.answered_at or row.issued_at, issue.by or "default", " ".join(issue.words.split())
    line = f"{at:%Y-%m-%d %H:%M} UTC: {issue.state.value} by {by}{': ' if words else ''}{words}\n"
    said = replace(
        row,
        state=issue.state.value,
        words=issue.words,
        answered_by=issue.by,
        answered_at=issue.answered_at,
        trail=row.trail + line,
    )
    statement_rows.answer(tx, said)
    return said
