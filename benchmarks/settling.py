"""Does settling a month cost more per usage record where there are more of them? What `ledger.py --only settle`
measures.

Every session's records (the final one; of every fourth also an interim one) go the way of the broker's in memory, by
the broker's own functions: `weigh` says which counts (by `live`), `price` cuts it into segments, prices each and says
its formula, the charge is paid from the hold (`lots.settle`) and split between centre and federation, `entries.charge`
makes the entry, and `settlement.settle` folds the entries into each member's statement. One record after the other,
none is kept; no database. Sessions of 22 centres and 1,000 projects' lots; every 16th runs over the end of a month.

Cost is this process's CPU time with the making of the records in it. At every 100,000th record of the long run a short
one of 10,000 is made, so that both meet the same machine; its time is taken off the long one's.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from scnet_hub.domain.jobs import Ending
from scnet_hub.domain.ledger import entries, lots
from scnet_hub.domain.ledger.bills import earned, price
from scnet_hub.domain.ledger.entries import Entry
from scnet_hub.domain.ledger.lots import Lot
from scnet_hub.domain.months import period_named
from scnet_hub.domain.pricing.tariffs import CORE, Tariff, Version, gpu_meter
from scnet_hub.domain.settlement.settlement import Payer, Settlement, Terms, settle
from scnet_hub.domain.usage.runs import Usage
from scnet_hub.domain.usage.serialisation import Terms as Prices
from scnet_hub.domain.usage.suspense import SubmittedJob
from scnet_hub.domain.usage.verdicts import COUNTED, Arrived, weigh
from scnet_hub.units import CREDIT, MICRO

SHORT, LONG, STRETCH = 10_000, 1_000_000, 100_000  # records
MOST = 1.3  # times what a record costs in a short run
CENTRES, PROJECTS = 22, 1000
MONTH = period_named("2026-11")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FEE = 50_000  # millionths
PRICES = Prices(
    tariff=Tariff(
        versions=(
            Version(prices={CORE: 1_200_000, gpu_meter("a100"): 20 * MICRO}, minimum=10_000, since=BEGAN),
            Version(prices={CORE: 1_100_000, gpu_meter("a100"): 18 * MICRO}, minimum=10_000,
            since=MONTH.start + timedelta(15)),
        )
    ),
    fee=FEE,
)  # fmt: skip
LOTS = {
    f"p{number}": Lot(project=f"p{number}", name="first", grantor=f"g{number % 7}", granted=0, available=0)
    for number in range(PROJECTS)
}
TERMS = Terms(
    payers={entries.project_account(name, "first"): Payer(lot.grantor, 700_001) for name, lot in LOTS.items()}
)


def charges(records: int) -> Iterator[Entry]:
    """The entries of so many sessions' records."""
    for number in range(records):
        arrived, copy = session(number)
        verdicts = weigh(arrived, {1: copy}, BEGAN)
        runs = [one.usage for one in arrived if verdicts[one.id].state == COUNTED]
        found = price(runs, PRICES)
        lot = LOTS[f"p{number % PROJECTS}"]
        held = {lot.name: 10**12}
        for place, part in enumerate(found.parts, 1):
            last = place == len(found.parts)
            paid = lots.settle(held, [lot], part.cost.micros, copy.centre, copy.asked_at, last=last)
            held[lot.name] -= paid.held[lot.name]
            key = entries.settled_key(copy.session) + ("" if last else f"/{place}")
            gets = earned(copy.centre, part.cost, found.fee)
            entry = entries.charge(lot.project, copy.session, paid, gets, CREDIT, part.at, part.formula)
            yield replace(entry, key=key, recorded_at=runs[0].seen_at)


def session(number: int) -> tuple[list[Arrived], SubmittedJob]:
    """What came of one: the same for the same number."""
    over = number % 16 == 0
    start = (
        (MONTH.end - timedelta(seconds=1 + number % 1800))
        if over
        else MONTH.start + timedelta(seconds=7 * number % 2_500_000)
    )
    length = timedelta(seconds=1800 + number % 5000)
    name, centre, asked = f"s{number:011}", f"c{number % CENTRES}", start - timedelta(minutes=2)
    seen = start + timedelta(minutes=10)
    said: dict[str, Any] = {
        "centre": centre, "birth": "1", "job_id": str(number), "submitted_at": asked, "name": f"scnet-{name}",
        "session": name, "copy": 1, "partition": "main", "cores": 1 + number % 64,
        "gpus": (("a100", 1),) if number % 4 == 0 else (), "start": start,
    }  # fmt: skip
    interim = Usage(**said, elapsed=seen - start, seen_at=seen)
    end = start + length
    final = Usage(**said, elapsed=length, end=end, ending=Ending.COMPLETED, seen_at=end + timedelta(minutes=1))
    arrived = [
        Arrived(id=id_, usage=one, seen_at=one.seen_at)
        for id_, one in enumerate((interim, final) if number % 4 == 1 else (final,))
    ]
    return arrived, SubmittedJob(session=name, number=1, centre=centre, asked_at=asked, job_id=str(number))


@dataclass
class Long:
    """The long run, which stops for short ones; seconds of CPU time."""

    records: int
    short: list[float]
    away: float = 0.0

    def entries(self) -> Iterator[Entry]:
        numbers = count(1)
        for entry in charges(self.records):
            yield entry
            if next(numbers) % STRETCH == 0:
                self.away += self.stop()

    def stop(self) -> float:
        began = time.process_time()
        self.short.append(run(charges(SHORT))[0] / SHORT)
        return time.process_time() - began


def run(entries: Iterator[Entry]) -> tuple[float, Settlement]:
    began = time.process_time()
    settlement = settle(entries, MONTH, TERMS)
    return time.process_time() - began, settlement


def measure(records: int = LONG) -> dict[str, Any]:
    run(charges(SHORT))  # warms up
    gc.collect()
    long = Long(records, [])
    seconds, settlement = run(long.entries())
    each, short = (seconds - long.away) / records, statistics.median(long.short)
    growth = round(each / short, 3)
    exact = not sum(one.net.micros for one in settlement.statements) and settlement.charged.micros > 0
    return {
        "growth_10k_to_1m": growth,
        "most": MOST,
        "records": records,
        "microseconds_each": round(each * 1e6, 1),
        "microseconds_each_of_10k": round(short * 1e6, 1),
        "entries": settlement.entries,
        "exact": exact,
        "holds": exact and growth <= MOST,
    }


def told(found: dict[str, Any]) -> str:
    each = (
        f"{found['microseconds_each']:.0f} us a record of {found['records']:,}, "
        f"{found['microseconds_each_of_10k']:.0f} of {SHORT:,}"
    )
    wrong = "" if found["exact"] else ", AND THE STATEMENTS ARE WRONG"
    return (
        f"settle      {each}: {found['growth_10k_to_1m']:.2f}, at most {MOST:g}: "
        f"{'holds' if found['holds'] else 'FAILS'}{wrong}"
    )
