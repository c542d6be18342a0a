"""Checks every answer of an app against its OpenAPI document: the status is declared, and the body has exactly the
declared form."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator

Json = dict[str, Any]


class Checked(httpx.AsyncBaseTransport):
    """Requests to the app itself; AssertionError where an answer is not as the document says."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self.contract, self.inner = app, contract_of(app), httpx.ASGITransport(app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        body = await answer.aread()
        operation = self.contract.operation(request.method, request.url.path)
        if operation is not None:
            wrong = self.contract.faults(operation, answer.status_code, answer.headers.get("content-type", ""), body)
            assert not wrong, f"{request.method} {request.url} → {answer.status_code} {body[:600]!r}\n" + "\n".join(
                wrong
            )
        return answer


class Contract:
    """An OpenAPI document whose objects have no other fields than those that they name."""

    def __init__(self, document: Json) -> None:
        self.document = strict(document)
        paths = sorted(document["paths"], key=lambda path: path.count("{"))  # a literal name before a placeholder
        self.paths = [(re.compile(re.sub(r"\{person\}", "(.+)", _pattern(path)), re.DOTALL), path) for path in paths]
        self._validators: dict[str, Draft202012Validator] = {}

    def operation(self, method: str, path: str) -> Json | None:
        """None for what is not a call of the document."""
        for pattern, template in self.paths:
            if pattern.fullmatch(path) and (found := self.document["paths"][template].get(method.lower())):
                return dict(found)
        return None

    def faults(self, operation: Json, status: int, kind: str, body: bytes) -> list[str]:
        declared = operation["responses"].get(str(status))
        if declared is None:
            return [f"status {status} is not declared; declared are {', '.join(operation['responses'])}"]
        media = kind.partition(";")[0]
        if media not in declared.get("content", {}):
            return [f"a body of the kind {kind!r} is not declared for {status}"]
        schema = declared["content"][media].get("schema") or {}
        if not media.endswith("json") or media == "application/x-ndjson":
            return []
        return [
            f"{error.json_path}: {error.message[:300]}"
            for error in self.validator(schema).iter_errors(json.loads(body))
        ][:5]

    def validator(self, schema: Json) -> Draft202012Validator:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            self._validators[key] = Draft202012Validator({**schema, "components": self.document["components"]})
        return self._validators[key]


_known: dict[int, Contract] = {}


def contract_of(app: FastAPI) -> Contract:
    """All apps whose calls begin with the same path have the same document."""
    document = app.openapi()
    if id(document) not in _known:
        _known[id(document)] = Contract(document)
    return _known[id(document)]


def _pattern(path: str) -> str:
    return re.sub(r"\\\{(?!person)\w+\\\}", "([^/]+)", re.escape(path)).replace(r"\{person\}", "{person}")


def strict(node: Any) -> Any:
    """Objects of named fields with no others."""
    if isinstance(node, list):
        return [strict(one) for one in node]
    if not isinstance(node, dict):
        return node
    closed = {key: strict(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
