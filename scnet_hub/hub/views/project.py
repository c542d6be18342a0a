"""`/hub/project?id=P`: a project's credits and how long they last, the spending of each person, and its allocations:
requested by those who lead the project, answered by operators.

`view` turns the broker's documents into the texts of project.html. Plain forms: a refusal is shown at its form, with
the input kept.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tornado import web

from ...display import times
from ...errors import NotFound, ScnetError
from ...units import parse_credits
from ..fresh_login import require_fresh
from . import formats
from .base import Page

Json = dict[str, Any]
Facts = formats.Facts
_PROJECT = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ALLOCATION = re.compile(r"[a-z0-9]{1,16}", re.ASCII)
ROLES = {"pi": "PI", "manager": "manager", "member": "member"}
STATES = {
    "requested": "waits for an answer", "approved": "approved, begins later", "active": "active", "ended": "ended",
    "declined": "declined", "withdrawn": "withdrawn",
}  # fmt: skip
ASKED = ("amount", "words", "begins_at", "ends_at", "centres", "renews")
TYPED = 2000  # the most characters of a field


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A form that was refused, and the error; `at` is the allocation, "" for a request."""

    do: str
    at: str
    typed: Mapping[str, str] = field(default_factory=dict)
    error: ScnetError


# ---- words


def member(one: Facts) -> Json:
    who = {"person": str(one["person"]), "role": ROLES.get(str(one["role"]), str(one["role"]))}
    if one["spent"] is None:  # only those who lead the project see it
        return {**who, "spent": "–", "held": "–", "cap": "–", "share": ""}
    spent, held, cap = float(one["spent"]), float(one["held"]), one["cap"]
    return {
        **who, "spent": formats.amount(spent),
        "held": formats.amount(held), "cap": "all" if cap is None else formats.amount(cap),
        "share": f"{100 * (spent + held) / cap:.0f} % used" if cap else "",
    }  # fmt: skip


def lot(one: Facts, zone: Any) -> Json:
    until = formats.timed(one["ends_at"], zone, times.day) if one["ends_at"] else "never"
    return {
        "name": str(one["name"] or "first grant"), "grantor": str(one["grantor"] or "–"), "until": until,
        "centres": ", ".join(one["centres"]) or "all",
        **{name: formats.amount(one[name]) for name in ("granted", "available", "held", "spent")},
        "expired": formats.amount(one["expired"]) if one["expired"] else "",
    }  # fmt: skip


def allocation(one: Facts, zone: Any, *, leads: bool, operator: bool, tried: Tried | None) -> Json:
    open_one = one["state"] == "requested"
    failed = tried if tried and tried.at == one["id"] else None
    return {
        "id": str(one["id"]), "amount": formats.amount(one["amount"]),
        "asked": f"{float(one['amount']):.6f}".rstrip("0").rstrip("."),
        "state": STATES.get(str(one["state"]), str(one["state"])), "open": open_one, "by": str(one["asked_by"]),
        "at": formats.timed(one["asked_at"], zone, times.day), "from": formats.timed(one["begins_at"], zone, times.day),
        "until": formats.timed(one["ends_at"], zone, times.day), "centres": ", ".join(one["centres"]) or "all centres",
        "words": str(one["words"]), "answer": str(one["answer"]), "decided_by": str(one["decided_by"]),
        "grantor": str(one["grantor"]), "renews": str(one["renews"]), "may_withdraw": open_one and leads,
        "may_answer": open_one and operator, "error": formats.problem(failed.error) if failed else None,
        "typed": dict(failed.typed) if failed else {},
    }  # fmt: skip


def leads(people: Facts, person: str) -> bool:
    """Returns whether the person may request allocations: the PI and managers; in a project without them, each
    member."""
    among = [str(one["person"]) for one in people["members"]]
    first = [str(one["person"]) for one in people["members"] if one["role"] != "member"]
    return person in (first or among)


def view(
    found: Facts | None,
    days: Facts | None,
    person: str,
    *,
    operator: bool,
    tried: Tried | None = None,
    error: ScnetError | None = None,
) -> Json:
    """Returns all texts of the page."""
    shown: Json = {"problem": formats.problem(error) if error else None, "project": None}
    if found is None or days is None:
        return shown
    zone, first = formats.zone_of(days["zone"]), leads(found, person)
    made = [allocation(one, zone, leads=first, operator=operator, tried=tried) for one in found["allocations"]]
    asking = tried if tried and not tried.at else None
    asked: Json = {
        "typed": dict(asking.typed) if asking else {},
        "error": formats.problem(asking.error) if asking else None,
    }
    misplaced = tried if tried and tried.at and tried.at not in [one["id"] for one in made] else None
    return shown | {
        "problem": shown["problem"] or (formats.problem(misplaced.error) if misplaced else None),
        "project": {**formats.balance(found, days["as_of"], zone), "kind": str(found["kind"])},
        "as_of": formats.timed(days["as_of"], zone), "zone": str(days["zone"]),
        "leads": first, "operator": operator, "burning": formats.burn_down(found["burning"], zone),
        "days": formats.by_day(days["rows"], "Credits charged by day") if found["sees_all"] or operator else None,
        "month": str(days["first_day"])[:7],
        "quotas": [
            {"name": QUOTAS.get(name, name), "used": one["used"], "limit": one["limit"]} for name,
            one in found["quota"].items()
        ],
        "sees_all": bool(found["sees_all"]), "members": [member(one) for one in found["members"]],
        "lots": [lot(one, zone) for one in found["lots"] if one["granted"] or one["spent"] or one["held"]],
        "allocations": made, "renewable": [one["id"] for one in found["allocations"] if one["state"] == "active"],
        "asking": asked,
    }  # fmt: skip


QUOTAS = {"sessions": "sessions", "cores": "cores", "gpus": "GPUs"}


def wish(project: str, typed: Mapping[str, str]) -> Json:
    """Returns a form as the body of a request. Raises BadOption for an amount that isn't valid."""
    body: Json = {
        "project": project,
        **{name: typed[name] for name in ("words", "begins_at", "ends_at", "renews") if typed.get(name)},
    }
    return body | {
        "amount": number(typed.get("amount", "")),
        "centres": [one for one in re.split(r"[\s,]+", typed.get("centres", "")) if one],
        "words": typed.get("words", "").replace("\r\n", "\n"),
    }  # fmt: skip


def number(text: str) -> float:
    return float(parse_credits(text))


# ---- the page


class ProjectPage(Page):
    """GET shows the project `id`; POST `do` = ask, withdraw, approve or decline, then shows it again."""

    @property
    def confirms(self) -> bool:
        return self.operator  # to answer needs a recent login, to request does not

    @web.authenticated
    async def get(self) -> None:
        await self.show(self.get_query_argument("id", ""))

    @web.authenticated
    async def post(self) -> None:
        project, do, at = (self.get_body_argument(name, "")[:64] for name in ("project", "do", "allocation"))
        typed = {name: self.get_body_argument(name, "")[:TYPED] for name in (*ASKED, "grantor")}
        try:
            await self.act(project, do, at, typed)
        except ScnetError as error:
            return await self.show(project, tried=Tried(do=do, at=at if do != "ask" else "", typed=typed, error=error))
        self.redirect(f"{self.hub.base_url}project?id={quote(project, safe='')}#allocations", status=303)

    async def act(self, project: str, do: str, at: str, typed: Mapping[str, str]) -> None:
        if not _PROJECT.fullmatch(project) or (do != "ask" and not _ALLOCATION.fullmatch(at)):
            raise NotFound(
                "There is no such project or allocation.", hint="Use the forms of this page.", code="unknown-project"
            )
        if do == "ask":
            await self.broker.call("POST", "allocations", self.person, json=wish(project, typed))
        elif do == "withdraw":
            await self.broker.call("POST", f"allocations/{at}/withdraw", self.person)
        elif do in ("approve", "decline") and self.operator:
            require_fresh(self)
            body: Json = {"words": typed["words"].replace("\r\n", "\n")}
            if do == "approve":
                body |= {
                    "amount": number(typed["amount"]),
                    **({"grantor": typed["grantor"]} if typed["grantor"] else {}),
                }
            await self.broker.call("POST", f"allocations/{at}/{do}", self.person, operator=True, json=body)
        else:
            raise web.HTTPError(403, "This action is for the federation's operators.")

    async def show(self, project: str, *, tried: Tried | None = None) -> None:
        away = None
        try:
            shown = view(*await self.asked(project), self.person, operator=self.operator, tried=tried)
        except ScnetError as error:
            shown, away = view(None, None, self.person, operator=self.operator, error=error), error
        await self.say("project.html", shown, tried.error if tried else None, away, here="usage")

    async def asked(self, project: str) -> tuple[Json, Json]:
        if not _PROJECT.fullmatch(project):
            raise NotFound("There is no such project.", hint="Follow a link of the page Usage.", code="unknown-project")
        found, days = await asyncio.gather(
            self.broker.call("GET", f"projects/{project}", self.person, operator=self.operator, timeout=10),
            self.broker.call(
                "GET",
                "usage",
                self.person,
                operator=self.operator,
                params={"project": project, "by": "day"},
                timeout=20,
            ),
        )
        return found, days
