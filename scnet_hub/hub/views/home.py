"""My sessions: JupyterHub's servers with the last end of each, and the person's Dask clusters and batch jobs.

`view` turns the broker's list of sessions into the texts of home.html. If the broker does not answer, the page shows
the servers alone.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from jupyterhub.handlers.base import BaseHandler, UserUrlHandler
from jupyterhub.handlers.pages import HomeHandler
from tornado import web

from ...display import endings, times, waits
from ...display.session_states import BAD, GOOD, WITHOUT_NODE, progress, stoppable
from ...errors import ScnetError
from ...units import format_number
from . import formats
from .zone import VARIABLE

Json = dict[str, Any]
Facts = Mapping[str, Any]
KINDS = {"dask": "Dask cluster", "batch": "Batch job"}
RECENT = timedelta(days=1)  # a failed batch job stays visible for this time
TONES = {GOOD: "up", BAD: "down"}
MOST = 2000  # the most sessions that one click stops
AT_ONCE = 8  # concurrent stops
_DASHBOARD = re.compile(r"(?:/[\w.~%@+-]+)*/user(?:/[\w.~%@+-]+){1,2}/proxy/\d{1,5}/status", re.ASCII)
_ID = re.compile(r"[a-z0-9]{1,32}", re.ASCII)


def view(sessions: Iterable[Facts], now: datetime, zone: tzinfo) -> Json:
    """Returns `ended`: how the last session of each server ended; and `others`: Dask clusters and batch jobs, newest
    first."""
    known = sorted(
        sessions, key=lambda one: (bool(one["live"]), str(one["ended_at"] or one["created_at"])), reverse=True
    )
    labs = [one for one in known if one["kind"] == "lab"]
    last = {str(one["name"]): one for one in reversed(labs)}
    rest = [one for one in known if one["kind"] in KINDS and (one["live"] or _failed_lately(one, now))]
    return {
        "ended": {name: ending(one, zone) for name, one in last.items() if not one["live"]},
        "others": others(rest, zone),
    }


def _failed_lately(one: Facts, now: datetime) -> bool:
    ended = times.read(one["ended_at"])
    return one["kind"] == "batch" and endings.outcome(one) == "failed" and bool(ended and now - ended < RECENT)


def ending(one: Facts, zone: tzinfo) -> Json:
    """Returns why the session ended, the last lines of its log, and what to do."""
    return {
        "failed": endings.outcome(one) == "failed", "cause": endings.cause(one), "advice": endings.advice(one),
        "log": endings.log_end(one), "at": formats.timed(one["ended_at"], zone),
        "centre": str(one["centre_name"] or one["centre"] or ""),
    }  # fmt: skip


def others(rows: Iterable[Facts], zone: tzinfo) -> list[Json]:
    """Returns a row for each batch job, and one row for all jobs of a Dask cluster."""
    found = [other([*some], zone) for _, some in groupby(sorted(rows, key=_group), key=_group)]
    return sorted(found, key=lambda one: str(one["since_iso"]), reverse=True)


def _group(one: Facts) -> tuple[str, str]:
    """Groups a cluster's jobs, which are called "NAME-1", "NAME-2" and so on."""
    name = str(one["name"])
    return str(one["kind"]), name.rpartition("-")[0] or name if one["kind"] == "dask" else str(one["id"])


def other(jobs: list[Facts], zone: tzinfo) -> Json:
    jobs = sorted(jobs, key=lambda one: -progress(str(one["state"])))
    first = min(jobs, key=lambda one: str(one["created_at"]))
    since = first["started_at"] or first["created_at"]
    return {
        "kind": KINDS[str(first["kind"])], "name": _group(first)[1] if first["kind"] == "dask" else str(first["name"]),
        "state": _states(jobs) if len(jobs) > 1 else endings.outcome(first),
        "tone": TONES.get(endings.look_of(jobs[0]).tone, "stale"), "since": formats.timed(since, zone),
        "since_iso": str(since), "centre": _centres(jobs), "size": _size(jobs),
        "cause": _waiting(jobs) if first["live"] else endings.cause(first),
        "dashboard": next(filter(None, (_dashboard(one) for one in jobs)), ""),
        "log": endings.log_end(first), "stops": [str(one["id"]) for one in jobs if stoppable(one)],
        "cost": format_number(
            sum(float(one["in_flight"] if one["charged"] is None else one["charged"]) for one in jobs)
        ),
    }  # fmt: skip


def _states(jobs: list[Facts]) -> str:
    """Returns "2 running, 1 queued"."""
    words = [endings.outcome(one) for one in jobs]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))


def _centres(jobs: list[Facts]) -> str:
    """Returns "Alpha" for one centre, "Alpha: 2 running, 1 queued; Beta: 1 queued" for several."""
    at: dict[str, list[Facts]] = {}
    for one in jobs:
        at.setdefault(str(one["centre_name"] or one["centre"] or "being placed"), []).append(one)
    return "; ".join(at) if len(at) == 1 else "; ".join(f"{centre}: {_states(some)}" for centre, some in at.items())


def _waiting(jobs: list[Facts]) -> str:
    """Returns why the job waits that is first in its queue; "" if none waits, or the reason is not known."""
    found = [one for one in jobs if one["state"] in WITHOUT_NODE and waits.why(one)]
    first = min(found, key=lambda one: int(one.get("place_in_queue") or MOST), default=None)
    return waits.why(first) if first else ""


def _dashboard(one: Facts) -> str:
    """Returns the path of the session's dashboard, if it is one behind the person's own server."""
    path = str(one.get("dashboard") or "")
    return path if one["live"] and _DASHBOARD.fullmatch(path) else ""


def _size(jobs: list[Facts]) -> str:
    cores, gpus = (sum(int(one[what]) for one in jobs) for what in ("cores", "gpus"))
    return f"{cores} core{'' if cores == 1 else 's'}" + (f", {gpus} GPU{'' if gpus == 1 else 's'}" if gpus else "")


# ---- the page


class ToldHow(BaseHandler):
    """Adds to a page of JupyterHub how sessions ended: its template gets `scnet` (`view` and `problem`) and `clock` for
    times."""

    TEMPLATE = ""

    def render_template(self, name: str, sync: bool = False, **facts: Any) -> Any:
        if name != self.TEMPLATE:
            return super().render_template(name, sync=sync, **facts)
        return self._told(name, facts)

    async def _told(self, name: str, facts: Json) -> Any:
        zone = formats.zone_of(self.settings["template_vars"].get(VARIABLE, "UTC"))
        self.set_header("Cache-Control", "no-store")
        told = await self._asked(facts["user"], zone)
        return await super().render_template(name, **facts, scnet=told, clock=lambda iso: formats.timed(iso, zone))

    async def _asked(self, user: Any, zone: tzinfo) -> Json:
        try:
            found = await user.spawner.broker.call("GET", "sessions", user.name, params={"all": "true"}, timeout=5)
        except ScnetError as error:
            return {"ended": {}, "others": [], "problem": formats.problem(error)}
        over = {str(one["id"]) for one in found["sessions"] if not one["live"]}
        for spawner in [one for one in user.spawners.values() if one.ready and one.job_id in over]:
            await spawner.poll_and_notify()  # the hub itself would notice only at its next poll
        return {**view(found["sessions"], datetime.fromisoformat(str(found["as_of"])), zone), "problem": None}


class Home(ToldHow, HomeHandler):
    """GET home: My sessions."""

    TEMPLATE = "home.html"


class NotRunning(ToldHow, UserUrlHandler):
    """GET user/NAME/SERVER/...: the page of a session that is not running."""

    TEMPLATE = "not_running.html"


class StopOthers(BaseHandler):
    """POST scnet/stop with the ids of the person's sessions: asks the broker to stop each, then shows My sessions
    again."""

    @web.authenticated
    async def post(self) -> None:
        ids = [*dict.fromkeys(self.get_body_arguments("session"))]
        if not ids or not all(_ID.fullmatch(one) for one in ids):
            raise web.HTTPError(400, "Choose the sessions to stop on the page My sessions.")
        if len(ids) > MOST:
            raise web.HTTPError(
                400,
                f"At most {MOST:,} sessions can be stopped at once, not {len(ids):,}. Stop the rest with `scnet stop`.",
            )
        turns = asyncio.Semaphore(AT_ONCE)
        failed = [error for error in await asyncio.gather(*(self._refusal(one, turns) for one in ids)) if error]
        if failed:
            of = f"{len(failed)} of {len(ids)} were not stopped. " if len(ids) > 1 else ""
            raise web.HTTPError(failed[0].status, f"{of}{failed[0]} {failed[0].hint}".strip())
        self.redirect(f"{self.hub.base_url}home#others", status=303)

    async def _refusal(self, session: str, turns: asyncio.Semaphore) -> ScnetError | None:
        """Asks the broker to stop a session; returns the error if it refuses."""
        user = self.current_user
        try:
            async with turns:
                await user.spawner.broker.stop(user.name, session, timeout=10)
        except ScnetError as error:
            return error
        return None
