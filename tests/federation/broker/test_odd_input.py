"""Tests invalid input to the calls of metering and settlement: each is refused with a sentence, on both kinds of
database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from scnet_hub.adapters.centre import Centre
from scnet_hub.adapters.db.database import Database
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.services.federation import Federation
from tests.unit.ledger.closing import LOAD, SPEC, Clock

from .contract import Checked
from .door import by, vouch

ASKED = (
    ("usage", {"project": "\0"}), ("usage", {"person": "\0"}), ("usage", {"since": "0001-01-01T00:00:00+14:00"}),
    ("usage", {"until": "9999-12-31T23:59:59-14:00"}), ("usage-records/suspense", {"centre": "\0"}),
    ("statements", {"member": "\0"}), ("statements", {"period": "\u0663"}), ("periods/2026-10/usage", {"centre": "\0"}),
    ("periods/%00", {}), ("periods/\uff12\uff10\uff12\uff16-10", {}), ("statements/2026-10/GRANT/%00", {}),
)  # fmt: skip
SENT: tuple[tuple[str, Any], ...] = (
    ("usage-records/suspense/-99999999999999999999999", {"decision": "drop", "words": "x"}),
    ("usage-records/suspense/99999999999999999999999", {"decision": "drop", "words": "x"}),
    ("usage-records/suspense/1", {"decision": ["drop"], "words": "\0"}),
    ("centres/alpha/usage-records/pull", {"day": "0001-01-01"}),
    ("centres/alpha/usage-records/pull", {"day": "9999-12-31"}),
    ("usage-records/events", {"events": ["{}"]}),
    ("usage-records/events", {"events": ["\ud800"]}),
    ("periods/2026-10/close", {"excuses": {"alpha": 1e308}}),
)


@pytest.fixture
async def http(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    centres = {name: Centre.of(known.spec) for name, known in LOAD.centres.items()}
    fed = Federation(SPEC, centres, database, call_home_url="http://127.0.0.1:9/{}", clock=Clock())
    app = create_app(
        fed, Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    )
    async with httpx.AsyncClient(transport=Checked(app), base_url=f"http://broker{PREFIX}/") as client:
        yield client


async def test_odd_input_is_refused_in_words_and_breaks_nothing(http: httpx.AsyncClient) -> None:
    for path, params in ASKED:
        answer = await http.get(path, params=params, headers=by("olga"))
        assert answer.status_code < 500, (path, params, answer.text)
    for path, body in SENT:
        answer = await http.post(path, content=json.dumps(body).encode(), headers=by("olga"))
        assert 400 <= answer.status_code < 500, (path, body, answer.text)


async def test_what_the_hub_says_of_a_person_counts_only_with_the_hubs_token(http: httpx.AsyncClient) -> None:
    forged = {"X-SCNet-Operator": "yes", "X-SCNet-Person": "olga"}
    for path in ("settlement/board", "usage-records/suspense", "periods/2026-10", "ledger/verify"):
        assert (await http.get(path, headers=by("eve") | forged)).status_code == 403
