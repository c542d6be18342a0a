"""The REST calls of usage records, for operators: records in suspense, the repeated pull of a day's accounting, and the
intake of a centre's own records."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Path, Query, Response

from ..adapters.db.database import Tx
from ..adapters.db.queries import usage as usage_rows
from ..adapters.db.queries.manifests import ManifestRow
from ..adapters.db.queries.usage import UsageRow
from ..domain.usage import cloud_events
from ..errors import BadOption, SpecError
from ..services.accounting import charging, intake, suspense_decisions
from ..services.documents import iso
from .bodies import INT64, BodyOf, Json, answer
from .dependencies import Fed, Limit, Operator, Short, name_of, noun
from .models.usage_records import Decide, Events, EventsTaken, Manifests, Pull, Suspense, UsageRecord
from .refusals import CENTRES, refuses

router = noun()
PAGE = 500


@router.get("/usage-records/suspense", response_model=Suspense)
async def list_suspense(
    fed: Fed,
    who: Operator,
    centre: Short = "",
    decided: Annotated[bool, Query()] = False,
    after: Annotated[int, Query(ge=0, lt=INT64)] = 0,
    limit: Limit = PAGE,
) -> Response:
    """Lists records that can't be charged, the oldest first, with the reason of each; with `decided` also those that an
    operator decided about."""
    found = [one for one in await fed.db.query(usage_rows.suspended, centre, not decided) if one.id > after]
    more = max(len(found) - limit, 0)
    listed = [_record(one) for one in found[:limit]]
    return answer(
        {"as_of": iso(fed.clock()), "records": listed, "more": more, "next": listed[-1]["id"] if more else None}
    )


@router.post(
    "/usage-records/suspense/{number}",
    response_model=UsageRecord,
    openapi_extra=refuses("unknown-record", "decided", "no-usage"),
)
async def decide_record(
    number: Annotated[int, Path(ge=1, lt=2**31)],
    fed: Fed,
    who: Operator,
    body: Annotated[Decide, Depends(BodyOf(Decide))],
) -> Response:
    """Drops a record, or believes it: then it is charged."""
    said = (body.decision, body.words, name_of(who))
    row = await fed.db.run(suspense_decisions.decide, number, *said, fed.pages, fed.clock())
    if row.session:
        fed.runtime.signals.changes.notify(row.session)
    return answer(_record(row))


@router.post(
    "/centres/{centre}/usage-records/pull", response_model=Manifests, openapi_extra=refuses("unknown-centre", *CENTRES)
)
async def pull_records(centre: str, fed: Fed, who: Operator, body: Annotated[Pull, Depends(BodyOf(Pull))]) -> Response:
    """Queries a centre's accounting again for a day, or for the days up to another day; answers which records are still
    missing."""
    rows = await fed.accounting_pull.pull_days(centre, body.day, body.to or body.day)
    return answer({"manifests": [_manifest(one) for one in rows]})


@router.post("/usage-records/events", response_model=EventsTaken)
async def take_events(fed: Fed, who: Operator, body: Annotated[Events, Depends(BodyOf(Events))]) -> Response:
    """Takes in usage records that a centre exported as CloudEvents."""
    try:
        usages = [cloud_events.parse(line, source=f"event {number}")[0] for number, line in enumerate(body.events, 1)]
    except SpecError as error:  # the fault of the sender, not of a page
        raise BadOption(str(error), hint=error.hint) from error
    if strange := next((one.centre for one in usages if one.centre not in fed.centres), ""):
        raise BadOption(f"There is no centre {strange!r}.", hint="`scnet centres` lists them.")

    def work(tx: Tx) -> list[str]:
        news = {session for one in usages if (session := intake.take(tx, one, fed.clock()))}
        for session in sorted(news):
            charging.recharge(tx, session, fed.pages, fed.clock())
        return sorted(news)

    news = await fed.db.run(work)
    for session in news:
        fed.runtime.signals.changes.notify(session)
    return answer({"taken": len(usages), "sessions": news})


def _record(row: UsageRow) -> Json:
    said = row.record
    return {
        "id": row.id, "centre": row.centre, "job": said["job_id"], "name": said["name"], "session": row.session,
        "copy": row.copy, "revision": row.revision, "final": row.final, "submitted_at": said["submitted_at"],
        "start": said["start"], "end": said["end"], "elapsed_s": said["elapsed"] / 1e6, "cores": said["cores"],
        "gpus": said["gpus"], "memory": said["memory"], "state": row.state, "scheduler_state": said["state_raw"],
        "reason": row.reason, "seen_at": iso(row.seen_at), "decision": row.decision, "decided_by": row.decided_by,
        "decided_at": iso(row.decided_at) if row.decided_at else None,
    }  # fmt: skip


def _manifest(row: ManifestRow) -> Json:
    said = row.document
    return {
        "centre": row.centre, "day": row.day.isoformat(), "finals": said["finals"], "open_jobs": said["open_jobs"],
        "sums": said["sums"], "digest": said["digest"], "watermark": iso(row.watermark), "missing": list(row.missing),
        "excuse": row.excuse,
    }  # fmt: skip
