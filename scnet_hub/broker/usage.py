"""The REST call of what was spent: one's own usage, a project's for who leads it, all for operators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from ..domain import identifiers
from ..services.reporting.spending import LARGEST, PAGE, Question
from .bodies import INSTANT
from .sessions import Fed, Who

Json = dict[str, Any]
router = APIRouter()
Short = Annotated[str, Query(max_length=64)]
Moment = Annotated[str, Query(max_length=40, json_schema_extra=INSTANT)]


@router.get("/usage")
async def usage(
    fed: Fed,
    who: Who,
    project: Short = "",
    person: Annotated[str, Query(max_length=255)] = "",
    by: Annotated[str, Query(max_length=16)] = "day",
    since: Moment = "",
    until: Moment = "",
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = PAGE,
) -> Json:
    """By day, centre, person, session or charge; since this month began, unless it says otherwise. `next` is the next page's `after`."""
    spending = fed.reports.spending
    question = Question(
        by=by, since=spending.moment("since", since) or spending.month(fed.clock()), until=spending.moment("until", until),
        project=project, person=identifiers.person(person), after=after, limit=limit,
    )  # fmt: skip
    return await spending.usage(question, who.person, operator=who.operator)
