"""Settlement: turns a month's entries into one statement per member.

An entry counts if a member earns or gives back in it. Then each of its postings belongs to exactly one member, and
because an entry sums to zero, so do all statements. One pass, memory for members and lots but not for entries. Reads no
tariff and no usage: a charge was decided when it was written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ...units import CREDIT, MICRO, Amount
from ..ledger.entries import Entry, Posting
from ..ledger.splits import FEDERATION, apportion
from ..months import Calendar, Period
from .statements import MONEY, Line, Statement

# The classes of accounts: those by which their owner earns, and those by which it pays.
EARNING = {"centre": "earned", "publisher": "app_share", "fee": "fee", "sla": "sla_credit", "suspense": "suspense"}
PAYING = frozenset({"project", "held", "grants", "expired", "member", "bank", "federation"})
PAID = "subsidy"
CLAWBACK = "clawback"
SETTLE = "settle"  # the kind of entry that empties accounts at a month's end: no member earns by it


@dataclass(frozen=True, slots=True)
class Payer:
    """The member that answers for the spending of a lot: its grantor, or the member that took in the money. `rate`:
    millionths of money for each unit."""

    member: str
    rate: int = 0


NOBODY = Payer("")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms that turn entries into statements: the closed months, each lot's payer by its account (`project:P/L`),
    and the member an account belongs to, where the account is not named after it."""

    calendar: Calendar = field(default_factory=Calendar)
    payers: Mapping[str, Payer] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)

    def payer(self, account: str) -> Payer:
        """Returns the payer of a lot; the federation for a lot without a known payer: work that was done always has a
        debtor."""
        if (known := self.payers.get(account)) and known.member:
            return known
        kind, _, owner = account.partition(":")
        return Payer(self.member(account) if kind in ("grants", "expired", "member") and owner else FEDERATION)

    def member(self, account: str) -> str:
        return self.members.get(account) or account.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Share:
    """One member's part in one entry."""

    member: str
    column: str
    account: str
    micros: int


@dataclass(frozen=True, slots=True)
class Part:
    """One entry's line in a member's statement, with the key that links it; `Line` sums them up."""

    key: str
    at: datetime
    kind: str
    project: str
    session: str
    column: str
    account: str
    amount: Amount
    corrects: str
    reverses: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reimbursement:
    """A grantor's debt to a member for credits that were spent there, at one rate; `money` is the sum over the
    entries."""

    grantor: str
    member: str
    rate: int
    credits: Amount
    money: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A month in one book. `charged`: the total received before any payment; `unknown`: lots without a known payer,
    overdrafts among them, for which the federation stands in."""

    period: str
    unit: str
    entries: int
    charged: Amount
    statements: tuple[Statement, ...]
    reimbursements: tuple[Reimbursement, ...]
    unknown: tuple[str, ...] = ()

    def of(self, member: str) -> Statement:
        """Returns the member's statement; an empty one for a member without a part in the month."""
        found = (one for one in self.statements if one.member == member)
        return next(found, Statement(member=member, period=self.period, unit=self.unit, lines=()))


def settle(entries: Iterable[Entry], period: Period, terms: Terms, *, unit: str = CREDIT) -> Settlement:
    """Returns the statements of a month: a fold, in any order, over any journal that has all of its entries. Raises
    ValueError for an account of an unknown class."""
    tally = _Tally(terms, unit)
    for entry, corrects in landed(entries, period, terms, unit):
        tally.add(entry, corrects)
    return tally.settlement(period)


def landed(entries: Iterable[Entry], period: Period, terms: Terms, unit: str) -> Iterator[tuple[Entry, str]]:
    """Yields the entries that count in that month and book, each with the closed month that it corrects, or ""."""
    for entry in entries:
        if entry.kind == SETTLE or entry.unit != unit:
            continue
        if terms.calendar.landing(entry.at, entry.recorded_at).name == period.name:
            own = terms.calendar.own(entry.at).name
            yield entry, "" if own == period.name else own


def parts(entries: Iterable[Entry], period: Period, terms: Terms, member: str, *, unit: str = CREDIT) -> Iterator[Part]:
    """Yields a member's statement entry by entry: the links from its lines into the journal."""
    for entry, corrects in landed(entries, period, terms, unit):
        for one in shares(entry, terms):
            if one.member == member:
                column = CLAWBACK if corrects else one.column
                yield Part(
                    entry.key, entry.at, entry.kind, entry.project, entry.session, column, one.account,
                    Amount(one.micros, unit), corrects, entry.reverses,
                )  # fmt: skip


def shares(entry: Entry, terms: Terms) -> list[Share]:
    """Returns the owner of each of an entry's postings; none if no member earns or gives back in it. Moves between a
    lot and its holds cancel."""
    earning: list[Share] = []
    paying: dict[str, int] = {}
    for posting in entry.postings:
        account = posting.account
        kind, _, owner = account.partition(":")
        if column := EARNING.get(kind):
            earning.append(Share(terms.member(account), column, account, posting.amount.micros))
        elif kind in PAYING:
            account = f"project:{owner}" if kind == "held" else account
            paying[account] = paying.get(account, 0) + posting.amount.micros
        else:
            raise ValueError(f"entry {entry.key!r}: account {account!r} has no place in a statement")
    if not earning:
        return []
    return [
        *earning,
        *(Share(terms.payer(account).member, PAID, account, micros) for account, micros in paying.items() if micros),
    ]


def reimbursed(one: Share, among: Iterable[Share], rate: int) -> list[tuple[str, int, int]]:
    """Returns the parts of a payer's share for its recipients: (member, credits, millionths of money). The money is
    rounded once, half up, and divided as the credits are; repayments mirror payments."""
    spent = -one.micros
    sign = -1 if spent < 0 else 1
    got: dict[str, int] = {}
    for other in among:
        if other.column != PAID:
            got[other.member] = got.get(other.member, 0) + sign * other.micros
    weights = {member: micros for member, micros in got.items() if micros > 0}
    if not weights:
        return []
    money = sign * ((abs(spent) * rate + MICRO // 2) // MICRO)
    if len(weights) == 1:
        return [(next(iter(weights)), spent, money)]
    every = list(weights.values())
    return list(zip(weights, apportion(spent, every), apportion(money, every), strict=True))


class _Tally:
    """Collects the sums."""

    def __init__(self, terms: Terms, unit: str) -> None:
        self.terms = terms
        self.unit = unit
        self.entries = 0
        self.charged = 0
        self.lines: dict[tuple[str, str, str, str], list[int]] = {}
        self.money: dict[tuple[str, str, int], list[int]] = {}
        self.unknown: set[str] = set()

    def add(self, entry: Entry, corrects: str) -> None:
        every = shares(entry, self.terms)
        self.entries += bool(every)
        for one in every:
            column = CLAWBACK if corrects else one.column
            line = self.lines.setdefault((one.member, column, one.account, corrects), [0, 0])
            line[0] += one.micros
            line[1] += 1
            if one.column in ("earned", "app_share", "fee"):
                self.charged += one.micros
            elif one.column == PAID:
                self._pay(one, every)

    def _pay(self, one: Share, every: list[Share]) -> None:
        if one.account.startswith("project:") and not self.terms.payers.get(one.account, NOBODY).member:
            self.unknown.add(one.account)
        if self.unit == MONEY:
            return
        payer = self.terms.payer(one.account)
        for member, credits, money in reimbursed(one, every, payer.rate):
            sums = self.money.setdefault((payer.member, member, payer.rate), [0, 0])
            sums[0] += credits
            sums[1] += money

    def settlement(self, period: Period) -> Settlement:
        lines: dict[str, list[Line]] = defaultdict(list)
        for (member, column, account, corrects), (micros, entries) in sorted(self.lines.items()):
            line = Line(
                column=column, account=account, amount=Amount(micros, self.unit), entries=entries, corrects=corrects
            )
            lines[member].append(line)
        due: dict[str, int] = defaultdict(int)
        for (grantor, member, _), (_, money) in self.money.items():
            due[grantor] -= money
            due[member] += money
        return Settlement(
            period=period.name,
            unit=self.unit,
            entries=self.entries,
            charged=Amount(self.charged, self.unit),
            statements=tuple(
                Statement(
                    member=member,
                    period=period.name,
                    unit=self.unit,
                    lines=tuple(its),
                    reimbursed=Amount(due[member], MONEY),
                )
                for member, its in sorted(lines.items())
            ),
            reimbursements=tuple(
                Reimbursement(
                    grantor=grantor,
                    member=member,
                    rate=rate,
                    credits=Amount(credits, self.unit),
                    money=Amount(money, MONEY),
                )
                for (grantor, member, rate), (credits, money) in sorted(self.money.items())
            ),
            unknown=tuple(sorted(self.unknown)),
        )


# ---- entries at a month's end


def emptied(settlement: Settlement, at: datetime) -> Entry | None:
    """Returns the entry that takes a closed month off the accounts it came from. Credits return to their grantors;
    money moves to `member:M`, whose balance is then the amount that M is to get. None if there was nothing."""
    moved: dict[str, int] = defaultdict(int)
    for statement in settlement.statements:
        for line in statement.lines:
            earning = line.account.partition(":")[0] in (*EARNING, "member")
            if settlement.unit != MONEY:
                moved[line.account if earning else f"grants:{statement.member}"] -= line.amount.micros
            else:
                moved[line.account if earning else "bank"] -= line.amount.micros
                moved[f"member:{statement.member}"] += line.amount.micros
    posted = tuple(
        Posting(account, Amount(micros, settlement.unit)) for account, micros in sorted(moved.items()) if micros
    )
    if not posted:
        return None
    key = f"period:{settlement.period}:{settlement.unit}"
    return Entry(key=key, at=at, kind=SETTLE, project="", memo=f"settlement of {settlement.period}", postings=posted)
