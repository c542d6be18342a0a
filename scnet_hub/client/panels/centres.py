"""The panel of the member centres: their state, what is free, the queue, the price, and the age of these facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...display.times import NONE
from .base import Panel, script
from .poller import question
from .snapshot import Table, badge, clock, noted, plain
from .state import centre_row, plural, shown

Json = dict[str, Any]


def share(part: int, whole: int) -> str:
    return f"{part:,} / {whole:,}" if whole else NONE


TABLE = Table(
    "Centres",
    lambda state: state.get("centres", ()),
    (
        noted(
            "Centre",
            lambda row: row["name"],
            lambda row: " · ".join(filter(None, (row["title"], row["account"]))),
            text=lambda row: f"{row['name']} ({row['account']})" if row["account"] else row["name"],
        ),
        badge("State", lambda row: row["why"]),
        plain("Cores free", lambda row: share(row["cores_free"], row["cores"]), num=True),
        plain("GPUs free", lambda row: share(row["gpus_free"], row["gpus"]), num=True),
        plain("Queue", lambda row: f"{row['queued']:,}", num=True),
        plain("Per core-hour", lambda row: row["price"] or NONE, num=True),
        clock("Facts", "since", "taken_at"),
    ),
)


def state(centres: Sequence[Json], now: datetime) -> Json:
    """Makes the state of the answer of `GET centres`."""
    rows = [centre_row(one) for one in centres]
    up = sum(row["word"] == "up" for row in rows)
    return shown(now, f"{up} of {plural(len(rows), 'centre')} up" if rows else "no centres", centres=rows)


class CentresPanel(Panel):
    """All member centres."""

    _esm = script("centres")
    parts = (TABLE,)
    questions = (question("centres"),)

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        return state(answers[0], now)


PANEL = CentresPanel
