"""One centre as its person sees it through the broker, as its admin sees it, and as a fault finds it.

What a person sees is read from the REST documents only; what is true there is asked of the scheduler itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.real import testbed as tb
from tests.real.faults.accounting import asked_of, live, runs
from tests.real.testbed import life
from tests.real.testbed.faults import HELD
from tests.real.testbed.layout import CENTRES
from tests.system.demo.conftest import Running, wait_for

Json = dict[str, Any]
PROJECT = "rows"
SESSION = "/opt/scnet/session"  # where the pages say that the session environment is
LONG = ("sleep", "3600")


@dataclass(frozen=True)
class Broken:
    """A centre to be broken. `id` is its letter; each session of a story has a name of its own."""

    id: str
    hub: Running
    testbed: tb.Testbed
    environment: Path  # for sessions, as this machine has it

    # ---- what a person does and sees

    @contextmanager
    def door(self, person: str) -> Iterator[httpx.Client]:
        with self.hub.as_hub(person) as client:
            yield client

    def ask(self, name: str, *argv: str, person: str = "ada", **options: object) -> httpx.Response:
        """The broker's answer to a start of `argv` at this centre."""
        options = {"centre": self.id, "walltime": "1h", "memory": "500M"} | options
        body = {"kind": "batch", "argv": list(argv or LONG), "name": f"{self.id}-{name}", "project": PROJECT, **options}
        with self.door(person) as broker:
            return broker.post("sessions", json=body)

    def start(self, name: str, *argv: str, person: str = "ada", **options: object) -> Json:
        answer = self.ask(name, *argv, person=person, **options)
        assert answer.status_code == 201, answer.text
        session: Json = answer.json()
        return session

    def seen(self, session: Json) -> Json:
        with self.door(session["person"]) as broker:
            document: Json = broker.get(f"sessions/{session['id']}").json()
        return document

    def until(self, session: Json, true: Callable[[Json], object], seconds: float = 45) -> Json:
        """Its document, as soon as `true` says so of it."""

        def there() -> Json:
            document = self.seen(session)
            assert true(document), {
                key: document[key] for key in ("state", "reason", "unknown_why", "end_reason", "events")
            }
            return document

        document: Json = wait_for(there, seconds)
        return document

    def state(self, session: Json, *states: str, seconds: float = 45) -> Json:
        return self.until(session, lambda document: document["state"] in states, seconds)

    def ready(self, name: str, *argv: str, **options: object) -> Json:
        return self.state(self.start(name, *argv, **options), "ready")

    def placed(self, name: str, *argv: str, **options: object) -> Json:
        """Ready, and its node told by the scheduler: the session's own word for the node does not count."""
        return self.until(self.ready(name, *argv, **options), lambda seen: seen["node"])

    def unknown(self, session: Json, seconds: float = 45) -> Json:
        """Its document once it is marked; the mark changes nothing else of it, and its hold stands."""
        document = self.until(session, lambda seen: seen["unknown_since"], seconds)
        assert document["live"] and document["state"] == session["state"] and document["job_id"] == session["job_id"]
        assert document["held"] + document["in_flight"] > 0 and document["charged"] is None
        assert any(one["code"] == "unknown" and "The session is kept" in one["message"] for one in document["warnings"])
        return document

    def known(self, session: Json, seconds: float = 90) -> Json:
        """Its document once its centre answers again: the same job, in the same state."""
        document = self.until(session, lambda seen: not seen["unknown_since"], seconds)
        assert (document["state"], document["job_id"]) == (session["state"], session["job_id"])
        return document

    def stop(self, session: Json) -> Json:
        with self.door(session["person"]) as broker:
            document: Json = broker.delete(f"sessions/{session['id']}").json()
        return document

    def document(self) -> Json:
        """The centre's own."""
        return next(one for one in self.hub.operator.centres() if one["id"] == self.id)

    def centre(self, state: str, seconds: float = 60) -> Json:
        def there() -> Json:
            document = self.document()
            assert document["state"] == state, document["why"]
            return document

        document: Json = wait_for(there, seconds)
        return document

    def why(self, *words: str, seconds: float = 60) -> str:
        """Why it is down, once one of these words stands there."""
        return wait_for(lambda: (why := self.document()["why"]) and any(one in why for one in words) and why, seconds)  # type: ignore[no-any-return]

    def hop(self, name: str, *, ok: bool, seconds: float = 45) -> Json:
        """One step of the way there, once it is so."""
        return wait_for(
            lambda: next(hop for hop in self.document()["hops"] if hop["name"] == name and hop["ok"] == ok), seconds
        )  # type: ignore[no-any-return]

    def usable(self, seconds: float = 150) -> None:
        """Until the broker would start something here again."""
        with self.door("ada") as broker:
            body = {"kind": "batch", "centre": self.id, "project": PROJECT}

            def there() -> bool:
                found = broker.post("placements", json=body).json()
                assert found["best"], found
                return True

            wait_for(there, seconds)

    def refused(self, seconds: float = 30) -> Json:
        """The problem document that a start pinned here gets, once the broker knows; its words name this centre."""

        def there() -> Json:
            with self.door("grace") as broker:
                body = {"kind": "batch", "centre": self.id, "project": PROJECT}
                found = broker.post("placements", json=body).json()
            assert found["best"] is None
            answer = self.ask("refused", "true", person="grace")
            assert answer.status_code == 409, answer.text
            problem: Json = answer.json()
            return problem

        problem: Json = wait_for(there, seconds)
        assert problem["code"] == "no-placement" and problem["hint"], problem
        return problem

    # ---- what is true there

    def jobs(self, session: Json) -> list[str]:
        """The ids of all jobs of that session's name that its centre ever had. Raises while the centre is broken."""
        names = (f"scnet-{session['id']}", f"scnet-{session['id']}-")
        ask = asked_of(self.testbed)
        found = {job for job, name in live(ask, self.id) if name == names[0] or name.startswith(names[1])}
        found |= {run.job_id for run in runs(ask, self.id) if run.name == names[0] or run.name.startswith(names[1])}
        return sorted(found)

    def at(self, *argv: str, node: str = "", timeout: float = 60) -> str:
        return self.testbed.at(f"{self.id}/{node}" if node else self.id, argv, timeout=timeout).stdout

    def processes(self, word: str) -> int:
        """How many processes of the centre have `word` in their command line, on whatever node: they share a
        machine."""
        return len(self.at("pgrep", "-fx", word).split())

    def entries(self, session: Json, kind: str) -> list[Json]:
        with self.door("admin") as broker:
            answer = broker.get("entries", params={"project": PROJECT}).json()
        return [entry for entry in answer["entries"] if entry["session"] == session["id"] and entry["kind"] == kind]

    # ---- breaking

    def broken(self, name: str, node: str = "") -> Any:
        return self.testbed.broken(self.id, name, node)

    def fault(self, name: str, node: str = "") -> None:
        self.testbed.fault(self.id, name, node)

    def rise(self) -> None:
        """A dead centre as a new one of the same name and host key, with nothing of what it had."""
        life.start(CENTRES[self.id], self.testbed.place, self.testbed.folder)
        self.testbed.bind(self.environment, SESSION, self.id)

    def cut_lines(self, person: str) -> None:
        """Ends the open SSH connections of a person's account and of the federation's own: the next question needs a
        login."""
        for account in {CENTRES[self.id].people[person], "scnet"}:
            self.testbed.at(self.id, ["pkill", "-KILL", "-u", account, "-x", "sshd"])

    def held(self, count: int = 1, seconds: float = 30) -> None:
        """Until so many submissions wait in the wrapper."""
        wait_for(lambda: len(self.at("sh", "-c", f"ls {HELD}").split()) >= count, seconds)

    def log(self, session: Json) -> str:
        return "\n".join(one["message"] for one in self.seen(session)["events"])

    # ---- the end of each story

    def settled(self, session: Json) -> Json:
        """Stops it if it lives still, and shows that there was one job and one charge, by the centre's own record, and
        no hold is left."""
        if self.seen(session)["live"]:
            self.stop(session)
        ended = self.state(session, "charged", seconds=120)
        found = self.jobs(session)
        assert found == ([ended["job_id"]] if ended["job_id"] else []), (found, ended["events"])
        assert ended["held"] == 0 and len(self.entries(session, "charge")) <= 1
        return ended
