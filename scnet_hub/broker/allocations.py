"""The REST calls of projects and their allocations: who is in one, what it has, what it asks for and what it is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from ..display.times import parse_instant
from ..domain.sessions.requests import text
from ..errors import BadOption, NotFound
from ..services import documents, tokens
from ..services.projects import allocations
from ..services.projects.allocations import Wish
from ..units import MOST_CREDITS, Amount, check_credits, credits
from .auth import Caller
from .bodies import INSTANT, body_of, described, only, texts
from .sessions import Fed, Who, linker, operator_of

Json = dict[str, Any]
router = APIRouter()
KNOWN = ("amount", "begins_at", "centres", "ends_at", "project", "renews", "words")
AMOUNT: Json = {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_CREDITS}
WORDS: Json = texts(allocations.WORDS)
WISH_SCHEMA = described(
    required=("project", "amount"), project=texts(64), amount=AMOUNT, words=WORDS, begins_at=INSTANT, ends_at=INSTANT,
    centres={"type": "array", "items": texts(64)}, renews=texts(64),
)  # fmt: skip


@router.get("/allocations")
async def list_allocations(
    fed: Fed, who: Who, project: Annotated[str, Query(max_length=64)] = "", state: Annotated[str, Query(max_length=16)] = ""
) -> Json:
    """Newest first: of one's own projects; operators: of all."""
    return {"allocations": await fed.reports.allocations(who.scope, project=project, state=state)}


@router.post("/allocations", status_code=201, openapi_extra=WISH_SCHEMA)
async def ask(fed: Fed, who: Who, request: Request) -> Json:
    """A request of a project's PI or manager; not by a session's token, which its centre could read."""
    person, body, now = linker(who), await body_of(request), fed.clock()
    only(body, *KNOWN)
    centres = body.get("centres") or []
    if not isinstance(centres, list):
        raise BadOption("centres: must be a list of centres.")
    wish = Wish(
        project=text("project", body.get("project", "")), amount=check_credits(body.get("amount")), words=prose(body.get("words", "")),
        begins_at=moment("begins_at", body.get("begins_at")) or now, ends_at=moment("ends_at", body.get("ends_at")),
        centres=tuple(text("centre", centre) for centre in centres), renews=text("renews", body.get("renews", "")),
    )  # fmt: skip
    row = await fed.db.run(allocations.ask, tokens.new_id(), wish, person, now, centres=list(fed.centres))
    return documents.allocation(row)


@router.post("/allocations/{allocation}/approve", openapi_extra=described(amount=AMOUNT, grantor=texts(64), words=WORDS))
async def approve(allocation: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator: the amount that was asked for, or another."""
    operator_of(who)
    body = await body_of(request)
    only(body, "amount", "grantor", "words")
    amount = check_credits(body["amount"]) if body.get("amount") is not None else None
    grantor, words = text("grantor", body.get("grantor") or "federation"), prose(body.get("words", ""))
    row = await fed.db.run(
        allocations.approve, allocation, _by(who), words, fed.clock(), grantor=grantor, amount=amount, grantors=_grantors(fed)
    )
    return documents.allocation(row)


@router.post("/allocations/{allocation}/decline", openapi_extra=described(words=WORDS))
async def decline(allocation: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator, with a reason."""
    operator_of(who)
    body = await body_of(request)
    only(body, "words")
    words = prose(body.get("words", ""))
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


def moment(name: str, value: object) -> datetime | None:
    return None if value in (None, "") else parse_instant(value, option=name)


def prose(value: object) -> str:
    """Words for people: lines are allowed, what steers a terminal is not."""
    if not isinstance(value, str) or any(not one.isprintable() and one != "\n" for one in value):
        raise BadOption("words: must be text without control characters.")
    return value
