"""`/hub/statements`: the statements of a person's members; `/hub/statement?name=2026-11/GRANT/M`: one statement, to
print and to answer.

`view` turns the broker's document into the texts of statement.html; the broker says who may answer (`may`).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tornado import web

from ...display import times
from ...errors import NotFound, ScnetError
from ...units import CREDIT
from ..fresh_login import require_fresh
from . import formats
from .base import Page
from .settlement import ANSWERS, BOOKS, statement_line

Json = dict[str, Any]
Facts = formats.Facts
_NAME = re.compile(r"(2\d{3}-(?:0[1-9]|1[0-2]))/([A-Z]{3,8})/([a-z0-9][a-z0-9._-]{0,63})", re.ASCII)
DOES = ("accept", "dispute", "settle")
STANDS = {True: "settlement", False: "usage"}  # the link in the navigation bar, by whether the person is an operator
COLUMNS = {
    "earned": ("Earned", "work as a centre"), "app_share": ("App share", "its apps"),
    "fee": ("Fee", "the federation's part"), "subsidy": ("Subsidy", "credits it granted that others "
    "spent"), "sla_credit": ("SLA credit", "given back for outages"),
    "suspense": ("Suspense", "work without a known payer yet"), "clawback": ("Corrections", "of closed months"),
}  # fmt: skip


def view(
    one: Facts | None, zone_name: str = "", *, federation: str = "", typed: str = "", tried: ScnetError | None = None,
    error: ScnetError | None = None,
) -> Json:  # fmt: skip
    """Returns all texts of the page."""
    if one is None:
        return {"problem": formats.problem(error) if error else None, "statement": None}
    zone, unit = formats.zone_of(zone_name), "credits" if one["book"] == CREDIT else str(one["due_unit"])
    columns = [
        {"title": title, "means": means, "amount": formats.exact(one["columns"][name])}
        for name, (title, means) in COLUMNS.items()
        if one["columns"].get(name)
    ]
    lines = [
        {
            "column": COLUMNS.get(str(line["column"]), (str(line["column"]), ""))[0], "account": str(line["account"]),
            "entries": f"{line['entries']:,}", "corrects": str(line["corrects"]),
            "amount": formats.exact(line["amount"]),
        }
        for line in one["lines"]
    ]  # fmt: skip
    return {
        "problem": None, "tried": formats.problem(tried) if tried else None, "typed": typed,
        "statement": {
            "name": str(one["name"]), "period": str(one["period"]),
            "book": BOOKS.get(str(one["book"]), str(one["book"])), "unit": unit, "federation": federation,
            "member": str(one["member"]), "title": str(one["title"]), "columns": columns, "lines": lines,
            "net": formats.exact(one["net"]), "due": formats.exact(abs(one["due"])), "due_unit": str(one["due_unit"]),
            "gets": one["due"] >= 0, "credits": unit == "credits",
            "state": ANSWERS.get(str(one["state"]), str(one["state"])), "issued": times.day(one["issued_at"], zone),
            "until": times.day(one["accept_by"], zone), "words": str(one["words"]), "by": str(one["answered_by"]),
            "before": one["trail"][:-1],
            "answered": times.dated(one["answered_at"], zone) if one["answered_at"] else "", "zone": zone_name,
            "reimbursements": [
                {
                    "grantor": str(each["grantor"]), "member": str(each["member"]),
                    "credits": formats.exact(each["credits"]), "rate": formats.exact(each["rate"]),
                    "money": formats.exact(each["money"]),
                }
                for each in one["reimbursements"]
            ],
            "entries": f"{one['entries']:,}", "head": str(one["head"]),
            "may": [verb for verb in DOES if verb in one["may"]],
        },
    }  # fmt: skip


class StatementsPage(Page):
    """GET lists the statements that the person may see; for operators, all."""

    @web.authenticated
    async def get(self) -> None:
        shown: Json = {"rows": [], "problem": None}
        away = None
        try:
            found, me = await asyncio.gather(
                self.broker.listed("statements", "statements", self.person, operator=self.operator, timeout=20),
                self.broker.call("GET", "me", self.person, operator=self.operator, timeout=10),
            )
            zone = formats.zone_of(me["time_zone"])
            shown |= {"rows": [statement_line(one, zone) for one in found["statements"]], "zone": str(me["time_zone"])}
        except ScnetError as error:
            shown, away = shown | {"problem": formats.problem(error)}, error
        await self.say("statements.html", shown, away, here=STANDS[self.operator])


class StatementPage(Page):
    """GET shows one statement; POST `do` = accept, dispute or settle, with `words`, then shows it again."""

    @property
    def confirms(self) -> bool:
        return True

    @web.authenticated
    async def get(self) -> None:
        await self.show(self.get_query_argument("name", ""))

    @web.authenticated
    async def post(self) -> None:
        name, do, words = (self.get_body_argument(field, "")[:2000] for field in ("name", "do", "words"))
        try:
            require_fresh(self)
            if do not in DOES:
                raise NotFound("Unknown action for a statement.", hint="Use the buttons of its page.")
            await self.ask("POST", f"{place(name)}/{do}", json={"words": words.replace("\r\n", "\n")})
        except ScnetError as error:
            return await self.show(name, typed=words, tried=error)
        self.redirect(f"{self.hub.base_url}statement?name={name}", status=303)

    async def ask(self, method: str, path: str, **kwargs: Any) -> Json:
        return await self.broker.call(method, path, self.person, operator=self.operator, **kwargs)

    async def show(self, name: str, *, typed: str = "", tried: ScnetError | None = None) -> None:
        away = None
        try:
            one, me = await self.ask("GET", place(name)), await self.ask("GET", "me")
            shown = view(one, str(me["time_zone"]), federation=str(me["federation"]), typed=typed, tried=tried)
        except ScnetError as error:
            shown, away = view(None, error=tried or error), error
        await self.say("statement.html", shown, tried, away, here=STANDS[self.operator])


def place(name: str) -> str:
    """Returns the path of a statement at the broker. Raises NotFound if the name is not valid."""
    found = _NAME.fullmatch(name)
    if not found:
        raise NotFound(
            "There is no such statement.", hint="Follow a link of the hub's pages.", code="unknown-statement"
        )
    return f"statements/{'/'.join(found.groups())}"
