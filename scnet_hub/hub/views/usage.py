"""`/hub/usage`: a person's usage in a month: the four numbers of their projects, a chart by day, each session with the
formula of each of its charges, and the same as CSV.

`view` turns the broker's answers into the texts of usage.html; the handlers call the broker in the person's name.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from tornado import web

from ...display import times
from ...errors import ScnetError
from . import formats
from .base import Page

Json = dict[str, Any]
Facts = formats.Facts
CHARGES = 2000  # per answer
_MONTH = re.compile(r"2\d{3}-(0[1-9]|1[0-2])", re.ASCII)
_PROJECT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
COLUMNS = (
    "at",
    "recorded_at",
    "project",
    "person",
    "session",
    "name",
    "centre",
    "kind",
    "amount",
    "formula",
    "key",
    "reverses",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute text that begins so


# ---- months


def span(month: str) -> dict[str, str]:
    """Returns the broker's parameters for a month; "": the present month, without parameters."""
    return {"since": f"{month}-01", "until": f"{after(month)}-01"} if month else {}


def after(month: str, months: int = 1) -> str:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 + months
    return f"{number // 12:04}-{number % 12 + 1:02}"


# ---- words


def view(
    balances: Facts | None, days: Facts | None, sessions: Facts | None, asked: Facts, error: ScnetError | None = None
) -> Json:
    """Returns all texts of the page; without an answer of the broker, only the error."""
    month, project = str(asked.get("month") or ""), str(asked.get("project") or "")
    shown: Json = {
        "problem": formats.problem(error) if error else None,
        "project": project,
        "projects": [],
        "usage": None,
    }
    shown["statements"] = bool(asked.get("statements"))
    if balances is None or days is None or sessions is None:
        return shown | {"month": month, "before": "", "after": ""}
    zone = formats.zone_of(days["zone"])
    current = month or str(days["first_day"])[:7]
    rows = [formats.session(one, zone) for one in sessions["rows"]]
    return shown | {
        "month": current, "before": after(current, -1), "after": after(current) if _over(days) else "",
        "as_of": formats.timed(days["as_of"], zone), "zone": str(days["zone"]),
        "projects": [formats.balance(one, balances["as_of"], zone) for one in balances["balances"]],
        "usage": {
            "charged": formats.exact(days["charged"]), "in_flight": formats.amount(days["in_flight"]),
            "sessions": days["sessions"], "days": formats.by_day(days["rows"], "Credits charged by day, "
            f"{current}"), "rows": rows, "more": sessions["more"],
        },
    }  # fmt: skip


def _over(days: Facts) -> bool:
    """Returns whether that month has ended, so that there is a next month."""
    until, now = times.read(days["until"]), times.read(days["as_of"])
    return bool(until and now and until <= now)


def as_csv(rows: Sequence[Facts]) -> str:
    """Returns a line for each charge. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in rows:
        writer.writerow(
            [f"{one[name]:.6f}" if name == "amount" else _harmless(str(one[name] or "")) for name in COLUMNS]
        )
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


# ---- the page


class UsagePage(Page):
    """GET shows the present month; with `?month=2026-10` that month; with `?project=P` only the usage of that
    project."""

    @web.authenticated
    async def get(self) -> None:
        asked, away = self.question(), None
        try:
            shown = await self.asked(asked)
        except ScnetError as error:
            shown, away = view(None, None, None, asked, error), error
        await self.say("usage.html", shown, away, here="usage")

    def question(self) -> dict[str, str]:
        """Returns the month and the project of the request; "" for values that are not valid."""
        month, project = self.get_query_argument("month", ""), self.get_query_argument("project", "")
        return {
            "month": month if _MONTH.fullmatch(month) else "",
            "project": project if _PROJECT.fullmatch(project) else "",
        }

    def params(self, asked: Facts) -> dict[str, str]:
        return {**span(asked["month"]), "person": self.person} | (
            {"project": asked["project"]} if asked["project"] else {}
        )

    async def asked(self, asked: Json) -> Json:
        broker, person, params = self.broker, self.person, self.params(asked)
        balances, days, sessions, statements = await asyncio.gather(
            broker.listed("balances", "balances", person, timeout=10),
            broker.call("GET", "usage", person, params={**params, "by": "day"}, timeout=20),
            broker.call("GET", "usage", person, params={**params, "by": "session"}, timeout=20),
            broker.listed("statements", "statements", person, timeout=10),
        )
        return view(balances, days, sessions, asked | {"statements": statements["statements"]})


class UsageTable(UsagePage):
    """GET usage.csv?month=…: the charges of that month; with `&project=P` only those of that project."""

    @web.authenticated
    async def get(self) -> None:
        params: Json = self.params(self.question()) | {"by": "charge", "limit": CHARGES}
        try:
            found = await self.broker.listed("usage", "rows", self.person, params=params, timeout=30)
        except ScnetError as error:
            raise web.HTTPError(error.status, str(error)) from error
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="usage-{str(found["first_day"])[:7]}.csv"')
        self.set_header("Cache-Control", "no-store")
        self.finish(as_csv(found["rows"]))
