"""Closes months: a month begins to close when its time has passed, is cut when nothing blocks it, and then gets its
statements.

The cut is one short step in which nothing else writes: it fixes the last entry that counts. From then on the statements
follow from unchanging data, so they are made beside other work, and made again if that was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ...adapters.db.database import Tx, by_locks
from ...adapters.db.queries import entries as entry_rows
from ...adapters.db.queries import lots as lot_rows
from ...adapters.db.queries import periods as period_rows
from ...adapters.db.queries import statements as statement_rows
from ...adapters.db.queries.periods import PeriodRow
from ...adapters.db.queries.statements import StatementRow
from ...domain.ledger.entries import Entry, project_account
from ...domain.months import (
    Calendar,
    Completeness,
    Period,
    PeriodState,
    Suspended,
    against_closed,
    against_closing,
    days,
    following,
    period_named,
    period_of,
)
from ...domain.settlement.cutoffs import Cut, by_cuts, instant, over
from ...domain.settlement.settlement import Payer, Settlement, Terms, emptied, settle
from ...domain.settlement.statements import Statement
from ...domain.standard.federation import FederationSpec
from ...errors import BadOption, NotFound, Refused
from ...units import CREDIT
from ..accounting import books, sealing
from . import statement_mails

# kinds of accounts that belong to a centre, and so to the member that owns the centre
OWNED = ("centre", "sla", "suspense")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settlement rules of the federation's page. `owners` maps an account to its member, where the account is not named
    after the member."""

    zone: str
    accept: timedelta
    owners: Mapping[str, str]
    people: Mapping[str, tuple[str, ...]]  # by member: the people who answer for it


def rules_of(spec: FederationSpec) -> Rules:
    owners = {f"{kind}:{centre}": one.id for one in spec.member for centre in one.centres for kind in OWNED}
    people = {one.id: tuple(one.people) for one in spec.member}
    return Rules(zone=spec.time_zone, accept=timedelta(days=spec.settlement.accept_days), owners=owners, people=people)


# ---- months


def begin(tx: Tx, zone: str, now: datetime) -> None:
    """Writes each month, from that of the first entry on, when it begins, and starts closing it when its time has
    passed. The time zone is that of the first month, for ever: another zone would leave hours in two months, or in
    none."""
    rows = period_rows.every(tx)
    if rows:
        zone, month = zone_of(rows[0]), following(period(rows[-1]))
    elif first := period_rows.begins(tx):
        month = period_of(min(first, now), zone)
    else:
        return
    while month.start <= now:
        row = PeriodRow(name=month.name, state=PeriodState.OPEN.value, terms={"zone": zone})
        period_rows.insert(tx, row)
        rows.append(row)
        month = following(month)
    for row in rows:
        if row.state == PeriodState.OPEN.value and not against_closing(period(row), PeriodState.OPEN, now):
            period_rows.update(tx, row.name, state=PeriodState.CLOSING.value, closing_at=now)
            statement_mails.over(tx, row.name, now)


def zone_of(row: PeriodRow) -> str:
    return str(row.terms["zone"])


def period(row: PeriodRow) -> Period:
    return period_named(row.name, zone_of(row))


def month(rows: Iterable[PeriodRow], name: str) -> PeriodRow:
    """Returns the month of that name. Raises BadOption, NotFound."""
    found = next((row for row in rows if row.name == period_named(name).name), None)
    if found is None:
        raise NotFound(f"The ledger has no month {name}.", hint="`scnet periods` lists them.", code="unknown-period")
    return found


# ---- reasons that block a month


def hinders(
    tx: Tx, row: PeriodRow, rows: list[PeriodRow], zone: str, now: datetime, excuses: Mapping[str, str]
) -> list[str]:
    """Returns all reasons why the month cannot be closed now."""
    place = [one.name for one in rows].index(row.name)
    before = PeriodState(rows[place - 1].state) if place else None
    own = period(row)
    waiting, shown = period_rows.suspended(tx, own.end)
    reasons = against_closed(
        own, PeriodState(row.state), now, before=before, centres=(), manifests=completeness(tx, row, excuses),
        suspense=[Suspended(centre=one.centre, record=one.record, reason=one.reason.rstrip(".")) for one in shown],
    )  # fmt: skip
    if waiting > len(shown):
        reasons.append(f"{waiting - len(shown):,} more records are in suspense.")
    if zone != own.zone:
        reasons.append(
            f"The federation's page says that months begin in {zone}, but the ledger began in {own.zone}: "
            "restore that zone."
        )
    return reasons


def completeness(tx: Tx, row: PeriodRow, excuses: Mapping[str, str]) -> list[Completeness]:
    """Returns the obligations of each centre in that month: a manifest for each day since its first job, if any job ran
    there in the month, and in any case the records that its manifests list."""
    own = period(row)
    every = [day.isoformat() for day in days(own)]
    ran = {
        centre: at.astimezone(ZoneInfo(own.zone)).date().isoformat()
        for centre, at in period_rows.work(tx, own.start, own.end).items()
    }
    sent: dict[str, dict[str, period_rows.Day]] = {}
    for one in period_rows.days(tx, every[0], every[-1]):
        sent.setdefault(one.centre, {})[one.day] = one
    return [
        Completeness(
            centre=centre,
            missing=tuple(_missing(every, sent.get(centre, {}), ran.get(centre, ""))),
            excuse=excuses.get(centre, ""),
        )
        for centre in sorted({*ran, *sent})
    ]


def _missing(every: list[str], sent: Mapping[str, period_rows.Day], since: str) -> Iterator[str]:
    for day in every:
        if (one := sent.get(day)) is None:
            if since and day >= since:
                yield f"{day}: no manifest"
        elif not one.excuse.strip():
            yield from one.missing


# ---- the cut


@by_locks
def cut(tx: Tx, name: str, rules: Rules, excuses: Mapping[str, str], by: str, now: datetime) -> None:
    """Fixes the last entry of that month; safe to repeat until its statements are made. Raises Refused with all reasons
    against it."""
    begin(tx, rules.zone, now)
    rows = period_rows.every(tx)
    row = month(rows, name)
    if row.cut and row.state == PeriodState.CLOSING.value:
        return
    if reasons := hinders(tx, row, rows, rules.zone, now, excuses):
        raise not_closed(row, reasons)
    period_rows.stop_writers(tx)
    rows = period_rows.every(tx)
    if month(rows, name).cut:  # by another caller, just now
        return
    while sealing.seal(tx) == sealing.SEALED:
        pass
    sealed, head = entry_rows.sealed(tx)
    period_rows.update(
        tx, row.name, closed_at=instant(now, period(row).end, [one.cut for one in rows if one.cut]), closed_by=by,
        last_entry=period_rows.last_entry(tx), sealed=sealed, head=head,
        terms={**row.terms, "owners": dict(rules.owners), "excuses": dict(excuses)},
    )  # fmt: skip


def not_closed(row: PeriodRow, reasons: list[str]) -> Refused:
    told = (
        f"{reasons[0]}"
        if len(reasons) == 1
        else f"{len(reasons)} reasons: {' '.join(reasons[:3])}{' ...' if len(reasons) > 3 else ''}"
    )
    if row.state == PeriodState.CLOSED.value:
        return Refused(
            f"{row.name} is closed already.",
            hint="What comes later is a correction in a later month.",
            code="period-closed",
        )
    return Refused(
        f"{row.name} cannot be closed: {told}",
        hint=f"`scnet periods show {row.name}` lists all reasons. To close without waiting for a centre, give --excuse "
        "CENTRE=REASON.",
        code="period-not-closed", details={"reasons": reasons},
    )  # fmt: skip


def known_excuses(excuses: Mapping[str, str], centres: Iterable[str]) -> None:
    """Raises BadOption for an excuse of an unknown centre, or without a reason."""
    there = sorted(centres)
    for centre, words in excuses.items():
        if centre not in there:
            raise BadOption(
                f"There is no centre {centre[:40]!r} in this federation.", hint=f"Centres: {', '.join(there)}."
            )
        if not words.strip():
            raise BadOption(f"Give the reason for not waiting for {centre}.", details={"field": f"excuse-{centre}"})


# ---- the statements


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month to be settled: its entries, and the terms that turn them into statements."""

    period: Period
    terms: Mapping[str, Terms]  # by unit
    after: int
    through: int
    cuts: tuple[Cut, ...]

    def entries(self, tx: Tx) -> Iterator[Entry]:
        """Yields the entries in the order of the journal, each as it was written between the cuts."""
        return by_cuts(period_rows.journal(tx, self.period.start, self.period.end, self.after, self.through), self.cuts)


def month_of(tx: Tx, row: PeriodRow, rows: list[PeriodRow], rules: Rules) -> Month:
    """Returns the month; a month that is not cut is taken with all entries so far."""
    cuts = tuple(one.cut for one in rows if one.cut)
    calendar = Calendar(zone=zone_of(row), closed={one.period: one.at for one in cuts}, first=rows[0].name)
    owners = row.terms.get("owners", rules.owners)
    payers: dict[str, dict[str, Payer]] = {CREDIT: {}}
    for lot in lot_rows.every(tx):
        payers.setdefault(lot.unit, {})[project_account(lot.project, lot.name)] = Payer(lot.grantor, lot.rate)
    return Month(
        period=period(row),
        terms={unit: Terms(calendar=calendar, payers=its, members=owners) for unit, its in payers.items()},
        # an entry that concerns an earlier month is in this one only if it was written in it
        after=over(cuts, period(row).start),
        through=row.last_entry if row.cut else period_rows.last_entry(tx), cuts=cuts,
    )  # fmt: skip


def settled(tx: Tx, name: str, rules: Rules) -> list[Settlement]:
    """Returns a month's settlements, one for each unit in which there was anything to settle."""
    rows = period_rows.every(tx)
    one = month_of(tx, month(rows, name), rows, rules)
    found = [settle(one.entries(tx), one.period, terms, unit=unit) for unit, terms in sorted(one.terms.items())]
    return [each for each in found if each.statements]


def issue(tx: Tx, name: str, found: Iterable[Settlement], rules: Rules, now: datetime) -> None:
    """Issues the statements of a cut month to its members, and takes them off the accounts that they came from."""
    row = month(period_rows.every(tx), name)
    if not row.cut or row.state != PeriodState.CLOSING.value:
        return
    for one in found:
        for statement in one.statements:
            made = statement_row(one, statement, now, now + rules.accept)
            statement_rows.insert(tx, made)
            statement_mails.issued(tx, made, rules.people.get(made.member, ()), now)
        if entry := emptied(one, now):
            books.settle(tx, entry)
    period_rows.update(tx, name, state=PeriodState.CLOSED.value)


def statement_row(
    of: Settlement, one: Statement, issued_at: datetime, accept_by: datetime, state: str = "issued"
) -> StatementRow:
    lines = [
        {
            "column": line.column,
            "account": line.account,
            "micros": line.amount.micros,
            "entries": line.entries,
            "corrects": line.corrects,
        }
        for line in one.lines
    ]
    reimbursed = [
        {
            "grantor": each.grantor,
            "member": each.member,
            "rate": each.rate,
            "credits": each.credits.micros,
            "money": each.money.micros,
        }
        for each in of.reimbursements
        if one.member in (each.grantor, each.member)
    ]
    document = {"lines": lines, "due": one.due.micros, "reimbursements": reimbursed}
    return StatementRow(
        period=of.period,
        unit=of.unit,
        member=one.member,
        document=document,
        issued_at=issued_at,
        accept_by=accept_by,
        state=state,
    )
