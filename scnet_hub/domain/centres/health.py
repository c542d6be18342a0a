"""Tracks one centre's health, hop by hop: which step of the way to it works or fails, since when, and why.

Pure: `adapters.centre.Centre` reports every step that it runs (`Asked`); this module asks nothing itself. `state`
decides what a failing hop means for placement, `session_warnings` who is told.
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
class ProbeResult:
    """One step of a call to a centre. `hop` names the step: "login" is the transport's part, with the `program` that it
    ran; the others follow from the answer. `error` is the failure, None if there was none. `account` is who called, ""
    the federation itself: a failure for one person only is not the centre's fault."""

    hop: str
    at: datetime
    program: str = ""
    seconds: float = 0.0
    error: Exception | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """The state of a hop. `since` is when it began, `seen_at` when it was last confirmed; `why` is "" while the hop
    works."""

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

    def heard(self, asked: ProbeResult) -> None:
        """Takes in one step of a call. A program that ran and did not answer shows that the login works."""
        if asked.account:
            return
        if asked.hop == "login" and isinstance(asked.error, Silent):
            return self.seen("login", asked.at)
        self.seen(asked.hop, asked.at, str(asked.error) if asked.error else "")

    def seen(self, name: str, at: datetime, why: str = "") -> None:
        """Records that the hop was tried at `at`: it works, or fails because of `why`."""
        before = self.hops.get(name)
        same = before is not None and before.ok == (not why)
        self.hops[name] = replace(before, seen_at=at, why=why) if before and same else Hop(name, at, at, why)

    def counted(self, snapshot: LoadSnapshot) -> None:
        """Judges the nodes of a snapshot: a centre whose nodes are all down answers well and runs nothing."""
        nodes = {node.name: node for load in snapshot.partitions.values() for node in load.nodes}
        up = sum(node.up for node in nodes.values())
        self.seen("nodes", snapshot.taken_at, f"none of its {len(nodes)} nodes is up" if nodes and not up else "")

    def listed(self) -> list[Hop]:
        """Returns the known hops, in the order of `HOPS`."""
        return [self.hops[name] for name in HOPS if name in self.hops]

    def failing(self) -> Hop | None:
        """Returns the first hop that fails: later hops can't be judged."""
        return next((hop for hop in self.listed() if not hop.ok), None)


def sentence(centre: str, hop: Hop) -> str:
    """Describes a failing hop for people."""
    return f"{centre}: {NAMES[hop.name]} has failed since {hop.since:%H:%M:%S} UTC: {hop.why}"
