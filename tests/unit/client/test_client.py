"""Tests the client's side of REST, and the notebook's functions on it: it finds the broker, refusals are sentences, and
its import is light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from scnet_hub.client import rest as module
from scnet_hub.client.rest import Client, find_broker
from scnet_hub.errors import BrokerError, NoPlacement, NotFound, OverQuota, ScnetError, Unreachable
from tests.builders.fakes.broker import FakeBroker

REPO = Path(__file__).resolve().parents[3]


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as fake:
        yield fake


def answering(handler: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("http://broker/api/v1", "t", transport=httpx.MockTransport(handler))


def problem(status: int, **document: object) -> Client:
    return answering(lambda request: httpx.Response(status, json=document))


# ---- finding the broker


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    for name in ("SCNET_API_URL", "SCNET_TOKEN", "JUPYTERHUB_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCNET_HOME", str(tmp_path))
    return tmp_path


def test_a_session_has_what_it_needs_in_its_environment(nowhere, monkeypatch):
    monkeypatch.setenv("SCNET_API_URL", "http://hub/services/scnet/api/v1")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "of-the-server")
    assert find_broker() == ("http://hub/services/scnet/api/v1", "of-the-server")
    monkeypatch.setenv("SCNET_TOKEN", "of-the-person")
    assert find_broker()[1] == "of-the-person"


def test_outside_a_session_the_demos_file_is_used(nowhere):
    (nowhere / "client.json").write_text(json.dumps({"url": "http://demo", "token": "d"}))
    assert find_broker() == ("http://demo", "d")


@pytest.mark.parametrize("text", [None, "{", "{}"])
def test_nothing_to_be_found_says_what_to_do(nowhere, text):
    if text is not None:
        (nowhere / "client.json").write_text(text)
    with pytest.raises(BrokerError, match="No SCNet Hub found") as caught:
        find_broker()
    assert caught.value.code == "no-broker" and "scnet demo" in caught.value.hint


# ---- calls


def test_the_token_and_the_path_are_those_of_the_page():
    asked: list[httpx.Request] = []
    client = answering(lambda request: asked.append(request) or httpx.Response(200, json={"sessions": []}))
    client.sessions(all=True)
    assert str(asked[0].url) == "http://broker/api/v1/sessions?all=1"
    assert asked[0].headers["Authorization"] == "token t"


def test_an_id_cannot_leave_its_place_in_the_path():
    asked: list[bytes] = []
    client = answering(lambda request: asked.append(request.url.raw_path) or httpx.Response(202, json={}))
    client.stop("../entries?project=x")
    assert asked == [b"/api/v1/sessions/..%2Fentries%3Fproject%3Dx"]


def test_waiting_for_a_change_leaves_the_broker_time_to_answer():
    asked: list[httpx.Request] = []
    client = answering(lambda request: asked.append(request) or httpx.Response(200, json={}))
    client.session("abc", wait=20, seen=3)
    assert dict(asked[0].url.params) == {"wait": "20", "seen": "3"}
    assert asked[0].extensions["timeout"]["read"] == 50


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("over-quota", OverQuota),
        ("no-placement", NoPlacement),
        ("not-found", NotFound),
        ("centre-unreachable", Unreachable),
    ],
)
def test_a_problem_comes_back_as_the_error_it_was(code, kind):
    client = problem(409, code=code, title="Eight cores at once.", hint="Ask for less.", details={"limit": 8})
    with pytest.raises(kind, match="Eight cores at once") as caught:
        client.submit(kind="dask", argv=["python"])
    assert (caught.value.code, caught.value.hint, caught.value.details) == (code, "Ask for less.", {"limit": 8})


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "bad-token"), (403, "bad-token"), (500, "broker-unreachable"), (502, "broker-unreachable")],
)
def test_an_answer_without_a_problem_is_still_a_sentence(status, code):
    client = answering(lambda request: httpx.Response(status, text="<html>"))
    with pytest.raises(Exception) as caught:
        client.me()
    assert caught.value.code == code and caught.value.hint


def test_no_answer_says_that_sessions_run_on(nowhere):
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(BrokerError, match="does not answer") as caught:
        answering(refuse).centres()
    assert "not affected" in caught.value.hint


def test_a_session_from_start_to_end_over_real_http(broker):
    with broker.client() as client:
        assert client.me()["person"] == "ada"
        assert client.place(cores=1)["best"]["centre"] == "alpha"
        session = client.submit(kind="batch", name="hello", cores=1, argv=["python", "-c", "print('hello')"])
        broker.wait(lambda: not broker.live())
        assert client.session(session["id"])["end_reason"] == "The program ended by itself."
        assert client.log(session["id"]) == "hello\n"
        assert client.sessions() == [] and len(client.sessions(all=True)) == 1
        assert client.balance()[0]["available"] == 463.0
        with pytest.raises(ScnetError) as caught:
            client.stop("nothing")
        assert caught.value.code == "unknown-session"


# ---- the notebook's one-liners, each in a Python of its own (the hub's side has modules of the same names)


def run(script: str, env: dict[str, str]) -> str:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO), **env}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_heavy():
    script = """
        import sys, scnet_hub
        heavy = {"httpx", "distributed", "dask", "ipywidgets", "anywidget", "dask_jobqueue", "jupyterhub", "sqlalchemy"}
        print(sorted((heavy | {"asyncio"}) & set(sys.modules)))
        print(scnet_hub.__all__ == sorted(scnet_hub.__all__), "panel" in dir(scnet_hub))
    """
    assert run(script, {}) == "[]\nTrue True\n"


def test_panels_and_one_liners_work_without_the_hubs_side(broker):
    script = """
        import sys
        import scnet_hub as scnet
        from scnet_hub import panel
        assert [one["id"] for one in scnet.centres()] == ["alpha", "beta"]
        assert scnet.place(cores=2)["best"]["centre"] == "alpha"
        assert scnet.sessions() == [] and scnet.sessions(all=True) == []
        assert scnet.balance()[0]["id"] == "climate"
        try:
            scnet.stop("nothing")
        except Exception as error:
            print(error.code)
        print(repr(panel()).splitlines()[0].split(" · as of")[0])
        print(sorted({"sqlalchemy", "fastapi", "jupyterhub", "distributed", "asyncssh"} & set(sys.modules)))
    """
    assert run(script, broker.environment()).splitlines() == [
        "unknown-session",
        "SCNet · 2 of 2 centres up · no sessions · 463.00 credits available",
        "[]",
    ]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'dusk'"):
        import scnet_hub

        _ = scnet_hub.dusk


def test_the_state_folder_follows_the_environment(nowhere):
    assert module.state_dir() == nowhere


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(BrokerError, match=r"ca\.pem, which does not hold readable certificates"):
        Client("https://hub/api", "t")


# ---- a busy broker, and lists in pages


def put_off(times: int, status: int = 429, **headers: str) -> tuple[Client, list[str], list[float]]:
    """A client of a broker that puts the first `times` calls off; what it was asked, and how long the client paused."""
    asked, paused = list[str](), list[float]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if len(asked) <= times:
            return httpx.Response(
                status, json={"code": "too-many-requests", "title": "busy", "family": "refused"}, headers=headers
            )
        return httpx.Response(200, json={"id": "x"})

    transport = httpx.MockTransport(answer)
    return Client("http://broker/api/v1", "t", transport=transport, sleep=paused.append), asked, paused


@pytest.mark.parametrize("status", [429, 503])
def test_a_call_that_is_put_off_is_sent_again_after_that_time(status: int) -> None:
    client, asked, paused = put_off(2, status, **{"Retry-After": "2"})
    assert client.stop("x") == {"id": "x"} and asked == ["DELETE"] * 3
    assert len(paused) == 2 and all(2 <= one <= 3 for one in paused)


def test_it_is_sent_again_twice_at_most() -> None:
    client, asked, _ = put_off(9, **{"Retry-After": "1"})
    with pytest.raises(ScnetError, match="busy"):
        client.stop("x")
    assert len(asked) == 3


@pytest.mark.parametrize("said", [{}, {"Retry-After": "3600"}, {"Retry-After": "soon"}, {"Retry-After": "-1"}])
def test_a_refusal_without_a_time_that_can_be_waited_is_told_at_once(said: dict[str, str]) -> None:
    client, asked, paused = put_off(1, **said)
    with pytest.raises(ScnetError, match="busy"):
        client.stop("x")
    assert len(asked) == 1 and not paused


def test_sessions_and_usage_are_those_of_all_pages() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        after = int(request.url.params.get("after", "0"))
        following = after + 1 if after < 2 else None
        if request.url.path.endswith("usage"):
            return httpx.Response(200, json={"rows": [{"day": after}], "next": following, "more": 2 - after})
        return httpx.Response(
            200, json={"sessions": [{"id": f"s{after}", "all": request.url.params["all"]}], "next": following}
        )

    client = answering(answer)
    assert [one["id"] for one in client.sessions(all=True)] == ["s0", "s1", "s2"]
    usage = client.usage(by="day")
    assert [one["day"] for one in usage["rows"]] == [0, 1, 2] and usage["more"] == 0
