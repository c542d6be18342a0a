"""Tests the broker with invalid tokens and bodies: each gets an answer, and no connection is broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from scnet_hub.broker.__main__ import KEEP_ALIVE, read_settings
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import BrokerError, SpecError


class Forgetful:
    """A federation of which every question fails: what the door makes of that is the test."""

    centres = ()
    link = prove = unlink = None
    db = SimpleNamespace()

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def clock(self) -> None:
        raise KeyError("a fault inside")


@pytest.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    hub = httpx.MockTransport(lambda request: httpx.Response(403))
    app: FastAPI = create_app(Forgetful(), Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=hub)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://broker") as client:
        yield client


@pytest.mark.parametrize("token", [b"\xff\xfe", b"x" * 300, b"a b", b"", b"\x7f"])
async def test_a_token_that_is_none_is_refused_without_asking_the_hub(door: httpx.AsyncClient, token: bytes) -> None:
    answer = await door.get(f"{PREFIX}/me", headers={b"Authorization": b"token " + token})
    assert (answer.status_code, answer.json()["code"]) == (401, "bad-token")


async def test_half_a_surrogate_comes_back_as_a_refusal(door: httpx.AsyncClient) -> None:
    headers = {"Authorization": "token " + "h" * 64, "X-SCNet-Person": "ada"}
    answer = await door.post(f"{PREFIX}/placements", content=b'{"x\\ud800": 1}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-option")


async def test_a_fault_inside_is_an_answer_in_words(door: httpx.AsyncClient) -> None:
    answer = await door.get(f"{PREFIX}/centres", headers={"Authorization": "token " + "h" * 64})
    assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "fault" and "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "account-links/a"), ("POST", "account-links/a/proof"), ("DELETE", "account-links/a")]
)
async def test_the_token_that_lies_at_a_centre_does_not_change_as_whom_jobs_run(method: str, path: str) -> None:
    scopes = ["custom:scnet:use", "users:activity!user=ada", "access:servers!server=ada/"]
    hub = httpx.MockTransport(lambda request: httpx.Response(200, json={"name": "ada", "scopes": scopes}))
    app: FastAPI = create_app(Forgetful(), Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=hub)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://broker") as client:
        answer = await client.request(
            method, f"{PREFIX}/{path}", json={"account": "x"}, headers={"Authorization": "token session"}
        )
    assert (answer.status_code, answer.json()["code"]) == (403, "not-from-a-session")


@pytest.mark.parametrize("spelt", ["ada", "Ada", "ADA"])
async def test_a_caller_is_the_same_person_whoever_spells_the_name(spelt: str) -> None:
    hub = httpx.MockTransport(lambda request: httpx.Response(200, json={"name": spelt, "scopes": ["custom:scnet:use"]}))
    gate = Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=hub))
    assert (await gate.caller("token of-a-person", "")).person == "ada"
    assert (await gate.caller("token " + "h" * 64, spelt)).person == "ada"
    await gate.close()


async def test_an_operators_session_has_a_token_that_is_no_operators() -> None:
    """It lies at a centre, whose administrators can read it."""
    scopes = ["custom:scnet:use", "custom:scnet:operate", "access:servers!server=olga/"]
    hub = httpx.MockTransport(lambda request: httpx.Response(200, json={"name": "olga", "scopes": scopes}))
    caller = await Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=hub)).caller(
        "token session", ""
    )
    assert (caller.session, caller.operator, caller.scope) == (True, False, "olga")


@pytest.mark.parametrize("model", [{}, {"name": ""}, {"name": None}])
async def test_a_token_of_no_person_sees_nothing(model: dict[str, str | None]) -> None:
    """The scope of nobody would be everybody's."""
    hub = httpx.MockTransport(lambda request: httpx.Response(200, json=model | {"scopes": ["custom:scnet:use"]}))
    with pytest.raises(BrokerError, match="did not say whose"):
        await Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=hub)).caller("token x", "")


async def test_no_answer_leads_elsewhere(door: httpx.AsyncClient) -> None:
    answer = await door.get(f"{PREFIX}/health/", headers={"Host": "evil.example"})
    assert answer.status_code == 404 and "location" not in answer.headers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        (b"\xff", "does not hold"),
        (b"[1]", "does not hold"),
        (b'{"ports": 1}', "ports"),
        (b"{}", "missing"),
    ],
)
def test_settings_that_are_none_are_named(tmp_path: Path, text: bytes | None, said: str) -> None:
    if text is not None:
        (tmp_path / "broker.json").write_bytes(text)
    with pytest.raises(SpecError, match=rf"broker\.json.*{said}"):
        read_settings(tmp_path / "broker.json")


def test_the_broker_keeps_an_idle_connection_far_longer_than_the_hub_does() -> None:
    # the hub's own, in scnet_hub/hub/broker_client.py, is httpx's
    assert 10 * (httpx.Limits().keepalive_expiry or 0) < KEEP_ALIVE
