"""The panel of a person's allocations: what is settled, in flight, held and available, the quotas, the rate of
spending, and the last days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from .base import Panel, script
from .poller import question
from .snapshot import age
from .state import balance_row, shown

Json = dict[str, Any]


class Allocations:
    """The saved form: a section, or a few lines, for each allocation."""

    def html(self, state: Json) -> str:
        return "".join(_html(row, state["now"]) for row in state.get("balances", ()))

    def text(self, state: Json) -> str:
        return "\n\n".join(_text(row) for row in state.get("balances", ()))


def _html(row: Json, now: str | None) -> str:
    numbers = "".join(
        f"<div class='{one['key']}'><dt>{one['label']}</dt><dd>{escape(one['text'])}</dd>{_age(one, now)}</div>"
        for one in row["money"]
    )
    bar = "".join(f"<span class='{one['key']}' style='width:{one['share'] * 100:.2f}%'></span>" for one in row["money"])
    meters = "".join(
        f"<div class='scnet-quota {one['tone']}'><span>{escape(one['text'])}</span>"
        f"<span class='scnet-meter'><span style='width:{one['share'] * 100:.2f}%'></span></span></div>"
        for one in row["quotas"]
    )
    title = (
        f"My allocation <span class='scnet-note'>{escape(row['title'])}, {escape(row['granted'])} credits "
        "granted</span>"
    )
    return (
        f"<section class='scnet-money'><h4>{title}</h4><dl>{numbers}</dl><div class='scnet-bar'>{bar}</div>"
        f"<div class='scnet-quotas'>{meters}</div><p class='scnet-pace'>{escape(row['pace'])}</p>"
        f"<div class='scnet-days'>{row['chart']}</div></section>"
    )


def _age(one: Json, now: str | None) -> str:
    return f"<dd class='scnet-note'>{age(one['at'], now)}</dd>" if one["at"] else ""


def _text(row: Json) -> str:
    money = ", ".join(f"{one['label'].lower()} {one['text']}" for one in row["money"])
    quotas = "; ".join(one["text"] for one in row["quotas"])
    lines = (
        f"{row['title']}: {money} of {row['granted']} credits",
        quotas and f"In use: {quotas}",
        row["pace"].replace(". ", ".\n"),
    )
    return "\n".join(filter(None, lines))


def state(balances: Sequence[Json], now: datetime) -> Json:
    """Makes the state of the answer of `GET balance`. The summary is about the first project, the person's default."""
    rows = [balance_row(one) for one in balances]
    return shown(now, "".join(f"{row['mine']} credits available" for row in rows[:1]), balances=rows)


class AllocationsPanel(Panel):
    """Own allocations."""

    _esm = script("allocations")
    parts = (Allocations(),)
    questions = (question("balance"),)

    def draw(self, answers: Sequence[Any], now: datetime) -> Json:
        return state(answers[0], now)


PANEL = AllocationsPanel
