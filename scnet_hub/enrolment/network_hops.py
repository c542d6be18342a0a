"""The two network paths of a running session: from the hub to the session's port on a node, and from the session to hub
and broker.

Real bytes go both ways: an open port proves nothing if a firewall or a proxy in between answers in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

from ..domain import hosts
from ..domain.addresses import SERVICE
from ..errors import CentreError, Refused, Unreachable
from .findings import Doubt, Hop, Problem, words_of
from .visit import Visit

ANSWER = 10.0  # seconds for a page of a few bytes


async def open_home(visit: Visit) -> None:
    """Makes the broker, or if it is down this check, answer where the hub's proxy listens. `hub_url` points there."""
    visit.broker_up = await _broker_answers(visit)
    visit.listener = None if visit.broker_up else await _listen(visit)
    visit.hub_url = await _way_back(visit)


async def _broker_answers(visit: Visit) -> bool:
    """Returns whether a broker answers behind the proxy, as seen from this machine."""
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        return "version" in json.loads(await fetch(health(visit, visit.proxy_url), visit.address.netloc))
    return False


async def _listen(visit: Visit) -> asyncio.Server | None:
    url = urlsplit(visit.proxy_url)
    if url.scheme != "http":
        return None  # the owner of the certificate answers there
    with contextlib.suppress(OSError):
        return await asyncio.start_server(
            lambda reader, writer: _answer(reader, writer, visit.word), url.hostname, url.port or 80
        )
    return None


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, word: str) -> None:
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(ANSWER):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.0 200 OK\r\nContent-Length: {len(word)}\r\n\r\n{word}".encode())
            await writer.drain()
    writer.close()


async def _way_back(visit: Visit) -> str:
    """Returns where the job must look for the hub. If a broker keeps the forward already, the forward is not set up
    again."""
    network = visit.spec.network
    if network.hub == "forward" and visit.broker_up:
        return health(visit, f"http://{network.listen}:{network.listen_port}")
    try:
        return health(visit, await visit.ways.hub_url())
    except CentreError as error:
        visit.hub_trouble = error  # but the forward may exist, kept by a master that a broker left
        return health(visit, f"http://{network.listen}:{network.listen_port}")


def health(visit: Visit, origin: str) -> str:
    """Returns the broker's page `health`, as seen where the proxy is reached at `origin` ("": at its public
    address)."""
    address = visit.address.at(origin) if origin else visit.address
    return f"{address.api}/health"


async def to_session(visit: Visit) -> str:
    """Opens the job's port from the hub and reads the job's word."""
    there = visit.facts.get("listens", {})
    host, port = str(there.get("host", "")), int(there.get("port", 0))
    if not port:
        raise Problem(
            f"a job could not listen on {host}: {there.get('error')}",
            hint="Check that session.host, or network.nodes, names an address of a node.",
        )
    host = _where(visit, host)
    way = visit.spec.network.sessions
    near = await visit.ways.forward(host, port)
    try:
        body = await fetch(f"http://{near[0]}:{near[1]}/{visit.word}/end")
    except (OSError, TimeoutError) as error:
        raise _no_way(visit, host, port, words_of(error)) from error
    finally:
        with contextlib.suppress(Unreachable):
            await visit.ways.unforward(host, port)
    if body != visit.word:
        raise _no_way(
            visit, host, port, f"another program answered: {body[:40]!r}" if body else "the connection ends at once"
        )
    visit.job_let_go = True
    return f"{host}:{port} answers, {'through the login node' if way == 'forward' else 'directly'}"


def _where(visit: Visit, host: str) -> str:
    """Returns the host that the broker would use. Raises Problem if the broker would refuse the session's address."""
    network, wanted = visit.spec.network, visit.spec.session.host or visit.node
    try:
        if network.nodes:
            return hosts.in_networks(host, network.nodes, listen=network.listen, centre=visit.spec.id)
        return hosts.on_node(host, wanted, domains=lambda: visit.spec.domains, centre=visit.spec.id) if wanted else host
    except Refused as error:
        raise Problem(
            f"a job listens on {host}, where the broker would not look for a session: {error}", hint=error.hint
        ) from error


def _no_way(visit: Visit, host: str, port: int, words: str) -> Problem:
    if visit.spec.network.sessions == "forward":
        return Problem(
            f"{host}:{port} can't be reached through the login node: {words}",
            hint="Check that AllowTcpForwarding is yes for the federation's account, and that the login node may "
            "reach its nodes.",
        )
    return Problem(
        f"{host}:{port} can't be opened from here: {words}",
        hint='If the nodes are not reachable from outside, sessions = "forward" in [network] goes through the login '
        "node.",
    )


async def call_home(visit: Visit) -> str:
    """Checks that the job has fetched our page from the hub's address."""
    seen = visit.facts.get("hub", {"error": "the job did not report it", "body": "", "status": 0})
    whose = "the broker" if visit.broker_up else "this check, in the broker's place,"
    expected = '"version"' if visit.broker_up else visit.word
    if expected in seen.get("body", ""):
        return f"{whose} was reached from {visit.facts.get('node')} at {_site(visit.hub_url)}"
    if visit.hub_trouble:
        raise visit.hub_trouble
    at = _site(visit.hub_url)
    if seen.get("status", 0) in (502, 503, 504) and not visit.broker_up:
        raise Doubt(
            f"{at} was reached, but answered {seen['status']}: the broker is not up",
            hint="Start the broker, and check again.",
        )
    if seen.get("status"):
        raise Problem(
            f"another program answers at {at}: {seen['status']} {seen['body'][:60]!r}",
            hint="Check for a proxy in between.",
        )
    raise Problem(f"a job can't reach {at}: {seen['error']}", hint=_home_hint(visit))


def _site(url: str) -> str:
    return url.partition(f"{SERVICE}/")[0].rstrip("/")


def _home_hint(visit: Visit) -> str:
    host = urlsplit(visit.hub_url).hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return (
            f"{host} is the local machine everywhere: the hub needs an address that nodes can reach (`scnet demo "
            "--host`, network.hub_url)."
        )
    if visit.spec.network.hub == "forward":
        return (
            "Check that nodes may reach network.listen on the login node. Its sshd needs GatewayPorts clientspecified."
        )
    return 'If nodes have no way out, hub = "forward" in [network] goes through the login node.'


async def fetch(url: str, host: str = "") -> str:
    """Returns the body of a plain HTTP answer; `host` is the name to ask for, if not that of the URL. Raises OSError or
    TimeoutError."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    async with asyncio.timeout(ANSWER):
        reader, writer = await asyncio.open_connection(
            parts.hostname, parts.port or (443 if tls else 80), ssl=tls or None
        )
        try:
            writer.write(f"GET {parts.path} HTTP/1.0\r\nHost: {host or parts.netloc}\r\n\r\n".encode())
            await writer.drain()
            answer = await reader.read(65536)
            while chunk := await reader.read(65536):
                answer += chunk
        finally:
            writer.close()
    return answer.partition(b"\r\n\r\n")[2].decode(errors="replace")


HOPS: tuple[Hop[Visit], ...] = (
    Hop("way to a session", to_session, ("output",)),
    Hop("call home", call_home, ("output",)),
)
