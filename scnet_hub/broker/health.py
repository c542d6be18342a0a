"""The REST calls for monitors: whether the broker is healthy, and its figures for Prometheus."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse

from .. import __version__
from ..services.reporting.metrics import CONTENT_TYPE
from .bodies import Json, answer
from .dependencies import Fed, Operator, noun
from .models.health import Health

router = noun()
STARVED: dict[int | str, Json] = {503: {"model": Health, "description": "Starved: reported for half a minute longer."}}


@router.get("/health", response_model=Health, responses=STARVED)
async def get_health(fed: Fed, request: Request) -> Response:
    """Answers 503 while the event loop or a pool of threads is starved; `why` also names centres whose file system
    hangs. Needs no token."""
    starved, hung = fed.pulse.troubles(), fed.files.hung()
    state = "starved" if starved else "degraded" if hung else "ok"
    waits = {name: round(seconds, 3) for name, seconds in fed.pulse.waiting().items()}
    said: Json = {
        "ok": not starved,
        "state": state,
        "why": starved + hung,
        "version": __version__,
        "centres": len(fed.centres),
    }
    said |= {"read_only": fed.db.trouble, "loop_late_s": round(fed.pulse.late(), 3), "waits_s": waits}
    return answer(said | {"requests": asdict(request.app.state.lanes.counts)}, 503 if starved else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(fed: Fed, who: Operator) -> Response:
    """Returns the figures in Prometheus's text format; for operators, and for monitors with an operator's token."""
    return Response(await fed.metrics.text(), media_type=CONTENT_TYPE)
