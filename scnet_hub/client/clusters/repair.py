"""Decides, without I/O, what to do about each job of a cluster: keep it, replace it, or drop it; and when to stop
trying."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

GRACE = 15.0  # seconds that a worker may be out of reach before its job is given up
RESTARTING = 120.0  # the same for a worker that the scheduler restarts: its Python starts again in the same job
STARTS_WITHIN = 60.0  # seconds from a job's start to its worker's connection, at most as a rule
SETTLED = 60.0  # seconds that a worker must have worked so that its loss does not count as a failed start


class Action(Enum):
    KEEP = "keep"
    REPLACE = "replace"
    DROP = "drop"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One job as the broker and the scheduler see it. `live` is None while the job is not submitted; `refused` is the
    broker's refusal, `failed` an error of a centre; `away` is the seconds since the worker was last seen (None: never
    seen), `restarting` whether the scheduler restarts its worker; `unpaid` says why the session is about to be stopped,
    or was stopped, because credits ran out."""

    live: bool | None
    connected: bool = False
    away: float | None = None
    restarting: bool = False
    refused: str = ""
    failed: str = ""
    end_reason: str = ""
    unpaid: str = ""


def verdict(facts: Facts) -> tuple[Action, str]:
    """Returns what to do, and why in words. A job whose worker is connected is kept whatever the broker says, unless
    its credits run out: then its results are moved to other workers in time."""
    if facts.refused:
        return Action.DROP, facts.refused
    if facts.unpaid:
        return (Action.RETIRE if facts.connected and facts.live else Action.DROP), facts.unpaid
    if facts.failed:
        return Action.REPLACE, facts.failed
    if facts.connected or facts.live is None:
        return Action.KEEP, ""
    if not facts.live and facts.end_reason.startswith("Stopped on request"):
        return Action.DROP, "it was stopped on request"
    if not facts.live:
        return Action.REPLACE, facts.end_reason or "the job ended"
    if facts.away is not None and facts.away > (RESTARTING if facts.restarting else GRACE):
        return Action.REPLACE, f"its worker has been out of reach for {facts.away:.0f} s"
    return Action.KEEP, ""


def relief_due(left: float, walltime: float, margin: float, wait: float) -> bool:
    """Returns whether a job that ends in `left` seconds needs another one now that takes over before its worker retires
    `margin` seconds (give or take half of that) before the end. `wait` is how long such a job waits in the queue. Never
    in the first two thirds of the walltime: the other one would need relief at once, too."""
    return left < min(2 * margin + STARTS_WITHIN + wait, walltime / 3)


@dataclass(slots=True)
class Budget:
    """The number of rounds of starts that may fail in a row before the cluster stops requesting jobs. A round is all
    jobs that were requested before the failure that was counted last: a node that takes five young workers along is one
    misfortune. Times are seconds of one monotonic clock."""

    limit: int = 3
    rounds: int = 0
    counted_at: float = float("-inf")

    @property
    def spent(self) -> bool:
        return self.rounds > self.limit

    def count(self, *, worked: float, requested_at: float, now: float) -> bool:
        """Counts the loss of a job that was requested at `requested_at` and whose worker worked for `worked` seconds;
        returns True if the job may be replaced."""
        if worked >= SETTLED:
            self.rounds, self.counted_at = 0, now
        elif requested_at >= self.counted_at:
            self.rounds, self.counted_at = self.rounds + 1, now
        return not self.spent

    def problem(self, why: str, output: str) -> dict[str, str]:
        """Returns a title and a hint for people: why the last job failed, and the end of its output."""
        title = f"Starts failed {self.rounds} times in a row, the last because: {why.rstrip('.')}."
        hint = "When the cause is fixed, call cluster.scale() to try again."
        return {
            "title": f"{title} No further jobs are started.",
            "hint": f"End of its output: {output} {hint}" if output else hint,
        }

    def reset(self) -> None:
        self.rounds, self.counted_at = 0, float("-inf")
