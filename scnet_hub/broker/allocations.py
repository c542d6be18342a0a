"""The REST calls of projects and their allocations: a project's members, its credits, its requests and the answers to
them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Response

from ..domain.paging import PAGE
from ..errors import NotFound
from ..services import documents, tokens
from ..services.projects import allocations
from ..units import Amount, credits
from .bodies import BodyOf, answer
from .dependencies import After, Fed, Limit, Operator, Owner, Short, Who, name_of, noun
from .models.projects import Allocation, Allocations, Approve, Project, Wish, Words
from .refusals import refuses

router = noun()


@router.get("/projects/{project}", response_model=Project, openapi_extra=refuses("unknown-project"))
async def get_project(project: str, fed: Fed, who: Who) -> Response:
    """Returns a project with its members and what each spent, its lots and its allocations; for its members and
    operators."""
    if (found := await fed.reports.project(who.scope, project)) is None:
        raise NotFound(
            f"You are in no project named {project[:64]!r}.",
            hint="`scnet balances` lists your projects.",
            code="unknown-project",
        )
    return answer(found)


@router.get("/allocations", response_model=Allocations)
async def list_allocations(
    fed: Fed,
    who: Who,
    project: Short = "",
    state: Annotated[str, Query(max_length=16)] = "",
    after: After = "",
    limit: Limit = PAGE,
) -> Response:
    """Lists allocations, newest first: those of the caller's own projects; for operators those of all projects."""
    found, following = await fed.reports.allocations(who.scope, project=project, state=state, after=after, limit=limit)
    return answer({"allocations": found, "next": following})


@router.post(
    "/allocations",
    status_code=201,
    response_model=Allocation,
    openapi_extra=refuses("unknown-project", "not-the-manager", "requests-open", "not-found"),
)
async def ask_allocation(fed: Fed, person: Owner, body: Annotated[Wish, Depends(BodyOf(Wish))]) -> Response:
    """Requests credits, in the name of a project's PI or manager. A session's token is refused, because the centre
    could read it."""
    now = fed.clock()
    wish = allocations.Wish(
        project=body.project, amount=body.amount, words=body.words, begins_at=body.begins_at or now,
        ends_at=body.ends_at, centres=tuple(body.centres), renews=body.renews,
    )  # fmt: skip
    row = await fed.db.run(allocations.ask, tokens.new_id(), wish, person, now, centres=list(fed.centres))
    return answer(documents.allocation(row), 201)


@router.post(
    "/allocations/{allocation}/approve",
    response_model=Allocation,
    openapi_extra=refuses("not-found", "already-decided", "over-budget"),
)
async def approve_allocation(
    allocation: str, fed: Fed, who: Operator, body: Annotated[Approve, Depends(BodyOf(Approve))]
) -> Response:
    """Approves a request as an operator, with the amount that was asked for or another amount."""
    said = (allocation, name_of(who), body.words, fed.clock())
    row = await fed.db.run(
        allocations.approve, *said, grantor=body.grantor or "federation", amount=body.amount, grantors=_grantors(fed)
    )
    return answer(documents.allocation(row))


@router.post(
    "/allocations/{allocation}/decline",
    response_model=Allocation,
    openapi_extra=refuses("not-found", "already-decided"),
)
async def decline_allocation(
    allocation: str, fed: Fed, who: Operator, body: Annotated[Words, Depends(BodyOf(Words))]
) -> Response:
    """Declines a request as an operator, with a reason."""
    return answer(
        documents.allocation(await fed.db.run(allocations.decline, allocation, name_of(who), body.words, fed.clock()))
    )


@router.post(
    "/allocations/{allocation}/withdraw",
    response_model=Allocation,
    openapi_extra=refuses("not-found", "already-decided", "unknown-project", "not-the-manager"),
)
async def withdraw_allocation(allocation: str, fed: Fed, person: Owner) -> Response:
    """Withdraws a request. Everyone who may request credits for that project may withdraw its requests."""
    await fed.db.run(allocations.visible, allocation, person, operator=False)
    return answer(documents.allocation(await fed.db.run(allocations.withdraw, allocation, person, fed.clock())))


def _grantors(fed: Fed) -> dict[str, Amount | None]:
    return {one.id: None if one.budget is None else credits(one.budget) for one in fed.spec.grantor}
