"""The FastAPI app: it answers errors as problem+json, bounds bodies, has one router, and starts and stops the
federation with the process."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send

from .. import __version__
from ..domain.addresses import PREFIX
from ..errors import BadOption, ScnetError, TooSlow
from ..services.federation import Federation
from . import (
    account_links,
    allocations,
    balances,
    centres,
    decisions,
    health,
    openapi,
    orphans,
    people,
    periods,
    placements,
    sessions,
    statements,
    usage,
    usage_records,
)
from .auth import Gate
from .concurrency import Bounds, Lanes
from .limits import ClientStalled, Limits
from .page_watch import Pages

log = logging.getLogger(__name__)
# each has a `router` with its calls
NOUNS = (
    sessions, placements, centres, decisions, account_links, people, balances, allocations, usage, usage_records,
    periods, statements, orphans, health,
)  # fmt: skip
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


def create_app(
    federation: Federation, gate: Gate, pages: Pages | None = None, *, prefix: str = PREFIX, bounds: Bounds = Bounds()
) -> FastAPI:
    """Makes the broker over an open database. The app starts the federation when it starts to serve, and re-reads
    `pages` while it runs. `prefix` is the path that its calls begin with; `bounds` limits the work at one time."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await federation.start()
        if pages:
            federation.own(pages.keep(federation))
        yield
        await federation.stop()
        await gate.close()

    app, lanes = calls(prefix, life), Lanes(bounds)
    app.state.federation, app.state.gate, app.state.lanes, app.state.prefix = federation, gate, lanes, prefix
    app.add_exception_handler(ScnetError, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Limits, gate=gate, lanes=lanes, refused=problem, prefix=prefix)
    app.add_middleware(Faults)
    app.add_middleware(Headers)
    return app


def calls(prefix: str = PREFIX, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Makes an app with all calls below `prefix` and their OpenAPI document, without the federation that answers
    them."""
    app = FastAPI(
        title="SCNet Hub broker",
        version=__version__,
        description="One way to all member centres: sessions, placements, balances.",
        openapi_url=None,  # FastAPI would make the document in the event loop: see below
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        # to an address that the caller's Host header names, without TLS where TLS ends before us
        redirect_slashes=False,
        lifespan=lifespan,
    )
    for noun in NOUNS:
        app.include_router(noun.router, prefix=prefix, tags=[noun.__name__.rpartition(".")[2].replace("_", "-")])
    app.openapi = partial(openapi.document, app, [noun.router for noun in NOUNS], prefix)  # type: ignore[method-assign]

    @app.get(f"{prefix}/openapi.json", include_in_schema=False)
    async def get_document() -> Response:
        return Response(await asyncio.to_thread(lambda: json.dumps(app.openapi())), media_type="application/json")

    return app


class Headers:
    """Adds headers to every answer: it is data, which a browser must not run, frame, cache or guess the type of."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [*message.get("headers", ()), *(pair for pair in ALWAYS if pair[0] not in had)]
            await send(message)

        await self.app(scope, receive, told)


class Faults:
    """Answers 500 as a problem document. An exception that reached the server itself would close the connection, which
    the proxy shares among people."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    # the client broke off in the middle of its body: nothing was done, and no client waits for an answer
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            log.debug("%s %s was broken off by its client", scope["method"], scope["path"])
        except ClientStalled as error:
            log.info("%s: %s", scope["path"], error)
            raise
        except Exception as error:
            if began or scope["type"] != "http":
                raise
            log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            hint = "No data was lost. The operators find the cause in the broker's log."
            await problem(ScnetError("An internal error happened in the broker.", hint=hint, code="fault"))(
                scope, receive, send
            )


def problem(error: ScnetError) -> Response:
    """Makes the response of a refusal, in ASCII: it may repeat what the caller sent, even an unpaired surrogate."""
    body = json.dumps(error.problem(), ensure_ascii=True)
    wait = error.details.get("retry_after_s")
    headers = {"Retry-After": str(wait)} if wait else {}
    if isinstance(error, TooSlow):
        headers["Connection"] = "close"  # the rest of its body may never arrive
    return Response(body, status_code=error.status, headers=headers, media_type="application/problem+json")


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScnetError)
    return problem(error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(BadOption(f"{'.'.join(str(part) for part in first['loc'][1:]) or 'request'}: {first['msg']}."))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = HTTPStatus(error.status_code).phrase
    refused = ScnetError(
        f"{words}: {request.method} {request.url.path[:200]}",
        hint="docs/reference/rest.md lists the calls.",
        code="http",
    )
    refused.status = error.status_code
    answer = problem(refused)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request.url.path.removeprefix(request.app.state.prefix))))
    return answer


def _methods(path: str) -> set[str]:
    """Returns the methods of all calls that have this path; the framework would name only those of the first call."""
    routes = (route for noun in NOUNS for route in noun.router.routes if isinstance(route, APIRoute))
    return {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
