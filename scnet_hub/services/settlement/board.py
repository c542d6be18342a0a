"""Shows operators the board of settlement: reasons that block months, late centres, records in suspense, the ledger's
balance, and disputes. Reads, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ...adapters.db.database import Tx
from ...adapters.db.queries import periods as period_rows
from ...adapters.db.queries import statements as statement_rows
from ...domain.settlement.statements import StatementState
from ..documents import iso, number
from . import closing, documents
from .answers import Reader
from .closing import Rules

Json = dict[str, Any]
SHOWN = 50
PATIENCE = timedelta(days=1, hours=12)  # from a day's end until its manifest must be there


def board(tx: Tx, rules: Rules, titles: Mapping[str, str], now: datetime) -> Json:
    rows = period_rows.every(tx)
    waiting, records = period_rows.suspended(tx, limit=SHOWN)
    reader = Reader(person="", operator=True)
    disputes = statement_rows.list_for(tx, state=StatementState.DISPUTED.value)
    closed = [row for row in rows if row.state == "closed"]
    counted = statement_rows.count(tx)
    return {
        "as_of": iso(now),
        "periods": [documents.period(row, hindering(tx, row, rows, rules, now)) for row in reversed(rows)],
        "centres": centres(tx, rows[0].terms["zone"] if rows else rules.zone, titles, now),
        "suspense": {
            "count": waiting,
            "oldest_at": iso(min((one.seen_at for one in records), default=None)),
            "records": [
                {
                    "id": one.id,
                    "centre": one.centre,
                    "session": one.session,
                    "record": one.record,
                    "reason": one.reason,
                    "seen_at": iso(one.seen_at),
                }
                for one in records
            ],
        },
        "trial": [
            {
                "unit": unit,
                "sum": number(sum(sums.values())),
                "accounts": {kind: number(sums[kind]) for kind in sorted(sums)},
            }
            for unit, sums in sorted(period_rows.trial(tx).items())
        ],
        "answers": {state.value: counted.get(state.value, 0) for state in StatementState},
        "disputes": [documents.statement(row, titles, reader, now) for row in disputes],
        "netting": documents.netted(closed[-1].name, statement_rows.list_for(tx, period=closed[-1].name), titles)
        if closed
        else None,
    }


def hindering(
    tx: Tx, row: period_rows.PeriodRow, rows: list[period_rows.PeriodRow], rules: Rules, now: datetime
) -> list[str]:
    """Returns the reasons that block a month whose time has passed and that is not cut yet."""
    return closing.hinders(tx, row, rows, rules.zone, now, {}) if row.state == "closing" and not row.cut else []


def centres(tx: Tx, zone: str, titles: Mapping[str, str], now: datetime) -> list[Json]:
    """Returns the centres that ever ran jobs or sent a manifest. A centre is late if the manifest of its last due day
    is missing."""
    heard = period_rows.heard(tx)
    due = (now - PATIENCE).astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    since = {
        centre: at.astimezone(ZoneInfo(zone)).date()
        for centre, at in period_rows.work(tx, period_rows.EVER, now).items()
    }
    found = []
    for centre in sorted({*heard, *since}):
        last, record = heard.get(centre, ("", None))
        why = _late(date.fromisoformat(last) if last else None, since.get(centre), due)
        found.append({
            "centre": centre, "name": titles.get(centre, centre), "last_day": last or None,
            "last_record_at": iso(record), "age_s": round((now - record).total_seconds(), 1) if record else None,
            "late": bool(why), "why": why,
        })  # fmt: skip
    return found


def _late(last: date | None, since: date | None, due: date) -> str:
    """Says why a centre is late; "" if it is not. `since`: the first day on which a job ran there."""
    if last is None:
        return (
            f"No manifest has been received, although jobs have run there since {since}."
            if since and since <= due
            else ""
        )
    return f"Its newest manifest is of {last}; the manifest of {due} is missing." if last < due else ""
