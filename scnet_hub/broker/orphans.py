"""The REST call of the differences between the centres and the broker."""

from __future__ import annotations

from fastapi import Response

from ..domain.paging import PAGE, sorted_page
from ..services.documents import iso
from .bodies import Json, answer
from .dependencies import After, Fed, Limit, Operator, noun
from .models.orphans import Orphans

router = noun()


@router.get("/orphans", response_model=Orphans)
async def list_orphans(fed: Fed, who: Operator, after: After = "", limit: Limit = PAGE) -> Response:
    """Lists jobs at the centres that belong to no session, then sessions whose job is missing at their centre."""
    found = await fed.reports.orphans([orphan for watcher in fed.watchers.values() for orphan in watcher.orphans.found])
    rows = [("jobs", f"jobs/{one['centre']}/{one['job_id']}", one) for one in found["jobs"]]
    rows += [("sessions", f"sessions/{one['id']}/{one['number']:03}", one) for one in found["sessions"]]
    here, following = sorted_page(rows, lambda row: row[1], after, limit)
    listed: Json = {kind: [one for its, _, one in here if its == kind] for kind in ("jobs", "sessions")}
    return answer({"as_of": iso(fed.clock()), **listed, "next": following})
