"""Click to ready: ours, the same single-user server started directly, and stock batchspawner on the same centre.

    python benchmarks/spawn.py [--rounds 10] [--centre a] [--json]

The three take turns in one run on one machine, so that its speed cancels out; seconds are medians, and so are ratios,
each of one round.
*ours*: POST of the start form until the Lab's API answers through the proxy. *direct*: start of `jupyterhub-singleuser`
with the same arguments in the same environment until its API answers. *stock*: as ours, through an unchanged
`batchspawner.SlurmSpawner` with its own wrapper, on the same embedded centre; its environment has `rfc3987-syntax`, as
every plain installation of JupyterHub has and our lock has not (`--lean-stock` takes it away from stock as well).

With `--centre a`, ours and stock on real Slurm: centre a of the testbed, ours from here over SSH, stock's hub on the
login node itself, both with the very same session environment at the nodes (without `rfc3987-syntax`). Nothing is left
in the queue when a start begins. `--without-srun` sets batchspawner's `req_srun` to "", which spares stock a job step
that ours doesn't have.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import alpha
import httpx
import reporting
from alpha import note

from scnet_hub.adapters.secret_files import make_secret, read_secret
from scnet_hub.client import Client
from scnet_hub.demo.browser import Browser
from scnet_hub.demo.process import Process, answers, until
from scnet_hub.demo.proxy import node_and_proxy
from scnet_hub.demo.run import Demo, Setup, environment, running
from scnet_hub.demo.state import some_free_port

ARGS = ["--ServerApp.jpserver_extensions=jupyter_lsp=False", "--ServerApp.jpserver_extensions=notebook=False"]
ROOT = ["--allow-root"] if os.geteuid() == 0 else []
PERSON = "ada"
STOCK_CONFIG = """
import batchspawner
from traitlets import Unicode
from scnet_hub.hub.authenticator import LocalAuthenticator
c = get_config()


class Stock(batchspawner.SlurmSpawner):
    # unchanged, but that people need no system account: it would look their home up there

    req_homedir = Unicode({home!r})

    def user_env(self, env):
        return {{**env, "HOME": {home!r}, "SHELL": "/bin/sh", "USER": self.user.name}}


c.JupyterHub.spawner_class = Stock
c.JupyterHub.authenticator_class = LocalAuthenticator
c.LocalAuthenticator.file = {people!r}
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub}"
c.JupyterHub.db_url = "sqlite:///{home}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{home}/cookie_secret"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.auth_token = {token!r}
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
c.SlurmSpawner.exec_prefix = ""
c.Spawner.environment = {{"PATH": {path!r}, "PYTHONPATH": {extra!r}}}
c.SlurmSpawner.req_nprocs = "1"
c.SlurmSpawner.req_memory = "1G"
c.SlurmSpawner.req_runtime = "1:00:00"
c.Spawner.args = {args!r}
"""
STOCK_AT_ALPHA = """
c.Spawner.cmd = ["{session}/bin/jupyterhub-singleuser"]
c.Spawner.args = {args!r}
c.SlurmSpawner.batchspawner_singleuser_cmd = "{session}/bin/batchspawner-singleuser"
c.SlurmSpawner.req_memory = "2G"
c.SlurmSpawner.req_srun = {srun!r}
"""


async def ours(demo: Demo) -> float:
    async with Browser(demo.state.public_url, PERSON) as person:
        await person.log_in(demo.state.passwords[PERSON])
        await person.start_page()
        clicked = time.monotonic()
        await person.start(profile="small")
        await person.until_lab_answers()
        took = time.monotonic() - clicked
        await person.stop()
        await until(lambda: nothing_lives(demo), "The end of the session")  # else the next start would wait for it
        return took


async def nothing_lives(demo: Demo) -> bool:
    broker = Client(demo.state.api_url, read_secret(demo.state.home / "secrets" / "operator.token"))
    return not await asyncio.to_thread(broker.sessions)


async def stock(url: str, password: str) -> float:
    async with Browser(url, PERSON) as person:
        await person.log_in(password)
        clicked = time.monotonic()
        await person.http.get("/hub/spawn", follow_redirects=False)
        await person.until_lab_answers()
        took = time.monotonic() - clicked
        await person.stop()
        return took


async def direct(demo: Demo) -> float:
    port = some_free_port(())
    state = demo.state
    env = {
        **environment(state),
        "JUPYTERHUB_API_TOKEN": read_secret(state.home / "secrets" / "operator.token"),
        "JUPYTERHUB_API_URL": f"http://127.0.0.1:{state.ports.hub}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "service-scnet-operator",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/direct/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}/user/direct/",
        "JUPYTERHUB_USER": "direct",
        "HOME": str(state.home),
    }
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jupyterhub.singleuser", *ARGS, *ROOT, env=env, cwd=state.home,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    await http.get(f"http://127.0.0.1:{port}/user/direct/api")
                    return time.monotonic() - began
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
    finally:
        child.terminate()
        await child.wait()


@asynccontextmanager
async def stock_hub(demo: Demo, centre: str, *, lean: bool) -> AsyncIterator[str]:
    """A hub with batchspawner's own SlurmSpawner, the embedded centre's commands first on its PATH; unless `lean`, with
    the one package that our lock leaves out and that everybody else's installation has."""
    home = demo.state.home / "stock"
    home.mkdir(mode=0o700)
    ports: list[int] = []
    for _ in range(3):
        ports.append(some_free_port(ports))
    public, hub, api = ports
    token = make_secret(home / "proxy.token")
    extra = "" if lean else str(install(home / "extra", "rfc3987-syntax"))
    env = {**environment(demo.state), "PYTHONPATH": extra}
    path = f"{demo.centres.commands(centre)}{os.pathsep}{env['PATH']}"
    config = home / "config.py"
    config.write_text(
        STOCK_CONFIG.format(
            people=str(demo.state.home / "people.json"),
            public=public,
            hub=hub,
            api=api,
            token=token,
            home=str(home),
            args=[*ARGS, *ROOT],
            path=path,
            extra=extra,
        )
    )
    config.chmod(0o600)
    env["PATH"] = path
    proxy = [
        *node_and_proxy(), "--ip", "127.0.0.1", "--port", str(public), "--api-ip", "127.0.0.1", "--api-port", str(api),
        "--default-target", f"http://127.0.0.1:{hub}", "--error-target", f"http://127.0.0.1:{hub}/hub/error",
    ]  # fmt: skip
    processes = [
        Process("proxy", proxy, home=home, env={**env, "CONFIGPROXY_AUTH_TOKEN": token}, probe=answers(f"http://127.0.0.1:{api}/api/routes")),
        Process("hub", [sys.executable, "-m", "jupyterhub", "-f", str(config)], home=home, env=env,
                probe=answers(f"http://127.0.0.1:{public}/hub/api/", below=400)),
    ]  # fmt: skip
    try:
        for process in processes:
            await process.start()
        for process in processes:
            await process.ready()
        yield f"http://127.0.0.1:{public}"
    finally:
        await asyncio.gather(*(process.stop() for process in processes))


Sides = Mapping[str, Callable[[], Awaitable[float]]]


@asynccontextmanager
async def on_embedded(home: Path, lean: bool) -> AsyncIterator[Sides]:
    async with (
        running(home, Setup(background=False), say=note) as demo,
        stock_hub(demo, demo.centres.names[0], lean=lean) as stock_url,
    ):
        password = demo.state.passwords[PERSON]
        yield {"ours": lambda: ours(demo), "direct": lambda: direct(demo), "stock": lambda: stock(stock_url, password)}


@asynccontextmanager
async def on_alpha(home: Path, session: Path | None, srun: bool) -> AsyncIterator[Sides]:
    with alpha.session_environment(session) as environment, alpha.alpha(environment) as testbed:
        testbed.outfit(home)
        async with (
            running(home, Setup(kind="given", host=testbed.hub), say=note) as demo,
            alpha.stock_hub(
                testbed, home, STOCK_AT_ALPHA.format(session=alpha.SESSION, args=ARGS, srun="srun" if srun else "")
            ) as (
                url,
                word,
            ),
        ):

            async def when_quiet(side: Awaitable[float]) -> float:
                took = await side
                await alpha.until_quiet(testbed)
                return took

            yield {"ours": lambda: when_quiet(ours(demo)), "stock": lambda: when_quiet(stock(url, word))}


async def take_turns(sides: Sides, rounds: int) -> dict[str, list[float]]:
    """Seconds by side; every second round goes the other way round. The first warms the caches and is not counted."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        one = {name: await sides[name]() for name in (list(sides) if number % 2 else reversed(list(sides)))}
        note(f"round {number}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in one.items()))
        if number:
            for name, seconds in one.items():
                took[name].append(seconds)
    return took


async def measure(options: argparse.Namespace) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        at_alpha = on_alpha(home, options.session, not options.without_srun)
        async with at_alpha if options.centre else on_embedded(home, options.lean_stock) as sides:
            took = await take_turns(sides, options.rounds)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {
        **{f"{name}_s": round(value, 3) for name, value in medians.items()},
        **{
            f"ratio_to_{name}": round(ratio(took["ours"], values), 3) for name, values in took.items() if name != "ours"
        },
        "centre": options.centre or "embedded",
        "rounds": options.rounds,
        "lean_stock": options.lean_stock or bool(options.centre),
        "stock_srun": bool(options.centre) and not options.without_srun,
        "all_s": {name: [round(value, 3) for value in values] for name, values in took.items()},
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' own ratios: what else the machine does changes from round to round, less within one."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def install(folder: Path, package: str) -> Path:
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run(
        [uv, "pip", "install", "-q", "--compile-bytecode", "--target", str(folder), package], check=True, timeout=120
    )
    return folder


def main() -> None:
    parser = reporting.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--lean-stock", action="store_true", help="give the stock hub our lean environment, too")
    parser.add_argument(
        "--centre", choices=["", "a"], default="", help="a: real Slurm, the testbed's; default: the embedded centre"
    )
    parser.add_argument("--without-srun", action="store_true", help="with --centre a: spare the stock hub its job step")
    parser.add_argument(
        "--session", type=Path, help="with --centre a: a session environment made before (default: made for this run)"
    )
    options = parser.parse_args()
    report = asyncio.run(measure(options))
    reporting.show(report, as_json=options.json)


if __name__ == "__main__":
    main()
