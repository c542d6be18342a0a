"""The REST calls of months: the operators' board, the state of each month, its closing, its bills and usage as
files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import Depends, Response
from fastapi.responses import StreamingResponse

from ..domain.paging import PAGE, page
from ..errors import NotEntitled
from ..services.documents import iso
from ..units import CREDIT
from .bodies import BodyOf, Json, answer
from .dependencies import After, Fed, Limit, Operator, Reading, Short, name_of, noun
from .models.statements import Board, Close, Closing, Periods, WholePeriod
from .refusals import refuses

router = noun()
PART = 64 * 1024  # bytes
MONTH = refuses("unknown-period", "period-open")
BILLS = refuses("unknown-period", "period-open", "not-entitled")


def _written(media_type: str) -> dict[int | str, Json]:
    return {200: {"description": "A file.", "content": {media_type: {"schema": {"type": "string"}}}}}


@router.get("/settlement/board", response_model=Board)
async def get_board(fed: Fed, who: Operator) -> Response:
    """Returns what operators see of settlement."""
    return answer(await fed.settling.board())


@router.get("/periods", response_model=Periods, openapi_extra=refuses("not-entitled"))
async def list_periods(fed: Fed, by: Reading, after: After = "", limit: Limit = PAGE) -> Response:
    """Lists the months of the books, newest first; for operators and people of a member."""
    if not by.operator and not by.members:
        raise NotEntitled(
            "This call is for operators and the people of members.",
            hint="A member's people are named on the federation's page.",
        )
    found, following = page(await fed.settling.periods(by), lambda one: str(one["name"]), after, limit)
    return answer({"as_of": iso(fed.clock()), "periods": found, "next": following})


@router.get("/periods/{name}", response_model=WholePeriod, openapi_extra=refuses("unknown-period"))
async def get_period(name: str, fed: Fed, who: Operator) -> Response:
    """Returns a month with everything that prevents its closing; after closing, with its statements."""
    return answer(await fed.settling.period(name))


@router.post(
    "/periods/{name}/close",
    response_model=Closing,
    openapi_extra=refuses("unknown-period", "period-closed", "period-not-closed"),
)
async def close_period(name: str, fed: Fed, who: Operator, body: Annotated[Close, Depends(BodyOf(Close))]) -> Response:
    """Closes a month as an operator: permanently, unless it is a preview."""
    if body.preview:
        return answer(await fed.settling.preview(name))
    return answer(await fed.settling.close(name, name_of(who), body.excuses))


@router.get(
    "/periods/{name}/bills", response_class=StreamingResponse, responses=_written("text/csv"), openapi_extra=BILLS
)
async def get_period_bills(
    name: str, fed: Fed, by: Reading, book: Short = CREDIT, member: Short = ""
) -> StreamingResponse:
    """Writes bills as FOCUS 1.2 CSV: all bills for operators, those that a member pays for its people."""
    path = _new_file()
    return await _file(fed.settling.bills(name, book, member, by, path), path, f"focus-{name}-{book}.csv", "text/csv")


@router.get(
    "/periods/{name}/usage",
    response_class=StreamingResponse,
    responses=_written("application/x-ndjson"),
    openapi_extra=MONTH,
)
async def get_period_usage(name: str, fed: Fed, who: Operator, centre: Short = "") -> StreamingResponse:
    """Writes usage as CloudEvents, one JSON object a line."""
    path = _new_file()
    return await _file(fed.settling.usage(name, centre, path), path, f"usage-{name}.jsonl", "application/x-ndjson")


def _new_file() -> Path:
    with tempfile.NamedTemporaryFile(prefix="scnet-", delete=False) as file:
        return Path(file.name)


async def _file(written: Awaitable[None], path: Path, name: str, kind: str) -> StreamingResponse:
    """Answers with a written file and removes its name at once: the file disappears with its last reader."""
    try:
        await written
        file = path.open("rb")
    finally:
        path.unlink()
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(os.fstat(file.fileno()).st_size),
    }
    return StreamingResponse(_parts(file), media_type=kind, headers=headers)


def _parts(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while part := file.read(PART):
            yield part
