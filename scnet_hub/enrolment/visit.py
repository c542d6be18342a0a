"""`Visit`: one check or deployment at one centre, and the state that its hops share: the spec, the transports, the
account, earlier results.

A visit has a folder and forwards of its own, so that it never interferes with those of a running broker. Decides
nothing.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..adapters.centre import Centre
from ..adapters.transport.factory import transport
from ..adapters.transport.local import LocalTransport
from ..adapters.transport.transport import Means, Transport
from ..domain.addresses import Address
from ..domain.commands import Command, Completed
from ..domain.standard.centre import CentreSpec
from ..domain.standard.transports import SshTransport
from ..errors import CentreError
from ..hub.ports import Ports
from .findings import Problem

Json = dict[str, Any]

SCRIPTS = Path(__file__).with_name("scripts")


@dataclass(slots=True, kw_only=True)
class Visit:
    """The shared state of a visit. `home` is the state folder; `account` is the account of the trial jobs ("" if there
    is only one account); `patience` is seconds for a job to start, `shell_patience` for the first command. `word` marks
    our output among other output; `facts` is what the job reported, `node` where its scheduler says that it runs,
    `hub_url` where the job looked for the hub, `listener` what answers there if no broker does. `shell` runs any
    command on the login node (an embedded centre's own transport knows only its scheduler's commands); `ways` opens
    ports."""

    home: Path
    spec: CentreSpec
    means: Means
    account: str
    address: Address
    proxy_url: str
    centre: Centre
    shell: Transport
    ways: Transport
    patience: float = 120.0
    shell_patience: float = 15.0
    word: str = field(default_factory=lambda: f"scnet-check-{secrets.token_hex(4)}")
    facts: Json = field(default_factory=dict)
    job_id: str = ""
    node: str = ""
    job_let_go: bool = False
    left_files: bool = False
    made_home: bool = False
    broker_up: bool = False
    listener: asyncio.Server | None = None
    hub_url: str = ""
    hub_trouble: CentreError | None = None

    @property
    def transport(self) -> Transport:
        return self.centre.transport

    @property
    def way(self) -> SshTransport:
        assert isinstance(self.spec.transport, SshTransport)
        return self.spec.transport

    @property
    def resident(self) -> str:
        """Returns the account that `{account}` means in paths: a person who does not exist, if everything runs under
        one account."""
        return self.account or "scnet-check"

    @property
    def directory(self) -> str:
        return self.spec.session.directory.format(account=self.resident)

    @property
    def folder(self) -> str:
        """Returns the folder of this visit's files at the centre."""
        return f"{self.directory}/{self.word}"

    @property
    def home_there(self) -> str:
        return self.spec.session.home.format(directory=self.directory, account=self.resident)

    @property
    def contact(self) -> str:
        return self.spec.contact or "the centre's admins"

    async def ask(self, *argv: str, account: str = "", stdin: bytes = b"", timeout: float = 30) -> Completed:
        return await self.shell.run(Command(argv, stdin), account=account, timeout=timeout)

    async def facts_of(self, name: str, *arguments: str, account: str = "", timeout: float = 60) -> Json:
        """Runs a script of `scripts/` at the centre and returns its facts. Raises Problem with the script's message if
        it failed."""
        text = script("say.sh") + script(name)
        done = await self.ask("sh", "-s", self.word, *arguments, account=account, stdin=text, timeout=timeout)
        if done.code:
            raise Problem(f"a shell script failed there: {last_line(done.stderr) or f'exit code {done.code}'}")
        return said(done.stdout, self.word)


def script(name: str) -> bytes:
    return (SCRIPTS / name).read_bytes()


def said(text: str, word: str) -> Json:
    """Returns the values by key of the lines `word key value`, whatever else was printed in between."""
    lines = [line.split(" ", 2) for line in text.splitlines() if line.startswith(f"{word} ")]
    return {parts[1]: parts[2] if len(parts) > 2 else "" for parts in lines if len(parts) > 1}


def noise(text: str, word: str) -> str:
    """Returns all output that is not ours, on one line."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip() and not line.startswith(f"{word} "))


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""


def addresses(home: Path) -> tuple[Address, str]:
    """Returns this installation's address, and where its proxy listens: from the broker's settings in the state folder,
    else from its ports."""
    settings, ports = home / "broker.json", Ports.read(home)
    if settings.exists():
        said = json.loads(settings.read_text())
        address = Address.parse(str(said.get("public_url", "")))
        return address, str(said.get("proxy_url") or address.origin)
    return ports.address, ports.proxy_url


def first_account(spec: CentreSpec) -> str:
    """Returns the account to try if none is given: the first in the centre's list; "" if there is no list, or one
    account for all."""
    return "" if spec.identity.mode == "shared" else next(iter(spec.identity.accounts.values()), "")


@asynccontextmanager
async def visiting(home: Path, spec: CentreSpec, *, account: str = "", patience: float = 120.0) -> AsyncIterator[Visit]:
    """Yields a visit; removes the visit's files at the centre and here afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="scnet-visit-"))
    spec, (address, proxy_url) = _with_absolute_key(spec, home), addresses(home)
    means = Means(folder=_beside(home, folder / "commands"))
    centre = Centre.of(spec, means)
    visit = Visit(
        home=home,
        spec=spec,
        means=means,
        account=account or first_account(spec),
        address=address,
        proxy_url=proxy_url,
        centre=centre,
        shell=LocalTransport() if spec.transport.kind == "embedded" else centre.transport,
        ways=transport(
            spec, Means(folder=_beside(home, folder / "ways"), public_url=address.root, proxy_url=proxy_url)
        ),
        patience=patience,
    )
    try:
        yield visit
    finally:
        if visit.listener:
            visit.listener.close()
        try:
            await _tidy(visit)
        finally:
            await visit.ways.end()
            await visit.transport.end()
            shutil.rmtree(folder, ignore_errors=True)


def _beside(home: Path, folder: Path) -> Path:
    """Makes a folder with the federation's secrets, but with forwards of its own."""
    (home / "secrets").mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    (folder / "secrets").symlink_to(home.absolute() / "secrets")
    return folder


def _with_absolute_key(spec: CentreSpec, home: Path) -> CentreSpec:
    if not isinstance(spec.transport, SshTransport) or not spec.transport.key_file:
        return spec
    way = spec.transport.model_copy(update={"key_file": str(home.absolute() / spec.transport.key_file)})
    return spec.model_copy(update={"transport": way})


async def _tidy(visit: Visit) -> None:
    """Removes the job and the files of this visit, as far as the centre can be asked."""
    try:
        if visit.left_files:
            # an interrupted submission may have arrived
            job = visit.job_id or await visit.centre.find(visit.word, account=visit.account)
            if job and not visit.job_let_go:
                await visit.centre.cancel([job], account=visit.account)
            await visit.ask("rm", "-rf", "--", visit.folder, account=visit.account)
        if visit.made_home:
            await visit.ask("rmdir", "--ignore-fail-on-non-empty", "--", visit.home_there, visit.directory)
    except CentreError:
        pass  # the hop that met the error has reported it
