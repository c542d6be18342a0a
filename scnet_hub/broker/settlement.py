"""The REST calls of settlement: months, statements and what members say to them, bills and usage as files, the operators' board."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from ..errors import BadOption, NotEntitled
from ..services.documents import iso
from ..services.settlement.answers import WORDS, Reader
from ..units import CREDIT
from .allocations import prose
from .auth import Caller
from .bodies import INT64, body_of, described, only, texts
from .sessions import Fed, Who, operator_of

Json = dict[str, Any]
router = APIRouter()
Short = Annotated[str, Query(max_length=64)]
PART = 64 * 1024  # bytes
ANSWER_SCHEMA = described(words=texts(WORDS))
CLOSE_SCHEMA = described(excuses={"type": "object", "additionalProperties": texts(WORDS)}, preview={"type": "boolean"})


def _written(media_type: str) -> dict[int | str, Json]:
    return {200: {"description": "A file.", "content": {media_type: {"schema": {"type": "string"}}}}}


def reader(fed: Fed, who: Caller) -> Reader:
    """What of settlement the caller may see. A session's token lies at a centre, which is a member that statements are about: it sees
    nothing."""
    if who.session:
        raise NotEntitled(
            "A session's own token does not show statements.",
            hint="Use the hub's pages, or `scnet` on your own machine with a token of the hub's page Token.",
            code="not-from-a-session",
        )
    return fed.settling.reader(who.person, operator=who.operator)


@router.get("/settlement/board")
async def board(fed: Fed, who: Who) -> Json:
    """What operators see of settlement."""
    operator_of(who)
    return await fed.settling.board()


@router.get("/periods")
async def periods(fed: Fed, who: Who) -> Json:
    """The months of the books, newest first; for operators and people of a member."""
    by = reader(fed, who)
    if not by.operator and not by.members:
        raise NotEntitled("This is for operators and the people of members.", hint="A member's people are named on the federation's page.")
    return {"as_of": iso(fed.clock()), "periods": await fed.settling.periods(by)}


@router.get("/periods/{name}")
async def period(name: str, fed: Fed, who: Who) -> Json:
    """A month with all that hinders it; once it is closed, with its statements."""
    operator_of(who)
    return await fed.settling.period(name)


@router.post("/periods/{name}/close", openapi_extra=CLOSE_SCHEMA)
async def close(name: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator: for ever, unless it is a preview."""
    operator_of(who)
    by = reader(fed, who)
    body = await body_of(request)
    only(body, "excuses", "preview")
    excuses, preview = body.get("excuses", {}), body.get("preview", False)
    if not isinstance(excuses, dict) or not isinstance(preview, bool):
        raise BadOption("excuses must be an object of centres and words, preview true or false.")
    if preview:
        return await fed.settling.preview(name)
    said = {str(centre): prose(words) for centre, words in excuses.items()}
    return await fed.settling.close(name, by.person or "an operator", said)


@router.get("/periods/{name}/bills", response_class=StreamingResponse, responses=_written("text/csv"))
async def bills(name: str, fed: Fed, who: Who, book: Short = CREDIT, member: Short = "") -> StreamingResponse:
    """FOCUS 1.2 as CSV: operators all, people of a member those that it pays."""
    by, path = reader(fed, who), _new_file()
    return await _file(fed.settling.bills(name, book, member, by, path), path, f"focus-{name}-{book}.csv", "text/csv")


@router.get("/periods/{name}/usage", response_class=StreamingResponse, responses=_written("application/x-ndjson"))
async def usage(name: str, fed: Fed, who: Who, centre: Short = "") -> StreamingResponse:
    """CloudEvents, one JSON a line."""
    operator_of(who)
    path = _new_file()
    return await _file(fed.settling.usage(name, centre, path), path, f"usage-{name}.jsonl", "application/x-ndjson")


def _new_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="scnet-", delete=False) as file:
        return Path(file.name)


async def _file(written: Awaitable[None], path: Path, name: str, kind: str) -> StreamingResponse:
    """What was written to a file of its own, which has no name any more when it is sent: it is gone with its last reader."""
    try:
        await written
        file = path.open("rb")
    finally:
        path.unlink()
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(os.fstat(file.fileno()).st_size)}
    return StreamingResponse(_parts(file), media_type=kind, headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(PART):
            yield part


@router.get("/statements")
async def statements(fed: Fed, who: Who, period: Short = "", member: Short = "", book: Short = "", state: Short = "") -> Json:
    """Newest first: of the caller's members; operators: of all."""
    by = reader(fed, who)
    return {"statements": await fed.settling.statements(by, period=period, member=member, book=book, state=state)}


@router.get("/statements/{period}/{book}/{member}")
async def statement(period: str, book: str, member: str, fed: Fed, who: Who) -> Json:
    """With its lines."""
    return await fed.settling.statement((period, book, member), reader(fed, who))


@router.get("/statements/{period}/{book}/{member}/entries")
async def entries(period: str, book: str, member: str, fed: Fed, who: Who, after: Annotated[int, Query(ge=0, lt=INT64)] = 0) -> Json:
    """The entries that its lines add up."""
    return await fed.settling.entries((period, book, member), reader(fed, who), after)


@router.post("/statements/{period}/{book}/{member}/accept", openapi_extra=ANSWER_SCHEMA)
async def accept(period: str, book: str, member: str, fed: Fed, who: Who, request: Request) -> Json:
    """By the member's people."""
    return await _answer("accept", (period, book, member), fed, who, request)


@router.post("/statements/{period}/{book}/{member}/dispute", openapi_extra=ANSWER_SCHEMA)
async def dispute(period: str, book: str, member: str, fed: Fed, who: Who, request: Request) -> Json:
    """By the member's people, with words."""
    return await _answer("dispute", (period, book, member), fed, who, request)


@router.post("/statements/{period}/{book}/{member}/settle", openapi_extra=ANSWER_SCHEMA)
async def settle(period: str, book: str, member: str, fed: Fed, who: Who, request: Request) -> Json:
    """By an operator: paid; after a dispute with words of what was decided."""
    return await _answer("settle", (period, book, member), fed, who, request)


async def _answer(verb: str, name: tuple[str, str, str], fed: Fed, who: Who, request: Request) -> Json:
    by = reader(fed, who)
    body = await body_of(request)
    only(body, "words")
    words = prose(body.get("words", ""))
    return await fed.settling.answer(name, verb, words, by)
