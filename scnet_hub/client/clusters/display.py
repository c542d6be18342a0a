"""Shows a cluster: rows, cost, `explain()`, and the live view with an HTML and a text snapshot."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from distributed.core import Status

from . import spending, summary
from .controls import Controls

Json = dict[str, Any]
REPEAT = 60.0  # an unchanged view is sent again after this many seconds


class ShowsItself(Controls):
    """Mixin of FederatedCluster: reads the cluster's jobs and submitter; what its view asks is in controls.py."""

    dashboard_link: str
    _label: str
    _view: Any = None
    _view_sent_at = 0.0

    @property
    def job_rows(self) -> list[Json]:
        seen, rows = self._seen(), []
        for name, entry in list(self.worker_spec.items()):
            job = self.workers.get(name)
            waiting = job.waiting if job else ""
            rows.append(
                summary.job_row(name, self._session(name), entry["size"], connected=name in seen, waiting=waiting)
            )
        return rows

    def money(self) -> str:
        """Returns the cost an hour in words, and until when credits last at this size; "" while it is not known."""
        rate = self.rate
        return spending.words(rate, self._outlook_at(rate), self._balance, len(self.worker_spec))

    def shown(self) -> Json:
        """Returns this cluster as a panel's state (see panels/cluster.py): the view, the saved HTML and the text draw
        it."""
        rows, closed = self.job_rows, self.status in (Status.closing, Status.closed)
        cluster = {
            "name": self._label,
            "why": self._submitter.whole.get("reason") or summary.why(self._submitter.first),
            "dashboard": "" if closed else self.dashboard_link,
            "money": "" if closed else self.money(),
            "centres": summary.centre_rows([] if closed else rows, list(self._submitter.sessions.values())),
            "jobs": [] if closed else rows[: summary.SHOWN_JOBS],
            "jobs_title": summary.jobs_title(len(rows)),
            "controls": self.controls(),
            "notes": summary.diary(self._submitter.notes[-summary.SHOWN_NOTES :]),
        }
        words = summary.summary(rows, self.cost, closed=closed, budget=self.budget)
        problem = self._refusal or self._problem or self._limit.problem(self.cost)
        return {
            "cluster": cluster, "summary": words, "problem": problem,
            "closed": closed, "now": datetime.now(UTC).isoformat(timespec="milliseconds"), "moving": self._moving(),
        }  # fmt: skip

    def explain(self) -> str:
        """Explains why this centre was chosen, which was second, which were ruled out, how each job is, and what
        happened since."""
        problem = f"{self._problem['title']} {self._problem['hint']}" if self._problem else ""
        asked = self._submitter
        return summary.explain(self._label, self.job_rows, asked.whole, asked.first, asked.notes, problem, self.money())

    def _publish(self) -> None:
        """Sends changes to the view; sends an unchanged state now and then, to show that it still holds."""
        if self._view is None:
            return
        from ..panels.state import facts

        shown = self.shown()
        if facts(shown) != facts(self._view.state) or time.monotonic() - self._view_sent_at > REPEAT:
            self._view_sent_at = time.monotonic()
            self._view.state = shown

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[Json, Json]:
        from ..panels.cluster import ClusterView

        if self._view is None:
            self._view = ClusterView(self.shown(), self._heard)
        self._publish()
        bundle: tuple[Json, Json] = self._view._repr_mimebundle_(**kwargs)
        return bundle

    def _ipython_display_(self, **kwargs: Any) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_(**kwargs)
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]

    def _repr_html_(self, cluster_status: Any = None) -> str:
        from ..panels import cluster, snapshot

        return snapshot.html(self.shown(), cluster.ClusterView.parts)

    def __repr__(self) -> str:
        closed = self.status == Status.closed
        words = summary.summary(self.job_rows, self.cost, closed=closed, budget=self.budget)
        return f"<FederatedCluster {self._label}: {words}>"
