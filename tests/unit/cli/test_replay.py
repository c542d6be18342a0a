"""Tests `scnet simulate --decisions`: a real broker's log over real centres, read page by page, saved and replayed."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from scnet_hub.broker.app import create_app
from scnet_hub.broker.auth import Gate
from scnet_hub.client import Client
from scnet_hub.domain.addresses import PREFIX
from scnet_hub.errors import Refused
from scnet_hub.services.placement import decision_export
from tests.federation.broker.door import vouch
from tests.federation.world import World

from .federation import Broker, run

EMPTY = {"until": "u", "left": 0, "decisions": [], "terms": {}, "snapshots": [], "next": None, "replay_days": 14}


class Bridge(httpx.BaseTransport):
    """A client's calls, made in a thread, to an app in this loop."""

    def __init__(self, app: Any) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        self.loop = asyncio.get_running_loop()
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url.params))
        answer = asyncio.run_coroutine_threadsafe(
            self.http.request(request.method, str(request.url), headers=request.headers), self.loop
        )
        done = answer.result(30)
        return httpx.Response(
            done.status_code, content=done.content, headers={"content-type": done.headers["content-type"]}
        )


class Hub:
    def __init__(self, world: World) -> None:
        hub = httpx.AsyncClient(transport=httpx.MockTransport(vouch))
        self.bridge = Bridge(create_app(world.federation, Gate("http://hub/hub/api", "h" * 64, http=hub)))

    def by(self, person: str) -> Callable[[], Client]:
        return lambda: Client(f"http://broker{PREFIX}", person, transport=self.bridge)

    async def simulate(self, *words: str, person: str = "olga") -> Result:
        return await asyncio.to_thread(run, "simulate", *words, connect=self.by(person))


@pytest.fixture
async def world(short_path: Path) -> AsyncIterator[World]:
    """In real time: the commands ask from a thread of their own."""
    world = World(short_path)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture
async def hub(world: World) -> AsyncIterator[Hub]:
    yield Hub(world)


async def test_a_stretch_of_the_log_is_replayed_page_by_page(
    world: World, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No decision was made in that time." in (await hub.simulate("--decisions")).stderr
    rows = [await world.submit(name=f"n{number}", cores=number + 1) for number in range(3)]
    with pytest.raises(Refused):
        await world.submit(name="large", cores=64)
    await world.reaches(rows[0].session.id, "starting", "ready")
    monkeypatch.setattr(decision_export, "DECISIONS", 2)
    hub.bridge.asked.clear()
    home = tmp_path / "log.json.gz"
    answer = await hub.simulate(
        "--decisions", "--days", "1", "--json", "--save", str(home), "--weights", "price=1", "--policies", "soonest"
    )
    assert answer.exit_code == 0, answer.output
    told = json.loads(answer.stdout)
    assert len(hub.bridge.asked) == 2 and hub.bridge.asked[0] == "days=1.0" and "after=" in hub.bridge.asked[1]
    assert (told["requests"], told["refused"], told["not_kept"], told["left"]) == (
        3,
        [{"code": "no-placement", "count": 1}],
        0,
        0,
    )
    assert told["decided_otherwise_now"] == 0 and list(told["policies"]) == ["soonest", "soonest, price=1"]
    assert told["policies"]["soonest"]["agreed"]["count"] == 3 and told["policies"]["soonest"]["no_place"] == 1
    by_id = {one["id"]: one for one in told["decisions"]}
    assert len(by_id) == 4 and [one["logged"]["centre"] for one in told["decisions"][:3]] == [
        row.copy.centre for row in rows
    ]
    assert len(gzip.decompress(home.read_bytes()).splitlines()) == 2

    again = await hub.simulate("--from", str(home), "--policies", "soonest", "--weights", "price=1", "--json")
    assert json.loads(again.stdout) == told and len(hub.bridge.asked) == 2  # no hub was asked
    words = " ".join((await hub.simulate("--from", str(home))).stdout.split())
    assert "3 starts, each decided again separately" in words
    assert "where a policy agrees with the choice that was made" in words
    assert "soonest would have placed all at the same centres." in words and "1 no-placement" in words
    some = json.loads((await hub.simulate("--decisions", "--most", "2", "--json")).stdout)
    assert (some["requests"], some["left"]) == (2, 2)


async def test_it_is_the_operators_and_bounded_in_time(world: World, hub: Hub) -> None:
    await world.submit()
    refused = await hub.simulate("--decisions", person="ada")
    assert refused.exit_code == 1 and "This call is for operators." in refused.stderr
    before = await hub.simulate("--decisions", "--since", "2020-01-01", "--days", "3")
    assert before.exit_code == 1 and "No decision was made in that time." in before.stderr
    assert "since=2020-01-01T00" in hub.bridge.asked[-1] and "until=2020-01-04T00" in hub.bridge.asked[-1]
    yesterday = (world.federation.clock() - timedelta(days=1)).date().isoformat()
    assert (await hub.simulate("--decisions", "--since", yesterday, "--days", "3")).exit_code == 0


async def test_what_is_not_kept_any_more_is_said(world: World, hub: Hub) -> None:
    await world.submit()
    log = world.federation.decision_log
    await log.flush()
    clock = log.clock
    log.clock = lambda: clock() + timedelta(days=15)
    await log.sweep()
    log.clock = clock
    answer = await hub.simulate("--decisions", "--json")
    problem = json.loads(answer.stdout)
    assert (answer.exit_code, problem["code"]) == (1, "not-kept") and "for 14 days" in problem["hint"]


async def test_a_page_ends_early_where_decisions_rest_on_many_snapshots(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await world.submit(name=f"n{number}")
    monkeypatch.setattr(decision_export, "SNAPSHOTS", 1)
    log, since = world.federation.decision_log, world.federation.clock().replace(year=2020)
    seen: list[str] = []
    following, pages = f"{since.isoformat()}~~{log.clock().isoformat()}", 0
    while following:
        begin, after, end = following.split("~")
        page = await decision_export.page(log, type(since).fromisoformat(begin), type(since).fromisoformat(end), after)
        assert page["left"] == 3 - len(seen) and len(page["decisions"]) == 1 and page["snapshots"]
        seen, following, pages = [*seen, *(one["id"] for one in page["decisions"])], page["next"], pages + 1
    assert pages == len(set(seen)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--decisions", "--policies", "least_loaded"), "Unknown policy 'least_loaded'"),
        (("--decisions", "--weights", "price"), "is not a valid set of weights"),
        (("--decisions", "--since", "yesterday"), "is not a time"),
        (("--decisions", "--trace", "x.swf"), "--trace is for logs of batch jobs"),
        (("--weights", "price=1"), "--weights is for --decisions"),
        (("--from", "x.json", "--days", "1"), "--from replays everything that was saved"),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], said: str) -> None:
    result = run("simulate", *words)
    assert result.exit_code == 2 and said in " ".join(result.stderr.split()) and "Traceback" not in result.output


def test_files_that_are_no_saved_log_are_a_sentence(tmp_path: Path) -> None:
    other, cut, log = tmp_path / "x.json", tmp_path / "cut.gz", tmp_path / "none" / "log.json"
    other.write_text('{"a": 1}\n')
    cut.write_bytes(gzip.compress(json.dumps(EMPTY).encode())[:-9])
    for path, said in (
        (other, "line 1: this is not a saved decision log"),
        (cut, "cut off or damaged"),
        (log, "can't be read"),
    ):
        result = run("simulate", "--from", str(path))
        assert result.exit_code == 1 and said in result.stderr
    result = run("simulate", "--decisions", "--save", str(log), broker=Broker(**{"GET_decisions/log": EMPTY}))
    assert result.exit_code == 1 and "can't be written" in result.stderr


def test_another_versions_answer_is_a_sentence() -> None:
    result = run("simulate", "--decisions", broker=Broker(**{"GET_decisions/log": {"decisions": []}}))
    assert result.exit_code == 1 and "Traceback" not in result.output and result.stderr
