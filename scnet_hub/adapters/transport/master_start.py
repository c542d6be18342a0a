"""Starts the master of a centre's forwards, at the first of its login nodes that lets us in."""

from __future__ import annotations

import asyncio

from ...errors import Denied, SpecError, Unreachable
from .backoff import Backoff
from .connections import Pace, words_of
from .login_nodes import LoginNodes, again
from .ssh_master import Master


class MasterStart:
    """Skips a failed login node for a while, each node by itself."""

    def __init__(self, door: LoginNodes, master: Master, pace: Pace) -> None:
        self.door, self.master = door, master
        self._backoffs = {host: Backoff[Unreachable](pace.first_pause, pace.longest_pause) for host in door.way.hosts}

    async def at_first_host(self) -> None:
        """Starts the master at the first host that works. Raises Unreachable or Denied if no host admits us."""
        failures: list[Unreachable] = []
        for host, backoff in self._backoffs.items():
            now = asyncio.get_running_loop().time()
            if held := backoff.holds(now):
                failures.append(held)
                continue
            try:
                await self.master.start(host)
                backoff.worked()
                return
            except Unreachable as error:
                failures.append(error)
            except SpecError as error:
                failures.append(Denied(str(error), hint=error.hint))
            except OSError as error:
                failures.append(Unreachable(f"centre {self.door.spec.id}: ssh can't be started: {words_of(error)}."))
            backoff.failed(failures[-1], asyncio.get_running_loop().time())
        raise again(next((error for error in failures if isinstance(error, Denied)), failures[-1]))
