"""One setting, and all addresses follow: below a path and behind TLS, and with a name for each person's servers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from scnet_hub.adapters.secret_files import read_secret
from scnet_hub.client import Client
from scnet_hub.demo.browser import Browser, Kernel
from scnet_hub.demo.state import some_free_port

from .conftest import SCNET, Running, start, stop, wait_for
from .front import Front

ADDRESSES = (
    "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if '_URL' in k or k.endswith('_HOST')}))"
)


@dataclass(frozen=True)
class Site:
    demo: Running
    url: str
    front: Front | None = None

    def operator(self) -> Client:
        """The broker through the proxy itself, by the name that people use."""
        saved = json.loads((self.demo.home / "client.json").read_text())
        assert saved["url"] == f"{self.url}services/scnet/api/v1"
        return Client(self.demo.ports.broker_api, read_secret(self.demo.home / "secrets" / "operator.token"))


def site(*options: str, url: str, front: Front | None, port: int) -> Iterator[Site]:
    home = Path(tempfile.mkdtemp(prefix="sc-"))
    running = start(home, "--port", str(port), "--url", url, *options)
    try:
        yield Site(running, url, front)
    finally:
        stop(running)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = some_free_port([])
    front = Front(tmp_path_factory.mktemp("front"), port)
    yield from site(url=f"https://localhost:{front.port}/jupyter/", front=front, port=port)
    front.close()


@pytest.fixture(scope="module")
def with_names() -> Iterator[Site]:
    port = some_free_port([])
    yield from site("--subdomains", url=f"http://hub.localhost:{port}/", front=None, port=port)


async def test_a_lab_is_ready_below_a_path_and_behind_tls_and_stays_there(behind_tls: Site) -> None:
    assert behind_tls.front is not None
    async with Browser(behind_tls.url, "ada", tls=behind_tls.front.trust) as ada:
        await ada.log_in(behind_tls.demo.passwords["ada"])
        hubs = {cookie.name: cookie.secure for cookie in ada.http.cookies.jar}
        assert {"jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf", "scnet-login"} <= set(hubs) and all(
            hubs.values()
        )
        await ada.start(profile="small")
        await ada.until_lab_answers()
        lab = await ada.http.get("user/ada/lab")
        assert lab.status_code == 200 and {str(one.url)[: len(behind_tls.url)] for one in (*lab.history, lab)} == {
            behind_tls.url
        }
        kernel = await ada.kernel()
        seen: dict[str, str] = json.loads(await kernel.run(ADDRESSES))
        assert seen["JUPYTERHUB_PUBLIC_URL"] == f"{behind_tls.url}user/ada/"
        # on this machine: past the front
        assert seen["JUPYTERHUB_API_URL"] == f"{behind_tls.demo.ports.proxy_url}/jupyter/hub/api"
        assert seen["SCNET_API_URL"] == f"{behind_tls.demo.ports.proxy_url}/jupyter/services/scnet/api/v1"
        token = (await kernel.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])")).strip()
        stored = [one for one in behind_tls.demo.home.glob("*.sqlite*")]
        assert (
            len(token) > 20
            and len(stored) >= 2
            and not [one.name for one in stored if token.encode() in one.read_bytes()]
        )
        assert "lab" in await kernel.run("import scnet_hub as scnet; print([one['kind'] for one in scnet.sessions()])")
        kernel.close()
        await ada.stop()


def test_commands_find_the_broker_at_the_address(behind_tls: Site) -> None:
    assert behind_tls.front is not None
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB_", "SCNET_"))}
    env = {**kept, "SCNET_HOME": str(behind_tls.demo.home), "SSL_CERT_FILE": str(behind_tls.front.certificate)}
    done = subprocess.run(
        [SCNET, "centres", "--json"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and len(json.loads(done.stdout)["centres"]) >= 3, done.stderr


async def test_every_page_of_the_hub_links_to_pages_below_its_path(behind_tls: Site) -> None:
    assert behind_tls.front is not None
    async with Browser(behind_tls.url, "admin", tls=behind_tls.front.trust) as admin:
        await admin.log_in(behind_tls.demo.passwords["admin"])
        for page in (
            "home",
            "spawn",
            "accounts",
            "usage",
            "project?id=materials",
            "placement",
            "settlement",
            "statements",
            "token",
            "admin",
        ):
            answer = await admin.http.get(f"hub/{page}")
            assert answer.status_code == 200, (page, answer.status_code)
            links = re.findall(r'(?:href|src|action)="(/[^"]*|https?://[^"]*)"', answer.text)
            ours = [link for link in links if "jupyter.org" not in link and "readthedocs.io" not in link]
            assert ours and [link for link in ours if not link.startswith(("/jupyter/", behind_tls.url))] == [], page


async def test_a_flood_ends_at_the_front_in_the_brokers_own_words(behind_tls: Site) -> None:
    assert behind_tls.front is not None
    tls = behind_tls.front.trust
    async with (
        Browser(behind_tls.url, "ada", tls=tls) as ada,
        httpx.AsyncClient(verify=tls, trust_env=False, timeout=60) as others,
    ):
        await ada.log_in(behind_tls.demo.passwords["ada"])
        made = await ada.http.post("hub/api/users/ada/tokens", json={}, headers=ada._headers("hub/"))
        url, headers = (
            f"{behind_tls.url}services/scnet/api/v1/sessions",
            {"Authorization": f"token {made.json()['token']}"},
        )
        health = f"{behind_tls.url}services/scnet/api/v1/health"
        before = (await others.get(health)).json()["requests"]["refused"]
        reader, writer = await asyncio.open_connection("localhost", behind_tls.front.port, ssl=tls)
        ask = (
            f"GET {httpx.URL(url).path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
            f"{headers['Authorization']}\r\n\r\n"
        )
        writer.write((ask * 400).encode())
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 400:
            answers += await asyncio.wait_for(reader.read(65536), 60)
        assert answers.count(b"HTTP/1.1 429 ") > 200 and answers.count(b"Retry-After: 2") > 200
        assert b'"code":"too-many-requests"' in answers and b"Content-Type: application/problem+json" in answers
        writer.close()
        after = (await others.get(health)).json()
        assert after["ok"] and after["requests"]["refused"] == before  # the broker met none of them


class Here(httpcore.AsyncNetworkBackend):
    """A resolver for which every name is this machine, as a wildcard in DNS makes it."""

    def __init__(self) -> None:
        self.real = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, **how: Any) -> httpcore.AsyncNetworkStream:
        return await self.real.connect_tcp("127.0.0.1", port, **how)


def everywhere(person: Browser) -> Browser:
    transport = httpx.AsyncHTTPTransport()
    transport._pool._network_backend = Here()
    person.http = httpx.AsyncClient(
        base_url=person.url, follow_redirects=True, timeout=60, trust_env=False, transport=transport
    )
    return person


async def kernel_at(person: Browser, own: str) -> Kernel:
    """A kernel of the server at that address, by way of this machine's own."""
    url = httpx.URL(own)
    jar = {one.name: one.value for one in person.http.cookies.jar if one.domain == url.host}
    made = await person.http.post(
        f"{own}api/kernels", json={"name": "python3"}, headers={"X-XSRFToken": jar["_xsrf"] or ""}
    )
    assert made.status_code == 201, made.text
    path = f"{url.path}api/kernels/{made.json()['id']}/channels"
    headers = {
        "Host": url.netloc.decode(), "Origin": f"http://{url.netloc.decode()}",
        "Cookie": "; ".join(f"{k}={v}" for k, v in jar.items())
    }  # fmt: skip
    socket = await websocket_connect(HTTPRequest(f"ws://127.0.0.1:{url.port}{path}", headers=headers))
    return Kernel(socket, path)


async def test_a_session_with_a_name_of_its_own_is_another_origin(with_names: Site) -> None:
    port = with_names.demo.ports.public
    async with everywhere(Browser(with_names.url, "ada")) as ada:
        await ada.log_in(with_names.demo.passwords["ada"])
        await ada.start(profile="small")
        events = await ada.progress()
        own = f"http://ada.hub.localhost:{port}/user/ada/"
        assert events[-1]["ready"] and events[-1]["url"] == own
        lab = await ada.http.get(f"{own}lab")
        assert lab.status_code == 200 and lab.url.host == "ada.hub.localhost"
        assert {one.name for one in ada.http.cookies.jar if one.domain.startswith("ada.")} >= {"_xsrf"}
        reached = {one.name: one.domain for one in ada.http.cookies.jar}
        assert reached["jupyterhub-hub-login"] == "hub.localhost"  # the hub's login never goes to the session's name
        assert (await ada.http.get(f"http://hub.localhost:{port}/user/ada/api")).url.host == "ada.hub.localhost"
        session = wait_for(lambda: next(one for one in with_names.operator().sessions() if one["kind"] == "lab"))
        assert session["state"] == "ready"
        kernel = await kernel_at(ada, own)
        assert "lab" in await kernel.run("import scnet_hub as scnet; print([one['kind'] for one in scnet.sessions()])")
        kernel.close()
        grace = f"http://grace.hub.localhost:{port}/user/ada/lab"
        assert (await ada.http.get(grace)).url.host != "grace.hub.localhost"
        await ada.stop()


def test_the_broker_answers_at_the_hubs_name_whatever_way_leads_there(with_names: Site) -> None:
    url = f"{with_names.demo.ports.proxy_url}/services/scnet/api/v1/health"
    assert httpx.get(url, headers={"Host": f"hub.localhost:{with_names.demo.ports.public}"}, trust_env=False).json()[
        "ok"
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('c.JupyterHub.base_url = "/other/"', "base_url (or the path of bind_url) is '/other/'"),
        ('c.JupyterHub.public_url = "https://hub.example.org/"', "public_url is 'https://hub.example.org/'"),
        ('c.JupyterHub.subdomain_host = "http://hub.example.org"', "subdomain_host is 'http://hub.example.org'"),
        ('c.GenericOAuthenticator.oauth_callback_url = "https://h/oauth"', "oauth_callback_url is 'https://h/oauth'"),
        ('c.JupyterHub.ssl_cert = "/c"', "it begins with http"),
    ],
)
def test_a_hub_whose_configuration_contradicts_its_address_does_not_start(
    tmp_path: Path, line: str, words: str
) -> None:
    page = tmp_path / "jupyterhub_config.py"
    root = Path(__file__).parents[3]
    page.write_text(f"{(root / 'jupyterhub_config.py').read_text()}\n{line}\n")
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("JUPYTERHUB_")},
        "SCNET_HOME": str(tmp_path),
    }
    argv = [sys.executable, "-m", "jupyterhub", "-f", str(page)]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (
        done.returncode == 1
        and words in done.stderr
        and "scnet demo --url" in done.stderr
        and "Traceback" not in done.stderr
    )
