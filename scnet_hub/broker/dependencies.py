"""What the calls depend on: the federation, and who calls. Each refusal of a caller is a sentence with what to do."""

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
Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows of one page.")]
TIME_OR_DAY = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}
Moment = Annotated[str | None, Query(max_length=40), WithJsonSchema(TIME_OR_DAY)]
After = Annotated[str, Query(max_length=255, description="The `next` of the page before.")]


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
    """The caller, who is an operator. Raises NotEntitled for anyone else, and for a session's token."""
    if who.session:
        hint = "Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token."
        raise NotEntitled(
            "This is for operators, and not done by a session's own token.", hint=hint, code="not-from-a-session"
        )
    if not who.operator:
        raise NotEntitled(
            "This is for operators.", hint="Use the token of a service with the scope custom:scnet:operate."
        )
    return who


async def account_owner(who: Who) -> str:
    """The person who changes as whom their jobs run: not by a session's token, which its centre could read and use."""
    if who.session:
        raise NotEntitled(
            "A session's own token may not change as whom your jobs run.",
            hint="Use the hub's page Accounts, or `scnet accounts` on your own machine with a token of the hub's page "
            "Token.",
            code="not-from-a-session",
        )
    return person_of(who)


Operator = Annotated[Caller, Depends(operator)]
Owner = Annotated[str, Depends(account_owner)]


def person_of(who: Caller) -> str:
    """The person who acts. Raises NotEntitled for a token that names no person."""
    if not who.person:
        raise NotEntitled(
            "This call needs a person's token.", hint="The hub names the person in X-SCNet-Person.", code="no-person"
        )
    return who.person


def name_of(operator: Caller) -> str:
    """Who is written down as having decided: a service with an operator's token is no person."""
    return operator.person or "an operator"


async def own_session(fed: Fed, who: Who, session_id: str) -> SessionCopy:
    """The session of that id, if the caller may see it; for all others it does not exist."""
    row = await fed.lookup.get(session_id)
    if who.scope and row.session.person != who.scope:
        raise NotFound(
            f"There is no session {session_id[:40]!r}.", hint="`scnet sessions` lists yours.", code="unknown-session"
        )
    return row


OwnSession = Annotated[SessionCopy, Depends(own_session)]


async def reader(fed: Fed, who: Who) -> Reader:
    """What of settlement the caller may see. A session's token lies at a centre, which is a member that statements are
    about: it sees nothing."""
    if who.session:
        raise NotEntitled(
            "A session's own token does not show statements.",
            hint="Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token.",
            code="not-from-a-session",
        )
    return fed.settling.reader(who.person, operator=who.operator)


Reading = Annotated[Reader, Depends(reader)]


class Call(APIRoute):
    """A call that refuses parameters which it does not know, or that are given twice: to ignore them would answer
    another question."""

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
        names = f"Known: {', '.join(sorted(known))}." if known else "This call takes none."
        raise BadOption(f"Unknown parameter {strange[:40]!r}.", hint=names, details={"field": strange[:40]})
    if twice := next((name for name in given if given.count(name) > 1), ""):
        raise BadOption(
            f"{twice}: is given {given.count(twice)} times.", hint="Give it once.", details={"field": twice}
        )


def tree(dependant: Dependant) -> Iterator[Dependant]:
    """A call and all that it depends on, however deep."""
    yield dependant
    for one in dependant.dependencies:
        yield from tree(one)


def noun() -> APIRouter:
    """The router of one noun's calls."""
    return APIRouter(route_class=Call)
