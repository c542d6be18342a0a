"""The REST calls of docs/reference/rest.md: read the caller and the body, ask the federation, answer its documents."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from .. import __version__
from ..adapters.db.queries import projects as stored_projects
from ..display.times import parse_instant
from ..domain import identifiers
from ..domain.placement import placement
from ..domain.sessions import requests
from ..domain.sessions.records import SessionRow
from ..errors import BadOption, NotEntitled, NotFound, plain
from ..services import documents
from ..services.documents import iso
from ..services.federation import Federation
from ..services.placement import decision_export, quoting
from ..services.projects.account_links import PROOF_LIFE
from ..services.reporting.metrics import CONTENT_TYPE
from ..services.reporting.reports import SessionPage
from ..services.sessions.copies import heir
from .auth import Caller, Gate
from .bodies import INSTANT, INT64, MAX_BODY, body_of, described, only, texts
from .concurrency import Turn
from .limits import TURN

router = APIRouter()
Json = dict[str, Any]
SESSIONS, MOST_SESSIONS = 200, 2000  # of one page: whole documents, and brief ones
_HOST = re.compile(r"[A-Za-z0-9.:_%\[\]-]{0,253}", re.ASCII)

OPTIONS_SCHEMA: Json = {"requestBody": {"required": True, "content": {"application/json": {"schema": requests.schema()}}}}
NEW: dict[int | str, Json] = {201: {"description": "A new one; 200: the one that is there already."}}
CALL_HOME_SCHEMA: Json = described(
    required=("nonce", "phase"), nonce=texts(200), phase={"type": "string", "enum": ["started", "listening"]},
    host=texts(253), port={"type": "integer", "minimum": 0, "maximum": 65535}, node=texts(253),
)  # fmt: skip


def federation(request: Request) -> Federation:
    fed: Federation = request.app.state.federation
    return fed


async def caller(request: Request) -> Caller:
    gate: Gate = request.app.state.gate
    person, operator = unquote(request.headers.get("x-scnet-person", "")), request.headers.get("x-scnet-operator", "") == "yes"
    return await gate.caller(request.headers.get("authorization", ""), person, operator)


Fed = Annotated[Federation, Depends(federation)]
Who = Annotated[Caller, Depends(caller)]


def person_of(who: Caller) -> str:
    """The person who acts. Raises NotEntitled for a token that is nobody's."""
    if not who.person:
        raise NotEntitled("This is done in a person's name.", code="no-person")
    return who.person


def linker(who: Caller) -> str:
    """The person who changes as whom their jobs run: not by a session's token, which its centre could read and use."""
    if who.session:
        raise NotEntitled(
            "A session's own token may not change as whom your jobs run.",
            hint="Use the hub's page Accounts, or `scnet accounts` on your own machine with a token of the hub's page Token.",
            code="not-from-a-session",
        )
    return person_of(who)


def operator_of(who: Caller) -> None:
    """Raises NotEntitled for anybody but an operator, and for a session's token."""
    if who.session:
        hint = "Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token."
        raise NotEntitled("This is for operators, and not done by a session's own token.", hint=hint, code="not-from-a-session")
    if not who.operator:
        raise NotEntitled("This is for operators.", hint="Use the token of a service with the scope custom:scnet:operate.")


async def own(fed: Federation, who: Caller, session_id: str) -> SessionRow:
    """The session, if the caller may see it; otherwise it does not exist for them."""
    row = await fed.lookup.get(session_id)
    if who.scope and row.person != who.scope:
        raise NotFound(f"There is no session {session_id[:40]!r}.", hint="`scnet sessions` lists yours.", code="unknown-session")
    return row


@router.get("/health")
async def health(fed: Fed, request: Request, response: Response) -> Json:
    """503 while the event loop or a pool of threads is starved; `why` also names centres whose file system hangs."""
    starved, hung = fed.pulse.troubles(), fed.files.hung()
    response.status_code = 503 if starved else 200
    state = "starved" if starved else "degraded" if hung else "ok"
    waits = {name: round(seconds, 3) for name, seconds in fed.pulse.waiting().items()}
    said = {"ok": not starved, "state": state, "why": starved + hung, "version": __version__, "centres": len(fed.centres)}
    said["read_only"] = fed.db.trouble
    return said | {"loop_late_s": round(fed.pulse.late(), 3), "waits_s": waits, "requests": asdict(request.app.state.lanes.counts)}


@router.get("/me")
async def me(fed: Fed, who: Who) -> Json:
    mine = await fed.db.query(stored_projects.of, who.person)
    roles = ["member", *(["operator"] if who.operator else [])]
    listed = [{"id": project.id, "title": project.title} for project in mine]
    first = mine[0].id if mine else None
    own = {"person": who.person, "roles": roles, "projects": listed, "default_project": first}
    return own | {"federation": fed.spec.name, "time_zone": fed.spec.time_zone}


@router.get("/centres")
async def centres(fed: Fed, who: Who) -> Json:
    return {"as_of": iso(fed.clock()), "centres": await fed.reports.centres(who.person)}


@router.get("/profiles")
async def profiles(fed: Fed, who: Who) -> Json:
    """The sizes that the start form offers by name."""
    listed = [{**one.model_dump(exclude={"walltime"}), "walltime_s": one.walltime.total_seconds()} for one in fed.spec.profile]
    return {"profiles": listed}


@router.post("/placements", openapi_extra=OPTIONS_SCHEMA)
async def placements(request: Request, fed: Fed, who: Who, quotes: Annotated[bool, Query()] = False) -> Json:
    """Where that would go now; with `quotes` also what it would cost at each centre that could take it."""
    wanted = requests.job_request(who.person, await body_of(request))
    if who.operator and not wanted.project:
        return documents.placement(await fed.placing.place_for_nobody(wanted))
    decision, available = await fed.placing.place(wanted)
    refusal = await fed.placing.refusal(decision)
    found = {**documents.placement(decision, available), "refusal": refusal.problem() if refusal else None}
    if quotes:
        lease = fed.spec.lease.length
        each = await fed.db.query(quoting.quoted_each, decision.request, decision.ranked, fed.load, available, fed.clock(), lease)
        found["quotes"] = [documents.quote_or_why(place, one) for place, one in each]
    return found


@router.post("/quotes", openapi_extra=OPTIONS_SCHEMA)
async def quotes(request: Request, fed: Fed, who: Who) -> Json:
    """What that would cost where it would go now: at least, probably, at most, and what is left then."""
    wanted = requests.job_request(who.person, await body_of(request))
    if who.operator and not wanted.project:
        decision, available = await fed.placing.place_for_nobody(wanted), None
    else:
        decision, available = await fed.placing.place(wanted)
    if decision.best is None:
        raise placement.refused(decision)
    found = await fed.db.query(quoting.quoted, decision.request, decision.best, fed.load, available, fed.clock(), fed.spec.lease.length)
    return documents.quote(decision.best, found)


@router.get("/sessions")
async def list_sessions(
    fed: Fed,
    who: Who,
    all: Annotated[bool, Query()] = False,
    kind: Annotated[str, Query(max_length=16)] = "",
    brief: Annotated[bool, Query()] = False,
    limit: Annotated[int, Query(ge=1, le=MOST_SESSIONS)] = SESSIONS,
    after: Annotated[str, Query(max_length=32)] = "",
) -> Response:
    """A page of live sessions, the oldest first; `next` is the next page's `after`, or null."""
    if not brief and limit > SESSIONS:
        raise BadOption(f"limit: {limit} is too many.", hint=f"At most {SESSIONS}, with brief=1 {MOST_SESSIONS}.")
    page = SessionPage(limit=limit, after=after, kind=kind, ended=all, brief=brief)
    found, begins = await fed.reports.page(who.scope, page, tokens=who.hub)
    return JSONResponse({"as_of": iso(fed.clock()), "sessions": found, "next": begins or None})


@router.post("/sessions", openapi_extra=OPTIONS_SCHEMA, responses=NEW)
async def submit(request: Request, response: Response, fed: Fed, who: Who) -> Json:
    body = await body_of(request)
    argv, env, files = (body.pop(name, None) for name in ("argv", "env", "files"))
    wanted = requests.job_request(who.person, body)
    if wanted.kind == "lab" and not who.hub:
        raise NotEntitled("JupyterLab sessions are started from the hub's page.", hint="Use kind dask or batch here.", code="hub-only")
    person_of(who)
    row, new = await fed.submission.submit(wanted, requests.payload(wanted.kind, argv, env, files))
    response.status_code = 201 if new else 200
    return await one(fed, who, row)


async def one(fed: Federation, who: Caller, row: SessionRow) -> Json:
    document = (await fed.reports.sessions([row], whole=True))[0]
    return document | {"token": documents.token(row)} if who.hub else document


@router.get("/sessions/{session_id}")
async def get_session(
    request: Request,
    session_id: str,
    fed: Fed,
    who: Who,
    wait: Annotated[float, Query(ge=0, le=30)] = 0,
    seen: Annotated[int, Query(ge=-1, lt=INT64)] = -1,
) -> Json:
    row = await own(fed, who, session_id)
    if wait:
        turn: Turn = request.scope[TURN]
        async with turn.rest():  # it costs nothing until something changes
            row = await fed.lookup.wait(session_id, seen, wait)
    return await one(fed, who, row)


@router.delete("/sessions/{session_id}", status_code=202)
async def stop(session_id: str, fed: Fed, who: Who, why: Annotated[str, Query(max_length=200)] = "") -> Json:
    """`why` is for the hub and for sessions themselves: the reason that the session's person reads."""
    row = await own(fed, who, session_id)
    if who.hub:
        row = await fed.db.query(heir, row)
    row = await (fed.stopping.cancel(row, " ".join(plain(why).split())) if why and (who.hub or who.session) else fed.stopping.cancel(row))
    return await one(fed, who, row)


@router.post("/sessions/{session_id}/continue", responses=NEW)
async def proceed(session_id: str, response: Response, fed: Fed, who: Who) -> Json:
    """The next session of a Lab, in the same folder: it takes the name over when it listens."""
    row, new = await fed.continuation.next(await own(fed, who, session_id))
    response.status_code = 201 if new else 200
    return await one(fed, who, row)


@router.post("/sessions/{session_id}/write-off")
async def write_off(session_id: str, fed: Fed, who: Who) -> Json:
    """An operator's word that a centre has lost all that it had of this session: nothing is charged."""
    operator_of(who)
    await fed.stopping.write_off_all(await fed.lookup.get(session_id), "Written off by the federation's operators: not charged.")
    return await one(fed, who, await fed.lookup.get(session_id))


@router.get("/orphans")
async def orphans(fed: Fed, who: Who) -> Json:
    """Jobs at the centres that no session has, and sessions whose centre has no job of theirs."""
    operator_of(who)
    found = [orphan for watcher in fed.watchers.values() for orphan in watcher.orphans.found]
    return {"as_of": iso(fed.clock()), **await fed.reports.orphans(found)}


@router.get("/decisions")
async def decisions(fed: Fed, who: Who, days: Annotated[float, Query(gt=0, le=366)] = 1) -> Json:
    """What was predicted and what became of it, of the last days; with the newest decisions."""
    operator_of(who)
    return await fed.decision_log.report(days)


@router.get("/decisions/log")
async def decision_log(
    fed: Fed,
    who: Who,
    days: Annotated[float, Query(gt=0, le=366)] = 1,
    since: Annotated[str, Query(max_length=40, json_schema_extra=INSTANT)] = "",
    until: Annotated[str, Query(max_length=40, json_schema_extra=INSTANT)] = "",
    after: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """A page of the log with what each decision was made from, of the last days or of that time."""
    operator_of(who)
    begin = parse_instant(since, option="since") if since else fed.clock() - timedelta(days=days)
    end = parse_instant(until, option="until") if until else fed.clock()
    found = await decision_export.page(fed.decision_log, begin, end, after)
    text = await asyncio.to_thread(json.dumps, found, ensure_ascii=False)  # it may be megabytes: not in the way of others
    return Response(text, media_type="application/json")


@router.get("/decisions/{wanted}")
async def explain(wanted: str, fed: Fed, who: Who) -> Json:
    """Why a session is where it is, or why a start was refused, by the id of either."""
    return await fed.decision_log.explain(wanted, who.scope)


@router.get("/decisions/{wanted}/replay")
async def replay(wanted: str, fed: Fed, who: Who, policy: Annotated[str, Query(max_length=40)] = "") -> Json:
    """The same decision from its record, under another policy."""
    return await fed.decision_log.replay(wanted, who.scope, policy)


@router.get("/sessions/{session_id}/log")
async def log(session_id: str, fed: Fed, who: Who, size: Annotated[int, Query(ge=1, le=MAX_BODY)] = 4000) -> Json:
    return {"log": await fed.files.tail(await own(fed, who, session_id), size)}


@router.get("/accounts")
async def accounts(fed: Fed, who: Who, all: Annotated[bool, Query()] = False) -> Json:
    """The caller's accounts at the centres (an operator: everybody's); with `all` also links that ended."""
    return {"as_of": iso(fed.clock()), "accounts": await fed.reports.accounts(who.scope, ended=all)}


@router.post("/accounts/{centre}", openapi_extra=described(required=("account",), account=texts(64)))
async def link(centre: str, request: Request, fed: Fed, who: Who) -> Json:
    """Begins the proof that an account at that centre is the caller's: answers the command to run there."""
    person = linker(who)
    body = await body_of(request)
    only(body, "account")
    account = identifiers.login(str(body.get("account", "")))
    command = await fed.linking.ask(person, centre, account)
    return {"centre": centre, "account": account, "command": command, "valid_s": PROOF_LIFE.total_seconds()}


@router.post("/accounts/{centre}/proof")
async def prove(centre: str, fed: Fed, who: Who) -> Json:
    person = linker(who)
    return documents.account(await fed.linking.prove(person, centre))


@router.delete("/accounts/{centre}")
async def unlink(centre: str, fed: Fed, who: Who) -> Json:
    person = linker(who)
    return documents.account(await fed.linking.unlink(person, centre))


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(fed: Fed, who: Who) -> Response:
    """Prometheus's text format; for operators, and monitors with a token of theirs."""
    operator_of(who)
    return Response(await fed.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/balance")
async def balance(fed: Fed, who: Who) -> Json:
    return {"as_of": iso(fed.clock()), "projects": await fed.reports.balances(who.scope)}


@router.get("/entries")
async def entries(
    fed: Fed,
    who: Who,
    project: Annotated[str, Query(max_length=64)],
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Json:
    """A page, the newest first: a member's own and the project's; who leads it and operators: all. `next` is the next page's `after`, or
    null."""
    return await fed.reports.entries(who.scope, project, after, limit)


@router.get("/ledger/verify")
async def verify_ledger(fed: Fed, who: Who) -> Json:
    """Whether the books are right, read as a whole; for operators."""
    operator_of(who)
    return documents.audit(await fed.bookkeeping.verify())


@router.post("/sessions/{session_id}/call-home", openapi_extra=CALL_HOME_SCHEMA)
async def call_home(session_id: str, request: Request, fed: Fed) -> Json:
    """From the session's first process, vouched for by its one-time nonce; accepts a place and nothing else."""
    body = await body_of(request)
    phase, host, port, node = (body.get(name) for name in ("phase", "host", "port", "node"))
    if phase not in ("started", "listening") or not all(isinstance(text, str) and _HOST.fullmatch(text) for text in (host, node)):
        raise BadOption("call-home: phase, node or host is not what a session sends.")
    if isinstance(port, bool) or not isinstance(port, int) or not (port == 0 or 1024 <= port <= 65535):
        raise BadOption("call-home: the port must be from 1024 to 65535.")
    if phase == "listening" and (not host or not port):
        raise BadOption("call-home: a listening session says its host and port.")
    await fed.call_home.call_home(session_id, {"nonce": body.get("nonce"), "phase": phase, "host": host, "port": port, "node": node})
    return {"ok": True}
