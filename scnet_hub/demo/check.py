"""`scnet demo --check`: runs the main job from nothing to a charge, over HTTP as a browser would, and reports it as one
document.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..adapters.secret_files import read_secret
from ..client.rest import Client
from ..display.session_states import CHARGED
from ..errors import ScnetError
from .browser import Browser
from .run import Demo, Setup, running

Json = dict[str, Any]
PERSON = "ada"
PANEL = """
import scnet_hub as scnet
bundle = scnet.panel()._repr_mimebundle_()
print((bundle[0] if isinstance(bundle, tuple) else bundle)["text/plain"])
"""
DASK = """
import scnet_hub as scnet
cluster = scnet.dask(cores=2, walltime="10m")
client = cluster.get_client()
print(client.submit(sum, range(1001)).result(timeout=90))
client.close(); cluster.close()
"""


async def run_check(home: Path, *, kind: str, say: Callable[[str], None]) -> Json:
    """Runs everything in a state folder of its own, on free ports; `ok` only if each step gave the result that a person
    expects."""
    report: Json = {"ok": False}
    began = time.monotonic()
    try:
        async with running(home, Setup(kind=kind), say=say) as demo:
            report["up_s"] = round(time.monotonic() - began, 2)
            await main_job(demo, report, say)
        report["ok"] = True
    except ScnetError as error:
        report |= {"error": str(error), "hint": error.hint, "code": error.code}
    report["took_s"] = round(time.monotonic() - began, 1)
    return report


async def main_job(demo: Demo, report: Json, say: Callable[[str], None]) -> None:
    operator = Client(demo.state.api_url, read_secret(demo.state.home / "secrets" / "operator.token"))
    await until(lambda: all(centre["state"] == "up" for centre in operator.centres()), "a centre did not come up")
    async with Browser(demo.state.public_url, PERSON) as person:
        await person.log_in(demo.state.passwords[PERSON])
        page = await person.start_page()
        if not all(name in page for name in demo.centres.names):
            raise ScnetError("the start page does not list the centres", code="start-page")
        report |= await first_session(person, operator, say)
        report["when_full"] = await elsewhere(demo, person, operator, report["centre"], say)


async def first_session(person: Browser, operator: Client, say: Callable[[str], None]) -> Json:
    say("starting a session")
    clicked = time.monotonic()
    await person.start(profile="small")
    await person.until_lab_answers()
    ready = round(time.monotonic() - clicked, 2)
    session = await asyncio.to_thread(live_lab, operator)
    say(f"ready at {session['centre']} after {ready} s; running the panel and Dask in its kernel")
    kernel = await person.kernel()
    panel = (await kernel.run(PANEL)).strip()
    result = (await kernel.run(DASK)).strip()
    kernel.close()
    say("stopping, and waiting for the charge")
    await person.stop()
    charged = await until_charged(operator, session["id"])
    if result != "500500" or session["centre_name"] not in panel:
        raise ScnetError(f"the panel or Dask gave a wrong answer: {result!r}, {panel!r}", code="wrong-answer")
    return {
        "centre": session["centre"], "why": session["why"], "click_to_ready_s": ready, "dask_result": int(result),
        "charged": charged["charged"], "panel": panel.splitlines()[:12],
    }  # fmt: skip


async def elsewhere(demo: Demo, person: Browser, operator: Client, full: str, say: Callable[[str], None]) -> Json:
    """Fills the first choice and checks that another centre is chosen."""
    say(f"filling {full} and starting again")
    await demo.centres.fill(full)
    await until(
        lambda: next(one for one in operator.centres() if one["id"] == full)["cores_free"] == 0,
        f"{full} did not fill up",
    )
    await person.start(profile="small")
    await person.until_lab_answers()
    session = await asyncio.to_thread(live_lab, operator)
    await person.stop()
    await until_charged(operator, session["id"])
    if session["centre"] == full:
        raise ScnetError(f"{full} is full but was chosen", code="wrong-centre")
    return {"filled": full, "centre": session["centre"]}


def live_lab(operator: Client) -> Json:
    return next(one for one in operator.sessions() if one["kind"] == "lab" and one["person"] == PERSON)


async def until_charged(operator: Client, session_id: str) -> Json:
    await until(lambda: operator.session(session_id)["state"] == CHARGED, "the session was not charged")
    return await asyncio.to_thread(operator.session, session_id)


async def until(true: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(true):
        if time.monotonic() > deadline:
            raise ScnetError(otherwise, code="check")
        await asyncio.sleep(0.2)
