"""Click to ready: ours, the same single-user server started directly, and stock batchspawner on the same centre.

    python benchmarks/spawn.py [--rounds 10] [--json]

The three take turns in one run on one machine, so that its speed cancels out; figures are medians of seconds.
*ours*: POST of the start form until the Lab's API answers through the proxy. *direct*: start of `jupyterhub-singleuser`
with the same arguments in the same environment until its API answers. *stock*: as ours, through an unchanged
`batchspawner.SlurmSpawner` with its own wrapper, on the same embedded centre; its environment has `rfc3987-syntax`, as
every plain installation of JupyterHub has and our lock has not (`--lean-stock` takes it away from stock as well).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from scnet_hub.demo.browser import Browser
from scnet_hub.demo.process import Process, answers
from scnet_hub.demo.run import Demo, environment, running
from scnet_hub.demo.state import node_and_proxy, some_free_port
from scnet_hub.secret import make_secret, read_secret

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
    ip = Unicode("127.0.0.1")

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
c.SlurmSpawner.state_exechost_exp = "127.0.0.1"
c.Spawner.args = {args!r}
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
        return took


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


async def measure(rounds: int, lean: bool) -> dict[str, object]:
    took: dict[str, list[float]] = {"ours": [], "direct": [], "stock": []}
    with tempfile.TemporaryDirectory(prefix="sc-", ignore_cleanup_errors=True) as folder:
        async with (
            running(Path(folder), background=False, say=note) as demo,
            stock_hub(demo, demo.centres.names[0], lean=lean) as stock_url,
        ):
            for number in range(rounds + 1):  # the first round warms the caches and is not counted
                one = {
                    "ours": await ours(demo),
                    "direct": await direct(demo),
                    "stock": await stock(stock_url, demo.state.passwords[PERSON]),
                }
                note(f"round {number}: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in one.items()))
                if number:
                    for name, seconds in one.items():
                        took[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in took.items()}
    return {
        **{f"{name}_s": round(value, 3) for name, value in medians.items()},
        "ratio_to_direct": round(medians["ours"] / medians["direct"], 3),
        "ratio_to_stock": round(medians["ours"] / medians["stock"], 3),
        "rounds": rounds,
        "lean_stock": lean,
        "all_s": {name: [round(value, 3) for value in values] for name, values in took.items()},
    }


def install(folder: Path, package: str) -> Path:
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "pip", "install", "-q", "--compile-bytecode", "--target", str(folder), package], check=True, timeout=120)
    return folder


def note(words: str) -> None:
    print(f"… {words}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--lean-stock", action="store_true", help="give the stock hub our lean environment, too")
    parser.add_argument("--json", action="store_true", help="one JSON document on one line")
    options = parser.parse_args()
    report = asyncio.run(measure(options.rounds, options.lean_stock))
    print(json.dumps(report, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
