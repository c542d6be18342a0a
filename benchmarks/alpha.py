"""Centre a of the testbed for benchmarks: real Slurm at a place of its own on this machine, so that no test breaks it
meanwhile.

Shows a session environment to its nodes, and runs stock JupyterHub there as sites do: as root on the login node, with
an unchanged `batchspawner.SlurmSpawner` that puts `sudo -E -u PERSON` before each command. Needs what the testbed
needs: root, Debian's Slurm.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scnet_hub.demo.process import Process, answers, until  # noqa: E402
from scnet_hub.demo.proxy import node_and_proxy  # noqa: E402
from tests.real import testbed as beds  # noqa: E402
from tests.real.testbed import life, needs  # noqa: E402

PLACE = beds.Place(prefix="scbench", network="10.79")
SESSION = "/opt/scnet/session"
PYTHON = "/usr/bin/python3"  # the machine's, so the centre's: everybody there may run it
STOCK_HOME = "/root/stock"
STOCK_CONFIG = """
import batchspawner
c = get_config()
c.JupyterHub.spawner_class = batchspawner.SlurmSpawner
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_connect_ip = "{lan}.254"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
c.SlurmSpawner.req_partition = "batch"
c.SlurmSpawner.req_nprocs = "1"
c.SlurmSpawner.req_runtime = "1:00:00"
"""


def centre() -> beds.Centre:
    return beds.CENTRES["a"]


@contextmanager
def alpha(session: Path, **changes: object) -> Iterator[beds.Testbed]:
    """The centre, up, with `session` shown at its nodes. `changes` to its layout, such as cores=256 a node, are this
    one's only."""
    if why := needs.missing("a"):
        sys.exit(f"{why}.\nAs root, on Debian: {needs.install_line('a')}")
    as_it_is = centre()
    beds.CENTRES["a"] = replace(as_it_is, **changes)  # type: ignore[arg-type]
    try:
        with beds.shared("a", place=PLACE) as testbed:
            testbed.bind(session, SESSION)
            yield testbed
    finally:
        beds.CENTRES["a"] = as_it_is


@contextmanager
def session_environment(made_before: Path | None) -> Iterator[Path]:
    """A folder with the environment that sessions run in: `made_before`, or a relocatable one as requirements.lock
    says. Not what `scnet centres deploy` would put there: that has no batchspawner, and both sides shall run in
    the very same one."""
    if made_before:
        yield made_before
        return
    uv = str(Path(sys.executable).parent / "uv")
    with tempfile.TemporaryDirectory(prefix="scnet-session-", dir="/var/tmp") as folder:
        place = Path(folder) / "session"
        install = [
            uv,
            "pip",
            "install",
            "-q",
            "--compile-bytecode",
            "--python",
            str(place / "bin" / "python"),
            "--no-deps",
        ]
        for command in (
            [uv, "venv", "-q", "--relocatable", "--python", PYTHON, str(place)],
            [*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")],
            [*install, str(ROOT)],
        ):
            subprocess.run(command, check=True, timeout=600)
        place.parent.chmod(0o755)
        yield place


@asynccontextmanager
async def stock_hub(testbed: beds.Testbed, logs: Path, more_config: str) -> AsyncIterator[tuple[str, str]]:
    """JupyterHub on the login node, nodes and this machine reach it directly: its address and everybody's password."""
    password = secrets.token_urlsafe(16)
    config = STOCK_CONFIG.format(password=password, lan=centre().lan(PLACE), proxy=node_and_proxy())
    put(testbed, f"{STOCK_HOME}/config.py", config + more_config)
    start = ["env", "-C", STOCK_HOME, sys.executable, "-m", "jupyterhub", "-f", "config.py"]
    url = f"http://{testbed.login('a')}:8000"
    process = Process(
        "stock", [*life.enter(centre(), PLACE), *start], home=logs, env={}, probe=answers(f"{url}/hub/api/", below=400)
    )
    try:
        await process.start()
        await process.ready()
        yield url, password
    finally:
        await process.stop()


def put(testbed: beds.Testbed, path: str, text: str) -> None:
    testbed.at("a", ["sh", "-c", 'mkdir -p "${0%/*}" && cat >"$0"', path], stdin=text, check=True)


async def until_quiet(testbed: beds.Testbed) -> None:
    """No job is left, not even one that is completing, so that nobody's start pays for another's end."""

    async def quiet() -> bool:
        return not (await asyncio.to_thread(testbed.at, "a", ["squeue", "--noheader"], check=True)).stdout.strip()

    await until(quiet, "An empty queue")


def note(words: str) -> None:
    print(f"… {words}", file=sys.stderr, flush=True)
