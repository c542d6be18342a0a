"""The FastAPI app: errors as problem+json, bodies bounded, one router, the federation's life tied to the process's."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from ..domain.addresses import PREFIX
from ..errors import BadOption, ScnetError, TooSlow
from ..services.federation import Federation
from . import allocations, persons, settlement, tariffs, usage, usage_records
from .auth import Gate
from .concurrency import Bounds, Lanes
from .limits import ClientStalled, Limits
from .page_watch import Pages
from .sessions import router

log = logging.getLogger(__name__)
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "family", "hint", "acts"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "code", "family", "hint", "acts")},
        "status": {"type": "integer"},
        "details": {"type": "object"},
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": words, "content": {"application/problem+json": {"schema": PROBLEM}}}
    for status, words in (("4XX", "Refused: what is wrong, and what to do."), ("5XX", "The broker or a centre can't answer now."))
}
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


def create_app(
    federation: Federation, gate: Gate, pages: Pages | None = None, *, prefix: str = PREFIX, bounds: Bounds = Bounds()
) -> FastAPI:
    """The broker over an open database. It starts the federation when it starts serving, and reads `pages` again meanwhile. `prefix` is
    the path that its calls begin with; `bounds` is how much it does at once."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await federation.start()
        if pages:
            federation.own(pages.keep(federation))
        yield
        await federation.stop()
        await gate.close()

    app = FastAPI(
        title="SCNet Hub broker",
        version=__version__,
        description="One door to the member centres: sessions, placements, balances.",
        openapi_url=f"{prefix}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to an address that the caller's Host header names, without TLS where that ends before us
        lifespan=life,
    )
    lanes = Lanes(bounds)
    app.state.federation, app.state.gate, app.state.lanes = federation, gate, lanes
    for one in (router, allocations.router, usage_records.router, persons.router, settlement.router, tariffs.router, usage.router):
        app.include_router(one, prefix=prefix, responses=REFUSALS)
    app.add_exception_handler(ScnetError, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Limits, gate=gate, lanes=lanes, refused=problem, prefix=prefix)
    app.add_middleware(Faults)
    app.add_middleware(Headers)
    return app


class Headers:
    """Says with every answer that it is data: nothing to run, to frame, to keep or to guess the kind of."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = began or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:  # it broke off in the middle of its body: nothing was done, and there is no one to answer
            log.debug("%s %s was broken off by its client", scope["method"], scope["path"])
        except ClientStalled as error:
            log.info("%s: %s", scope["path"], error)
            raise
        except Exception as error:
            if began or scope["type"] != "http":
                raise
            log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            hint = "Nothing of yours was lost. The operators find the cause in its log."
            await problem(ScnetError("Something in the broker broke.", hint=hint, code="fault"))(scope, receive, send)


def problem(error: ScnetError) -> Response:
    """As ASCII: what somebody sent may come back in it, half a surrogate pair included."""
    body = json.dumps(error.problem(), ensure_ascii=True)
    wait = error.details.get("retry_after_s")
    headers = {"Retry-After": str(wait)} if wait else {}
    if isinstance(error, TooSlow):
        headers["Connection"] = "close"  # the rest of its body may come for ever
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
    refused = ScnetError(f"{words}: {request.method} {request.url.path[:200]}", hint="docs/reference/rest.md lists the calls.", code="http")
    refused.status = error.status_code
    return problem(refused)
