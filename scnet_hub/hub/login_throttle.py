"""Tries to log in with a password: how many are checked at once, and how long a name or an address waits after wrong ones.

Hashing a password takes a tenth of a second of a processor on purpose. It is done in threads of its own, so that the hub's event loop
answers others meanwhile, and only so many tries wait for it. Imports nothing of JupyterHub; time is an argument of the constructor.
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
MOST_WAITING = 64  # tries that wait for that: a class that logs in at once; more are sent away
PATIENCE = 15.0  # seconds that a try waits at most
FREE_OF_NAME, FREE_OF_ADDRESS = 5, 100  # wrong passwords that cost no time; behind one address there may be a whole class
LONGEST_OF_NAME, LONGEST_OF_ADDRESS = 300.0, 900.0  # seconds between two tries at most
FORGOTTEN = 3600.0  # seconds without a wrong password after which all is forgotten
KEPT = 10_000  # names, addresses and pairs of them that are remembered


class Wait(Refused):
    """A try that was not looked at; `seconds` from now one will be."""

    code = "login-wait"

    def __init__(self, message: str, seconds: float, status: int) -> None:
        super().__init__(message)
        self.seconds, self.status = max(1, round(seconds + 0.5)), status


@dataclass(slots=True)
class Wrong:
    """Wrong passwords of one name or address: how many, and when the last try was."""

    count: int
    at: float


class Tries:
    """The wrong passwords of each name and each address. A try counts as wrong until it turns out right, so that many at the same time gain
    nothing. Where somebody has logged in from before, only the address counts: guesses of others lock no one out there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._names: OrderedDict[str, Wrong] = OrderedDict()
        self._addresses: OrderedDict[str, Wrong] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def begin(self, name: str, address: str) -> None:
        """Counts a try. Raises Wait if it comes too early."""
        now = self._clock()
        by_address = _wait(self._addresses.get(address), FREE_OF_ADDRESS, LONGEST_OF_ADDRESS, now)
        by_name = 0.0 if (name, address) in self._known else _wait(self._names.get(name), FREE_OF_NAME, LONGEST_OF_NAME, now)
        if (seconds := max(by_address, by_name)) > 0:
            where = "from your address" if by_address >= by_name else "for this name"
            again = format_duration(timedelta(seconds=max(1, round(seconds + 0.5))))
            raise Wait(f"There were too many wrong passwords {where}. Try again in {again}.", seconds, 429)
        for table, key in ((self._names, name), (self._addresses, address)):
            _count(table, key, now)

    def right(self, name: str, address: str) -> None:
        """The try was right: the name is forgiven, and of the address this try."""
        self._names.pop(name, None)
        if wrong := self._addresses.get(address):
            wrong.count -= 1
        self._known[name, address] = None
        self._known.move_to_end((name, address))
        _bound(self._known)

    def undone(self, name: str, address: str) -> None:
        """The try was not looked at."""
        for table, key in ((self._names, name), (self._addresses, address)):
            if wrong := table.get(key):
                wrong.count -= 1


def _wait(wrong: Wrong | None, free: int, longest: float, now: float) -> float:
    """Seconds until the next try: 1 after the first that is not free, twice as long after each further one."""
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
    """Runs what compares a password with its hash, in threads of its own."""

    def __init__(self, at_once: int = AT_ONCE, most_waiting: int = MOST_WAITING, patience: float = PATIENCE) -> None:
        self._threads = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="scrypt")
        self._most, self._patience, self._under_way = at_once + most_waiting, patience, 0

    async def run(self, check: Callable[[], bool]) -> bool:
        """Raises Wait if too many others wait, or for too long."""
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
    return Wait("Too many people are logging in at this moment. Try again in a few seconds.", 5, 503)


class Logins:
    """Both, around one check of a password."""

    def __init__(self, tries: Tries | None = None, checks: Checks | None = None) -> None:
        self.tries, self.checks = tries or Tries(), checks or Checks()

    async def check(self, name: str, address: str, right: Callable[[], bool]) -> bool:
        """Whether `right` says so. Raises Wait where it was not asked."""
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
    """Where a request comes from: the last address of the way that isn't one of our own. `peer` is who opened the connection, `forwarded`
    the X-Forwarded-For header, to whose end each proxy adds whom it saw. Other headers are what anyone may send."""
    way = [*(plain(hop) for hop in forwarded.split(",") if hop.strip()), plain(peer)]
    return next((hop for hop in reversed(way) if hop not in trusted), way[0])


def plain(address: str) -> str:
    """An IPv4 address that a socket of IPv6 writes as "::ffff:192.0.2.1" as itself."""
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return address.strip()[:64]
    return str(getattr(found, "ipv4_mapped", None) or found)


def network(address: str) -> str:
    """The address that a try counts for: of IPv6 the /64, which one machine has for itself."""
    try:
        found = ipaddress.ip_address(plain(address))
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
