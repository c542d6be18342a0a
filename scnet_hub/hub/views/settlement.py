"""`/hub/settlement`: for operators, the months and what blocks their closing, late centres, records in suspense,
whether the books balance, disputes, and who pays whom; with forms to close and decide.

`view` turns the broker's board into the texts of settlement.html. Plain forms; a refusal is shown at its form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tornado import web

from ...display import times
from ...errors import BadOption, ScnetError
from ...units import CREDIT
from ..fresh_login import require_fresh
from . import formats
from .base import Page

Json = dict[str, Any]
Facts = formats.Facts
_PERIOD = re.compile(r"2\d{3}-(0[1-9]|1[0-2])", re.ASCII)
_RECORD = re.compile(r"\d{1,18}", re.ASCII)
_CENTRE = re.compile(r"[a-z][a-z0-9-]{0,30}", re.ASCII)
STATES = {"open": "open", "closing": "over, not closed", "closed": "closed"}
DECISIONS = ("drop", "believe")
EXCUSE = "excuse-"
TYPED = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A form that was refused, and the error; `at` is a month or a record."""

    at: str
    error: ScnetError
    typed: Mapping[str, str] = field(default_factory=dict)


# ---- words


def period(one: Facts, whole: Facts | None, zone: Any, tried: Tried | None) -> Json:
    failed = tried if tried and tried.at == one["name"] else None
    lacking = [centre for centre in (whole or {}).get("centres", ()) if centre["missing"] and not centre["excuse"]]
    return {
        "name": str(one["name"]), "state": STATES.get(str(one["state"]), str(one["state"])),
        "closed": one["state"] == "closed", "when": _period_when(one, zone),
        "hinders": [str(words) for words in one["hinders"]],
        "excuses": [{"centre": str(centre), "words": str(words)} for centre, words in one["excuses"].items()],
        "may_close": one["state"] == "closing" and not one["cut"], "cut": bool(one["cut"]) and one["state"] != "closed",
        "lacking": [{"id": str(at["centre"]), "name": str(at["name"]),
        "typed": _typed(failed, at["centre"])} for at in lacking],
        "error": formats.problem(failed.error) if failed else None,
    }  # fmt: skip


def _typed(failed: Tried | None, centre: Any) -> str:
    return failed.typed.get(f"{EXCUSE}{centre}", "") if failed else ""


def _period_when(one: Facts, zone: Any) -> str:
    if one["state"] == "closed":
        return f"on {times.dated(one['closed_at'], zone)} by {one['closed_by'] or 'an operator'}"
    return f"{'over since' if one['state'] == 'closing' else 'ends on'} {times.day(one['end'], zone)}"


def record(one: Facts, zone: Any, tried: Tried | None) -> Json:
    failed = tried if tried and tried.at == str(one["id"]) else None
    return {
        "id": str(one["id"]), "centre": str(one["centre"]), "record": str(one["record"]), "reason": str(one["reason"]),
        "seen": times.dated(one["seen_at"], zone), "chargeable": bool(one["session"]),
        "error": formats.problem(failed.error) if failed else None,
        "typed": failed.typed.get("words", "") if failed else "",
    }  # fmt: skip


def centre(one: Facts, now: Any) -> Json:
    return {
        "name": str(one["name"]), "last_day": str(one["last_day"] or "none"),
        "record": times.ago(one["last_record_at"], now, never="never"),
        "late": bool(one["late"]), "why": str(one["why"]),
    }  # fmt: skip


def trial(one: Facts) -> Json:
    """Returns a book's trial balance."""
    accounts = [{"name": str(kind), "amount": formats.exact(amount)} for kind, amount in one["accounts"].items()]
    unit = BOOKS.get(str(one["unit"]), str(one["unit"]))
    return {"unit": unit, "sum": formats.exact(one["sum"]), "right": not one["sum"], "accounts": accounts}


BOOKS = {"GRANT": "Credits", "CNY": "Money (CNY)"}


def statement_line(one: Facts, zone: Any) -> Json:
    """Returns one statement as a row of a list."""
    unit = "credits" if one["book"] == CREDIT else str(one["due_unit"])
    return {
        "name": str(one["name"]), "period": str(one["period"]), "book": BOOKS.get(str(one["book"]), str(one["book"])),
        "title": str(one["title"]), "net": f"{formats.amount(one['net'])} "
        f"{unit}", "due": f"{formats.amount(one['due'])} "
        f"{one['due_unit']}",
        "state": ANSWERS.get(str(one["state"]), str(one["state"])), "words": str(one["words"]),
        "by": str(one["answered_by"]), "until": times.day(one["accept_by"], zone),
    }  # fmt: skip


ANSWERS = {
    "preview": "a preview", "issued": "waits for an answer", "accepted": "accepted", "disputed": "disputed",
    "settled": "settled",
}  # fmt: skip
COUNTED = {**ANSWERS, "issued": "not answered yet"}


def netting(one: Facts | None) -> Json | None:
    if one is None:
        return None
    titles = {at["member"]: str(at["title"]) for at in one["positions"]}
    return {
        "period": str(one["period"]), "unit": str(one["unit"]),
        "positions": [{"title": str(at["title"]), "amount": formats.amount(at["amount"])} for at in one["positions"]],
        "payments": [
            {**{end: titles.get(at[end], str(at[end])) for end in ("payer", "payee")},
            "amount": formats.amount(at["amount"])}
            for at in one["payments"]
        ],
    }  # fmt: skip


def view(
    board: Facts | None,
    wholes: Mapping[str, Facts],
    zone_name: str,
    *,
    tried: Tried | None = None,
    error: ScnetError | None = None,
) -> Json:
    """Returns all texts of the page."""
    if board is None:
        return {"problem": formats.problem(error) if error else None, "board": None}
    zone = formats.zone_of(zone_name)
    months = [period(one, wholes.get(str(one["name"])), zone, tried) for one in board["periods"]]
    suspense = [record(one, zone, tried) for one in board["suspense"]["records"]]
    places = {one["name"] for one in months} | {one["id"] for one in suspense}
    misplaced = tried.error if tried and tried.at not in places else None
    return {
        "problem": formats.problem(misplaced) if misplaced else None,
        "board": {
            "as_of": times.minute(board["as_of"], zone), "zone": zone_name, "months": months, "suspense": suspense,
            "suspended": board["suspense"]["count"],
            "oldest": times.ago(board["suspense"]["oldest_at"], board["as_of"], never="never"),
            "centres": [centre(one, board["as_of"]) for one in board["centres"]],
            "late": sum(one["late"] for one in board["centres"]), "trial": [trial(one) for one in board["trial"]],
            "right": all(not one["sum"] for one in board["trial"]),
            "answers": [{"state": COUNTED.get(str(name), str(name)), "count": count} for name,
            count in board["answers"].items() if count],
            "disputes": [statement_line(one, zone) for one in board["disputes"]], "netting": netting(board["netting"]),
        },
    }  # fmt: skip


# ---- the page


class SettlementPage(Page):
    """GET shows the board; POST `do` = close (a month) or decide (a record in suspense), then shows it again."""

    @property
    def confirms(self) -> bool:
        return True

    @web.authenticated
    async def get(self) -> None:
        self.allow()
        await self.show()

    @web.authenticated
    async def post(self) -> None:
        self.allow()
        do, at = self.get_body_argument("do", "")[:20], self.get_body_argument("at", "")[:20]
        names = [name for name in self.request.body_arguments if name != "_xsrf"]
        typed = {name: self.get_body_argument(name)[:TYPED].replace("\r\n", "\n") for name in names}
        try:
            require_fresh(self)
            await self.act(do, at, typed)
        except ScnetError as error:
            return await self.show(tried=Tried(at=at, error=error, typed=typed))
        self.redirect(f"{self.hub.base_url}settlement#{'months' if do == 'close' else 'suspense'}", status=303)

    def allow(self) -> None:
        if not self.operator:
            raise web.HTTPError(403, "This page is for the federation's operators.")

    async def ask(self, method: str, path: str, **kwargs: Any) -> Json:
        return await self.broker.call(method, path, self.person, operator=True, **kwargs)

    async def act(self, do: str, at: str, typed: Mapping[str, str]) -> None:
        if do == "close" and _PERIOD.fullmatch(at):
            excuses = {
                name.removeprefix(EXCUSE): words
                for name, words in typed.items()
                if name.startswith(EXCUSE) and words.strip()
            }
            if strange := [one for one in excuses if not _CENTRE.fullmatch(one)]:
                raise BadOption(f"There is no centre {strange[0][:40]!r}.", hint="Use the forms of this page.")
            await self.ask("POST", f"periods/{at}/close", json={"excuses": excuses}, timeout=120)
        elif do in DECISIONS and _RECORD.fullmatch(at):
            await self.ask(
                "POST",
                f"usage-records/suspense/{quote(at, safe='')}",
                json={"decision": do, "words": typed.get("words", "")},
            )
        else:
            raise BadOption("This page does not support that action.", hint="Use its forms.")

    async def show(self, *, tried: Tried | None = None) -> None:
        away = None
        try:
            board = await self.ask("GET", "settlement/board", timeout=30)
            names = [str(one["name"]) for one in board["periods"] if one["state"] == "closing"]
            wholes = {name: await self.ask("GET", f"periods/{name}", timeout=30) for name in names[-2:]}
            zone = str((await self.ask("GET", "me"))["time_zone"])
            shown = view(board, wholes, zone, tried=tried)
        except ScnetError as error:
            shown, away = view(None, {}, "", error=error), error
        await self.say("settlement.html", shown, tried.error if tried else None, away, here="settlement")
