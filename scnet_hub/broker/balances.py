"""The REST calls of the books: what projects may still spend, their entries, and whether the books are right."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from ..domain.paging import PAGE
from ..services import documents
from ..services.documents import iso
from .bodies import INT64, answer
from .dependencies import After, Fed, Limit, Operator, Who, noun
from .models.balances import Audit, Balances, Entries
from .refusals import refuses

router = noun()


@router.get("/balances", response_model=Balances)
async def list_balances(fed: Fed, who: Who, after: After = "", limit: Limit = PAGE) -> Response:
    """Lists a balance for each of the caller's projects, in the order of their ids; for operators for every project."""
    found, following = await fed.reports.balances(who.scope, after, limit)
    return answer({"as_of": iso(fed.clock()), "balances": found, "next": following})


@router.get("/entries", response_model=Entries, openapi_extra=refuses("unknown-project"))
async def list_entries(
    fed: Fed,
    who: Who,
    project: Annotated[str, Query(max_length=64)],
    after: Annotated[int, Query(ge=0, lt=INT64)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Lists entries, newest first: a member's own entries and the project's; for the project's PI, its managers and
    operators all entries."""
    return answer(await fed.reports.entries(who.scope, project, after, limit))


@router.get("/ledger/verify", response_model=Audit)
async def verify_ledger(fed: Fed, who: Operator) -> Response:
    """Reads the whole books and answers whether they are right."""
    return answer(documents.audit(await fed.bookkeeping.verify()))
