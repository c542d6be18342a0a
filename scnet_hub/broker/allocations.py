"""The REST calls of projects and their allocations: who is in one, what it has, what it asks for and what it is answered."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from .. import allocations, documents, sessions
from ..allocations import Wish
from ..errors import BadOption, NotFound
from ..options import text
from ..units import Amount, credits
from .auth import Caller
from .routes import Fed, Who, aware, body_of, linker, operator_of

Json = dict[str, Any]
router = APIRouter()
KNOWN = {"project", "amount", "begins_at", "ends_at", "words", "centres", "renews"}
MOST = 1e9


@router.get("/allocations")
async def list_allocations(
    fed: Fed, who: Who, project: Annotated[str, Query(max_length=64)] = "", state: Annotated[str, Query(max_length=16)] = ""
) -> Json:
    """Newest first: of one's own projects; operators: of all."""
    return {"allocations": await fed.reports.allocations(who.scope, project=project, state=state)}


@router.post("/allocations", status_code=201)
async def ask(fed: Fed, who: Who, request: Request) -> Json:
    """A request of a project's PI or manager; not by a session's token, which its centre could read."""
    person, body, now = linker(who), await body_of(request), fed.clock()
    if unknown := sorted(set(body) - KNOWN):
        raise BadOption(f"Unknown field {unknown[0][:40]!r}.", hint=f"Known: {', '.join(sorted(KNOWN))}.")
    centres = body.get("centres") or []
    if not isinstance(centres, list):
        raise BadOption("centres: must be a list of centres.")
    wish = Wish(
        project=text("project", body.get("project", "")), amount=amount_in(body), words=prose(body.get("words", "")),
        begins_at=moment("begins_at", body.get("begins_at")) or now, ends_at=moment("ends_at", body.get("ends_at")),
        centres=tuple(text("centre", centre) for centre in centres), renews=text("renews", body.get("renews", "")),
    )  # fmt: skip
    row = await fed.db.run(allocations.ask, sessions.new_id(), wish, person, now, centres=list(fed.centres))
    return documents.allocation(row)


@router.post("/allocations/{allocation}/approve")
async def approve(allocation: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator: the amount that was asked for, or another."""
    operator_of(who)
    body = await body_of(request)
    amount = amount_in(body) if body.get("amount") is not None else None
    grantor, words = text("grantor", body.get("grantor") or "federation"), prose(body.get("words", ""))
    row = await fed.db.run(
        allocations.approve, allocation, _by(who), words, fed.clock(), grantor=grantor, amount=amount, grantors=_grantors(fed)
    )
    return documents.allocation(row)


@router.post("/allocations/{allocation}/decline")
async def decline(allocation: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator, with a reason."""
    operator_of(who)
    words = prose((await body_of(request)).get("words", ""))
    return documents.allocation(await fed.db.run(allocations.decline, allocation, _by(who), words, fed.clock()))


@router.post("/allocations/{allocation}/withdraw")
async def withdraw(allocation: str, fed: Fed, who: Who) -> Json:
    """By who may ask for that project."""
    person = linker(who)
    await fed.db.run(allocations.visible, allocation, person, operator=False)
    return documents.allocation(await fed.db.run(allocations.withdraw, allocation, person, fed.clock()))


@router.get("/projects/{project}")
async def show_project(project: str, fed: Fed, who: Who) -> Json:
    """Its members with what each spent, its lots and its allocations; for its members and operators."""
    if (found := await fed.reports.project(who.scope, project)) is None:
        raise NotFound(f"There is no project {project[:64]!r} of yours.", hint="`scnet balance` lists them.", code="unknown-project")
    return found


def _grantors(fed: Fed) -> dict[str, Amount | None]:
    return {one.id: None if one.budget is None else credits(one.budget) for one in fed.spec.grantor}


def _by(who: Caller) -> str:
    return who.person or "an operator"


def amount_in(body: Json) -> Amount:
    value = body.get("amount")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value <= MOST:
        raise BadOption("amount: must be a number of credits over zero.", hint=f"At most {MOST:,.0f}.")
    return credits(value)


def moment(name: str, value: object) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        return aware(datetime.fromisoformat(str(value)[:40]))
    except ValueError as error:
        raise BadOption(f"{name}: {str(value)[:40]!r} is no time.", hint="Write it like 2026-12-31 or 2026-12-31T12:00+08:00.") from error


def prose(value: object) -> str:
    """Words for people: lines are allowed, what steers a terminal is not."""
    if not isinstance(value, str) or any(not one.isprintable() and one != "\n" for one in value):
        raise BadOption("words: must be text without control characters.")
    return value
