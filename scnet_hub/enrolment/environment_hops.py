"""Hops to what a session needs at the centre: the person's home with free space, and the Python of the session
environment.

`pythons` lists the interpreters at a centre: `deploy` chooses from the list.
"""

from __future__ import annotations

import os

from .. import __version__
from ..errors import Garbled, Rejected
from ..units import format_memory
from . import answers, environment
from .environment import OLDEST, Python
from .findings import Doubt, Hop, Problem
from .visit import Json, Visit, last_line, script

LEAST = 2**30  # bytes free in a home: notebooks, kernels' files, caches of a working day
TRIAL = 2**20  # bytes that are written to test whether a file system accepts them
IMPORTS = ("ipykernel", "jupyterhub.singleuser", "jupyterlab.labapp", "scnet_hub.node.start")


async def home(visit: Visit) -> str:
    """Checks the home. If people have accounts of their own, their homes exist; else sessions make the homes."""
    where, room = visit.home_there, f"Its owner frees some space, or {visit.contact} grants more."
    visit.made_home = not visit.account
    facts = await visit.facts_of("home.sh", where, "" if visit.account else "make", account=visit.account)
    if "there" not in facts:
        raise Problem(
            f"{where} does not exist for {visit.resident}",
            hint="Check session.home, and that it is mounted on the login node.",
        )
    if "writable" not in facts:
        raise Problem(
            f"{visit.resident} can't write in {where}", hint="Check the owner of the folder, and session.home."
        )
    if over := facts.get("quota", "").strip(" ;"):
        raise Problem(f"{where} is over its quota: {over}", hint=room)
    path = f"{visit.directory}/.{visit.word}"
    try:
        await visit.transport.put(path, os.urandom(TRIAL), account=visit.account)
    except Rejected as error:
        raise Problem(f"{visit.directory} can't store a file of 1 MiB: {error}", hint=room) from error
    finally:
        await visit.ask("rm", "-f", "--", path, account=visit.account)
    blocks = answers.whole_number(str(facts.get("free", "")))
    free = LEAST if blocks is None else blocks * 1024
    if free < LEAST:
        raise Problem(f"{where}: {format_memory(free)} free on its file system", hint=f"A session needs 1 GiB. {room}")
    return f"{where}, {format_memory(free)} free"


async def python(visit: Visit) -> str:
    """Checks the session environment on the login node, with the account that will use it."""
    return judged(visit, await report(visit))


async def report(visit: Visit) -> Json:
    """Returns the report of the session environment's Python about itself. Raises Problem if it does not run."""
    path = visit.spec.session.python
    done = await visit.ask(path, "-I", "-", *IMPORTS, account=visit.account, stdin=script("report.py"), timeout=90)
    if done.code:
        raise Problem(
            f"{path} does not run: {last_line(done.stderr) or f'exit code {done.code}'}",
            hint=await _how_to_get_one(visit),
        )
    try:
        return answers.report(last_line(done.stdout))
    except Garbled as error:
        raise Problem(f"{path} gives no valid report: {error}", hint="Check that this is a Python.") from error


def judged(visit: Visit, facts: Json) -> str:
    """Returns the report in words. Raises Problem if a session would not start, Doubt if the environment is of another
    version."""
    version = ".".join(map(str, facts["version"]))
    deploy = f"`scnet centres deploy {visit.spec.id}` installs the right version there."
    if tuple(facts["version"][:2]) < OLDEST:
        raise Problem(f"{visit.spec.session.python} is Python {version}; a session needs 3.11 or newer", hint=deploy)
    if facts["missing"]:
        name, words = next(iter(facts["missing"].items()))
        more = f" (and {len(facts['missing']) - 1} more)" if len(facts["missing"]) > 1 else ""
        raise Problem(f"Python {version} there can't import {name}{more}: {words}", hint=deploy)
    if facts["scnet_hub"] != __version__:
        raise Doubt(f"it has scnet-hub {facts['scnet_hub']}, this hub {__version__}", hint=deploy)
    if (mine := environment.sources()) and facts["sources"] not in ("", mine):
        raise Doubt(f"it has another build of scnet-hub {__version__} than this hub", hint=deploy)
    return f"Python {version} with scnet-hub {facts['scnet_hub']}, imports in {facts['seconds']:g} s"


async def _how_to_get_one(visit: Visit) -> str:
    found = await pythons(visit)
    if any(one.version >= OLDEST for one in found):
        return f"`scnet centres deploy {visit.spec.id}` installs the session environment there."
    has = f"only {', '.join('.'.join(map(str, one.version)) for one in found)}" if found else "none"
    return (
        f"Python 3.11 or newer is needed there first, and the login node has {has}: ask {visit.contact} to install "
        "one, on the nodes too."
    )


async def pythons(visit: Visit, *, named: str = "") -> list[Python]:
    """Returns the interpreters on the login node's PATH, newest first; only `named`, if that is given."""
    facts = await visit.facts_of("pythons.sh", named)
    return sorted(
        {one for words in facts.values() if (one := Python.read(words))},
        key=lambda one: (one.version, one.path),
        reverse=True,
    )


HOPS: tuple[Hop[Visit], ...] = (
    Hop("home", home, ("account",)),
    Hop("python", python, ("account",)),
)
