"""The panel of `scnet.panel()`: centres, own sessions and allocations on one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from . import allocations, centres, sessions
from .base import Panel, script

Json = dict[str, Any]


def state(centre_list: Sequence[Json], session_list: Sequence[Json], balances: Sequence[Json], now: datetime) -> Json:
    """Joins the three panels' states; "3 of 4 centres up · 2 sessions, 1 waiting · 87.50 credits available"."""
    each = (centres.state(centre_list, now), sessions.state(session_list, now), allocations.state(balances, now))
    summary = " · ".join(filter(None, (one["summary"] for one in each)))
    return {**each[0], **each[1], **each[2], "summary": summary, "moving": any(one["moving"] for one in each)}


class OverviewPanel(Panel):
    """Centres, own sessions and allocations."""

    _esm = script("overview")
    parts = (*centres.CentresPanel.parts, *sessions.SessionsPanel.parts, *allocations.AllocationsPanel.parts)
    questions = (
        *centres.CentresPanel.questions,
        *sessions.SessionsPanel.questions,
        *allocations.AllocationsPanel.questions,
    )

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        return state(answers[0], answers[1], answers[2], now)


PANEL = OverviewPanel
