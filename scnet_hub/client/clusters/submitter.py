"""A cluster's access to the broker: places its jobs as a whole, submits them, moves to another centre with a note,
stops them.

Blocking calls for threads; knows nothing of Dask. The broker chooses the centre that has most of the jobs soonest; all
jobs are pinned there until that centre refuses, unless the person pinned the centre.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ...display import endings
from ...display.session_states import CHARGED
from ...errors import BrokerError, CentreError, NoPlacement, ScnetError, from_problem
from ..panels.state import plural
from ..rest import Client
from .sizes import Size

Json = dict[str, Any]
GONE = ("not-found", "unknown-session")  # by code: the broker's own codes arrive as a plain ScnetError
UNPAID = "Stopped because credits ran out"  # how the broker's sentence for this case begins
RETIRED_BEFORE = timedelta(seconds=90)  # a look every 10 s, and a minute to move results to other workers
MOST_JOBS = 256  # of one decision by the broker
PASSING = ("broker-unreachable", "hub-away", "fault")


class Submitter:
    """`sessions` are all sessions that the cluster ever had, as last seen, by id; `notes` is the cluster's diary."""

    def __init__(
        self, client: Client, *, walltime_s: float, project: str = "", centre: str = "", session: str = ""
    ) -> None:
        self.client = client
        self.options: Json = {
            "kind": "dask",
            "walltime": f"{walltime_s:.0f}s",
            **({"project": project} if project else {}),
            **({"ends_with": session} if session else {}),
        }
        self.centre, self.pinned = centre, bool(centre)
        self.first: Json = {}
        self.whole: Json = {}  # the broker's placement of all jobs together
        self.core_quota: int | None = None  # of the project that pays, at once; 0: none; None: not read
        self.sessions: dict[str, Json] = {}
        self.notes: list[tuple[datetime, str]] = []
        self.closing = False
        self._stopped: set[str] = set()
        self._unanswered: set[str] = set()  # names of jobs that the broker may know although it gave no answer
        self._lock = threading.Lock()

    def note(self, words: str) -> None:
        self.notes.append((datetime.now(UTC), words))

    def place(self, sizes: Sequence[Size], *, all_of_them: bool) -> None:
        """Chooses the centre for jobs of these sizes together. Raises the broker's refusal; if `all_of_them` are to
        start, also if only some would be taken (over quota, over budget)."""
        counted = Counter(sizes[:MOST_JOBS])
        jobs = [
            {"count": number, "cores": size.cores, "gpus": size.gpus, "memory": size.memory}
            for size, number in counted.items()
        ]
        pin = {"centre": self.centre} if self.centre else {}
        self.whole = self.client.place_cluster(jobs, **self.options, **pin)
        if all_of_them and (refusal := self.whole.get("refusal")):
            raise _with_what_passes(from_problem(refusal), sizes[0])
        if self.whole["best"] and not self.pinned:
            self.centre = self.whole["best"]["centre"]

    def read_quota(self) -> int:
        """Reads how many cores the project that pays may use at once; 0 for no limit, or if the broker does not
        answer: the broker refuses then what is too much."""
        try:
            balances = self.client.balance()
        except ScnetError:
            return 0
        mine = [one["quota"]["cores"]["limit"] for one in balances if one["id"] == self.first.get("project")]
        self.core_quota = (mine[0] if mine else None) or 0
        return self.core_quota

    def submit(self, name: str, size: Size, argv: Sequence[str], env: Mapping[str, str]) -> Json:
        """Starts the session of that name, or finds it if it exists. Raises the broker's refusal."""
        wanted = {
            **self.options,
            "name": name,
            "cores": size.cores,
            "gpus": size.gpus,
            "argv": list(argv),
            "env": dict(env),
        }
        if size.memory:
            wanted["memory"] = str(size.memory)
        if not self.pinned:  # the centre is where all jobs were placed; a job that does not start there may go on
            wanted["second_chance"] = "yes"
        self._unanswered.add(name)
        try:
            session = self._submitted(name, wanted)
        except ScnetError as error:
            if not isinstance(error, BrokerError):
                self._unanswered.discard(name)
            raise
        with self._lock:
            self.centre = session["centre"] or self.centre
            self.first = self.first or session
            self.sessions[session["id"]] = session
        self._unanswered.discard(name)
        if self.closing:  # the answer came after the end
            self.stop(session["id"])
        return session

    def _submitted(self, name: str, wanted: Json) -> Json:
        at = self.centre
        try:
            return self.client.submit(**wanted, centre=at)
        except (NoPlacement, CentreError) as error:
            if self.pinned or not at:
                raise
            session = self.client.submit(**wanted, centre="")
            self.note(f"{at} takes no more ({error}) {name} goes to {session.get('centre_name') or session['centre']}.")
            return session

    def refresh(self) -> None:
        """Reads all sessions that may still change, with one call (and one more for each session that has left the
        list)."""
        open_ids = {key for key, one in list(self.sessions.items()) if one["state"] != CHARGED}
        if not open_ids:
            return
        seen = {one["id"]: one for one in self.client.sessions(all=True)}
        for key in open_ids:
            self.sessions[key] = {**self.sessions[key], **(seen.get(key) or self._one(key))}

    def _one(self, session_id: str) -> Json:
        try:
            return self.client.session(session_id)
        except ScnetError as error:
            if error.code not in GONE:
                raise
            return {"live": False, "state": CHARGED, "end_reason": "the broker no longer knows it"}

    def stop(self, session_id: str) -> None:
        """Requests the session's end; safe to repeat. Raises the broker's refusal, but not for a session that is
        gone."""
        try:
            self.sessions[session_id] = {**self.sessions[session_id], **self.client.stop(session_id)}
        except ScnetError as error:
            if error.code not in GONE:
                raise
        self._stopped.add(session_id)

    def is_open(self, session_id: str) -> bool:
        """Returns whether that session is live and no stop was requested."""
        return bool(self.sessions.get(session_id, {}).get("live")) and session_id not in self._stopped

    def unpaid(self, session_id: str, now: datetime) -> str:
        """Returns why that session is about to be stopped, or was stopped, if credits ran out; "" while its project can
        pay."""
        session = self.sessions.get(session_id, {})
        if not session.get("live", True):
            reason = endings.cause(session)
            return reason if reason.startswith(UNPAID) else ""
        stops_at = session.get("stops_at")
        over = stops_at and datetime.fromisoformat(stops_at) - now <= RETIRED_BEFORE
        return f"Credits run out. {session.get('lease_end') or ''}".strip() if over else ""

    def still_open(self) -> list[str]:
        return [key for key in list(self.sessions) if self.is_open(key)]

    def stop_all(self, within: float = 15.0) -> list[str]:
        """Stops every open session, one after the other; returns the ids that could not be stopped in `within`
        seconds. No session is started after that."""
        self.closing = True
        end = time.monotonic() + within
        self._find_unanswered()
        for key in self.still_open():
            if time.monotonic() > end:
                break
            try:
                self.stop(key)
            except ScnetError:
                continue
        return self.still_open()

    def _find_unanswered(self) -> None:
        """Looks for sessions that the broker started although its answer did not arrive."""
        if self._unanswered:
            with contextlib.suppress(ScnetError):
                found = [one for one in self.client.sessions() if one["name"] in self._unanswered]
                self.sessions |= {one["id"]: one for one in found}

    def last_words(self, session_id: str, lines: int = 5) -> str:
        """Returns the last lines of a job's output; "" if they are not available."""
        try:
            return "\n".join(self.client.log(session_id).strip().splitlines()[-lines:])
        except ScnetError:
            return ""

    @property
    def waited(self) -> float:
        """Returns the longest time in seconds that a job of this cluster waited for its start."""
        times = [(one.get("created_at"), one.get("started_at")) for one in list(self.sessions.values())]
        each = [datetime.fromisoformat(end) - datetime.fromisoformat(begin) for begin, end in times if begin and end]
        return max([timedelta(), *each]).total_seconds()

    @property
    def cost(self) -> float:
        """Returns the credits so far: charged if settled, else in flight."""
        each = (
            one.get("charged") if one.get("charged") is not None else one.get("in_flight")
            for one in list(self.sessions.values())
        )
        return sum(float(one or 0) for one in each)


def _with_what_passes(error: ScnetError, size: Size) -> ScnetError:
    """Adds to a refusal over quota how many jobs of that size would pass all ceilings: each job is a session."""
    of_each = {"sessions": 1, "cores": size.cores, "gpus": size.gpus}
    over = (error.details or {}).get("over") or []
    each = [one["would_pass"] // of_each[one["what"]] for one in over if of_each.get(one["what"])]
    if each:
        jobs = min(each)
        error.hint = f"At most {plural(jobs, 'job')} of {plural(size.cores, 'core')} would pass now. {error.hint}"
    return error
