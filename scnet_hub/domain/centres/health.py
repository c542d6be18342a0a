"""Health of one centre, hop by hop: which step of the way to it works since when, which fails since when, and why.

Pure: it is told what was asked and how that went (`Asked`), by `centres.Centre` wherever a question is asked, and asks nobody
itself. What a failing hop means for placement is `load`'s business, what is said of it to whom `notices`'.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from ...errors import Silent
from ..jobs import LoadSnapshot

HOPS = ("login", "scheduler", "accounting", "nodes", "starts")  # in the order in which a session needs them
NAMES = {
    "login": "its login node",
    "scheduler": "its scheduler",
    "accounting": "its accounting",
    "nodes": "its nodes",
    "starts": "the start of sessions there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One step of a question to a centre. `hop` is what was tried: "login" is the transport's part, with the `program` that
    it ran, the others are what the answer says. `error` is what went wrong, None if nothing. `account` is who asked, "" the
    federation itself: what fails for one person only is no fault of the centre."""

    hop: str
    at: datetime
    program: str = ""
    seconds: float = 0.0
    error: Exception | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """`since` is when it began to be so, `seen_at` when it was last seen to be so; `why` is "" while it works."""

    name: str
    since: datetime
    seen_at: datetime
    why: str = ""

    @property
    def ok(self) -> bool:
        return not self.why


@dataclass(slots=True)
class Health:
    """The hops of one centre that were tried so far."""

    hops: dict[str, Hop] = field(default_factory=dict)

    def heard(self, asked: Asked) -> None:
        """Takes in one step of a question. A program that ran and did not answer shows that the login works."""
        if asked.account:
            return
        if asked.hop == "login" and isinstance(asked.error, Silent):
            return self.seen("login", asked.at)
        self.seen(asked.hop, asked.at, str(asked.error) if asked.error else "")

    def seen(self, name: str, at: datetime, why: str = "") -> None:
        """The hop was tried at `at`: it works, or fails because of `why`."""
        before = self.hops.get(name)
        same = before is not None and before.ok == (not why)
        self.hops[name] = replace(before, seen_at=at, why=why) if before and same else Hop(name, at, at, why)

    def counted(self, snapshot: LoadSnapshot) -> None:
        """The nodes as a snapshot has them: a centre whose every node is down answers well and runs nothing."""
        nodes = {node.name: node for load in snapshot.partitions.values() for node in load.nodes}
        up = sum(node.up for node in nodes.values())
        self.seen("nodes", snapshot.taken_at, f"none of its {len(nodes)} nodes is up" if nodes and not up else "")

    def listed(self) -> list[Hop]:
        """Those known, in the order of `HOPS`."""
        return [self.hops[name] for name in HOPS if name in self.hops]

    def failing(self) -> Hop | None:
        """The first that fails: those behind it can't be judged."""
        return next((hop for hop in self.listed() if not hop.ok), None)


def sentence(centre: str, hop: Hop) -> str:
    """A failing hop for people."""
    return f"{centre}: {NAMES[hop.name]} has failed since {hop.since:%H:%M:%S} UTC: {hop.why}"
