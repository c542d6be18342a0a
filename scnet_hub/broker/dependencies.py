"""The dependencies of the calls: the federation, and who calls. Each refusal of a caller is a sentence that says what
to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import WithJsonSchema

from ..domain.paging import MOST
from ..domain.sessions.records import SessionCopy
from ..errors import BadOption, NotEntitled, NotFound
from ..services.federation import Federation
from ..services.settlement.answers import Reader
from .auth import Caller, Gate

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Short = Annotated[str, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MOST, description="The most rows of one page.")]
TIME_OR_DAY = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
Moment = Annotated[str | None, Query(max_length=40), WithJsonSchema(TIME_OR_DAY)]
After = Annotated[str, Query(max_length=255, description="The `next` of the previous page.")]


async def federation(request: Request) -> Federation:
    fed: Federation = request.app.state.federation
    return fed


async def caller(request: Request) -> Caller:
    gate: Gate = request.app.state.gate
    person, operator = (
        unquote(request.headers.get("x-scnet-person", "")),
        request.headers.get("x-scnet-operator", "") == "yes",
    )
    return await gate.caller(request.headers.get("authorization", ""), person, operator)


Fed = Annotated[Federation, Depends(federation)]
Who = Annotated[Caller, Depends(caller)]


async def operator(who: Who) -> Caller:
    """Returns the caller, who must be an operator. Raises NotEntitled for other callers and for a session's token."""
    if who.session:
        hint = "Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token."
        raise NotEntitled(
            "This call is for operators, and refuses a session's own token.", hint=hint, code="not-from-a-session"
        )
    if not who.operator:
        raise NotEntitled(
            "This call is for operators.", hint="Use the token of a service with the scope custom:scnet:operate."
        )
    return who


async def account_owner(who: Who) -> str:
    """Returns the person who changes which account their jobs run under. Raises NotEntitled for a session's token,
    which the centre could read and use."""
    if who.session:
        raise NotEntitled(
            "A session's own token may not change which account your jobs run under.",
            hint="Use the hub's page Accounts, or `scnet accounts` on your own machine with a token of the hub's page "
            "Token.",
            code="not-from-a-session",
        )
    return person_of(who)


Operator = Annotated[Caller, Depends(operator)]
Owner = Annotated[str, Depends(account_owner)]


def person_of(who: Caller) -> str:
    """Returns the person who acts. Raises NotEntitled for a token that names no person."""
    if not who.person:
        raise NotEntitled(
            "This call needs a person's token.",
            hint="Use a person's token. The hub names the person in X-SCNet-Person.",
            code="no-person",
        )
    return who.person


def name_of(operator: Caller) -> str:
    """Returns the name that is recorded as having decided; a service with an operator's token is not a person."""
    return operator.person or "an operator"


async def own_session(fed: Fed, who: Who, session_id: str) -> SessionCopy:
    """Returns the session of that id if the caller may see it. Raises "unknown session" for all other callers."""
    row = await fed.lookup.get(session_id)
    if who.scope and row.session.person != who.scope:
        raise NotFound(
            f"There is no session {session_id[:40]!r}.", hint="`scnet sessions` lists yours.", code="unknown-session"
        )
    return row


OwnSession = Annotated[SessionCopy, Depends(own_session)]


async def reader(fed: Fed, who: Who) -> Reader:
    """Returns which part of settlement the caller may see. Refuses a session's token: it lies at a centre, whose owner
    is a member that statements are about."""
    if who.session:
        raise NotEntitled(
            "A session's own token may not read statements.",
            hint="Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token.",
            code="not-from-a-session",
        )
    return fed.settling.reader(who.person, operator=who.operator)


Reading = Annotated[Reader, Depends(reader)]


class Call(APIRoute):
    """Is a route that refuses unknown and repeated parameters: ignoring them would answer a different question."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        known = {param.alias for one in tree(self.dependant) for param in one.query_params}

        async def checked(request: Request) -> Response:
            if request.scope["query_string"]:
                _check_parameters(request, known)
            return await handle(request)

        return checked


def _check_parameters(request: Request, known: set[str]) -> None:
    given = [name for name, _ in request.query_params.multi_items()]
    if strange := next((name for name in given if name not in known), ""):
        names = f"Known parameters: {', '.join(sorted(known))}." if known else "This call takes no parameters."
        raise BadOption(f"Unknown parameter {strange[:40]!r}.", hint=names, details={"field": strange[:40]})
    if twice := next((name for name in given if given.count(name) > 1), ""):
        raise BadOption(
            f"{twice}: was given {given.count(twice)} times.", hint="Give it once.", details={"field": twice}
        )


def tree(dependant: Dependant) -> Iterator[Dependant]:
    """Yields a call's dependant and everything that it depends on, at any depth."""
    yield dependant
    for one in dependant.dependencies:
        yield from tree(one)


def noun() -> APIRouter:
    """Makes the router of one noun's calls."""
    return APIRouter(route_class=Call)
