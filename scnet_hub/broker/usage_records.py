"""The REST calls of metering, for operators: records in suspense, a day's accounting pulled again, a centre's own records taken in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request

from ..adapters.db.database import Tx
from ..adapters.db.queries import usage as records
from ..adapters.db.queries.manifests import ManifestRow
from ..adapters.db.queries.usage import UsageRow
from ..display.times import parse_day
from ..domain.usage import cloud_events
from ..errors import BadOption, SpecError
from ..services.accounting import charging, intake, suspense_decisions
from ..services.documents import iso
from .allocations import prose
from .bodies import DAY, MAX_BODY, body_of, described, only, texts
from .sessions import Fed, Who, operator_of

Json = dict[str, Any]
router = APIRouter()
Short = Annotated[str, Query(max_length=64)]
MOST = 500  # records of one answer, and events of one question
DECISION_SCHEMA = described(required=("decision", "words"), decision={"type": "string", "enum": ["drop", "believe"]}, words=texts(MAX_BODY))
EVENTS_SCHEMA = described(required=("events",), events={"type": "array", "maxItems": MOST, "items": texts(MAX_BODY)})


@router.get("/usage/suspense")
async def suspense(fed: Fed, who: Who, centre: Short = "", decided: bool = False) -> Json:
    """Records that can't be charged, the oldest first, with the reason of each; `decided`: also those that an operator decided about."""
    operator_of(who)
    found = await fed.db.query(records.suspended, centre, not decided)
    return {"as_of": iso(fed.clock()), "records": [_record(one) for one in found[:MOST]], "more": max(len(found) - MOST, 0)}


@router.post("/usage/suspense/{number}", openapi_extra=DECISION_SCHEMA)
async def decide(number: Annotated[int, Path(ge=1, lt=2**31)], fed: Fed, who: Who, request: Request) -> Json:
    """Drops a record, or believes it: then it is charged all the same."""
    operator_of(who)
    body = await body_of(request)
    only(body, "decision", "words")
    said = (str(body.get("decision", "")), prose(body.get("words", "")), who.person or "operator")
    row = await fed.db.run(suspense_decisions.decide, number, *said, fed.pages, fed.clock())
    if row.session:
        fed.runtime.signals.changes.notify(row.session)
    return _record(row)


@router.post("/centres/{centre}/usage/pull", openapi_extra=described(required=("day",), day=DAY, to=DAY))
async def pull(centre: str, fed: Fed, who: Who, request: Request) -> Json:
    """Asks a centre's accounting again for a day, or the days up to another one; with what the records here lack then."""
    operator_of(who)
    body = await body_of(request)
    only(body, "day", "to")
    first = parse_day(body.get("day"), option="day")
    rows = await fed.accounting_pull.pull_days(centre, first, parse_day(body["to"], option="to") if body.get("to") else first)
    return {"manifests": [_manifest(one) for one in rows]}


@router.post("/usage/events", openapi_extra=EVENTS_SCHEMA)
async def take(fed: Fed, who: Who, request: Request) -> Json:
    """Takes in usage records that a centre exported as CloudEvents."""
    operator_of(who)
    body = await body_of(request)
    only(body, "events")
    events = body.get("events")
    if not isinstance(events, list) or len(events) > MOST or not all(isinstance(one, str) for one in events):
        raise BadOption(f"events: must be a list of at most {MOST} lines of JSON.", hint="docs/reference/usage.md shows one.")
    try:
        usages = [cloud_events.parse(line, source=f"event {number}")[0] for number, line in enumerate(events, 1)]
    except SpecError as error:  # of who sent them, not of a page
        raise BadOption(str(error), hint=error.hint) from error
    if strange := next((one.centre for one in usages if one.centre not in fed.centres), ""):
        raise BadOption(f"There is no centre {strange!r}.", hint="`scnet centres` lists them.")

    def work(tx: Tx) -> list[str]:
        news = {session for one in usages if (session := intake.take(tx, one, fed.clock()))}
        for session in sorted(news):
            charging.reckon(tx, session, fed.pages, fed.clock())
        return sorted(news)

    news = await fed.db.run(work)
    for session in news:
        fed.runtime.signals.changes.notify(session)
    return {"taken": len(usages), "sessions": news}


def _record(row: UsageRow) -> Json:
    said = row.record
    return {
        "id": row.id, "centre": row.centre, "job": said["job_id"], "name": said["name"], "session": row.session, "copy": row.copy,
        "revision": row.revision, "final": row.final, "submitted_at": said["submitted_at"], "start": said["start"], "end": said["end"],
        "elapsed_s": said["elapsed"] / 1e6, "cores": said["cores"], "gpus": said["gpus"], "memory": said["memory"],
        "state": row.state, "scheduler_state": said["state_raw"], "reason": row.reason, "seen_at": iso(row.seen_at),
        "decision": row.decision, "decided_by": row.decided_by, "decided_at": iso(row.decided_at) if row.decided_at else None,
    }  # fmt: skip


def _manifest(row: ManifestRow) -> Json:
    said = row.document
    return {
        "centre": row.centre, "day": row.day.isoformat(), "finals": said["finals"], "open_jobs": said["open_jobs"], "sums": said["sums"],
        "digest": said["digest"], "watermark": iso(row.watermark), "missing": list(row.missing), "excuse": row.excuse,
    }  # fmt: skip
