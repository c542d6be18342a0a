"""Netting: turns all statements of a month into positions that sum to zero, and into the few payments that settle them.

The member that owes most pays the member that is owed most, repeatedly: fewer payments than members. Knows statements,
not what they are made from.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ...units import Amount
from ..ledger.entries import Entry, Posting
from .settlement import SETTLE
from .statements import MONEY, Statement


@dataclass(frozen=True, slots=True)
class Payment:
    payer: str
    payee: str
    amount: Amount


def positions(statements: Iterable[Statement]) -> dict[str, Amount]:
    """Returns the money that each member is to get (+) or to pay (-), over all its statements. Raises ValueError if the
    positions don't sum to zero: then a statement is missing, or the ledger is broken."""
    owed: dict[str, int] = defaultdict(int)
    for one in statements:
        owed[one.member] += one.due.micros
    if sum(owed.values()):
        raise ValueError(f"positions sum to {Amount(sum(owed.values()), MONEY)}, not to zero")
    return {member: Amount(micros, MONEY) for member, micros in sorted(owed.items())}


def netting(owed: Mapping[str, Amount]) -> list[Payment]:
    """Returns payments that bring every position to zero, fewer than there are members: the member that owes most pays
    the member that is owed most, repeatedly."""
    debtors = [(one.micros, member) for member, one in owed.items() if one.micros < 0]
    creditors = [(-one.micros, member) for member, one in owed.items() if one.micros > 0]
    heapq.heapify(debtors)
    heapq.heapify(creditors)
    payments: list[Payment] = []
    while debtors and creditors:
        (debt, payer), (credit, payee) = heapq.heappop(debtors), heapq.heappop(creditors)
        paid = min(-debt, -credit)
        payments.append(Payment(payer, payee, Amount(paid, MONEY)))
        if debt + paid:
            heapq.heappush(debtors, (debt + paid, payer))
        if credit + paid:
            heapq.heappush(creditors, (credit + paid, payee))
    return payments


def paid(payment: Payment, period: str, at: datetime) -> Entry:
    """Returns the entry of a payment between members in the book of money."""
    posted = (Posting(f"member:{payment.payer}", payment.amount), Posting(f"member:{payment.payee}", -payment.amount))
    key = f"payment:{period}:{payment.payer}:{payment.payee}"
    return Entry(key=key, at=at, kind=SETTLE, project="", memo=f"payment for {period}", postings=posted)
