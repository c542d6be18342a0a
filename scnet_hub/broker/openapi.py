"""Makes the OpenAPI 3.1 document of all calls: what FastAPI knows about them, with their bodies and refusals.

Both are found among the dependencies of a call: a `BodyOf` has a model, and each dependency that refuses callers has
its codes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from . import dependencies, refusals
from .bodies import BodyOf

Json = dict[str, Any]
REF = "#/components/schemas/{model}"
FREE = "/health"  # not limited: see limits.py
ALWAYS = ("fault", "bad-spec")
LIMITED = ("bad-option", "too-many-requests", "overloaded", "not-stored")
WITH_BODY = ("bad-option", "too-large")
WRITES = ("too-slow",)
CODES: dict[Callable[..., Any], tuple[str, ...]] = {
    dependencies.caller: ("bad-token", "no-scope", "hub-away"),
    dependencies.operator: ("not-entitled", "not-from-a-session"),
    dependencies.account_owner: ("no-person", "not-from-a-session"),
    dependencies.reader: ("not-from-a-session",),
    dependencies.own_session: ("unknown-session",),
}
_documents: dict[str, Json] = {}
_making = Lock()
TOKEN: Json = {
    "type": "http", "scheme": "bearer",
    "description": "A JupyterHub token with a scope `custom:scnet:*`; `Authorization: token T` counts as well.",
}  # fmt: skip


def document(app: FastAPI, routers: Sequence[APIRouter], prefix: str) -> Json:
    """Makes the document of an app whose calls are those of `routers` below `prefix`. Made once in a process, which
    takes a second."""
    with _making:
        if prefix not in _documents:
            _documents[prefix] = _made(app, routers, prefix)
    return _documents[prefix]


def _made(app: FastAPI, routers: Sequence[APIRouter], prefix: str) -> Json:
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, openapi_version="3.1.0"
    )
    calls = list(_calls(found["paths"], routers, prefix))
    bodies = {
        one.call.model
        for _, route in calls
        for one in dependencies.tree(route.dependant)
        if isinstance(one.call, BodyOf)
    }
    ordered = sorted(bodies, key=lambda model: model.__name__)
    _, made = models_json_schema([(model, "validation") for model in ordered], ref_template=REF)
    schemas: Json = found.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas.update(made.get("$defs", {}))
    schemas.update(refusals.schemas())
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    found["components"]["securitySchemes"] = {"token": TOKEN}
    for operation, route in calls:
        _complete(operation, route)
    return found


def _calls(paths: Json, routers: Sequence[APIRouter], prefix: str) -> Iterator[tuple[Json, APIRoute]]:
    """Yields every operation of the document with its route."""
    for route in (one for router in routers for one in router.routes if isinstance(one, APIRoute)):
        for method in sorted(route.methods or ()):
            yield paths[prefix + route.path_format][method.lower()], route


def _complete(operation: Json, route: APIRoute) -> None:
    depends_on = {one.call for one in dependencies.tree(route.dependant)}
    codes = {*ALWAYS, *operation.pop(refusals.CODES, ())}
    if not route.path_format.endswith(FREE):
        codes |= {*LIMITED}
    for dependency, its in CODES.items():
        codes |= {*its} if dependency in depends_on else set()
    if {*(route.methods or ())}.isdisjoint({"GET", "HEAD"}):
        codes |= {*WRITES}
    if dependencies.caller in depends_on:
        operation["security"] = [{"token": []}]
    for body in (one for one in depends_on if isinstance(one, BodyOf)):
        codes |= {*WITH_BODY}
        required = any(one.is_required() for one in body.model.model_fields.values())
        content = {"application/json": {"schema": {"$ref": REF.format(model=body.model.__name__)}}}
        operation["requestBody"] = {"required": required, "content": content}
    operation["responses"].pop("422", None)
    for status, response in refusals.responses(codes).items():
        operation["responses"].setdefault(status, response)
    operation["responses"] = dict(sorted(operation["responses"].items()))
