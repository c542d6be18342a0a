"""Handles later changes in centres' pages that concern the past: an outage changes earlier charges, another price does
not.
"""

from __future__ import annotations

from datetime import datetime

from ...adapters.db.database import Tx
from ...adapters.db.queries import usage as usage_rows
from ...domain.pricing.tariffs import NoPrice, rewritten, tariff_of
from ...domain.standard.centre import CentreSpec
from ...domain.usage import serialisation
from ...domain.usage.refunds import Outage
from ...domain.usage.runs import Usage
from ...errors import plain
from . import charging
from .charging import PriceSource


def declare(tx: Tx, page: CentreSpec, pages: PriceSource, now: datetime) -> int:
    """Takes in the outages that a centre's page declares, once they have begun. Returns the number of sessions that
    were charged again."""
    touched: set[str] = set()
    for one in page.maintenance:
        before = [
            Outage(centre=page.id, start=start, end=end)
            for start, end, _ in usage_rows.outages_of(tx, page.id)
            if start == one.start
        ]
        if one.start > now or not usage_rows.keep_outage(tx, page.id, one.start, one.end, plain(one.reason, 500)):
            continue
        told = [*before, Outage(centre=page.id, start=one.start, end=one.end)]  # the outage may have become shorter
        there = [
            (row.session, serialisation.usage_from(row.record))
            for row in usage_rows.since(tx, page.id, one.start)
            if row.session
        ]
        touched |= {session for session, usage in there if any(_within(usage, outage) for outage in told)}
    for session in sorted(touched):
        charging.recharge(tx, session, pages, now, "its centre declared an outage")
    return len(touched)


def _within(usage: Usage, outage: Outage) -> bool:
    through = usage.through
    return (
        usage.start is not None
        and through is not None
        and through > outage.start
        and (outage.end is None or usage.start < outage.end)
    )


def past_prices(tx: Tx, page: CentreSpec, now: datetime) -> list[str]:
    """Returns sentences about prices in a centre's page that differ from those of earlier charges. Those charges do not
    change."""
    said: list[str] = []
    done: set[str] = set()
    for partition, document, since in usage_rows.tariffs_of(tx, page.id):
        offered = page.offered(partition)
        if partition in done or offered is None:
            continue
        done.add(partition)
        try:
            changed = rewritten(serialisation.terms_from(document).tariff, tariff_of(page, offered), since, now)
        except NoPrice as error:
            changed = str(error)
        if changed:
            said.append(
                f"{changed} Charges at the old price stay as they are; a new price needs its own "
                "[[partition.tariff_from]]."
            )
    return said
