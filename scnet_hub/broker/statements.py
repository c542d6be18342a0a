"""The REST calls of statements: what each member gets or pays for a month, and the answers of its people."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from ..domain.paging import PAGE
from .bodies import INT64, BodyOf, answer
from .dependencies import After, Fed, Limit, Reading, Short, noun
from .models.statements import Answer, StatementEntries, Statements, WholeStatement
from .refusals import refuses

router = noun()
Answered = Annotated[Answer, Depends(BodyOf(Answer))]
ONE = refuses("unknown-statement", "unknown-period")
ANSWERS = refuses("unknown-statement", "unknown-period", "statement-answered", "too-late", "not-entitled")


async def _name(period: str, book: str, member: str) -> tuple[str, str, str]:
    return period, book, member


Name = Annotated[tuple[str, str, str], Depends(_name)]


async def _wanted(period: Short = "", member: Short = "", book: Short = "", state: Short = "") -> dict[str, str]:
    return {"period": period, "member": member, "unit": book, "state": state}


@router.get("/statements", response_model=Statements)
async def list_statements(
    fed: Fed, by: Reading, wanted: Annotated[dict[str, str], Depends(_wanted)], after: After = "", limit: Limit = PAGE
) -> Response:
    """Lists statements, newest first, without their lines: those of the caller's members; for operators all."""
    found, following = await fed.settling.statements(by, wanted, after, limit)
    return answer({"statements": found, "next": following})


@router.get("/statements/{period}/{book}/{member}", response_model=WholeStatement, openapi_extra=ONE)
async def get_statement(name: Name, fed: Fed, by: Reading) -> Response:
    """Returns a statement with its lines."""
    return answer(await fed.settling.statement(name, by))


@router.get("/statements/{period}/{book}/{member}/entries", response_model=StatementEntries, openapi_extra=ONE)
async def list_statement_entries(
    name: Name, fed: Fed, by: Reading, after: Annotated[int, Query(ge=0, lt=INT64)] = 0
) -> Response:
    """Lists the entries that a statement's lines are the sum of, 500 at a time."""
    return answer(await fed.settling.entries(name, by, after))


@router.post("/statements/{period}/{book}/{member}/accept", response_model=WholeStatement, openapi_extra=ANSWERS)
async def accept_statement(name: Name, fed: Fed, by: Reading, body: Answered) -> Response:
    """Accepts a statement in the name of a person of the member."""
    return answer(await fed.settling.answer(name, "accept", body.words, by))


@router.post("/statements/{period}/{book}/{member}/dispute", response_model=WholeStatement, openapi_extra=ANSWERS)
async def dispute_statement(name: Name, fed: Fed, by: Reading, body: Answered) -> Response:
    """Disputes a statement in the name of a person of the member, with a reason."""
    return answer(await fed.settling.answer(name, "dispute", body.words, by))


@router.post("/statements/{period}/{book}/{member}/settle", response_model=WholeStatement, openapi_extra=ANSWERS)
async def settle_statement(name: Name, fed: Fed, by: Reading, body: Answered) -> Response:
    """Settles a statement as an operator: it was paid; after a dispute with the decision."""
    return answer(await fed.settling.answer(name, "settle", body.words, by))
