"""The seeded schedule: which fault strikes where, from when to when. A pure function of seed, length and centres.

It never breaks everything: of the centres at most half at once, of the federation's own parts one at a time, and a
target that was broken has time to recover. Whatever begins ends before the schedule does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.real.testbed.layout import CENTRES

from .catalogue import FAULTS, Fault

CALM = 25.0  # seconds before the first fault: sessions start
PAUSE = (4.0, 12.0)  # between two beginnings
RECOVERY = 20.0  # before a target is struck again
SHARE = 8  # no fault lasts longer than this part of the whole


@dataclass(frozen=True, kw_only=True)
class Step:
    """`name` strikes `target` at `begins` and its opposite mends it at `ends`: seconds from the start. `at`: node or
    account."""

    begins: float
    ends: float
    name: str
    target: str
    at: str = ""

    @property
    def opposite(self) -> str:
        return FAULTS[self.name].opposite


def plan(
    seed: int, seconds: float, centres: Sequence[str] = tuple(CENTRES), without: Sequence[str] = ()
) -> tuple[Step, ...]:
    """The steps in the order of their beginnings. `without`: names of faults that shall not occur."""
    dice = random.Random(seed)
    cards = _deck(dice, centres, without)
    waiting: list[Step] = []
    steps: list[Step] = []
    now = CALM
    while now < seconds:
        while len(waiting) < 12:
            waiting.append(_dealt(dice, *next(cards), seconds))
        found = next((card for card in waiting if _fits(_moved(card, now), steps, centres, seconds)), None)
        if found is None:
            now += 1
            continue
        waiting.remove(found)
        steps.append(_moved(found, now))
        now += dice.uniform(*PAUSE)
    return tuple(steps)


def _deck(dice: random.Random, centres: Sequence[str], without: Sequence[str]) -> Iterator[tuple[Fault, str]]:
    """The essential faults first, each at one place; then all, shuffled again and again."""
    known = [fault for fault in FAULTS.values() if fault.name not in without]
    places = {fault.name: [one for one in fault.targets if one in centres or one not in CENTRES] for fault in known}
    known = [fault for fault in known if places[fault.name]]
    first = [(fault, dice.choice(places[fault.name])) for fault in known if fault.essential]
    dice.shuffle(first)
    yield from first
    while True:
        cards = [(fault, place) for fault in known for place in places[fault.name]]
        dice.shuffle(cards)
        yield from cards


def _dealt(dice: random.Random, fault: Fault, target: str, seconds: float) -> Step:
    least, most = fault.lasts
    lasts = dice.uniform(least, max(least, min(most, seconds / SHARE)))
    nodes: Mapping[str, Sequence[str]] = {
        "node": CENTRES[target].nodes if fault.at else (),
        "account": sorted(CENTRES[target].people.values()) if fault.at else (),
    }
    return Step(
        begins=0,
        ends=round(lasts, 1),
        name=fault.name,
        target=target,
        at=dice.choice(nodes[fault.at]) if fault.at else "",
    )


def _moved(card: Step, to: float) -> Step:
    length = card.ends - card.begins
    return Step(begins=round(to, 1), ends=round(to + length, 1), name=card.name, target=card.target, at=card.at)


def _fits(step: Step, others: Sequence[Step], centres: Sequence[str], seconds: float) -> bool:
    if step.ends > seconds:
        return False
    beside = [other for other in others if other.begins < step.ends + RECOVERY and step.begins < other.ends + RECOVERY]
    if any(other.target == step.target for other in beside):
        return False
    meanwhile = {other.target for other in others if other.begins < step.ends and step.begins < other.ends}
    if step.target in CENTRES:
        return len((meanwhile & set(CENTRES)) | {step.target}) <= max(1, len(centres) // 2)
    return not (meanwhile - set(CENTRES))
