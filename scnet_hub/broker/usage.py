"""The REST call of what was spent: the caller's own usage; a project's for its PI and managers; all for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query, Response

from ..domain import identifiers
from ..services.reporting.usage_question import LARGEST, PAGE, Question
from .bodies import answer
from .dependencies import Fed, Moment, Short, Who, noun
from .models.usage import Usage
from .refusals import refuses

router = noun()


async def _times(fed: Fed, since: Moment = None, until: Moment = None) -> tuple[datetime, datetime | None]:
    spending = fed.reports.spending
    return spending.moment("since", since) or spending.month(fed.clock()), spending.moment("until", until)


async def _whose(project: Short = "", person: Annotated[str, Query(max_length=255)] = "") -> tuple[str, str]:
    return project, identifiers.person(person)


@router.get("/usage", response_model=Usage, openapi_extra=refuses("unknown-project", "not-the-manager"))
async def get_usage(
    fed: Fed,
    who: Who,
    times: Annotated[tuple[datetime, datetime | None], Depends(_times)],
    whose: Annotated[tuple[str, str], Depends(_whose)],
    by: Annotated[str, Query(max_length=16)] = "day",
    after: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=LARGEST)] = PAGE,
) -> Response:
    """Lists usage by day, centre, person, session or charge; by default since the start of this month. Times without a
    zone are in the federation's zone."""
    question = Question(
        by=by, since=times[0], until=times[1], project=whose[0], person=whose[1], after=after, limit=limit
    )
    return answer(await fed.reports.spending.usage(question, who.person, operator=who.operator))
