"""How long `scnet ledger verify` takes over large books, and how much memory: what `ledger.py --only verify` measures.

The books are written in bulk, but as the broker writes them: `entries` makes each entry, `books.effects` what it does
to its lot, and every entry is in the chain. Of 100 projects; each session is a hold and its charge, one of a thousand
still holds. Verified by `audit.verify` in a process of its own: `python benchmarks/verifying.py URL`; its peak is the
kernel's figure for that process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from scnet_hub.adapters.db import tables
from scnet_hub.adapters.db.database import Database, Tx
from scnet_hub.domain.ledger import entries
from scnet_hub.domain.ledger.bills import earned
from scnet_hub.domain.ledger.entries import Entry
from scnet_hub.domain.ledger.lots import Lot, Settled
from scnet_hub.services.accounting import audit, books
from scnet_hub.units import CREDIT, Amount, credits

ENTRIES = 1_000_000
MOST = 2048  # MiB
PROJECTS, AT_ONCE = 100, 5000
NOW = datetime(2026, 11, 23, tzinfo=UTC)
HELD, COST = credits(4).micros, credits("1.5").micros


def written() -> Iterator[Entry]:
    """Without end."""
    for number in range(PROJECTS):
        yield entries.grant(
            Lot(project=f"p{number}", name="first", grantor="federation", granted=10**15, available=10**15), NOW
        )
    number = 0
    while True:
        number += 1
        project, session, at = f"p{number % PROJECTS}", f"s{number:011}", NOW + timedelta(seconds=number)
        yield entries.hold(project, session, {"first": HELD}, CREDIT, at)
        if number % 1000:
            paid = Settled(held={"first": COST}, more={}, back={"first": HELD - COST})
            yield entries.charge(
                project, session, paid, earned(f"c{number % 22}", Amount(COST), 50_000), CREDIT, at, "4 cores x 1.2"
            )


def fill(db: Database, total: int) -> None:
    """Books of so many entries."""
    lots: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    source, last, link = islice(written(), total), 0, ""
    while page := list(islice(source, AT_ONCE)):
        rows: list[dict[str, Any]] = []
        posted: list[dict[str, Any]] = []
        links: list[dict[str, Any]] = []
        holds: dict[str, dict[str, Any]] = {}
        for number, entry in enumerate(page, last + 1):
            link = entries.link(link, entry)
            rows.append({
                "id": number, "key": entry.key, "at": entry.at, "kind": entry.kind, "project": entry.project,
                "session": entry.session, "memo": entry.memo, "recorded_at": entry.at,
            })  # fmt: skip
            posted += [
                {"entry": number, "account": one.account, "unit": one.amount.unit, "micros": one.amount.micros}
                for one in entry.postings
            ]
            links.append({"seq": number, "entry": number, "hash": link})
            for numbers in books.effects(entry).values():
                for name, micros in numbers.items():
                    lots[entry.project][name] += micros
            if entry.kind == "hold" and (number == total or int(entry.session[1:]) % 1000 == 0):
                held = {
                    "session": entry.session,
                    "project": entry.project,
                    "unit": CREDIT,
                    "parts": {"first": HELD},
                    "step": 1,
                }
                holds[entry.session] = {**held, "state": "open"}
        last += len(page)
        db.run_here(_insert, {"entries": rows, "postings": posted, "chain": links, "holds": [*holds.values()]})
    db.run_here(_insert, {"lots": [_lot(project, numbers) for project, numbers in lots.items()]})


def _lot(project: str, numbers: dict[str, int]) -> dict[str, Any]:
    told = {name: numbers.get(name, 0) for name in ("granted", "available", "held", "spent", "expired")}
    return {
        "project": project,
        "unit": CREDIT,
        "name": "first",
        "grantor": "federation",
        **told,
        "floor": 0,
        "centres": [],
        "rate": 0,
    }


def _insert(tx: Tx, rows: dict[str, list[dict[str, Any]]]) -> None:
    for name, these in rows.items():
        if these:
            tx.execute(getattr(tables, name).insert(), these)


def measure(url: str, total: int = ENTRIES) -> dict[str, Any]:
    db = Database(url)
    db.open()
    fill(db, total)
    db.close()
    done = subprocess.run([sys.executable, __file__, url], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    holds = found["ok"] and found["entries"] == found["sealed"] == total and found["peak_mib"] <= MOST
    return {**found, "most_mib": MOST, "holds": holds}


def verify(url: str) -> dict[str, Any]:
    """In this process, which should have done nothing else."""
    db = Database(url)
    db.open()
    began, cpu = time.perf_counter(), time.process_time()
    found = db.read_here(audit.verify)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    db.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"entries": found.entries, "sealed": found.sealed, "ok": found.ok, "problems": list(found.problems)}
    return {**told, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mib": round(peak)}


def told(found: dict[str, Any]) -> str:
    said = (
        f"{found['entries']:,} entries on {found['engine']} in {found['seconds']:.0f} s, {found['peak_mib']} MiB, "
        f"at most {MOST}"
    )
    return (
        f"verify      {said}: "
        f"{'holds' if found['holds'] else 'FAILS'}{''.join(f', {one}' for one in found['problems'])}"
    )


if __name__ == "__main__":
    print(json.dumps(verify(sys.argv[1])))
