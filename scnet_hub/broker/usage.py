"""The REST call of what was spent: one's own usage, a project's for who leads it, all for operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from ..domain import identifiers
from ..services.reporting.spending import LARGEST, PAGE, Question
from .bodies import answer
from .dependencies import Fed, Moment, Short, Who, noun
from .models.usage import Usage
from .refusals import refuses

router = noun()


@router.get("/usage", response_model=Usage, openapi_extra=refuses("unknown-project", "not-the-manager"))
async def get_usage(
    fed: Fed,
    who: Who,
    project: Short = "",
    person: Annotated[str, Query(max_length=255)] = "",
    by: Annotated[str, Query(max_length=16)] = "day",
    since: Moment = None,
    until: Moment = None,
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = PAGE,
) -> Response:
    """By day, centre, person, session or charge; since this month began unless it says otherwise. Times without a zone are the
    federation's."""
    spending = fed.reports.spending
    question = Question(
        by=by, since=spending.moment("since", since) or spending.month(fed.clock()), until=spending.moment("until", until),
        project=project, person=identifiers.person(person), after=after, limit=limit,
    )  # fmt: skip
    return answer(await spending.usage(question, who.person, operator=who.operator))
