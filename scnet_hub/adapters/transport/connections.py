"""asyncssh connections to a centre's login nodes: one for each login user, opened on demand, shared, closed when idle.

A failure to open a connection is classified here: `Unreachable` (the question could not be asked; retried after a
pause) or `Denied` (the centre refuses, or shows a host key that is not pinned; the sentence says who must act). Nothing
here knows commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import asyncssh

from ...errors import Denied, Unreachable
from .backoff import Backoff
from .login_nodes import LOGIN_REFUSED, LoginNodes, again

log = logging.getLogger(__name__)
logging.getLogger("asyncssh").setLevel(logging.WARNING)  # asyncssh reports each channel at INFO

LOGINS = 4  # logins at once on one login node: sshd's default MaxStartups begins to drop at 10, and others log in too
KeyPair = asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations in seconds. `life`: an older connection gets no new command, so a withdrawn certificate ends with the
    connection."""

    connect: float = 5
    login: float = 15
    keepalive: float = 5
    idle: float = 600
    life: float = 600
    grace: float = 2
    calm: float = 5  # between two looks at the master of forwards
    hung: float = 5  # a master that does not answer for this long is ended
    first_pause: float = 1
    longest_pause: float = 30


class LoginNode:
    def __init__(self, host: str, concurrency: int, pace: Pace) -> None:
        self.host = host
        self.slots = asyncio.Semaphore(concurrency)
        self.logins = asyncio.Semaphore(LOGINS)
        self.trial = asyncio.Lock()
        self.backoff: Backoff[Unreachable] = Backoff(pace.first_pause, pace.longest_pause)


@dataclass(eq=False, slots=True)
class Line:
    """One open connection. `users` counts the commands that use the connection now."""

    user: str
    node: LoginNode
    connection: asyncssh.SSHClientConnection
    opened: float
    users: int = 0
    retired: bool = False
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Lines:
    """The connections to one centre. `credentials` gives the keys that a login user offers, anew for each attempt."""

    def __init__(self, door: LoginNodes, credentials: Callable[[str], Sequence[KeyPair]], pace: Pace) -> None:
        self.door, self.credentials, self.pace = door, credentials, pace
        self.nodes = [LoginNode(host, door.way.concurrency, pace) for host in door.way.hosts]
        self._lines: dict[str, Line] = {}
        self._opening: dict[str, asyncio.Task[Line]] = {}
        self._refusals: dict[str, Backoff[Denied]] = {}
        self._retired: set[Line] = set()

    @contextlib.asynccontextmanager
    async def line(self, user: str) -> AsyncIterator[Line]:
        """Yields an open connection with a free slot. Raises Unreachable or Denied, at once while it is too early to
        try again."""
        line = await self._opened(user)
        line.users += 1
        if line.timer:
            line.timer.cancel()
        try:
            async with line.node.slots:
                yield line
        finally:
            line.users -= 1
            self._left(line)

    def opening(self, user: str) -> bool:
        """Returns whether a login of `user` is under way."""
        return user in self._opening

    def retire(self, line: Line, *, broken: bool = False) -> None:
        """Gives no new command to this connection, and closes it when the last command has ended, or at once if
        `broken`."""
        if self._lines.get(line.user) is line:
            del self._lines[line.user]
        line.retired = True
        self._retired.add(line)
        if broken:
            line.connection.abort()
        self._left(line)

    async def close(self) -> None:
        for task in list(self._opening.values()):
            task.cancel()
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        lines = {*self._lines.values(), *self._retired}
        for line in lines:
            self.retire(line)
            line.connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.pace.grace):
                await asyncio.gather(*(line.connection.wait_closed() for line in lines), return_exceptions=True)
        for line in lines:
            line.connection.abort()

    # --- opening

    async def _opened(self, user: str) -> Line:
        now = asyncio.get_running_loop().time()
        if line := self._lines.get(user):
            if not line.connection.is_closed() and now - line.opened < self.pace.life:
                return line
            self.retire(line)
        refusal = self._refusals.setdefault(user, Backoff(self.pace.first_pause, self.pace.longest_pause))
        task = self._opening.get(user)
        if task is None:
            if denied := refusal.holds(now):
                raise again(denied)
            task = self._opening[user] = asyncio.create_task(self._open(user, refusal))
            task.add_done_callback(lambda done: self._done_opening(user, done))
        try:
            return await asyncio.shield(task)
        except Unreachable as error:
            raise again(error) from error.__cause__
        except asyncio.CancelledError:
            if task.cancelled():  # `close` cancelled the task, not this caller
                raise Unreachable(f"centre {self.door.spec.id}: its connections are being closed.") from None
            raise

    def _done_opening(self, user: str, task: asyncio.Task[Line]) -> None:
        del self._opening[user]
        if not task.cancelled():
            task.exception()  # reads the error, because all callers may be gone

    async def _open(self, user: str, refusal: Backoff[Denied]) -> Line:
        """Returns a connection to the first login node that lets `user` in. A node that shows a wrong host key is
        passed over and logged."""
        failures: list[Unreachable] = []
        for node in self.nodes:
            try:
                connection = await self._open_at(node, user)
            except Unreachable as error:
                failures.append(error)
                if error.code == LOGIN_REFUSED:
                    assert isinstance(error, Denied)
                    refusal.failed(error, asyncio.get_running_loop().time())
                    break
            else:
                refusal.worked()
                line = self._lines[user] = Line(user, node, connection, asyncio.get_running_loop().time())
                self._left(line)
                return line
        raise next((error for error in failures if isinstance(error, Denied)), failures[-1])

    async def _open_at(self, node: LoginNode, user: str) -> asyncssh.SSHClientConnection:
        """Makes one attempt, unless it is too early. While a node is suspected, only one attempt runs at a time, and
        its result counts for all callers."""
        loop = asyncio.get_running_loop()
        async with node.logins, node.trial if node.backoff.error else contextlib.nullcontext():
            if held := node.backoff.holds(loop.time()):
                raise again(held)
            try:
                connection = await self._log_in(node, user)
            except Unreachable as error:
                if error.code == LOGIN_REFUSED:
                    node.backoff.worked()
                else:
                    node.backoff.failed(error, loop.time())
                    log.log(logging.ERROR if isinstance(error, Denied) else logging.WARNING, "%s", error)
                raise
            node.backoff.worked()
            log.info("connected to %s of centre %s as %s", node.host, self.door.spec.id, user)
            return connection

    async def _log_in(self, node: LoginNode, user: str) -> asyncssh.SSHClientConnection:
        loop = asyncio.get_running_loop()
        client = _Client()
        try:
            async with asyncio.timeout(self.pace.connect) as limit:
                client.connected = lambda: limit.reschedule(loop.time() + self.pace.login)
                return await asyncssh.connect(
                    node.host,
                    self.door.way.port,
                    username=user,
                    client_keys=list(self.credentials(user)),
                    client_factory=lambda: client,
                    known_hosts=self.door.known_hosts().encode(),
                    config=None,
                    agent_path=None,
                    gss_host=None,
                    # the last two only to notice that the node asks for them
                    preferred_auth="publickey,keyboard-interactive,password",
                    login_timeout=2 * self.pace.login,  # our timeout comes first, and its error says more
                    keepalive_interval=self.pace.keepalive,
                    keepalive_count_max=2,
                )
        except TimeoutError as error:
            words, seconds = (
                ("the login did not end", self.pace.login) if client.reached else ("no answer", self.pace.connect)
            )
            raise self.door.unreachable(node.host, f"{words} within {seconds:g} s") from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise self.door.wrong_host_key(node.host, client.seen, error.reason) from error
        except (asyncssh.PermissionDenied, asyncssh.IllegalUserName) as error:
            refused = self.door.second_factor if client.second_factor else self.door.refused
            raise refused(node.host, user) from error
        except (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported) as error:
            raise self.door.nothing_in_common(node.host, words_of(error)) from error
        except (OSError, asyncssh.Error) as error:
            raise self.door.unreachable(node.host, words_of(error)) from error

    # --- leaving

    def _left(self, line: Line) -> None:
        """Called when a command on this connection has ended, or when the connection has just been opened."""
        if line.users:
            return
        loop = asyncio.get_running_loop()
        if line.retired:
            line.connection.close()
            self._retired.discard(line)
        else:
            line.timer = loop.call_at(
                min(loop.time() + self.pace.idle, line.opened + self.pace.life), self.retire, line
            )


class _Client(asyncssh.SSHClient):
    """Collects asyncssh's callbacks while a connection is opened."""

    def __init__(self) -> None:
        self.connected: Callable[[], None] = lambda: None
        self.reached = self.second_factor = self._refused = False
        self.seen = ""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.reached = True
        self.connected()

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.seen = key.get_fingerprint()
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.seen = f"signed by {key.get_fingerprint()}"
        return False

    def public_key_auth_requested(self) -> None:
        self._refused = True  # the node asks for another key: the first key was not accepted

    def kbdint_auth_requested(self) -> None:
        # the key was accepted, or does not matter, and this is asked for as well
        self.second_factor = not self._refused

    def password_auth_requested(self) -> None:
        self.kbdint_auth_requested()


def words_of(error: BaseException) -> str:
    """Returns an exception's message in few words; the exception's class if the message is empty."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts words of its own into strerror
    return str(getattr(error, "reason", "") or error).rstrip(".") or type(error).__name__
