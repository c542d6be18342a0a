"""The steward in a real JupyterLab server, with a kernel, a terminal and a broker that speaks REST: what it tells, and
what it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from scnet_hub.errors import Overdrawn
from scnet_hub.node import steward
from tests.builders.fakes.broker import FakeBroker, until

from .labs import Lab, hold

pytestmark = pytest.mark.slow
IDLE = 8.0  # seconds; warned at half
COMMS = """
import threading, time
from comm import create_comm
c = create_comm(target_name='nobody')
def tick():
    while True: c.send({}); time.sleep(0.3)
threading.Thread(target=tick, daemon=True).start()
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


@pytest.fixture(scope="module")
def lab(broker: FakeBroker) -> Iterator[Lab]:
    """A calm one, whose idle timeout nobody reaches."""
    broker.lab(
        expires_at=in_(1000), warnings=[{"code": "maintenance", "message": "New cooling from 18:00.", "at": in_(600)}]
    )
    with Lab(broker, SCNET_IDLE_TIMEOUT="7200") as running:
        yield running


@pytest.fixture
def short(broker: FakeBroker) -> Iterator[Lab]:
    broker.lab("short", expires_at=in_(3000))
    with Lab(broker, "short", SCNET_IDLE_TIMEOUT=str(IDLE)) as running:
        yield running


def in_(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_it_tells_what_is_left_what_is_announced_and_when_to_ask_again(lab: Lab) -> None:
    told = until(lambda: (one := lab.told())["left_s"] and one)
    assert 800 < told["left_s"] < 1000
    assert told["levels_s"] == [900, 300]
    assert [one["message"] for one in told["warnings"]] == ["New cooling from 18:00."]
    assert told["idle"]["timeout_s"] == 7200 and not told["idle"]["warned"] and told["idle"]["stops_in_s"] is None
    assert told["again_s"] == 30 and told["successor"] is None


def test_only_the_sessions_owner_is_answered(lab: Lab) -> None:
    with httpx.Client(base_url=lab.url, trust_env=False) as stranger:
        assert [stranger.get("scnet/session").status_code, stranger.post("scnet/continue").status_code] == [403, 403]
        assert stranger.post("scnet/keep", headers={"Authorization": "token wrong"}).status_code == 403


def test_jupyterlab_finds_its_part(lab: Lab) -> None:
    page = lab.http.get("lab").text
    assert '"scnet-hub"' in page
    script = lab.http.get("lab/extensions/scnet-hub/static/remoteEntry.js")
    assert script.status_code == 200 and "_JUPYTERLAB" in script.text
    times = lab.http.get("scnet/times.js")
    assert times.headers["Content-Type"].startswith("text/javascript") and "export function local" in times.text


def test_many_pages_that_ask_often_are_one_question_to_the_broker(lab: Lab, broker: FakeBroker) -> None:
    until(lambda: lab.told()["left_s"])
    before = len(broker.calls)
    for _ in range(20):
        lab.told()
    assert len(broker.calls) == before


def test_continue_starts_the_next_session_once_and_follows_it(lab: Lab, broker: FakeBroker) -> None:
    first, second = lab.http.post("scnet/continue"), lab.http.post("scnet/continue")
    assert first.status_code == second.status_code == 200
    assert first.json()["successor"]["id"] == second.json()["successor"]["id"] == "lab-2"
    assert first.json()["again_s"] == 5
    after = {**broker.sessions["lab"]["successor"], "state": "starting"}
    broker.update("lab", successor=after)
    until(lambda: lab.told()["successor"]["state"] == "starting", 20)
    broker.update("lab", successor=None)
    until(lambda: lab.told()["successor"] is None, 20)


def test_a_refusal_reaches_the_person_in_the_brokers_words(lab: Lab, broker: FakeBroker) -> None:
    broker.refusals[""] = Overdrawn("The project has 0.2 credits left.", hint="Ask for a shorter walltime.")
    answer = lab.http.post("scnet/continue")
    del broker.refusals[""]
    assert (answer.status_code, answer.json()["code"]) == (Overdrawn.status, Overdrawn.code)
    assert answer.json()["hint"] == "Ask for a shorter walltime."


def test_without_the_broker_what_was_known_is_told_and_continue_says_so(lab: Lab, broker: FakeBroker) -> None:
    until(lambda: lab.told()["left_s"])
    broker.silent = True
    answer = lab.http.post("scnet/continue")
    broker.silent = False
    assert (answer.status_code, answer.json()["code"]) == (502, "broker-unreachable")
    assert lab.told()["left_s"] > 0


def test_a_session_that_knows_no_broker_serves_and_never_stops() -> None:
    with Lab(None, SCNET_IDLE_TIMEOUT="1") as alone:
        told = alone.told()
        assert told["left_s"] is None and told["idle"]["timeout_s"] == 0


# ---- left alone


def test_it_warns_first_and_then_stops_with_its_reason(short: Lab, broker: FakeBroker) -> None:
    told = until(lambda: (one := short.told())["idle"]["warned"] and one, 30)
    assert broker.sessions["short"]["live"] and 0 < told["idle"]["stops_in_s"] <= IDLE / 2
    broker.wait(lambda: not broker.sessions["short"]["live"], 30)
    assert broker.sessions["short"]["end_reason"] == "Stopped: nothing ran in it for 8 s."
    assert until(lambda: short.told()["stopping"]) == "Stopped: nothing ran in it for 8 s."


def test_keep_and_a_person_at_the_page_put_it_off(short: Lab, broker: FakeBroker) -> None:
    until(lambda: short.told()["idle"]["warned"], 30)
    assert not short.http.post("scnet/keep").json()["idle"]["warned"]
    until(lambda: short.told()["idle"]["warned"], 30)
    assert not short.told(here=True)["idle"]["warned"]
    assert broker.sessions["short"]["live"]


def test_a_broker_that_is_away_stops_nothing_and_is_asked_again(short: Lab, broker: FakeBroker) -> None:
    until(lambda: short.told()["idle"]["warned"], 30)
    broker.silent = True
    hold(IDLE, lambda: not short.told()["stopping"])
    broker.silent = False
    broker.wait(lambda: not broker.sessions["short"]["live"], 30)


def test_a_cell_that_runs_long_and_waits_keeps_it(short: Lab, broker: FakeBroker) -> None:
    kernel = short.kernel()
    kernel.run(f"import time; time.sleep({IDLE * 2}); print('done')")
    until(lambda: "a cell runs" in short.told()["idle"]["busy"], 30)
    hold(IDLE * 1.2, lambda: not short.told()["idle"]["warned"])
    until(lambda: kernel.said("done"), 30)
    broker.wait(lambda: not broker.sessions["short"]["live"], 60)  # and when it is over, it is over
    kernel.close()


def test_short_cells_now_and_then_keep_it_but_a_panel_that_refreshes_itself_does_not(
    short: Lab, broker: FakeBroker
) -> None:
    kernel = short.kernel()
    kernel.until_idle(kernel.run(COMMS))
    end = time.monotonic() + IDLE * 1.5
    while time.monotonic() < end:
        kernel.until_idle(kernel.run("1 + 1"))
        assert not short.told()["idle"]["warned"]
        time.sleep(IDLE / 8)
    last = time.monotonic()
    until(lambda: short.told()["idle"]["warned"], 30)
    assert time.monotonic() - last < IDLE
    assert [one for one in kernel.heard[-5:] if one["msg_type"] == "comm_msg"], "the panel is still talking"
    kernel.close()


def test_a_file_that_is_saved_and_a_mark_of_dask_keep_it(short: Lab, broker: FakeBroker) -> None:
    end = time.monotonic() + IDLE * 1.5
    while time.monotonic() < end:
        save = {"type": "file", "format": "text", "content": str(time.time())}
        assert short.http.put("api/contents/a.txt", json=save).status_code in (200, 201)
        assert not short.told()["idle"]["warned"]
        time.sleep(IDLE / 8)
    (short.active / "dask-1").touch()
    assert "Dask has work" in until(lambda: short.told()["idle"]["busy"], 20)


def test_a_job_in_a_terminal_keeps_it(short: Lab, broker: FakeBroker) -> None:
    from websockets.sync.client import connect

    name = short.http.post("api/terminals").json()["name"]
    with connect(f"{short.url.replace('http', 'ws', 1)}terminals/websocket/{name}?token={short.token}") as terminal:
        terminal.send('["stdin", "(while :; do :; done) > /dev/null 2>&1 &\\r"]')
        until(lambda: [one for one in short.told()["idle"]["busy"] if "computes" in one], 30)
        hold(IDLE, lambda: not short.told()["idle"]["warned"])
        terminal.send('["stdin", "kill %1\\r"]')
    broker.wait(lambda: not broker.sessions["short"]["live"], 60)


def test_in_the_last_minutes_that_are_paid_for_it_says_when_it_stops_and_asks_often() -> None:
    now, at = [100.0], datetime(2026, 11, 23, 9, tzinfo=UTC)
    one = steward.Steward({}, None, clock=lambda: now[0])
    document = {
        "expires_at": "2026-11-23T17:00:00Z",
        "stops_at": "2026-11-23T09:10:00Z",
        "lease_end": "Project p has 0.00 credits left.",
    }
    one._take(document, at)
    assert one.told()["lease"] == {"stops_in_s": 600, "saves_at_s": 300, "why": "Project p has 0.00 credits left."}
    assert one.told()["again_s"] == 30
    now[0] += 301
    assert one.told()["lease"]["stops_in_s"] == 299 and one.told()["again_s"] == one._pause() == 10
    one._take({**document, "stops_at": None}, at + timedelta(seconds=301))
    assert one.told()["lease"] is None and one.told()["again_s"] == 30


def test_durations_read_well() -> None:
    assert [steward.words(one) for one in (40, 60, 590, 3600, 7200, 5400)] == [
        "40 s",
        "1 min",
        "10 min",
        "1 h",
        "2 h",
        "1 h 30 min",
    ]
    assert [steward.seconds(one) for one in ("", "x", "-3", "90")] == [0, 0, 0, 90]
