"""`scnet demo`: its command line."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from ..client.rest import state_dir
from ..errors import ScnetError
from .centres import DemoCentres, demo_centres
from .run import CONFIG, Demo, Setup, running


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; default: 8000, or any free one."
)
@click.option("--host", default="", help="Address of the page; default: 127.0.0.1. Real centres must reach it.")
@click.option(
    "--url",
    default="",
    help="The address that people open, if not http://HOST:PORT/: https://hub.example.org/jupyter/ behind TLS.",
)
@click.option(
    "--subdomains",
    is_flag=True,
    help="Give each person's servers a host name of their own, PERSON.HOST; needs a wildcard in DNS.",
)
@click.option(
    "--centres",
    "kind",
    type=click.Choice(["embedded", "slurm", "given"]),
    default="embedded",
    help="The kind of member centres; given: the pages in centres/ of the state folder.",
)
@click.option(
    "--home", type=click.Path(path_type=Path), default=None, help="State folder; default: SCNET_HOME or .scnet here."
)
@click.option("--check", is_flag=True, help="Run through the main job on free ports in a new state folder, and report.")
@click.option(
    "--break", "breaking", is_flag=True, help="Kill one process after another while a notebook computes, and report."
)
@click.option("--calm", is_flag=True, help="Run no pretended jobs of other people.")
@click.option("--without-hub", is_flag=True, help="Start everything except the hub, which you then run yourself.")
@click.option("--fill", metavar="CENTRE", default="", help="At a running demo: let others' jobs take all of CENTRE.")
@click.option("--unfill", metavar="CENTRE", default="", help="At a running demo: remove these jobs again.")
@click.option("--json", "as_json", is_flag=True, help="With --check or --break: one JSON document on stdout.")
def demo(
    home: Path | None, kind: str, check: bool, breaking: bool, fill: str, unfill: str, as_json: bool, **settings: Any
) -> None:
    """Start the whole federation on this machine; Ctrl-C stops it."""
    place = (home or state_dir()).resolve()
    try:
        if check or breaking:
            sys.exit(asyncio.run(_report(kind, as_json, breaking)))
        if fill or unfill:
            return asyncio.run(_load(demo_centres(kind, place), fill, unfill))
        calm, without_hub = settings.pop("calm"), settings.pop("without_hub")
        asyncio.run(_serve(place, Setup(kind=kind, background=not calm, with_hub=not without_hub, **settings)))
    except ScnetError as error:
        click.echo(f"{error}\n{error.hint}".strip(), err=True)
        sys.exit(1)


async def _load(centres: DemoCentres, fill: str, unfill: str) -> None:
    for name, act in ((fill, centres.fill), (unfill, centres.unfill)):
        if name and name not in centres.names:
            raise ScnetError(f"There is no centre {name!r} in the demo.", hint=f"Centres: {', '.join(centres.names)}.")
        if name:
            await act(name)


async def _serve(home: Path, setup: Setup) -> None:
    began = time.monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(home, setup, say=lambda words: click.echo(f"… {words}")) as up:
        click.echo(welcome(up, time.monotonic() - began))
        await stop.wait()
        kept = (
            "sessions continue"
            if setup.kind == "given"
            else "sessions end, and their time is charged at the next start"
        )
        click.echo(f"\n… stopping: {kept}")
    click.echo("Stopped. Everything is kept in " + str(home))


def welcome(up: Demo, seconds: float) -> str:
    new = up.state.passwords
    lines = [f"\nSCNet Hub is ready after {seconds:.1f} s:  {up.state.public_url}\n"]
    if new:
        lines += [
            "Logins, shown this once (only hashes are kept):",
            *(f"    {name:8} {word}" for name, word in new.items()),
            "",
        ]
    else:
        lines += [
            "The logins are those shown at the first start. For new logins: stop, delete people.json in the "
            "state folder, start again.",
            "",
        ]
    if "hub" not in up.processes:
        lines += [f"Run the hub yourself: SCNET_HOME={up.state.home} {program('jupyterhub')} -f {near(CONFIG)}", ""]
    lines += [f"State and logs: {up.state.home}", f"Stop with Ctrl-C. In another terminal: {program('scnet')} centres"]
    return "\n".join(lines)


def program(name: str) -> str:
    """Returns what to type for a program of this environment."""
    return near(Path(sys.executable).with_name(name))


def near(path: Path) -> str:
    """Returns the path as it is typed here: relative if it is below the working folder."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


async def _report(kind: str, as_json: bool, breaking: bool) -> int:
    from .breaking import run_breaking
    from .check import run_check

    demonstrate = run_breaking if breaking else run_check
    task = asyncio.current_task()
    assert task is not None
    # so that everything that was started is ended
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="scnet-", ignore_cleanup_errors=True) as folder:
        report = await demonstrate(Path(folder), kind=kind, say=lambda words: click.echo(f"… {words}", err=True))
    click.echo(json.dumps(report, indent=None if as_json else 2))
    return 0 if report["ok"] else 1
