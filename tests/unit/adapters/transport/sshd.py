"""A real sshd on an unprivileged port of 127.0.0.1, for whoever runs the tests: no account is made.

It trusts one certificate authority and nothing else; the login is by the certificate's principal, as at a member
centre. Its sessions get an own HOME, so that a test may put a .bashrc there. Other settings are given as `Keyword
value`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import psutil
import pytest

from scnet_hub.adapters.transport.certificates import CertificateAuthority
from scnet_hub.adapters.transport.transport import Means
from scnet_hub.domain.standard.centre import CentreSpec, parse_centre

ME = getpass.getuser()
INSTALL = "the tests of the SSH transport need sshd: apt install openssh-server"


class Sshd:
    """`folder` holds everything: keys, settings, log, `home`, and the broker's state folder `state`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.state = folder, folder / "home", folder / "state"
        self.port = free_port()
        self.settings: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        for part in (self.home, self.state, folder / "principals"):
            part.mkdir()
        self.authority = CertificateAuthority.open(self.state)
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.trust(self.authority.public)
        self.allow(ME)

    def allow(self, *principals: str) -> None:
        (self.folder / "principals" / ME).write_text("".join(f"{one}\n" for one in principals))

    def trust(self, public: str) -> None:
        (self.folder / "user_ca.pub").write_text(public + "\n")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self, *settings: str) -> Sshd:
        """Starts it, with `settings` before its usual ones (sshd takes the first); waits until it answers."""
        (self.folder / "host_key").unlink(missing_ok=True)
        self.key.write_private_key(str(self.folder / "host_key"))
        (self.folder / "host_key").chmod(0o600)
        self.settings = list(settings)
        lines = [
            *settings,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder}/host_key",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "AuthorizedKeysFile none",
            f"TrustedUserCAKeys {self.folder}/user_ca.pub",
            f"AuthorizedPrincipalsFile {self.folder}/principals/%u",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "ClientAliveInterval 1",
            "ClientAliveCountMax 2",
            "LogLevel VERBOSE",
            f"SetEnv HOME={self.home}",
        ]
        (self.folder / "config").write_text("".join(f"{line}\n" for line in lines))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sshd_program(), "-D", "-e", "-f", str(self.folder / "config")],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        until(lambda: self._answers(), "sshd to answer")
        return self

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, f"sshd ended: {self.log}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
        return False

    def sessions(self) -> list[psutil.Process]:
        """sshd's process of each connection, and what runs in it."""
        assert self.process
        return psutil.Process(self.process.pid).children(recursive=True)

    def runs(self, program: str) -> bool:
        """Whether a session runs it now: `program` is a command line, its words joined."""
        found = []
        for process in self.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(" ".join(process.cmdline()))
        return program in found

    def stop(self, *, sessions: bool = True) -> None:
        if not self.process:
            return
        left = self.sessions() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        self.process = None
        if sessions:
            end(left)

    def spec(self, **changed: str) -> CentreSpec:
        return parse_centre(self.page(**changed), source="b/centre.toml")

    def page(self, **changed: str) -> str:
        """The centre.toml of a centre behind this sshd. `changed`: the text of a table, by its name: `transport='user =
        "x"'`."""
        transport = {
            "hosts": '["127.0.0.1"]',
            "port": str(self.port),
            "user": f'"{ME}"',
            "host_keys": f'["{self.key.export_public_key().decode().strip()}"]',
        }
        transport.update(pair.split(" = ", 1) for pair in changed.pop("transport", "").splitlines())  # type: ignore[arg-type]
        tables = {"identity": 'mode = "certificate"', "session": 'python = "python3"\ndirectory = "/tmp"', **changed}
        text = 'id = "b"\nname = "Beta"\ncontact = "hpc@beta.example"\n[transport]\nkind = "ssh"\n'
        text += "".join(f"{key} = {value}\n" for key, value in transport.items())
        text += "".join(f"[{name}]\n{table}\n" for name, table in tables.items())
        return text + '[[partition]]\nname = "cpu"\ncores = 1\n'

    def means(self, public_url: str = "") -> Means:
        return Means(folder=self.state, public_url=public_url)


def sshd_program() -> str:
    """Fails the test, with what to install, if there is none."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        pytest.fail(INSTALL)
    if os.geteuid() == 0:
        # its init script would make it; sshd refuses to start as root without
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(true: object, what: str, seconds: float = 10) -> None:
    """Polls for something outside that tells nobody when it happens."""
    assert callable(true)
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)


def end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


@pytest.fixture
def sshd(short_path: Path) -> Iterator[Sshd]:
    """Not started yet: a test starts it with the settings that it needs."""
    server = Sshd(short_path)
    yield server
    server.stop()
