"""Starts and stops the demo: member centres, broker, proxy, hub, in the order in which they need each other."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..adapters.secret_files import read_secret
from ..errors import ScnetError
from ..hub.ports import Ports
from .centres import DemoCentres, demo_centres
from .process import Process, answers, until
from .proxy import install_proxy, node_and_proxy
from .state import State, prepare

Say = Callable[[str], None]
_HERE = Path(__file__).resolve()
_BESIDE = _HERE.with_name("jupyterhub_config.py")  # in an installed package
CONFIG = _BESIDE if _BESIDE.exists() else _HERE.parents[2] / "jupyterhub_config.py"


class Demo:
    """The running demo. `processes` are broker, proxy and hub, by name; the centres have their own."""

    def __init__(self, state: State, centres: DemoCentres, *, with_hub: bool = True) -> None:
        self.state, self.centres = state, centres
        made = (broker(state), proxy(state), *((hub(state),) if with_hub else ()))
        self.processes = {process.name: process for process in made}

    async def start(self, say: Say) -> None:
        say("starting the member centres")
        await self.centres.start()
        say("starting broker, proxy and hub")
        await asyncio.gather(*(process.start() for process in self.processes.values()))
        await asyncio.gather(*(process.ready() for process in self.processes.values()))
        if "hub" in self.processes:
            await until(
                answers(f"{self.state.nearby.api}/health", below=300, host=self.state.ports.address.netloc),
                "The proxy's route to the broker",
            )

    async def stop(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.processes.values()))
        await self.centres.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a demo consists of, and where it is reached. `port`: 0 is any free one; `kind` is what the member centres
    are made of."""

    port: int = 0
    host: str = ""
    url: str = ""
    subdomains: bool = False
    kind: str = "embedded"
    background: bool = True
    with_hub: bool = True


@asynccontextmanager
async def running(home: Path, setup: Setup | None = None, *, say: Say) -> AsyncIterator[Demo]:
    """Yields the demo, up and ready; everything that it started is ended on the way out, whatever happened."""
    setup = setup or Setup()
    centres = demo_centres(setup.kind, home, background=setup.background)
    listed = ["*"] if setup.kind == "given" else centres.names
    with only_one(home):
        await asyncio.to_thread(install_proxy, say)
        async with choosing_ports():
            state = prepare(
                home, port=setup.port, host=setup.host, url=setup.url, subdomains=setup.subdomains, centres=listed
            )
            centres.write_pages()
            demo = Demo(state, centres, with_hub=setup.with_hub)
            try:
                await demo.start(say)
            except BaseException:
                await asyncio.shield(demo.stop())
                raise
        try:
            yield demo
        finally:
            await asyncio.shield(demo.stop())


@asynccontextmanager
async def choosing_ports() -> AsyncIterator[None]:
    """Lets one demo of a user at a time choose its ports, until it listens: else two demos would choose the same
    ports."""
    with (Path(tempfile.gettempdir()) / f"scnet-ports.{os.getuid()}.lock").open("a") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Holds the state folder for this demo. Raises ScnetError, which says where the demo is that holds it."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise ScnetError(
                f"A demo is running already with this state folder: process {lock.read().strip()}, page "
                f"{Ports.read(home).address}.",
                hint="Use that demo, stop it with Ctrl-C in its terminal, or start another demo with --home FOLDER.",
                code="running",
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def environment(state: State) -> dict[str, str]:
    """Returns the environment of the demo's processes: without secrets, and with bytecode allowed."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JUPYTERHUB_", "SCNET_")) and "TOKEN" not in key
    }
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "SCNET_HOME": str(state.home)}


def broker(state: State) -> Process:
    argv = [sys.executable, "-m", "scnet_hub.broker", str(state.home / "broker.json")]
    probe = answers(f"{state.ports.broker_api}/health")
    return Process("broker", argv, home=state.home, env=environment(state), probe=probe)


def proxy(state: State) -> Process:
    hub_url = f"http://127.0.0.1:{state.ports.hub}"
    argv = [
        *node_and_proxy(), "--ip", state.ports.host, "--port", str(state.ports.public),
        "--api-ip", "127.0.0.1", "--api-port", str(state.ports.proxy_api),
        "--default-target", hub_url, "--error-target", f"{hub_url}{state.ports.address.hub_path}error",
        *(["--host-routing"] if state.ports.subdomains else []),
    ]  # fmt: skip
    env = {**environment(state), "CONFIGPROXY_AUTH_TOKEN": read_secret(state.home / "secrets" / "proxy.token")}
    return Process(
        "proxy", argv, home=state.home, env=env, probe=answers(f"http://127.0.0.1:{state.ports.proxy_api}/api/routes")
    )


def hub(state: State) -> Process:
    config = state.home / "jupyterhub_config.py"
    shutil.copyfile(CONFIG, config)
    argv = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
    probe = answers(f"{state.nearby.hub_api}/", below=400)
    return Process("hub", argv, home=state.home, env=environment(state), probe=probe)
