"""The FastAPI app: errors as problem+json, bodies bounded, one router, the federation's life tied to the process's."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import BadOption, ScnetError
from ..federation import Federation
from .auth import Gate
from .routes import router

log = logging.getLogger(__name__)
PREFIX = "/services/scnet/api/v1"


def create_app(federation: Federation, gate: Gate) -> FastAPI:
    """The broker over an open database. It starts the federation when it starts serving."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await federation.start()
        yield
        await federation.stop()
        await gate.close()

    app = FastAPI(
        title="SCNet Hub broker",
        version=__version__,
        description="One door to the member centres: sessions, placements, balances.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
    )
    app.state.federation, app.state.gate = federation, gate
    app.include_router(router, prefix=PREFIX)
    app.add_exception_handler(ScnetError, _refusal)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)
    return app


def problem(error: ScnetError) -> JSONResponse:
    return JSONResponse(error.problem(), status_code=error.status, media_type="application/problem+json")


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ScnetError)
    return problem(error)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return problem(BadOption(f"{'.'.join(str(part) for part in first['loc'][1:]) or 'request'}: {first['msg']}."))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    words = HTTPStatus(error.status_code).phrase
    refused = ScnetError(f"{words}: {request.method} {request.url.path[:200]}", hint="docs/reference/rest.md lists the calls.", code="http")
    refused.status = error.status_code
    return problem(refused)


async def _fault(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        ScnetError(
            "Something in the broker broke.", hint="Nothing of yours was lost. The operators find the cause in its log.", code="fault"
        )
    )
