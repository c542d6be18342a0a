"""Audits the ledger: every entry balances, none was changed, moved or removed since it was sealed, and lots and holds
are the sums of their entries. Reads all entries once, a page at a time; changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from ...adapters.db.database import Tx
from ...adapters.db.queries import entries as entry_rows
from ...adapters.db.queries import lots as lot_rows
from ...domain.ledger import entries
from . import books

TOLD = 20  # problems that are listed; the rest is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result: the number of `entries`, of which `sealed` are in the chain, whose last hash is `head`; `problems` in
    sentences, and how many were `found` in all."""

    entries: int
    sealed: int
    head: str
    found: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.found


class _Problems:
    def __init__(self) -> None:
        self.found, self.told = 0, [""][:0]

    def say(self, what: str) -> None:
        self.found += 1
        if len(self.told) < TOLD:
            self.told.append(what)


def verify(tx: Tx) -> Audit:
    problems = _Problems()
    lots: defaultdict[tuple[str, str, str], defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    held: defaultdict[str, int] = defaultdict(int)
    links: dict[int, tuple[int, str, str]] = {}
    last, before, count, sealed = 0, "", 0, 0
    try:
        for number, entry, seq, link in entry_rows.every(tx):
            count += 1
            for lot, numbers in books.effects(entry).items():
                for name, micros in numbers.items():
                    lots[entry.project, entry.unit, lot][name] += micros
                    held[entry.session] += micros if name == "held" and entry.session else 0
            if not held[entry.session]:
                del held[entry.session]
            if seq is None:
                continue
            sealed += 1
            links[seq] = (number, entries.digest(entry), link)
            while last + 1 in links:  # mostly at once: almost all entries are sealed in the order of their ids
                last += 1
                of, said, there = links.pop(last)
                if entries.joined(before, said) != there:
                    problems.say(f"entry {of} (place {last} of the chain) is not what was sealed")
                before = there
    except (ValueError, KeyError) as error:  # an invalid entry: it does not balance, or has no postings
        problems.say(f"an entry after the {count}th cannot be read: {error}")
    for seq in sorted(links):
        problems.say(f"place {seq} of the chain cannot be reached: place {last + 1} is missing")
    _compare(tx, lots, held, problems)
    return Audit(entries=count, sealed=sealed, head=before, found=problems.found, problems=tuple(problems.told))


def _compare(
    tx: Tx, lots: dict[tuple[str, str, str], defaultdict[str, int]], held: dict[str, int], problems: _Problems
) -> None:
    for lot in lot_rows.every(tx):
        sums = lots.pop((lot.project, lot.unit, lot.name), defaultdict(int))
        for name in ("granted", "available", "held", "spent", "expired"):
            if getattr(lot, name) != sums[name]:
                problems.say(
                    f"project {lot.project}, lot {lot.name!r}: {name} is {getattr(lot, name)}, its entries come "
                    f"to {sums[name]}"
                )
    for project, _, name in lots:
        problems.say(f"project {project}: there is no lot {name!r}, but entries refer to it")
    for row in lot_rows.open_holds(tx):
        if sum(row.parts.values()) != held.pop(row.session, 0):
            problems.say(f"session {row.session} does not hold what its entries say")
    for session, micros in held.items():
        problems.say(f"session {session} holds {micros} micro-units by its entries, and no hold is open")
