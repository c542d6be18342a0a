"""Tests `scnet doctor`: each fault is one line that says what to do, and without faults the exit code is 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from scnet_hub.cli.commands.doctor import Visit, environment, examine, hub_api, node_found, proxy, state_folder, token
from scnet_hub.errors import BrokerError, ScnetError

from .federation import Broker, centre, run

REMOTE = ("broker", "hub", "token")


def findings(broker: Broker) -> dict[str, Any]:
    """The part of `doctor --json` that depends on the broker, by name."""
    document = json.loads(run("doctor", "--json", broker=broker).stdout)
    return {
        check["name"]: check
        for check in document["checks"]
        if check["name"] in REMOTE or check["name"].startswith("centre")
    }


def test_a_federation_in_order() -> None:
    found = findings(Broker())
    assert all(check["ok"] for check in found.values())
    assert list(found) == ["broker", "hub", "token", "centre alpha", "centre beta"]
    assert found["token"]["found"] == "accepted, as ada (sea)"
    assert found["hub"]["found"] == "http://127.0.0.1:8000/hub/api, JupyterHub 6.1.1"


def test_every_line_says_ok_or_problem_and_what_to_do() -> None:
    result = run("doctor", broker=Broker(GET_me=(401, "no")))
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert all(line.startswith(("ok  ", "problem  ", "     ")) for line in lines)
    problem = next(index for index, line in enumerate(lines) if line.startswith("problem  token"))
    assert "does not accept this token" in lines[problem] and "→ Restart your server" in lines[problem + 1]


def test_a_centre_that_is_down_is_a_problem_with_its_reason() -> None:
    down = centre("beta", state="down", why="Beta has not answered since 09:00")
    found = findings(Broker(GET_centres={"centres": [centre("alpha"), down]}))
    assert found["centre alpha"]["ok"]
    assert (found["centre beta"]["ok"], found["centre beta"]["found"]) == (
        False,
        "down: Beta has not answered since 09:00",
    )


def test_a_silent_broker_is_asked_once_and_the_hub_still() -> None:
    broker = Broker(GET_health=httpx.ConnectError("refused"))
    found = findings(broker)
    assert [name for name, check in found.items() if not check["ok"]] == ["broker", "token", "centres"]
    assert found["token"]["found"] == "not asked, because the broker does not answer"
    assert [name for name, _ in broker.asked] == ["GET health", "GET hub"]


def test_a_silent_hub_is_a_problem_of_its_own() -> None:
    found = findings(Broker(GET_hub=httpx.ConnectError("refused")))
    assert [name for name, check in found.items() if not check["ok"]] == ["hub"]


def test_something_else_that_answers_is_not_a_broker() -> None:
    found = findings(Broker(GET_health="<html>hello</html>"))
    assert not found["broker"]["ok"] and "not a broker" in found["broker"]["found"]


def test_no_broker_known_still_checks_the_machine() -> None:
    def connect() -> Any:
        raise BrokerError("No SCNet Hub found.", hint="Start one.", code="no-broker")

    result = run("doctor", "--json", connect=connect)
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == 1 and checks["python"]["ok"]
    assert (
        checks["broker"]["hint"] == "Start one." and checks["token"]["found"] == "not asked, because no broker is known"
    )


def test_the_state_folder_may_be_absent_but_not_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = Visit(Broker().connect)
    monkeypatch.setenv("SCNET_HOME", str(tmp_path / "state"))
    assert "does not exist yet" in state_folder(visit)
    (tmp_path / "state").mkdir()
    saved = tmp_path / "state" / "client.json"
    saved.write_text("{}")
    saved.chmod(0o644)
    with pytest.raises(ScnetError, match="can be read by others") as caught:
        state_folder(visit)
    assert "chmod 600" in caught.value.hint
    saved.chmod(0o600)
    assert state_folder(visit) == str(tmp_path / "state")


def test_an_environment_that_differs_from_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.lock").write_text(
        "click==0.0.1 \\\n    --hash=sha256:0\nhttpx==9.9 ; sys_platform == 'win32' \\\n"
    )
    monkeypatch.setattr("sys.prefix", str(tmp_path / ".venv"))
    with pytest.raises(ScnetError, match=r"differs from requirements.lock: click \S+ \(not 0.0.1\)") as caught:
        environment(Visit(Broker().connect, root=tmp_path))
    assert caught.value.hint == "Run `make setup`."


def test_without_a_checkout_there_is_no_lock_to_compare_with(tmp_path: Path) -> None:
    assert environment(Visit(Broker().connect, root=tmp_path)).endswith("installed without a lock file")


def test_proxy_and_node_are_no_part_of_a_client(tmp_path: Path) -> None:
    client = Visit(Broker().connect, root=tmp_path, prefix=tmp_path)
    assert proxy(client) == node_found(client) == "not part of this installation"
    (tmp_path / "requirements.lock").write_text("")
    with pytest.raises(ScnetError, match="not installed") as caught:
        proxy(client)
    assert caught.value.hint.endswith("-m scnet_hub.setup --proxy`.")


@pytest.mark.parametrize(
    ("broker", "hub"),
    [
        ("http://h:8000/services/scnet/api/v1", "http://h:8000/hub/api"),
        ("https://h/prefix/services/scnet/api/v1", "https://h/prefix/hub/api"),
        ("http://127.0.0.1:9000/api/v1", ""),
    ],
)
def test_the_hub_is_beside_the_broker(broker: str, hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)
    assert hub_api(broker) == hub


def test_a_check_that_breaks_is_a_finding() -> None:
    def breaks(visit: Visit) -> str:
        raise OSError("disk on fire")

    first = next(iter(examine(Visit(Broker().connect), (("state folder", breaks), ("token", token)))))
    assert (first.ok, first.found) == (False, "OSError: disk on fire")
