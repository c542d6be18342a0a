"""The broker's REST over a `World`, with a hub that takes a person's name for their token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from tests.federation.world import World

from .contract import Checked

USE = ["custom:scnet:use"]
SCOPES = {"ada": USE, "eve": USE, "mary": USE, "lee": USE, "olga": ["custom:scnet:use", "custom:scnet:operate"]}


def vouch(request: httpx.Request) -> httpx.Response:
    """The hub: a token is its person's name."""
    person = request.headers["authorization"].split()[-1]
    return (
        httpx.Response(200, json={"name": person, "scopes": SCOPES[person]})
        if person in SCOPES
        else httpx.Response(403)
    )


@pytest.fixture
async def app(world: World) -> FastAPI:
    hub = httpx.AsyncClient(transport=httpx.MockTransport(vouch))
    return create_app(world.federation, Gate("http://hub/hub/api", "h" * 64, http=hub))


@pytest.fixture
async def door(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Each answer is held against the OpenAPI document."""
    async with httpx.AsyncClient(transport=Checked(app), base_url=f"http://broker{PREFIX}/") as client:
        yield client


def by(person: str) -> dict[str, str]:
    return {"Authorization": f"token {person}"}
