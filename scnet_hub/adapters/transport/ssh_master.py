"""The OpenSSH process that holds one centre's forwards: started detached, found again by its control socket, never
started twice.

The process outlives the broker, so a restart interrupts no session, and exits on its own when the centre stops
answering. This file starts and finds the process; `forwards.py` decides which forwards are wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from ...errors import SpecError, Unreachable
from ..secret_files import write_secret
from .certificates import Credential
from .login_nodes import LoginNodes
from .ssh_mux import Control, MuxError

# the first is twice as fast as the last
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com"
PROHIBITED = "administratively prohibited"
FILES = 65536  # open files: one for each forward and each stream; at its limit ssh would stall silently
START = 25  # seconds: ConnectTimeout and a slow login
LOG_LIMIT = 1 << 20

log = logging.getLogger(__name__)


class Master:
    """Starts and finds one centre's master. `folder` belongs to this centre alone (0700). `credential` gives a
    certificate for forwards, or None if a key file is used."""

    def __init__(
        self, door: LoginNodes, folder: Path, credential: Callable[[], Credential | None], key_file: Path | None
    ) -> None:
        self.door, self.folder, self.credential, self.key_file = door, folder, credential, key_file
        self.socket, self.errors = folder / "ctl", folder / "errors"
        # Relative to `folder`, so that a long path fits into a socket's address; a hung master is recognised by its
        # argv and folder.
        self.argv = ["ssh", "-F", "config", "-S", "ctl", "-E", "errors", "-M", "-N", "-f", "-T", "--", door.spec.id]

    async def find(self, gone: Callable[[], None], patience: float) -> Control | None:
        """Returns the control of the running master; None if no master answers within `patience` seconds."""
        control = None
        try:
            control = await Control.open(self.socket, gone, patience)
            raise_limit(await control.alive())
            return control
        except (OSError, MuxError):
            if control:
                control.close()
            return None

    async def start(self, host: str) -> None:
        """Ends a hung master, then starts a master to `host`. Raises Unreachable or Denied."""
        for pid in self.left_over():
            log.warning("centre %s: master %d does not answer on its socket and is ended", self.door.spec.id, pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.socket.unlink(missing_ok=True)  # ssh would run without a control socket beside a stale one
        self._prepare(host)
        code = await self._spawn()
        for name in ("key", "key-cert.pub"):
            (self.folder / name).unlink(missing_ok=True)  # needed only for the login
        if code != 0:
            raise self._failure(host)
        log.info("centre %s: forwards go through %s", self.door.spec.id, host)

    def left_over(self) -> Iterator[int]:
        """Yields the ids of processes with exactly this argv, in exactly this folder. Yields nothing on systems without
        /proc."""
        argv = [word.encode() for word in self.argv]
        for entry in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
            with contextlib.suppress(OSError):
                found = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")[:-1]
                if found == argv and os.readlink(f"/proc/{entry}/cwd") == os.path.realpath(self.folder):
                    yield int(entry)

    def prohibitions(self) -> int:
        """Returns how often the centre's sshd has refused a forward, to any or to that address."""
        try:
            return self.errors.read_text(errors="replace").count(PROHIBITED)
        except FileNotFoundError:
            return 0

    def trim_errors(self) -> None:
        """Empties the error log when it is too large: ssh adds a line for each connection to a port that nothing
        listens on."""
        with contextlib.suppress(FileNotFoundError):
            if self.errors.stat().st_size > LOG_LIMIT:
                os.truncate(self.errors, 0)

    def _prepare(self, host: str) -> None:
        """Writes the files that ssh reads. The key and its certificate are written together: ssh prefers an old
        certificate beside the key."""
        write_secret(self.folder / "known_hosts", self.door.known_hosts())
        write_secret(self.folder / "config", self._config(host))
        if credential := self.credential():
            write_secret(self.folder / "key-cert.pub", credential.certificate.export_certificate("openssh").decode())
            write_secret(self.folder / "key", credential.key.export_private_key("openssh").decode())

    def _config(self, host: str) -> str:
        key = (
            [f'IdentityFile "{self.key_file}"']
            if self.key_file
            else ["IdentityFile key", "CertificateFile key-cert.pub"]
        )
        lines = [
            f"HostName {host}",
            f"Port {self.door.way.port}",
            f"User {self.door.way.user}",
            *key,
            "IdentitiesOnly yes",
            "IdentityAgent none",
            "BatchMode yes",
            "UserKnownHostsFile known_hosts",
            "GlobalKnownHostsFile /dev/null",
            "StrictHostKeyChecking yes",
            "UpdateHostKeys no",
            "ConnectTimeout 5",
            "ServerAliveInterval 5",
            "ServerAliveCountMax 2",
            "ControlPersist no",
            f"Ciphers {CIPHERS}",
            "LogLevel INFO",  # at this level ssh reports that sshd refused to open a channel
        ]
        return "".join(f"{line}\n" for line in lines)

    async def _spawn(self) -> int:
        """Runs ssh, which returns when it has logged in and gone to the background, or with its failure in `errors`.
        Returns its exit code."""
        with self.errors.open("wb") as empty:
            os.fchmod(empty.fileno(), 0o600)
        with self.errors.open("ab") as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self.argv,
                    cwd=self.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise SpecError("ssh is missing on the broker's machine.", hint="apt install openssh-client") from error
        try:
            async with asyncio.timeout(START):
                return await process.wait()
        except TimeoutError:
            return -1
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _failure(self, host: str) -> Unreachable:
        """Returns the error that ssh's output means, in the same sentences as for commands."""
        said = self.errors.read_text(errors="replace")
        last = next(
            (line.strip().rstrip(".") for line in reversed(said.splitlines()) if line.strip()), "no message from ssh"
        )
        if "Host key verification failed" in said:
            seen = re.search(r"SHA256:\S+", said)
            return self.door.wrong_host_key(host, seen[0].rstrip(".") if seen else "", last)
        if methods := re.search(r"Permission denied \(([^)]*)\)", said):
            refused = self.door.refused if "publickey" in methods[1] else self.door.second_factor
            return refused(host, self.door.way.user)
        if "Unable to negotiate" in said:
            return self.door.nothing_in_common(host, last)
        return self.door.unreachable(host, last)


def raise_limit(pid: int) -> None:
    """Raises the master's limit of open files as far as allowed."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # prlimit exists only on Linux
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        soft = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def lock_folder(folder: Path, centre: str) -> int:
    """Returns a descriptor that holds the folder's lock until it is closed. Raises Unreachable if another process has
    the lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Unreachable(f"centre {centre}: another process keeps the forwards of {folder}.") from error
    return lock
