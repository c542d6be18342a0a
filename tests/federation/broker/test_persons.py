"""Tests the erasure of a person by REST: operators only, and never by a token that lies at a centre."""

from __future__ import annotations

from pathlib import Path

import httpx

from scnet_hub.adapters.db.database import Database
from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.services.federation import Federation
from tests.unit.ledger.closing import SPEC, Clock
from tests.unit.metering.ended import Ended

from .contract import Checked
from .door import by

SCOPES = {
    "olga": ["custom:scnet:operate"],
    "olga-in-a-session": ["custom:scnet:operate", "access:servers!server=olga/"],
    "eve": ["custom:scnet:use"],
}
NAME = "ada/lovelace@north"  # asked for with capitals


def vouch(request: httpx.Request) -> httpx.Response:
    person = request.headers["authorization"].split()[-1]
    return httpx.Response(200, json={"name": person.partition("-")[0], "scopes": SCOPES[person]})


async def test_an_operator_has_somebody_forgotten(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'b.sqlite'}")
    db.open()
    db.run_here(lambda tx: Ended(tx).begin(charged=1, person=NAME))
    fed = Federation(SPEC, {}, db, call_home_url="http://127.0.0.1:9/{}", clock=Clock())
    app = create_app(
        fed, Gate("http://hub/hub/api", "h" * 64, http=httpx.AsyncClient(transport=httpx.MockTransport(vouch)))
    )
    async with httpx.AsyncClient(transport=Checked(app), base_url=f"http://broker{PREFIX}/") as http:

        async def forget(name: str, who: str) -> httpx.Response:
            return await http.post(f"people/{name}/erase", headers=by(who))

        path = "Ada%2FLovelace%40north"
        assert (await forget(path, "eve")).status_code == 403
        assert (await forget(path, "olga-in-a-session")).json()["code"] == "not-from-a-session"
        named = await forget("nora", "olga")
        assert (named.status_code, named.json()["code"]) == (422, "still-named")
        assert named.json()["details"] == {"where": ["people of member north"]}
        done = await forget(path, "olga")
        assert (done.status_code, done.json()) == (200, {"rows": {"copies": 1, "sessions": 1}})  # and not as whom
        again = await forget(path, "olga")
        assert (again.status_code, again.json()["code"]) == (404, "unknown-person")
    db.close()
