"""`SshTransport`: commands and files at a member centre, through its login node, each as the account that it is for.

Every command runs under `timeout` at the centre and a deadline here. Three kinds of failure have different errors: a
command that could not be sent, a command that may have run, and a refusal of the centre. `connections.py` manages the
connections, `forwards.py` the ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import random
import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import asyncssh

from ...domain.commands import Command, Completed
from ...domain.identifiers import login
from ...domain.standard.centre import CentreSpec
from ...domain.standard.transports import SshTransport as SshSpec
from ...errors import Denied, Garbled, Rejected, Silent, Unreachable, WrongFile
from ..secret_files import read_secret
from .certificates import CertificateAuthority, Credential
from .connections import KeyPair, Line, Lines, Pace, words_of
from .forwards import Forwards
from .frames import Said, unframed
from .login_nodes import LoginNodes
from .port_map import PortMap
from .ssh_commands import MOST, SUDO_SAYS, Answer, converse, last_line, program_of, text_of, words
from .ssh_master import Master

if TYPE_CHECKING:
    from .transport import Means

BUSY = 2  # SSH_OPEN_CONNECT_FAILED: sshd's only message when MaxSessions are open
KILLED = (124, 137)  # the exit code of `timeout` when it ended a command
SIGNALS = range(129, 193)  # a shell's exit code for a killed program; no scheduler's program ends with such a code
NEVER = frozenset({"root"})

# One line each: a login shell may be csh, which ends a quoted string at a line's end.
PUT = (
    "LC_ALL=C; export LC_ALL; umask 077; case $1 in /*) p=$1;; *) p=./$1;; esac; d=${p%/*}/; "
    'mkdir -p -- "$d" && t=$(mktemp "$d.scnet.XXXXXXXX") || exit 1; trap \'rm -f -- "$t"\' EXIT; trap "exit 1" '
    "HUP INT PIPE TERM; "
    'cat > "$t" || exit 1; n=$(wc -c < "$t"); [ "$n" -eq "$3" ] || { echo "only $n of $3 bytes arrived" >&2; '
    "exit 1; }; "
    'chmod -- "$2" "$t" && mv -fT -- "$t" "$p"'
)
# A job owns its file and the folder around it; a home may be a link. A file that is exchanged between the test and
# `tail` is read as the account that owns it, and a FIFO ends with TAIL_WAITS.
TAIL = (
    'LC_ALL=C; export LC_ALL; d=; case $1 in /*) p=$1; d=${p%/*};; "~/"*) p=$HOME/${1#??};; *) p=./$1;; esac; '
    'k=; if [ -n "$d" ] && [ -L "$d" ]; then echo "its folder is a symbolic link" >&2; exit 65; fi; '
    'if [ -L "$p" ]; then k="a symbolic link"; elif [ -f "$p" ]; then exec tail -c "$2" -- "$p"; elif [ -p "$p" '
    ']; then k="a FIFO"; '
    'elif [ -d "$p" ]; then k="a folder"; elif [ -e "$p" ]; then k="a device or a socket"; else exit 0; fi; '
    'echo "it is $k, not a regular file" >&2; exit 65'
)
TAIL_WAITS = 15.0  # seconds
WRONG_KIND = 65


class _Busy(Exception):
    """Raised if no session is free on the connection; nothing ran."""


class _Gone(Exception):
    """Raised if the connection had died before; nothing ran."""


class SshTransport:
    """The way to the centre that `spec` describes. `never`: accounts that no person may use, besides the spec's own."""

    def __init__(
        self, spec: CentreSpec, means: Means, *, never: Collection[str] = NEVER, pace: Pace | None = None
    ) -> None:
        assert isinstance(spec.transport, SshSpec)
        self.spec, self.means, self.way = spec, means, spec.transport
        self.pace = pace or Pace()
        self.never = {*never, *spec.identity.reserved} if never else set()
        self.door = LoginNodes(spec, self.way)
        self.lines = Lines(self.door, self._credentials, self.pace)
        self.forwards = self._make_forwards(means)
        half = max(1, self.way.concurrency // 2)  # one account whose login hangs can't take all
        self._shares: defaultdict[tuple[str, str], asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(half))

    async def run(self, command: Command, *, account: str = "", timeout: float = 30) -> Completed:
        user, account = self._who(account)
        self.forwards.wake()
        deadline = asyncio.get_running_loop().time() + timeout
        for attempt in range(1000):
            try:
                return await self._once(command, user, account, deadline)
            except _Gone as gone:
                if attempt:
                    raise Unreachable(
                        f"centre {self.spec.id}: the connection broke before {program_of(command)} ran."
                    ) from gone
            except _Busy as busy:
                pause = random.uniform(0.02, 0.2) * min(attempt + 1, 5)
                if asyncio.get_running_loop().time() + pause >= deadline:
                    raise self._no_slot() from busy
                await asyncio.sleep(pause)
        raise self._no_slot()

    async def put(self, path: str, data: bytes, *, account: str = "", mode: int = 0o600) -> None:
        script = Command(("sh", "-c", PUT, "sh", path, f"{mode:o}", str(len(data))), data)
        done = await self.run(script, account=account, timeout=60 + len(data) / 1e6)
        if done.code != 0:
            raise Rejected(
                f"centre {self.spec.id} did not store {path}: {last_line(done.stderr) or f'exit code {done.code}'}."
            )

    async def tail(self, path: str, *, account: str = "", size: int = 4000, timeout: float = TAIL_WAITS) -> str:
        done = await self.run(Command(("sh", "-c", TAIL, "sh", path, str(size))), account=account, timeout=timeout)
        if done.code == WRONG_KIND:
            raise WrongFile(f"centre {self.spec.id}: {path}: {last_line(done.stderr)}.", hint=WrongFile.REMEDY)
        if done.code != 0:
            raise Unreachable(f"centre {self.spec.id}: {path} could not be read: {last_line(done.stderr)}.")
        return done.stdout[-size:]

    def stuck(self) -> float:
        return 0.0  # files are read and written at the centre

    async def forward(self, host: str, port: int) -> tuple[str, int]:
        return await self.forwards.to(host, port) if self._forwards_sessions else (host, port)

    async def unforward(self, host: str, port: int) -> None:
        if self._forwards_sessions:
            await self.forwards.drop(host, port)

    async def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        if self._forwards_sessions:
            await self.forwards.keep(wanted)

    async def hub_url(self) -> str:
        return await self.forwards.back() if self.spec.network.hub == "forward" else self.spec.network.hub_url

    async def close(self) -> None:
        await self.forwards.close()
        await self.lines.close()

    async def end(self) -> None:
        await self.forwards.end()
        await self.lines.close()

    async def check(self, host: str = "", port: int = 0) -> list[str]:
        """Returns what is wrong with the ways to and from sessions, as sentences. `host:port` on a node is the address
        to try, if it is known."""
        wrong = await self.forwards.check(host, port)
        network = self.spec.network
        if network.hub == "forward" and not wrong:
            listens = Command(
                ("bash", "-c", 'exec 3<>"/dev/tcp/$1/$2"', "bash", network.listen, str(network.listen_port))
            )
            if (await self.run(listens, timeout=10)).code != 0:
                wrong.append(
                    f"centre {self.spec.id}: its sshd accepted the forward for the hub, but listens on loopback "
                    f"only, not on {network.listen}. "
                    f"Its sshd_config needs GatewayPorts clientspecified; ask {self.door.contact}."
                )
        return wrong

    @property
    def _forwards_sessions(self) -> bool:
        return self.spec.network.sessions == "forward"

    def _make_forwards(self, means: Means) -> Forwards:
        key_file = means.folder.absolute() / self.way.key_file if self.way.key_file else None
        folder = means.folder.absolute() / "forwards"
        master = Master(self.door, folder / self.spec.id, self._forward_credential, key_file)
        wanted = PortMap(folder / f"{self.spec.id}.json")
        return Forwards(self.door, self.spec.network, master, wanted, means.near, self.pace)

    # --- accounts

    def _who(self, account: str) -> tuple[str, str]:
        """Returns the login user for a command as `account`, and the account that `sudo` changes to ("": none). Raises
        BadOption, Denied."""
        mode = self.spec.identity.mode
        if account and mode != "shared":
            login(account)
        user = account if account and mode == "certificate" else self.way.user
        other = account if mode == "service" and account != self.way.user else ""
        for name in (user, other):
            if name in self.never:
                raise Denied(
                    f"centre {self.spec.id}: the account {name} may not be used there.", hint="Link another account."
                )
        return user, other

    def _credentials(self, user: str) -> Sequence[KeyPair]:
        if self.way.key_file and user == self.way.user:
            return [asyncssh.import_private_key(read_secret(self.means.folder / self.way.key_file) + "\n")]
        credential = self.authority.mint(user, f"scnet:{self.spec.id}:{user}")
        return [(credential.key, credential.certificate)]

    def _forward_credential(self) -> Credential | None:
        if self.way.key_file:
            return None
        return self.authority.mint(self.way.user, f"scnet:{self.spec.id}:forwards", forwarding=True)

    @functools.cached_property
    def authority(self) -> CertificateAuthority:
        return CertificateAuthority.open(self.means.folder)

    # --- one attempt

    async def _once(self, command: Command, user: str, account: str, deadline: float) -> Completed:
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    if account or user != self.way.user:
                        await stack.enter_async_context(self._shares[user, account])
                    line = await stack.enter_async_context(self.lines.line(user))
            except TimeoutError as error:
                raise (self._no_login() if self.lines.opening(user) else self._no_slot()) from error
            return await self._ask(line, command, account, deadline)

    async def _ask(self, line: Line, command: Command, account: str, deadline: float) -> Completed:
        began = asyncio.get_running_loop().time()
        seconds = max(1, math.ceil(deadline - began))
        answer, mark = Answer(), secrets.token_hex(8)
        try:
            async with asyncio.timeout_at(deadline + self.pace.grace):
                text = words(command.argv, seconds, mark, account, self.way.environment, self.way.path)
                await converse(line.connection, text, command.stdin, answer)
        except TimeoutError as error:
            self.lines.retire(line, broken=not answer.heard)
            raise self._unknown(command, f"did not answer within {seconds} s") from error
        except asyncssh.ChannelOpenError as error:
            if line.connection.is_closed():
                raise _Gone from error
            if error.code == BUSY:
                raise _Busy from error
            raise Denied(
                f"centre {self.spec.id}: {line.node.host} can't run a command for {line.user}: {error.reason}."
            ) from error
        except (OSError, asyncssh.Error) as error:
            self.lines.retire(line)
            raise self._unknown(command, f"was cut off: {words_of(error)}") from error
        finally:
            answer.let_go()
        if answer.too_much:
            self.lines.retire(line)  # the rest of its output is not worth a connection
            raise Garbled(
                f"centre {self.spec.id}: {program_of(command)} answered with more than {MOST >> 20} MiB, the limit."
            )
        said = unframed(answer.bytes(None), answer.bytes(asyncssh.EXTENDED_DATA_STDERR), mark)
        timed_out = answer.code in KILLED and asyncio.get_running_loop().time() - began >= seconds
        if said and said.code is not None and not timed_out:
            return self._completed(command, said, said.code)
        raise self._unended(
            command,
            line,
            account,
            answer,
            said,
            f"did not end within {seconds} s and was stopped there" if timed_out else "",
        )

    def _completed(self, command: Command, said: Said, code: int) -> Completed:
        if code in SIGNALS:
            raise self._unknown(command, f"was killed by signal {code - 128}")
        return Completed(
            command, code, text_of(said.stdout), text_of(said.stderr), (text_of(said.noise[0]), text_of(said.noise[1]))
        )

    def _unended(
        self, command: Command, line: Line, account: str, answer: Answer, said: Said | None, stopped: str
    ) -> Unreachable:
        """Returns why there is no complete answer. A command whose frame did not begin certainly did not run."""
        if answer.signal:
            return self._unknown(command, f"was killed by signal {answer.signal}")
        if stopped:
            return Silent(
                f"centre {self.spec.id}: {program_of(command)} {stopped}.",
                hint="The command may have run: check before you repeat it.",
            )
        if said or answer.code is None:  # the connection died; asyncssh raises nothing then
            return self._unknown(command, "was cut off")
        complaints, printed = (text_of(answer.bytes(stream)) for stream in (asyncssh.EXTENDED_DATA_STDERR, None))
        if account and answer.code == 1 and (refusal := SUDO_SAYS.search(complaints)):
            return Denied(
                f"centre {self.spec.id}: {self.way.user} may not act as {account}: {refusal[0]}.",
                hint=f"Either a sudoers rule for {self.way.user} or the account is missing there: ask "
                f"{self.door.contact}.",
            )
        words = last_line(complaints) or last_line(printed) or f"exit code {answer.code}"
        return self.door.ran_nothing(line.node.host, line.user, words[:200])

    def _unknown(self, command: Command, words: str) -> Unreachable:
        return Unreachable(
            f"centre {self.spec.id}: {program_of(command)} {words}.",
            hint="The command may have run: check before you repeat it.",
        )

    def _no_login(self) -> Unreachable:
        return Unreachable(
            f"centre {self.spec.id}: its login node accepts connections, but a login did not end in time.",
            hint="Nothing ran there. The hub tries again automatically.",
        )

    def _no_slot(self) -> Unreachable:
        return Unreachable(
            f"centre {self.spec.id}: no connection to the login node had room for a command in time.",
            hint="Nothing ran there. Lower transport.concurrency, or ask for a higher MaxSessions.",
        )
