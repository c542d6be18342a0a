"""Tests the edges of times, numbers and text in every call of the OpenAPI document: each is accepted, or refused in the
declared form; never an internal error.

The calls and their fields come from the document, so a new call is tried too.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.broker import refusals
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.broker.bodies import parse
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import KINDS, BadOption, BrokerError
from scnet_hub.services.federation import Federation
from tests.unit.display.test_instants import EDGES as TIMES
from tests.unit.ledger.closing import LOAD, SPEC, Clock

from .contract import Checked
from .door import by, vouch

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3] / "scnet_hub"
ROOMS = ("adapters", "broker", "domain", "services")
NUMBERS: tuple[Any, ...] = (
    10**400, -(10**400), 2**63, -(2**63) - 1, 2**63 - 1, 10**18, 1e308, 5e-324, -1, 0, 0.5, True, "1\n", "1_000",
    "\u0661", "NaN", "1e400", None, [], {},
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "1e400", "1" * 5000)  # what Python's JSON reader takes, and JSON does not
TEXTS = ("\0", "\ud800", "a\nb", "\u202e", "x" * 70_000)
FILLED = {"string": "x", "number": 1, "integer": 1, "boolean": False, "array": [], "object": {}}


@pytest.fixture
async def federation(database: Database) -> Federation:
    centres = {name: Centre.of(known.spec) for name, known in LOAD.centres.items()}
    return Federation(SPEC, centres, database, call_home_url="http://127.0.0.1:9/{}", clock=Clock())


@pytest.fixture
async def http(federation: Federation) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        federation, Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    )
    async with httpx.AsyncClient(transport=Checked(app), base_url="http://broker") as client:
        yield client


def kinds(schema: Json) -> set[str]:
    return {one.get("type", "") for one in schema.get("anyOf", [schema])}


def edges(schema: Json) -> tuple[Any, ...]:
    """The values that a field of this schema must bear."""
    if any(one.get("format") in ("date-time", "date") for one in (schema, *schema.get("anyOf", ()))):
        return TIMES
    return NUMBERS if kinds(schema) & {"number", "integer"} else TEXTS


def body_schema(document: Json, call: Json) -> Json:
    schema: Json = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if schema else {}


def calls(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield method.upper(), path, call


def urls(path: str, call: Json) -> Iterator[str]:
    """The call's address with each of its parameters at each edge, the others as they should be."""
    named = [one for one in call.get("parameters", ()) if one["in"] in ("path", "query")]
    usual = {one["name"]: "1" for one in named if one["in"] == "path" or one.get("required")}
    places = {one["name"] for one in named if one["in"] == "path"}
    for one in named:
        for edge in edges(one["schema"]):
            given = usual | {one["name"]: ("" if edge is None else str(edge)[:3000])}
            filled = path
            for name in places:
                filled = filled.replace(f"{{{name}}}", quote(given[name] or "1", safe="", errors="surrogatepass"))
            query = "&".join(
                f"{name}={quote(text, safe='', errors='surrogatepass')}"
                for name, text in given.items()
                if name not in places
            )
            yield f"{filled}?{query}"


def bodies(schema: Json) -> Iterator[str]:
    """Bodies with each field at each edge, the others as they should be."""
    properties = schema["properties"]
    usual = {name: FILLED[next(iter(kinds(properties[name])))] for name in schema.get("required", ())}
    for name, one in properties.items():
        for edge in (*edges(one), *NUMBERS[:3]):
            yield json.dumps(usual | {name: edge})
        for raw in RAW if edges(one) is NUMBERS else ():
            yield json.dumps(usual | {name: "RAW"}).replace('"RAW"', raw)
            yield json.dumps(usual | {name: ["RAW"]}).replace('"RAW"', raw)
    yield json.dumps(usual | {"surprise": 1})


async def refused(answer: httpx.Response, asked: object) -> None:
    """In the declared form, with a sentence, or answered."""
    assert answer.status_code < 500, (asked, answer.text)
    if answer.status_code >= 400:
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json" and problem["title"] and problem["code"], (
            asked,
            answer.text,
        )


async def test_parameters_at_the_edges_are_refused_in_words(http: httpx.AsyncClient) -> None:
    document = (await http.get(f"{PREFIX}/openapi.json")).json()
    tried = 0
    for method, path, call in calls(document):
        for url in urls(path, call):
            await refused(await http.request(method, url, headers=by("olga")), (method, url[:200]))
            tried += 1
    assert tried > 300


async def test_bodies_at_the_edges_are_refused_in_words(http: httpx.AsyncClient) -> None:
    document = (await http.get(f"{PREFIX}/openapi.json")).json()
    described = [
        (method, path, schema) for method, path, call in calls(document) if (schema := body_schema(document, call))
    ]
    assert len(described) >= 14
    for method, path, schema in described:
        url = (
            path.replace("{period}", "2026-10")
            .replace("{book}", "GRANT")
            .replace("{number}", "1")
            .replace("{centre}", "alpha")
        )
        for body in bodies(schema):
            answer = await http.request(method, url, content=body.encode(errors="replace"), headers=by("olga"))
            await refused(answer, (method, url, body[:200]))


def test_every_call_declares_its_refusals(federation: Federation) -> None:
    document = create_app(federation, Gate("http://hub/hub/api", "h" * 64)).openapi()
    for method, path, call in calls(document):
        refused = {
            status: one
            for status, one in call["responses"].items()
            if "application/problem+json" in one.get("content", {})
        }
        assert "500" in refused and (path.endswith("/health") or {"400", "429", "503"} <= refused.keys()), (
            method,
            path,
        )
        assert ("401" in refused) == bool(call.get("security")), (method, path)
        assert "422" not in call["responses"] or "422" in refused, (method, path)


def test_every_code_that_the_sources_name_is_declared() -> None:
    """And none is declared that no source names."""
    named = {
        found
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for found in re.findall(r'\bcode="([a-z-]+)"', path.read_text())
    }
    named -= {"announcement", "credits", "maintenance", "unknown"}  # warnings, not refusals
    families = {code for code, kind in KINDS.items() if kind is not BrokerError}
    assert named | families | {"bad-token"} == set(refusals.ALL)


@pytest.mark.parametrize(
    "data",
    [
        "{}".encode("utf-16"), '{"words": "x"}'.encode("utf-16-le"), "{}".encode("utf-32"), "\ufeff{}".encode(),
        b'{"words": "\xff"}', b'{"a": NaN}', b'{"a": 1e400}',
        b'{"a": 9223372036854775808}', rb'{"a": "\u0000"}',
        rb'{"a": "\ud800"}', rb'{"\udc00": 1}', b"[]", b"1", b'{"a":' + 5000 * b"[",
    ],
    ids=ascii,
)  # fmt: skip
def test_a_body_that_nothing_could_hold_is_refused(data: bytes) -> None:
    with pytest.raises(BadOption):
        parse(data)


def test_a_body_in_utf8_is_read() -> None:
    assert parse('{"words": "潮汐 😀", "n": [9223372036854775807, -0.5]}'.encode()) == {
        "words": "潮汐 😀",
        "n": [2**63 - 1, -0.5],
    }
    assert parse(b"") == {}


async def test_a_body_that_its_client_breaks_off_is_no_fault(
    federation: Federation, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(
        federation, Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    )
    news = iter(({"type": "http.request", "body": b'{"pro', "more_body": True}, {"type": "http.disconnect"}))
    sent: list[Any] = []

    async def receive() -> Any:
        return next(news)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in by("ada").items()]
    scope = {
        "type": "http", "method": "POST", "path": f"{PREFIX}/placements", "raw_path": b"", "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("broker", 80),
        "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    assert not sent and not caplog.records
