"""Tests a client that openapi-python-client generates from the OpenAPI document: it starts, lists and stops a session
without handwritten code."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from scnet_hub.broker.app import calls
from tests.federation.world import World

from .contract import Checked
from .door import by

NAME = "scnet_rest_generated"
SETTINGS = f"post_hooks: []\npackage_name_override: {NAME}\n"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(calls().openapi()))
    (folder / "settings.yml").write_text(SETTINGS)
    how = ("--path", "openapi.json", "--config", "settings.yml", "--meta", "none", "--output-path", NAME)
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *how],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0 and "Endpoint will not be generated" not in made.stdout + made.stderr, (
        made.stdout + made.stderr
    )
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(NAME)
    finally:
        sys.path.remove(str(folder))


async def test_a_generated_client_starts_lists_and_stops_a_session(
    generated: ModuleType, world: World, app: FastAPI
) -> None:
    sessions, start, models = (
        importlib.import_module(f"{NAME}.{name}") for name in ("api.sessions", "api.sessions.start_session", "models")
    )
    client: Any = generated.AuthenticatedClient(base_url="http://broker", token="ada")
    client.set_async_httpx_client(
        httpx.AsyncClient(transport=Checked(app), base_url="http://broker", headers=by("ada"))
    )

    begun = await start.asyncio(
        client=client, body=models.Start(kind=models.Kind.BATCH, name="made", argv=["sleep", "300"])
    )
    assert isinstance(begun, models.Session) and (begun.name, begun.live, begun.person) == ("made", True, "ada")
    listed = await importlib.import_module(f"{sessions.__name__}.list_sessions").asyncio(client=client)
    assert [one.id for one in listed.sessions] == [begun.id] and listed.next_ is None
    stopped = await importlib.import_module(f"{sessions.__name__}.stop_session").asyncio(begun.id, client=client)
    assert stopped.id == begun.id and stopped.end_reason == "Stopped on request."
    await world.reaches(begun.id, "ended", "charged")
    unknown = await importlib.import_module(f"{sessions.__name__}.get_session").asyncio("no-such", client=client)
    assert isinstance(unknown, models.UnknownSessionProblem) and unknown.code == "unknown-session" and unknown.hint
