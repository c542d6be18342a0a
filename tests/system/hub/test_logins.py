"""Tests logins with a password: the hub's event loop stays free, guesses wait longer and longer, and the right password
is accepted."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.netutil import bind_sockets

from scnet_hub.adapters.secret_files import write_secret
from scnet_hub.hub import login_throttle
from scnet_hub.hub.authenticator import LocalAuthenticator, address_of, hash_password
from scnet_hub.hub.login_throttle import FREE_OF_ADDRESS, FREE_OF_NAME, Checks, Logins, LoginThrottle, Wait

HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait_of(tries: LoginThrottle, name: str = "ada", address: str = HERE) -> float:
    """Seconds that a try must wait; it counts as a wrong one where it need not."""
    try:
        tries.begin(name, address)
    except Wait as wait:
        return wait.seconds
    return 0


def guess(tries: LoginThrottle, clock: Clock, times: int, name: str = "ada", address: str = HERE) -> list[float]:
    """Wrong passwords one after the other, each as early as it is taken; how long each waited."""
    waited = []
    for _ in range(times):
        start = clock.now
        while seconds := wait_of(tries, name, address):
            clock.now += seconds
        waited.append(clock.now - start)
    return waited


def test_each_wrong_password_for_a_name_doubles_the_wait(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    waited = guess(tries, clock, FREE_OF_NAME + 12)
    assert waited[:FREE_OF_NAME] == [0] * FREE_OF_NAME and waited[FREE_OF_NAME : FREE_OF_NAME + 4] == pytest.approx(
        [1, 2, 4, 8], abs=1
    )
    assert waited[-1] == pytest.approx(login_throttle.LONGEST_OF_NAME, abs=1)
    assert guess(tries, clock, 1, "bob") == [0]


def test_guesses_from_many_addresses_count_for_the_name_and_for_many_names_for_the_address(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    assert [wait_of(tries, "ada", f"192.0.2.{n}") for n in range(FREE_OF_NAME + 1)][-1] > 0
    assert [wait_of(tries, f"x{n}", ELSEWHERE) for n in range(FREE_OF_ADDRESS + 1)][-1] > 0
    assert wait_of(tries, "bob", ELSEWHERE) > 0 and wait_of(tries, "bob", HERE) == 0


def test_a_try_that_comes_too_early_does_not_make_the_wait_longer(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    guess(tries, clock, FREE_OF_NAME + 3)
    first = wait_of(tries)
    assert first > 1 and {wait_of(tries) for _ in range(100)} == {first}


def test_success_and_time_forgive(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    guess(tries, clock, FREE_OF_NAME + 3)
    clock.now += 60
    tries.begin("ada", HERE)
    tries.right("ada", HERE)
    assert guess(tries, clock, FREE_OF_NAME, address=ELSEWHERE) == [0] * FREE_OF_NAME
    assert wait_of(tries, address=ELSEWHERE) > 0
    clock.now += login_throttle.FORGOTTEN + 1
    assert wait_of(tries, address=ELSEWHERE) == 0


def test_guesses_of_others_do_not_lock_out_who_logged_in_there_before(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    tries.begin("ada", HERE)
    tries.right("ada", HERE)
    guess(tries, clock, FREE_OF_NAME + 5, address=ELSEWHERE)
    assert wait_of(tries, address=ELSEWHERE) > 0 and wait_of(tries, address=HERE) == 0


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    tries = LoginThrottle(clock)
    for number in range(login_throttle.KEPT + 50):
        tries.begin(f"name-{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert {len(tries._names), len(tries._addresses)} == {login_throttle.KEPT}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
    ],
)
def test_a_machine_has_a_whole_network_of_ipv6(one: str, other: str, same: bool) -> None:
    assert (login_throttle.network(one) == login_throttle.network(other)) is same


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "127.0.0.1"),
        ({"X-Forwarded-For": HERE}, HERE),
        ({"X-Forwarded-For": f"{ELSEWHERE}, {HERE}"}, HERE),  # what the proxy saw stands last
        ({"X-Forwarded-For": f"{ELSEWHERE},{HERE}, 127.0.0.1"}, HERE),  # TLS ends on this machine
        ({"X-Forwarded-For": f"::ffff:{HERE}, ::ffff:127.0.0.1"}, HERE),
        ({"X-Forwarded-For": HERE, "X-Real-Ip": ELSEWHERE}, HERE),
        ({"X-Real-Ip": ELSEWHERE}, "127.0.0.1"),
    ],
)
async def test_nobody_chooses_the_address_that_their_tries_count_for(headers: dict[str, str], address: str) -> None:
    class Tell(web.RequestHandler):
        def get(self) -> None:
            self.finish(address_of(self.request))

    # as JupyterHub does
    server = HTTPServer(web.Application([("/", Tell)]), xheaders=True, trusted_downstream=["127.0.0.1", "::1"])
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{sockets[0].getsockname()[1]}/", headers=headers)).text == address
    server.stop()


async def test_fifty_logins_at_once_leave_the_event_loop_free_and_all_are_answered(tmp_path: Path) -> None:
    write_secret(tmp_path / "people.json", json.dumps({"ada": hash_password("right")}))
    door = LocalAuthenticator(file=str(tmp_path / "people.json"))
    door.logins = Logins(checks=Checks(patience=120))
    gaps, begun = [0.0], time.perf_counter()

    async def heartbeat() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.002)
            gaps.append(time.perf_counter() - last)
            last = time.perf_counter()

    beating = asyncio.ensure_future(heartbeat())
    answers = await asyncio.gather(*(log_in(door, f"p{number}" if number else "ada", "right") for number in range(50)))
    beating.cancel()
    assert answers == ["ada", *[None] * 49]
    assert max(gaps) < (time.perf_counter() - begun) / 5, "on the loop's own thread one gap would be all of it"


async def log_in(door: LocalAuthenticator, name: str, password: str, address: str = HERE) -> str | None:
    context = SimpleNamespace(address=(address, 4711), trusted_downstream=set())
    handler = SimpleNamespace(
        request=SimpleNamespace(headers=HTTPHeaders(), connection=SimpleNamespace(context=context))
    )
    found: str | None = await door.authenticate(handler, {"username": name, "password": password})
    return found


async def test_too_many_at_once_are_sent_away_and_not_counted(clock: Clock) -> None:
    started, release = threading.Event(), threading.Event()
    ways = Logins(LoginThrottle(clock), Checks(at_once=1, most_waiting=1))

    def slow() -> bool:
        started.set()
        return release.wait(30)

    waiting = [asyncio.ensure_future(ways.check(f"n{number}", HERE, slow)) for number in range(2)]
    await asyncio.to_thread(started.wait)
    for _ in range(FREE_OF_ADDRESS + 10):
        with pytest.raises(Wait) as sent_away:
            await ways.check("ada", HERE, slow)
        assert sent_away.value.status == 503
    release.set()
    assert await asyncio.gather(*waiting) == [True, True] and await ways.check("ada", HERE, lambda: True)


async def test_no_try_waits_for_ever(clock: Clock) -> None:
    release = threading.Event()
    ways = Logins(LoginThrottle(clock), Checks(at_once=1, patience=0.01))
    with pytest.raises(Wait) as given_up:
        await ways.check("ada", HERE, release.wait)
    release.set()
    assert given_up.value.status == 503


async def test_the_login_page_says_when_to_try_again(tmp_path: Path) -> None:
    write_secret(tmp_path / "people.json", json.dumps({"ada": hash_password("right")}))
    door: Any = LocalAuthenticator(file=str(tmp_path / "people.json"))
    assert [await log_in(door, "ada", "wrong") for _ in range(FREE_OF_NAME)] == [None] * FREE_OF_NAME
    with pytest.raises(web.HTTPError, match="too many wrong passwords for this name") as refused:
        await log_in(door, "ADA ", "right")
    assert (
        "Try again in" in str(refused.value)
        and refused.value.status_code == 429
        and int(refused.value.headers["Retry-After"]) >= 1
    )
