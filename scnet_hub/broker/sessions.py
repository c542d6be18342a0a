"""The REST calls of sessions: list, start, read, stop and continue sessions, and the call home of their first
process."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from ..domain.sessions import requests
from ..domain.sessions.records import SessionCopy
from ..errors import BadOption, NotEntitled, plain
from ..services import documents
from ..services.documents import iso
from ..services.federation import Federation
from ..services.reporting.reports import SessionPage
from ..services.sessions.copies import heir
from .auth import Caller
from .bodies import INT64, MAX_BODY, BodyOf, Json, OptionsOf, answer
from .concurrency import Turn
from .dependencies import Fed, Operator, OwnSession, Who, noun, person_of
from .limits import TURN
from .models.options import Start
from .models.sessions import CalledHome, CallHome, Log, Session, Sessions
from .refusals import CENTRES, PLACING, refuses

router = noun()
SESSIONS, MOST_SESSIONS = 200, 2000  # rows of one page: whole documents, and brief ones
THERE: dict[int | str, Json] = {200: {"model": Session, "description": "The existing session."}}
STARTS = ("no-placement", "over-quota", "overdrawn", "over-cap")


@router.get("/sessions", response_model=Sessions)
async def list_sessions(
    fed: Fed,
    who: Who,
    all: Annotated[bool, Query()] = False,
    kind: Annotated[str, Query(max_length=16)] = "",
    brief: Annotated[bool, Query()] = False,
    limit: Annotated[int, Query(ge=1, le=MOST_SESSIONS)] = SESSIONS,
    after: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """Lists live sessions, the oldest first; with `all` the last 50 ended sessions follow on the last page. A page has
    at most 200 sessions, with `brief` (live sessions only, without amounts and events) 2,000."""
    if not brief and limit > SESSIONS:
        raise BadOption(f"limit: {limit} is too large.", hint=f"At most {SESSIONS}, with brief=1 {MOST_SESSIONS}.")
    page = SessionPage(limit=limit, after=after, kind=kind, ended=all, brief=brief)
    found, begins = await fed.reports.page(who.scope, page, tokens=who.hub)
    return answer({"as_of": iso(fed.clock()), "sessions": found, "next": begins or None})


@router.post(
    "/sessions",
    status_code=201,
    response_model=Session,
    responses=THERE,
    openapi_extra=refuses(*PLACING, *STARTS, "hub-only", "no-person", "stopping"),
)
async def start_session(fed: Fed, who: Who, body: Annotated[Json, Depends(OptionsOf(Start))]) -> Response:
    """Starts a session, or returns the live session of that person, kind and name."""
    argv, env, files = (body.pop(name, None) for name in ("argv", "env", "files"))
    wanted = requests.job_request(who.person, body)
    if wanted.kind == "lab" and not who.hub:
        raise NotEntitled(
            "JupyterLab sessions can only be started on the hub's page.",
            hint="Use the kind dask or batch here.",
            code="hub-only",
        )
    person_of(who)
    row, new = await fed.submission.submit(wanted, requests.payload(wanted.kind, argv, env, files))
    return answer(await one(fed, who, row), 201 if new else 200)


async def one(fed: Federation, who: Caller, row: SessionCopy) -> Json:
    document = (await fed.reports.sessions([row], whole=True))[0]
    return document | {"token": documents.token(row.session)} if who.hub else document


@router.get("/sessions/{session_id}", response_model=Session)
async def get_session(
    request: Request,
    fed: Fed,
    who: Who,
    row: OwnSession,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
    seen: Annotated[int, Query(ge=-1, lt=INT64)] = -1,
) -> Response:
    """Returns the session. With `wait` it answers as soon as `version` differs from `seen`, at the latest after so many
    seconds."""
    if wait:
        turn: Turn = request.scope[TURN]
        async with turn.rest():  # the request costs nothing until something changes
            row = await fed.lookup.wait(row.session.id, seen, wait)
    return answer(await one(fed, who, row))


@router.delete("/sessions/{session_id}", status_code=202, response_model=Session)
async def stop_session(
    fed: Fed, who: Who, row: OwnSession, why: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Begins to stop the session, which is over when its centre confirms the end. `why` is for the hub and for sessions
    themselves: the reason that the session's owner reads."""
    if who.hub:
        row = await fed.db.query(heir, row)
    row = await (
        fed.stopping.cancel(row, " ".join(plain(why).split()))
        if why and (who.hub or who.session)
        else fed.stopping.cancel(row)
    )
    return answer(await one(fed, who, row), 202)


@router.post(
    "/sessions/{session_id}/continue",
    status_code=201,
    response_model=Session,
    responses=THERE,
    openapi_extra=refuses(*PLACING, *STARTS, "not-running", "stopping"),
)
async def continue_session(fed: Fed, who: Who, row: OwnSession) -> Response:
    """Starts the next session of a Lab, at the same centre and in the same folder: it takes the name over when it
    listens."""
    row, new = await fed.continuation.next(row.session)
    return answer(await one(fed, who, row), 201 if new else 200)


@router.post("/sessions/{session_id}/write-off", response_model=Session, openapi_extra=refuses("unknown-session"))
async def write_off_session(session_id: str, fed: Fed, who: Operator) -> Response:
    """Records an operator's statement that a centre has lost all data of this session: nothing is charged."""
    row = await fed.lookup.get(session_id)
    await fed.stopping.write_off_all(row.session.id, "Written off by the federation's operators: not charged.")
    return answer(await one(fed, who, await fed.lookup.get(session_id)))


@router.get("/sessions/{session_id}/log", response_model=Log, openapi_extra=refuses("wrong-file", *CENTRES))
async def get_session_log(fed: Fed, row: OwnSession, size: Annotated[int, Query(ge=1, le=MAX_BODY)] = 4000) -> Response:
    """Returns the last `size` bytes of the job's output."""
    return answer({"log": await fed.files.tail(row.copy, size)})


@router.post(
    "/sessions/{session_id}/call-home",
    response_model=CalledHome,
    openapi_extra=refuses("unknown-session", "bad-nonce", "bad-host", "not-first", "over", *CENTRES),
)
async def call_home(session_id: str, fed: Fed, body: Annotated[CallHome, Depends(BodyOf(CallHome))]) -> Response:
    """Takes the call home of a session's first process, proven by its one-time nonce instead of a token; accepts its
    address and nothing else."""
    await fed.call_home.call_home(session_id, body.model_dump())
    return answer({"ok": True})
