"""Writes the mails about months to members and operators: a month is over, a statement is issued, disputed, settled.

Each mail is written in the transaction of the event that it reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries.statements import StatementRow
from ...display.times import dated
from ...units import CREDIT, Amount
from ..projects import mailer


def over(tx: Tx, name: str, now: datetime) -> None:
    """Tells the operators, who close the month."""
    body = (
        f"{name} is over; late records are still added to it. `scnet periods show {name}` lists the reasons that "
        "block its closing,"
        f" `scnet periods close {name} --preview` shows its totals so far."
    )
    mailer.write(tx, f"period/{name}/closing", mailer.OPERATORS, f"{name} is over and waits to be closed", body, now)


def issued(tx: Tx, row: StatementRow, people: Iterable[str], now: datetime) -> None:
    """Tells the member's people."""
    net = Amount(sum(line["micros"] for line in row.document["lines"]), row.unit)
    due = Amount(row.document["due"], "CNY")
    body = (
        f"The statement of {row.member} for {row.period} comes to "
        f"{net}{f'; due are {due}' if row.unit == CREDIT else ''}.\n\n"
        f"`scnet statements show {row.name}` has its lines. Until {dated(row.accept_by)} it can be disputed, with "
        "a reason;"
        " without an answer by then it is accepted."
    )
    _tell(tx, f"statement/{row.name}/issued", people, f"Statement of {row.member} for {row.period}: {net}", body, now)


def disputed(tx: Tx, row: StatementRow, now: datetime) -> None:
    """Tells the operators, who decide."""
    body = (
        f"{row.answered_by} disputes statement {row.name}:\n\n{row.words}\n\n`scnet statements entries {row.name}` "
        "has its entries."
    )
    key = f"statement/{row.name}/disputed/{now:%Y%m%dT%H%M%S}"
    mailer.write(tx, key, mailer.OPERATORS, f"Statement {row.name} is disputed", body, now)


def settled(tx: Tx, row: StatementRow, people: Iterable[str], now: datetime) -> None:
    """Tells the member's people."""
    words = f" The operators write:\n\n{row.words}" if row.words else ""
    _tell(
        tx,
        f"statement/{row.name}/settled",
        people,
        f"Statement {row.name} is settled",
        f"Statement {row.name} is settled.{words}",
        now,
    )


def _tell(tx: Tx, key: str, people: Iterable[str], subject: str, body: str, now: datetime) -> None:
    for person in sorted(set(people)):
        mailer.write(tx, f"{key}/{person}", person, subject, body, now)
