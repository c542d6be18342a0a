"""Lots: the grants of a project, each with its grantor, end and centres; and the rule for which lots pay.

A draw takes first the lots that expire first, then those for few centres only, so that no usable credits are lost; an
overdraft comes last. A hold keeps its lots until it is settled, even past their end. Pure: `books` writes what is
decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ...units import CREDIT

OVERDRAFT = "overdraft"
Parts = Mapping[str, int]  # micro-units of each lot, by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """An amount granted at once, in micro-units of `unit`: granted = available + held + spent + expired. `centres` says
    where it may be spent (empty: everywhere), `rate` is the price that its grantor pays a centre for each unit, in
    millionths of money. `available` may fall to -`floor`, which is 0 except for an overdraft."""

    project: str
    name: str
    grantor: str
    granted: int
    available: int
    held: int = 0
    spent: int = 0
    expired: int = 0
    floor: int = 0
    expires_at: datetime | None = None
    centres: tuple[str, ...] = ()
    rate: int = 0
    unit: str = CREDIT

    def open_to(self, centre: str, now: datetime) -> bool:
        """Tells whether it may be held from now for a session at that centre; "" asks about no particular centre."""
        return (self.expires_at is None or now < self.expires_at) and (
            not self.centres or centre in ("", *self.centres)
        )

    @property
    def drawable(self) -> int:
        return max(0, self.available + self.floor)


def available(lots: Iterable[Lot], centre: str, now: datetime) -> int:
    """Returns the amount that could be held for a session at that centre now."""
    return sum(lot.drawable for lot in lots if lot.open_to(centre, now))


def draw(lots: Sequence[Lot], micros: int, centre: str, now: datetime) -> Parts:
    """Returns which lots pay `micros`; together less if there is not so much."""
    parts: dict[str, int] = {}
    for lot in sorted((lot for lot in lots if lot.open_to(centre, now)), key=_order):
        if part := min(lot.drawable, micros - sum(parts.values())):
            parts[lot.name] = part
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The payment of a cost: `held` from its hold, `more` from the available credits; `back` is the rest of the hold
    that is released."""

    held: Parts
    more: Parts
    back: Parts


def settle(
    hold: Parts,
    lots: Sequence[Lot],
    cost: int,
    centre: str,
    now: datetime,
    *,
    last: bool = True,
    again: Parts | None = None,
) -> Settled:
    """Pays a cost first from the amounts just taken back from an earlier charge (`again`), even past those lots' end;
    then from its hold, as far as those lots are for that centre. The rest comes from the other lots, and a shortfall
    goes on the overdraft, whatever its limit: use is always charged. The rest of the hold returns if this was the
    `last` cost."""
    known = {lot.name: lot for lot in lots}
    more = _paid_again(known, cost, centre, again) if again else {}
    before = sum(more.values())
    held: dict[str, int] = {}
    for name, part in hold.items():
        there = known[name].centres
        if taken := min(part, cost - before - sum(held.values())) if not there or centre in there else 0:
            held[name] = taken
    if missing := cost - before - sum(held.values()):
        rest = [replace(lot, available=lot.available - more.get(lot.name, 0)) for lot in lots] if more else lots
        drawn = draw(rest, missing, centre, now)
        more = {name: more.get(name, 0) + drawn.get(name, 0) for name in {**more, **drawn}}
        if short := missing - sum(drawn.values()):
            more[OVERDRAFT] = more.get(OVERDRAFT, 0) + short
    left = {name: part - held.get(name, 0) for name, part in hold.items()}
    return Settled(held=held, more=more, back={name: part for name, part in left.items() if part} if last else {})


def _paid_again(known: Mapping[str, Lot], cost: int, centre: str, again: Parts) -> dict[str, int]:
    """Returns the amounts that each lot pays again, except an overdraft, which comes last as always."""
    found: dict[str, int] = {}
    for name, part in again.items():
        lot = known[name]
        fits = name != OVERDRAFT and (not lot.centres or centre in lot.centres)
        if taken := min(part, max(0, lot.available), cost - sum(found.values())) if fits else 0:
            found[name] = taken
    return found


def give_back(hold: Parts, micros: int) -> Parts:
    """Returns from which lots a hold gives back `micros`: first from those that it took last."""
    back: dict[str, int] = {}
    for name, part in reversed(list(hold.items())):
        if returned := min(part, micros - sum(back.values())):
            back[name] = returned
    return back


def _order(lot: Lot) -> tuple[bool, float, bool, str]:
    until = lot.expires_at.timestamp() if lot.expires_at else float("inf")
    return (lot.name == OVERDRAFT, until, not lot.centres, lot.name)
