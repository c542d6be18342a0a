"""The REST calls of the decision log: why a session was placed where it is, the same decision repeated, and how good
decisions were."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Query, Response

from ..display.times import parse_instant
from ..errors import BadOption
from ..services.placement import decision_export
from .bodies import answer
from .dependencies import After, Fed, Moment, Operator, Who, noun
from .models.decisions import Explanation, LogPage, Replay, Report
from .refusals import refuses

router = noun()
Days = Annotated[float, Query(gt=0, le=366)]
ID = refuses("unknown-decision", "not-kept")


@router.get("/decisions", response_model=Report)
async def get_decision_report(fed: Fed, who: Operator, days: Days = 1) -> Response:
    """Returns what was predicted over the last `days` and what happened, with the newest decisions."""
    return answer(await fed.decision_log.report(days))


@router.get("/decisions/log", response_model=LogPage)
async def list_decisions(
    fed: Fed, who: Operator, days: Days = 1, since: Moment = None, until: Moment = None, after: After = ""
) -> Response:
    """Lists a page of the log with the inputs of each decision, over the last `days` or over the given time; `after`
    holds the time too."""
    begin = parse_instant(since, option="since") if since is not None else fed.clock() - timedelta(days=days)
    end = parse_instant(until, option="until") if until is not None else fed.clock()
    last = ""
    if after:
        begin, last, end = _cursor(after)
    found = await decision_export.page(fed.decision_log, begin, end, last)
    # the answer may be megabytes: made in a thread, so that other calls don't wait
    text = await asyncio.to_thread(json.dumps, found, ensure_ascii=False)
    return Response(text, media_type="application/json")


def _cursor(after: str) -> tuple[Any, str, Any]:
    """Returns the cursor that decision_export.py made."""
    parts = after.split("~")
    if len(parts) != 3:
        raise BadOption(f"after: {after[:40]!r} is not in this list.", hint="Give the `next` of the previous page.")
    return parse_instant(parts[0], option="after"), parts[1], parse_instant(parts[2], option="after")


@router.get("/decisions/{wanted}", response_model=Explanation, openapi_extra=ID)
async def explain_decision(wanted: str, fed: Fed, who: Who) -> Response:
    """Explains why a session was placed where it is, or why a start was refused, by the id of either."""
    return answer(await fed.decision_log.explain(wanted, who.scope))


@router.get("/decisions/{wanted}/replay", response_model=Replay, openapi_extra=ID)
async def replay_decision(
    wanted: str, fed: Fed, who: Who, policy: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Repeats the same decision from its record, by its own or by another policy (`soonest`, `cheapest`)."""
    return answer(await fed.decision_log.replay(wanted, who.scope, policy))
