"""Limits password logins: how many are checked at once, and how long a name or an address waits after wrong passwords.

Hashing a password takes a tenth of a second of CPU time on purpose. Separate threads do it, so that the hub's event
loop can answer others, and the number of waiting logins is limited. Imports nothing from JupyterHub; the clock is an
argument.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from ..errors import Refused
from ..units import format_duration

K = TypeVar("K")
V = TypeVar("V")
AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // 2))  # passwords that are hashed at the same time
MOST_WAITING = 64  # logins that wait for hashing: a class that logs in at once; more are refused
PATIENCE = 15.0  # the longest wait of a login, in seconds
FREE_OF_NAME, FREE_OF_ADDRESS = 5, 100  # wrong passwords without a delay; a whole class may share one address
LONGEST_OF_NAME, LONGEST_OF_ADDRESS = 300.0, 900.0  # the longest delay between two logins, in seconds
FORGOTTEN = 3600.0  # seconds without a wrong password after which the count restarts
KEPT = 10_000  # names, addresses and pairs of them that are remembered


class Wait(Refused):
    """A login that was not checked; the next one will be checked `seconds` from now."""

    code = "login-wait"

    def __init__(self, message: str, seconds: float, status: int) -> None:
        super().__init__(message)
        self.seconds, self.status = max(1, round(seconds + 0.5)), status


@dataclass(slots=True)
class Wrong:
    """The number of wrong passwords of one name or address, and the time of the last login."""

    count: int
    at: float


class LoginThrottle:
    """Counts the wrong passwords of each name and each address. A login counts as wrong until it proves right, so
    parallel guesses have no advantage. From an address where the person has logged in before, only the address counts:
    guesses from elsewhere lock no person out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[str, Wrong] = OrderedDict()
        self._addresses: OrderedDict[str, Wrong] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, name: str, address: str) -> None:
        """Counts a login. Raises Wait if it is too early."""
        now = self._clock()
        by_address = _wait(self._addresses.get(address), FREE_OF_ADDRESS, LONGEST_OF_ADDRESS, now)
        by_name = (
            0.0 if (name, address) in self._known else _wait(self._names.get(name), FREE_OF_NAME, LONGEST_OF_NAME, now)
        )
        if (seconds := max(by_address, by_name)) > 0:
            where = "from your address" if by_address >= by_name else "for this name"
            again = format_duration(timedelta(seconds=max(1, round(seconds + 0.5))))
            raise Wait(f"There were too many wrong passwords {where}. Try again in {again}.", seconds, 429)
        for table, key in ((self._names, name), (self._addresses, address)):
            _count(table, key, now)

    def right(self, name: str, address: str) -> None:
        """Records a right password: clears the count of the name, and uncounts this login for the address."""
        self._names.pop(name, None)
        if wrong := self._addresses.get(address):
            wrong.count -= 1
        self._known[name, address] = None
        self._known.move_to_end((name, address))
        _bound(self._known)

    def undone(self, name: str, address: str) -> None:
        """Uncounts a login that was not checked."""
        for table, key in ((self._names, name), (self._addresses, address)):
            if wrong := table.get(key):
                wrong.count -= 1


def _wait(wrong: Wrong | None, free: int, longest: float, now: float) -> float:
    """Returns the seconds until the next login: 1 after the free ones are used up, doubled after each further one."""
    if wrong is None or wrong.count < free or now - wrong.at > FORGOTTEN:
        return 0.0
    return wrong.at + min(longest, 2.0 ** min(wrong.count - free, 30)) - now


def _count(table: OrderedDict[str, Wrong], key: str, now: float) -> None:
    wrong = table.get(key)
    forgotten = wrong is None or now - wrong.at > FORGOTTEN
    table[key] = Wrong(1 if wrong is None or forgotten else wrong.count + 1, now)
    table.move_to_end(key)
    _bound(table)


def _bound(table: OrderedDict[K, V]) -> None:
    while len(table) > KEPT:
        table.popitem(last=False)


class Checks:
    """Compares passwords with their hashes, in separate threads."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING, patience: float = PATIENCE) -> None:
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="scrypt")
        self._most, self._patience, self._under_way = at_once + most_waiting, patience, 0

    async def run(self, check: Callable[[], bool]) -> bool:
        """Runs the check. Raises Wait if too many logins wait, or if this one waited too long."""
        if self._under_way >= self._most:
            raise busy()
        self._under_way += 1
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.get_running_loop().run_in_executor(self._threads, check)
        except TimeoutError as error:
            raise busy() from error
        finally:
            self._under_way -= 1


def busy() -> Wait:
    return Wait("Too many people are logging in now. Try again in a few seconds.", 5, 503)


class Logins:
    """Combines `LoginThrottle` and `Checks` around one check of a password."""

    def __init__(self, tries: LoginThrottle | None = None, checks: Checks | None = None) -> None:
        self.tries, self.checks = tries or LoginThrottle(), checks or Checks()

    async def check(self, name: str, address: str, right: Callable[[], bool]) -> bool:
        """Returns the result of `right`. Raises Wait if `right` was not called."""
        key, place = name.strip().casefold(), network(address)
        self.tries.begin(key, place)
        try:
            found = await self.checks.run(right)
        except BaseException:
            self.tries.undone(key, place)
            raise
        if found:
            self.tries.right(key, place)
        return found


def caller(peer: str, forwarded: str, trusted: Collection[str]) -> str:
    """Returns the caller's address: the last address of the way that isn't one of ours. `peer` opened the connection;
    `forwarded` is the X-Forwarded-For header, to whose end each proxy adds the address that it saw. Other headers are
    not trusted."""
    way = [*(plain(hop) for hop in forwarded.split(",") if hop.strip()), plain(peer)]
    return next((hop for hop in reversed(way) if hop not in trusted), way[0])


def plain(address: str) -> str:
    """Returns the address as text; an IPv4 address in IPv6 form ("::ffff:192.0.2.1") as plain IPv4."""
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return address.strip()[:64]
    return str(getattr(found, "ipv4_mapped", None) or found)


def network(address: str) -> str:
    """Returns the address for which a login counts: for IPv6 the /64, which one machine usually has alone."""
    try:
        found = ipaddress.ip_address(plain(address))
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
