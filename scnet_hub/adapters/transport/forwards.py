"""Maintains the ports that a centre's master forwards: opens what is wanted, whatever fails in between.

Local ports (-L) lead from this machine to sessions on nodes, a remote port (-R) from the login node to the hub's proxy.
One supervisor compares the wanted forwards with the open forwards of the current master and acts on the difference;
callers wait for its next round.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Collection
from urllib.parse import urlsplit

from ...domain.standard.centre import NetworkSpec
from ...errors import Denied, ScnetError, SpecError, Unreachable
from .backoff import Backoff
from .connections import Pace
from .forward_refusals import no_way_back, prove
from .login_nodes import LoginNodes, again
from .master_start import MasterStart
from .port_map import HERE, Address, PortMap
from .ssh_master import Master, lock_folder
from .ssh_mux import Control, Forward, MuxError

BUSY = 0.5  # seconds between extra rounds, while a forward is not open

log = logging.getLogger(__name__)


class Forwards:
    """`proxy_url` is where the proxy listens, for the way back. A lock ensures that each centre and state folder has
    only one supervisor."""

    def __init__(
        self, door: LoginNodes, network: NetworkSpec, master: Master, wanted: PortMap, proxy_url: str, pace: Pace
    ) -> None:
        self.door, self.network, self.master, self.wanted = door, network, master, wanted
        self.proxy_url, self.pace = proxy_url, pace
        self._back: Forward | None = None
        self._dropped: set[Forward] = set()
        self._standing: set[Forward] = set()
        self._proven: set[Forward] = set()
        self._start = MasterStart(door, master, pace)
        self._return_backoff = Backoff[Unreachable](pace.first_pause, 5 * pace.first_pause)
        self._trouble: Unreachable | None = None
        self._told: set[str] = set()
        self._control: Control | None = None
        self._lock = -1
        self._task: asyncio.Task[None] | None = None
        self._kick = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    # --- calls

    async def to(self, host: str, port: int) -> Address:
        """Returns an address of this machine that reaches host:port at the centre. Raises Unreachable or Denied if the
        forward is not open."""
        address = (host, port)
        self._run()
        self.wanted.add(address)
        await self._round()
        forward = self._checked(address)
        if forward not in self._proven:
            await prove(self.door, self.master, forward)
            self._proven.add(forward)
        return HERE, self._checked(address).listen_port

    async def drop(self, host: str, port: int) -> None:
        self._run()
        if (host, port) in self.wanted.ports:
            self._unwant((host, port))
            await self._round()

    async def keep(self, wanted: Collection[Address]) -> None:
        """Makes exactly these forwards wanted from now on. Raises Unreachable or Denied while not all of them are
        open."""
        self._run()
        for address in set(self.wanted.ports) - set(wanted):
            self._unwant(address)
        for address in wanted:
            self.wanted.add(address)
        await self._round()
        for address in wanted:
            self._checked(address)

    async def back(self) -> str:
        """Returns the hub's base URL for sessions at the centre, through the login node. Raises Unreachable or Denied
        if the forward is not open."""
        self._run()
        self._back = self._back or self._way_back()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pace.login):
                await self._round()
                while self._back not in self._standing and not self._trouble:
                    await self._next_round()
        self._check(self._back)
        return f"http://{self.network.listen}:{self.network.listen_port}"

    async def check(self, host: str = "", port: int = 0) -> list[str]:
        """Returns what is wrong with forwards here, as sentences. `host:port` is the address to try; by default the
        login node's own sshd."""
        wrong = []
        address = (host or HERE, port or self.door.way.port)
        known = address in self.wanted.ports
        try:
            if self.network.sessions == "forward":
                await self.to(*address)
        except Unreachable as error:
            wrong.append(f"{error} {error.hint}".strip())
        try:
            if self.network.hub == "forward":
                await self.back()
        except Unreachable as error:
            wrong.append(f"{error} {error.hint}".strip())
        if self._task and not known:
            await self.drop(*address)
        return list(dict.fromkeys(wrong))

    def wake(self) -> None:
        """Restores the forwards that were wanted before a restart. Does nothing if there were none, or if another
        process maintains them."""
        back = self.network.hub == "forward" and bool(self.proxy_url)
        if self._task is None and (back or self.wanted.file.exists()):
            try:
                self._run()
                self._back = self._way_back() if back else None
            except ScnetError as error:  # commands work without forwards
                self._tell(error)

    async def close(self) -> None:
        """Closes this process's part; the forwards stay open without it."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        if self._control:
            self._control.close()
            self._control = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def end(self) -> None:
        """Ends the master, and with it every forward, unless another process keeps them. The list of wanted forwards
        stays stored."""
        if self._task is None and not self.master.socket.exists():
            return
        with contextlib.suppress(Unreachable, OSError, MuxError):
            self._take_lock()
            control = await self.master.find(lambda: None, self.pace.hung)
            await self.close()
            if control:
                await control.terminate()
                control.close()
        await self.close()

    # --- wanted forwards

    def _unwant(self, address: Address) -> None:
        forward = self.wanted.forward(address)
        self._dropped.add(forward)
        self._proven.discard(forward)
        del self.wanted.ports[address]

    def _way_back(self) -> Forward:
        url = urlsplit(self.proxy_url)
        if not url.hostname:
            raise SpecError(
                f'centre {self.door.spec.id}: network.hub is "forward", but the address of the hub\'s proxy is unknown.'
            )
        port = url.port or (443 if url.scheme == "https" else 80)
        return Forward("remote", self.network.listen, self.network.listen_port, url.hostname, port)

    def _desired(self) -> set[Forward]:
        return self.wanted.forwards() | ({self._back} if self._back else set())

    def _checked(self, address: Address) -> Forward:
        if address not in self.wanted.ports:
            raise Unreachable(f"centre {self.door.spec.id}: {address[0]}:{address[1]} is no longer wanted.")
        forward = self.wanted.forward(address)
        self._check(forward)
        return forward

    def _check(self, forward: Forward) -> None:
        if forward in self._standing:
            return
        if error := self._trouble or (self._return_backoff.error if forward == self._back else None):
            raise again(error)
        raise Unreachable(f"centre {self.door.spec.id}: the forward to {forward.host}:{forward.port} is not open yet.")

    # --- the supervisor

    def _run(self) -> None:
        if self._task is None:
            self._take_lock()
            self.wanted.load()
            self._task = asyncio.create_task(self._supervise())

    def _take_lock(self) -> None:
        if self._lock < 0:
            self._lock = lock_folder(self.master.folder, self.door.spec.id)

    async def _round(self) -> None:
        """Waits for the end of one whole round that begins from now on. Raises Unreachable if it takes too long."""
        self._kick.set()
        try:
            async with asyncio.timeout(self.pace.login + self.pace.connect):
                await self._next_round()
        except TimeoutError as error:
            raise Unreachable(f"centre {self.door.spec.id}: its forwards did not open in time.") from error

    async def _next_round(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    async def _supervise(self) -> None:
        while True:
            self._kick.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._make_so()
                self._trouble = None
            except Unreachable as error:
                self._trouble = error
                self._tell(error)
            except Exception as error:  # a failed round must not be the last one
                self._trouble = Unreachable(f"centre {self.door.spec.id}: forwards failed: {error!r}.")
                log.debug("forwards of centre %s", self.door.spec.id, exc_info=error)
                self._tell(self._trouble)
            finally:
                for waiter in waiting:
                    if not waiter.done():
                        waiter.set_result(None)
            self.master.trim_errors()
            calm = self._desired() == self._standing
            if calm:
                self._told.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pace.calm if calm else BUSY):
                    await self._kick.wait()

    def _tell(self, error: ScnetError) -> None:
        """Logs each error once, until all forwards are open again."""
        if str(error) not in self._told:
            self._told.add(str(error))
            log.log(logging.ERROR if isinstance(error, Denied) else logging.WARNING, "forwards: %s", error)

    async def _make_so(self) -> None:
        try:
            await asyncio.to_thread(self.wanted.save)  # stored before the act
        except OSError as error:
            raise Unreachable(
                f"centre {self.door.spec.id}: {self.wanted.file} can't be written: {error.strerror}."
            ) from error
        for _ in range(3):
            try:
                control = await self._master()
                if control:
                    await self._cancel(control)
                    await self._add(control)
                return
            except OSError as error:  # the master died during the call
                log.warning("centre %s: master of forwards: %s", self.door.spec.id, error)
        raise self.door.unreachable(self.door.way.hosts[0], "the connection for forwards ends at once")

    async def _cancel(self, control: Control) -> None:
        for forward in self._dropped | (self._standing - self._desired()):
            with contextlib.suppress(MuxError):  # it did not exist
                await control.cancel(forward)
            self._dropped.discard(forward)
            self._standing.discard(forward)

    async def _add(self, control: Control) -> None:
        missing = self._desired() - self._standing
        for forward in sorted(one for one in missing if one.kind == "local"):
            await self._add_local(control, forward)
        if self._back in missing:
            await self._add_back(control, self._back)

    async def _add_local(self, control: Control, forward: Forward) -> None:
        """Opens a local forward; gives it another port if another program uses its port by now."""
        for _ in range(3):
            try:
                await control.forward(forward)
            except MuxError as error:
                address = (forward.host, forward.port)
                if self.wanted.ports.get(address) != forward.listen_port:  # no longer wanted meanwhile
                    return
                log.warning("centre %s: port %d for %s:%d: %s", self.door.spec.id, forward.listen_port, *address, error)
                self.wanted.move(address)
                forward = self.wanted.forward(address)
            else:
                self._standing.add(forward)
                return

    async def _add_back(self, control: Control, forward: Forward) -> None:
        loop = asyncio.get_running_loop()
        if self._return_backoff.holds(loop.time()):
            return
        try:
            await control.forward(forward)
        except MuxError as error:
            told = no_way_back(self.door, forward, error)
            self._return_backoff.failed(told, loop.time())
            self._tell(told)
        else:
            self._standing.add(forward)
            self._return_backoff.worked()

    # --- the master

    async def _master(self) -> Control | None:
        """Returns the control of the living master, and starts a master if it is wanted. Forwards of an earlier master
        are not open in a new one."""
        if self._control and await self._answers(self._control):
            return self._control
        hung, self._control = self._control, None
        self._standing.clear()
        if hung:
            hung.close()
        control = None if hung else await self.master.find(self._gone, self.pace.hung)
        if control is None and not self._desired():
            self._dropped.clear()
            return None
        if control is None:
            await self._start.at_first_host()
            control = await self.master.find(self._gone, self.pace.hung)
        if control is None:
            raise ConnectionResetError("ended at once")
        self._control = control
        return control

    async def _answers(self, control: Control) -> bool:
        try:
            await control.alive()
            return True
        except (OSError, MuxError):
            return False

    def _gone(self) -> None:
        self._control = None
        self._standing.clear()
        self._kick.set()
