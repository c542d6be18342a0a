"""The session's own steward, a Jupyter server extension: how long the session may still run, its continuation, and its
end when idle.

Answers JupyterLab under `scnet/` of the server's address, calls the broker rarely and with the session's own token, and
works without the broker while it is away. Stops the session when idle.py says so. JupyterLab's part is extensions/lab.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import activity, idle
from .broker_line import Away, Broker, Refused

Json = dict[str, Any]
LEVELS = (900, 300)  # seconds before the end of the walltime at which a person is warned
CALM, EAGER = 60.0, 5.0  # seconds between calls to the broker: usually, and while the next session starts
# seconds before the stop because credits run out: from then on JupyterLab saves automatically, and calls often
LAST = 300.0
OFTEN = 10.0
TICK = 30.0  # seconds between looks at what runs
# of a kernel's messages, those that people cause
PEOPLES = (
    "execute_request",
    "complete_request",
    "inspect_request",
    "is_complete_request",
)
SHOWN = ("code", "message", "at")
TIMES = Path(__file__).resolve().parents[1] / "client" / "panels" / "times.js"


def _jupyter_server_extension_points() -> list[Json]:
    return [{"module": "scnet_hub.node.steward"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Starts the steward when the server serves: Jupyter's hook."""
    from tornado.ioloop import IOLoop

    steward = Steward(os.environ, app.log)
    steward.listen(app)
    app.web_app.add_handlers(".*$", routes(app.web_app.settings["base_url"], steward))
    IOLoop.current().add_callback(steward.begin)


class Steward:
    """`env` is the session's environment: SCNET_SESSION, SCNET_API_URL, SCNET_IDLE_TIMEOUT (seconds; 0: never),
    SCNET_ACTIVE (a folder)."""

    def __init__(self, env: Mapping[str, str], log: Any, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.env, self.log, self.clock = env, log, clock
        self.broker = Broker(env)
        self.timeout = seconds(env.get("SCNET_IDLE_TIMEOUT", "")) if self.broker.known else 0.0
        self.tick = min(TICK, self.timeout / 8) if self.timeout > 0 else TICK
        self.document: Json = {}
        self.idle = idle.Idle(clock())
        self.busy: tuple[str, ...] = ()
        self.stopping = ""
        self._last = clock()
        self._ends: float | None = None
        self._paid: float | None = None  # until when; None: no end is known
        self._heard: float | None = None
        self._asked = float("-inf")
        self._asking: asyncio.Lock | None = None
        self._processes = activity.Processes(self.broker.session)
        self._kernels: Any = None
        self._terminals: Any = None
        self._tasks: list[asyncio.Task[None]] = []

    # ---- what happens in the server

    def listen(self, app: Any) -> None:
        """Listens to kernels' messages and to changes of files."""
        self._kernels = app.kernel_manager
        track = getattr(self._kernels, "track_message_type", None)
        if track is not None:  # called for each of a kernel's messages, first for its own type, then for its cause's

            def heard(message_type: str) -> bool:
                if message_type in PEOPLES:
                    self.happened()
                return bool(track(message_type))

            self._kernels.track_message_type = heard
        self._terminals = app.web_app.settings.get("terminal_manager")
        contents = getattr(app.contents_manager, "event_schema_id", "")
        if contents:

            async def changed(logger: Any, schema_id: str, data: Json) -> None:
                if data.get("action") != "get":
                    self.happened()

            app.event_logger.add_listener(schema_id=contents, listener=changed)

    def happened(self) -> None:
        """Records that a person did something."""
        self._last = self.clock()

    def keep(self) -> None:
        """Counts the session as just used, at the person's request."""
        self.happened()
        self.idle = idle.Idle(self._last)

    # ---- looking

    async def begin(self) -> None:
        self._tasks = [asyncio.ensure_future(self._look_after()), asyncio.ensure_future(self._ask_on())]

    async def _look_after(self) -> None:
        while True:
            with contextlib.suppress(Exception):
                await self.look()
            await asyncio.sleep(self.tick)

    async def look(self) -> None:
        """Looks at all signs of activity once, and acts on them."""
        if self.timeout <= 0:
            return
        seen = await self._signs()
        now = self.clock()
        self.busy = seen.busy
        self.idle, action = idle.judge(self.idle, seen, now, self.timeout)
        if action is idle.Action.STOP:
            await self._stop()
        elif action is idle.Action.WARN:
            self.log.info(
                "This session has been idle for %s and will be stopped in %s.",
                words(now - self.idle.since),
                self._stops_in(now),
            )

    async def _signs(self) -> idle.Signs:
        before = self.clock()
        working, mark, gpus = await asyncio.to_thread(self._look_outside, before)
        # "starting": a kernel that no client has contacted yet stays so
        kernels = [
            one
            for one in dict(getattr(self._kernels, "_kernels", {})).values()
            if getattr(one, "execution_state", "") == "busy"
        ]
        terminals = [_age(one) for one in getattr(self._terminals, "terminals", {}).values()]
        busy = (*(["a cell runs"] if kernels else []), *(["Dask has work"] if mark < 2 * TICK else []), *gpus, *working)
        return idle.Signs(busy, max(self._last, *(before - age for age in (mark, *terminals))))

    def _look_outside(self, now: float) -> tuple[tuple[str, ...], float, tuple[str, ...]]:
        gpus = activity.gpus_in_use(self.env) if self.document.get("gpus") else ()
        return self._processes.working(now), activity.marked(self.env.get("SCNET_ACTIVE", "")), gpus

    async def _stop(self) -> None:
        """Requests the session's end, so that its hold is released; repeats the request at the next look if there is no
        answer."""
        why = f"Stopped: nothing ran in it for {words(self.timeout)}."
        try:
            await self.broker.stop(why)
            self.stopping = why
        except (Away, Refused) as error:
            self.log.warning("This session is idle and could not be stopped: %s", error)

    # ---- calling the broker

    async def _ask_on(self) -> None:
        while self.broker.known:
            await self.refresh(self._pause())
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        """Returns the seconds between two calls to the broker."""
        return EAGER if self._moving() else OFTEN if self._in_its_last_minutes() else CALM

    def _in_its_last_minutes(self) -> bool:
        return self._paid is not None and self._paid - self.clock() <= LAST

    def _moving(self) -> bool:
        """Returns whether the next session is on its way, or takes over."""
        return bool((self.document.get("successor") or {}).get("live"))

    async def refresh(self, age: float = 0.0) -> None:
        """Reads the broker's document again if the last is older than `age` seconds. Without an answer nothing
        changes."""
        self._asking = self._asking or asyncio.Lock()
        async with self._asking:
            if not self.broker.known or self.clock() - self._asked < age * 0.9:
                return
            self._asked = self.clock()
            try:
                self._take(*await self.broker.look())
            except (Away, Refused) as error:
                self.log.debug("The broker did not answer: %s", error)

    def _take(self, document: Json, at: datetime) -> None:
        self.document, self._heard = document, self.clock()
        self._ends, self._paid = (self._from_now(document.get(name), at) for name in ("expires_at", "stops_at"))

    def _from_now(self, instant: str | None, at: datetime) -> float | None:
        """Returns an instant on this process's clock."""
        return self.clock() + (datetime.fromisoformat(instant) - at).total_seconds() if instant else None

    async def go_on(self) -> Json:
        """Starts the next session, or finds the session that is on its way. Raises Away, Refused."""
        self.keep()
        successor = await self.broker.go_on()
        short = {name: successor.get(name) for name in ("id", "state", "live", "centre", "centre_name")}
        self.document = {**self.document, "successor": short}
        return short

    # ---- reporting

    def told(self) -> Json:
        """Returns what JupyterLab shows. Durations are seconds from now: only this process's clock counts."""
        now, document = self.clock(), self.document
        warned = self.idle.warned_at is not None
        return {
            "session": self.broker.session,
            "centre_name": document.get("centre_name", ""),
            "heard_s": None if self._heard is None else round(now - self._heard, 1),
            "left_s": None if self._ends is None else round(self._ends - now, 1),
            "levels_s": list(LEVELS),
            "warnings": [{name: one.get(name) for name in SHOWN} for one in document.get("warnings") or []],
            "lease": self._lease(now),
            "successor": document.get("successor"),
            "stopping": self.stopping,
            "idle": {
                "timeout_s": self.timeout, "idle_s": round(max(0.0, now - self.idle.since), 1), "busy": list(self.busy),
                "warned": warned, "stops_in_s": self._stops_in(now) if warned else None,
            },
            "again_s": EAGER if self._moving() else OFTEN if self._in_its_last_minutes() else min(30.0, self.tick),
        }  # fmt: skip

    def _lease(self, now: float) -> Json | None:
        """Returns when credits run out and the session is stopped, and from when on documents are saved before; None
        while the session can be paid."""
        if self._paid is None:
            return None
        return {"stops_in_s": round(self._paid - now, 1), "saves_at_s": LAST, "why": self.document.get("lease_end", "")}

    def _stops_in(self, now: float) -> float | None:
        end = idle.stops_at(self.idle, self.timeout)
        return None if end is None else round(max(0.0, end - now), 1)


def _age(terminal: Any) -> float:
    at = getattr(terminal, "last_activity", None)
    return (datetime.now(UTC) - at).total_seconds() if at else float("inf")


def seconds(text: str) -> float:
    """Returns a number of seconds; 0 for other text."""
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def words(duration: float) -> str:
    """Formats a duration for people, like units.format_duration: "40 s", "6 min", "2 h"."""
    if duration < 60:
        return f"{duration:.0f} s"
    hours, minutes = divmod(round(duration / 60), 60)
    return f"{hours} h {minutes} min" if hours and minutes else f"{hours} h" if hours else f"{minutes} min"


def routes(base: str, steward: Steward) -> list[Any]:
    """Returns the handlers, authenticated like all handlers of the server."""
    from jupyter_server.auth.decorator import authorized
    from jupyter_server.base.handlers import APIHandler
    from tornado.web import authenticated

    class Handler(APIHandler):
        auth_resource = "scnet"
        _track_activity = False  # JupyterLab calls automatically

        def problem(self, status: int, document: Json) -> None:
            self.set_status(status)
            self.finish(json.dumps({name: document.get(name, "") for name in ("code", "title", "hint")}))

    class Session(Handler):
        @authenticated
        @authorized
        async def get(self) -> None:
            """Answers with the state; `here=1`: the page was used since the last call."""
            if self.get_query_argument("here", ""):
                steward.happened()
                await steward.look()
            await steward.refresh(steward._pause())
            self.finish(json.dumps(steward.told()))

    class Continue(Handler):
        @authenticated
        @authorized
        async def post(self) -> None:
            try:
                await steward.go_on()
            except Refused as error:
                return self.problem(error.status, error.problem)
            except Away as error:
                return self.problem(
                    502, {"code": "broker-unreachable", "title": str(error), "hint": "Try again in a minute."}
                )
            self.finish(json.dumps(steward.told()))

    class Keep(Handler):
        @authenticated
        @authorized
        async def post(self) -> None:
            steward.keep()
            self.finish(json.dumps(steward.told()))

    class Times(Handler):
        @authenticated
        @authorized
        async def get(self) -> None:
            """Answers with the script that puts times into the person's zone, the same as in panels."""
            self.finish(TIMES.read_text(encoding="utf-8"), set_content_type="text/javascript")

    calls = {"session": Session, "continue": Continue, "keep": Keep, r"times\.js": Times}
    return [(f"{base.rstrip('/')}/scnet/{name}", handler) for name, handler in calls.items()]
