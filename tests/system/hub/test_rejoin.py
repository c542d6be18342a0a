"""The hub's servers and the broker's sessions after restarts and moves, with a real hub over Labs that are
stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scnet_hub.hub.rejoin import UNCLAIMED, labs, pause

from .labs import Lab, LabBroker, LabHub, serve


@pytest.fixture
def broker() -> Iterator[LabBroker]:
    made = LabBroker()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def hub(tmp_path: Path, broker: LabBroker) -> Iterator[LabHub]:
    made = LabHub(tmp_path, broker)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def lab() -> Iterator[Callable[[], str]]:
    """Makes a server that answers; its address."""
    servers = []

    def make() -> str:
        servers.append(serve(Lab))
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def ready(broker: LabBroker, session: str, address: str) -> None:
    broker.move(session, state="ready", host="127.0.0.1", port=int(address.rpartition(":")[2]))


@pytest.mark.parametrize("name", ["", "second"])
def test_a_start_that_was_pending_when_the_hub_died_goes_on_by_itself(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str], name: str
) -> None:
    hub.begin(name=name)
    hub.until(lambda: broker.sessions)
    hub.kill()
    hub.start()
    hub.until(lambda: hub.server(name=name).get("pending") == "spawn")
    address = lab()
    ready(broker, "s1", address)
    hub.until(lambda: hub.server(name=name).get("ready"))
    assert broker.calls == [f"start ada {name}".strip()], "one session ever"
    assert hub.routes[f"/user/ada/{name}/" if name else "/user/ada/"] == address
    token = broker.sessions["s1"]["token"]
    assert httpx.get(f"{hub.url}user", headers={"Authorization": f"token {token}"}, trust_env=False).status_code == 200


def test_a_session_that_became_ready_while_the_hub_was_away_is_a_server_again(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str]
) -> None:
    hub.begin()
    hub.until(lambda: broker.sessions)
    hub.kill()
    ready(broker, "s1", lab())
    hub.start()
    hub.until(lambda: hub.server().get("ready"))
    assert broker.calls == ["start ada"]


@pytest.mark.parametrize("name", ["", "second"])
def test_the_token_of_a_session_that_ended_while_the_hub_was_away_is_revoked(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str], name: str
) -> None:
    hub.begin(name=name)
    hub.until(lambda: broker.sessions)
    ready(broker, "s1", lab())
    hub.until(lambda: hub.server(name=name).get("ready"))
    token = {"Authorization": f"token {broker.sessions['s1']['token']}"}
    assert httpx.get(f"{hub.url}user", headers=token, trust_env=False).status_code == 200
    hub.kill()
    broker.move("s1", live=False, state="charged", end_reason="Cancelled at the centre.", token="")
    hub.start()
    hub.until(lambda: httpx.get(f"{hub.url}user", headers=token, trust_env=False).status_code == 403)


def test_a_hub_that_starts_asks_about_all_its_servers_in_one_question(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str]
) -> None:
    names, address = [f"n{number}" for number in range(6)], lab()
    for name in names:
        hub.begin(name=name)
    hub.until(lambda: len(broker.sessions) == len(names))
    for session in broker.sessions:
        ready(broker, session, address)
    hub.until(lambda: all(hub.server(name=name).get("ready") for name in names))
    hub.kill()
    broker.looks.clear()
    hub.start()
    hub.until(lambda: all(hub.server(name=name).get("ready") for name in names))
    assert len(broker.looks) <= 1, "the first; the others share a list"
    assert hub.api.delete("users/ada/servers/n5").status_code in (202, 204)
    hub.until(lambda: not hub.server(name="n5"))
    token = {"Authorization": f"token {broker.sessions['s6']['token']}"}
    assert httpx.get(f"{hub.url}user", headers=token, trust_env=False).status_code == 403, (
        "known from the list, so revoked"
    )


def test_a_stop_after_the_restart_reaches_the_queued_job(hub: LabHub, broker: LabBroker) -> None:
    hub.begin()
    hub.until(lambda: broker.sessions)
    hub.kill()
    hub.start()
    hub.until(lambda: hub.server().get("pending") == "spawn")
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: "stop s1" in broker.calls)
    hub.until(lambda: not hub.server())
    assert not broker.sessions["s1"]["live"]


def test_a_stop_before_the_broker_has_said_which_session_it_is_reaches_it_too(hub: LabHub, broker: LabBroker) -> None:
    with broker.changed:  # the broker thinks
        hub.begin()
        hub.until(lambda: hub.server().get("pending") == "spawn")
        assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: "stop s1" in broker.calls)
    assert broker.calls == ["start ada", "stop s1"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_session_is_stopped_with_its_user_whatever_an_admin_calls_them(
    tmp_path: Path, broker: LabBroker, lab: Callable[[], str], restart: bool
) -> None:
    hub = LabHub(tmp_path, broker, patience=1.0)
    hub.start()
    try:
        hub.begin()
        hub.begin(person="eve")
        hub.until(lambda: len(broker.sessions) == 2)
        (ada,) = (one["id"] for one in broker.sessions.values() if one["person"] == "ada")
        ready(broker, ada, lab())
        hub.until(lambda: hub.server().get("ready"))
        assert hub.api.patch("users/ada", json={"name": "Grace"}).json()["name"] == "grace"
        if restart:
            hub.kill()
            hub.start()
            hub.until(lambda: hub.server(person="grace").get("ready"))
        looked = len(broker.rounds)
        # of 0.3 s: longer than the patience with a session that no server has
        hub.until(lambda: len(broker.rounds) > looked + 6)
        assert hub.server(person="grace").get("ready") and not [
            call for call in broker.calls if call.startswith("stop")
        ]
        assert hub.api.delete("users/grace").status_code == 204
        hub.until(lambda: f"stop {ada}" in broker.calls)
        assert not broker.sessions[ada]["live"]
        assert not [*(tmp_path / "cancels").glob("*")], "the wish is fulfilled, not given up"
    finally:
        hub.stop()


def test_a_session_that_is_being_stopped_is_not_taken_up_again(hub: LabHub, broker: LabBroker) -> None:
    hub.begin()
    hub.until(lambda: broker.sessions)
    hub.kill()
    broker.move("s1", state="stopping")
    broker.session(name="other", state="queued")  # what is taken up after it, so that a round has passed
    hub.start()
    hub.until(lambda: hub.server(name="other").get("pending") == "spawn")
    assert not hub.server() and broker.calls == ["start ada"]


def test_a_session_that_nobody_can_claim_is_stopped_with_the_reason(tmp_path: Path, broker: LabBroker) -> None:
    hub = LabHub(tmp_path, broker, patience=1.5)
    broker.session(person="gone", state="ready")
    hub.start()
    try:
        hub.until(lambda: broker.calls)
        assert broker.calls == [f"stop s1 {UNCLAIMED}"]
    finally:
        hub.stop()


def test_a_server_follows_the_session_that_took_over_its_name(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str]
) -> None:
    first, second = lab(), lab()
    hub.begin()
    hub.until(lambda: broker.sessions)
    ready(broker, "s1", first)
    hub.until(lambda: hub.routes.get("/user/ada/") == first and hub.server().get("ready"))
    url = hub.server()["url"]
    broker.session(token=broker.sessions["s1"]["token"])
    ready(broker, "s2", second)
    broker.move("s1", succeeded_by="s2", state="stopping")
    hub.until(lambda: hub.routes["/user/ada/"] == second)
    broker.move("s1", state="ended", live=False)
    assert hub.server()["ready"] and hub.server()["url"] == url
    hub.kill()
    hub.start()
    hub.until(lambda: hub.server().get("ready"))
    assert hub.routes["/user/ada/"] == second, "the hub's database has it too"
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: "stop s2" in broker.calls)
    assert broker.calls == ["start ada", "stop s2"]


def test_a_stop_reaches_the_session_that_inherits_the_name_before_it_is_ready(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str]
) -> None:
    hub.begin()
    hub.until(lambda: broker.sessions)
    ready(broker, "s1", lab())
    hub.until(lambda: hub.server().get("ready"))
    broker.session(token=broker.sessions["s1"]["token"])
    broker.move("s1", succeeded_by="s2", state="ended", live=False)
    assert hub.api.delete("users/ada/server").status_code in (202, 204)
    hub.until(lambda: "stop s2" in broker.calls)
    assert broker.calls == ["start ada", "stop s2"]


def test_a_server_follows_a_session_that_has_another_address(
    hub: LabHub, broker: LabBroker, lab: Callable[[], str]
) -> None:
    first, second = lab(), lab()
    hub.begin()
    hub.until(lambda: broker.sessions)
    ready(broker, "s1", first)
    hub.until(lambda: hub.server().get("ready"))
    ready(broker, "s1", second)
    hub.until(lambda: hub.routes["/user/ada/"] == second)
    assert hub.server()["ready"] and broker.calls == ["start ada"]


def test_a_session_that_the_proxy_cannot_reach_is_not_called_ended(hub: LabHub) -> None:
    page = hub.api.get(hub.url.replace("/api/", "/error/503")).text
    assert "be reached at the moment." in page and "My sessions" in page
    assert "appears to be down" not in page and "Try restarting" not in page, (
        "JupyterHub's own advice would start a second one"
    )


def test_each_server_has_one_session_the_ready_one_before_the_newest() -> None:
    broker = LabBroker()
    for facts in (
        {},
        {"state": "ready"},
        {},
        {"name": "b"},
        {"name": "b"},
        {"name": "b", "state": "stopping"},
        {"kind": "dask", "name": "c"},
    ):
        broker.session(**facts)
    broker.server.shutdown()
    broker.server.server_close()
    assert {key: one["id"] for key, one in labs(broker.sessions.values()).items()} == {
        ("ada", ""): "s2",
        ("ada", "b"): "s5",
    }


def test_what_cannot_be_joined_is_tried_less_and_less_often() -> None:
    assert [pause(failures) for failures in (0, 1, 3, 30)] == [10, 20, 80, 300]
