"""What the view of a cluster can ask of it: another size, adaptive scaling, its end. A refusal is shown in the view."""

from __future__ import annotations

# mypy: disable-error-code="union-attr, no-untyped-call"
import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from distributed.core import Status

from ...errors import BadOption, ScnetError
from .scaling import Scales
from .sizes import MOST_JOBS

Json = dict[str, Any]
log = logging.getLogger(__name__)


class Controls(Scales):
    """Mixin of FederatedCluster. `_acted` counts the handled requests, so that a view knows when its own is done."""

    _acted = 0
    _refusal: Json | None = None

    def _publish(self) -> None:
        """Sends the state to the view; display.py has the view."""
        raise NotImplementedError

    def controls(self) -> Json:
        """Returns what the view's controls show."""
        running = self._adaptive if self._adaptive and self._adaptive.periodic_callback else None
        adaptive = [int(running.minimum), int(running.maximum)] if running else None
        return {"jobs": len(self.plan), "adaptive": adaptive, "most": MOST_JOBS, "acted": self._acted}

    def _heard(self, kind: str, body: Mapping[str, Any]) -> None:
        """Takes a message of the view, in the thread in which the kernel reads them; the cluster's own loop acts."""
        if kind in ("scale", "adapt", "stop") and self.status == Status.running:
            self.loop.add_callback(self._act, kind, dict(body))

    async def _act(self, kind: str, body: Json) -> None:
        self._refusal = None
        try:
            if kind == "stop":
                await self._close()
            elif kind == "scale":
                self._scale_as_asked(body.get("jobs"))
            else:
                await self._adapt_as_asked(body.get("minimum"), body.get("maximum"))
        except ScnetError as error:
            self._refusal = {"title": str(error), "hint": error.hint}
        except Exception as error:
            log.exception("the cluster's view asked for %s", kind)
            self._refusal = {"title": f"This failed: {type(error).__name__}: {error}", "hint": "Call it in a cell."}
        self._acted += 1
        self._publish()

    def _scale_as_asked(self, jobs: Any) -> None:
        if jobs is None:
            raise BadOption("scale: the number of jobs is missing.", hint=f"Give a number from 0 to {MOST_JOBS:,}.")
        before = len(self.plan)
        self.scale(jobs=jobs)
        if self._adaptive:
            self._adaptive.stop()
        self._submitter.note(f"Scaled from {before:,} to {jobs:,} jobs in the view.")

    async def _adapt_as_asked(self, minimum: Any, maximum: Any) -> None:
        await asyncio.to_thread(self._submitter.read_quota)
        running = self.adapt(minimum=minimum, maximum=maximum)
        self._submitter.note(f"Adaptive from {running.minimum:,} to {running.maximum:,} jobs, as asked in the view.")
