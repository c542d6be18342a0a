"""The REST call about people: an operator has one forgotten."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ..domain import identifiers
from ..services.projects import erasure
from .sessions import Fed, Who, operator_of

Json = dict[str, Any]
router = APIRouter()


@router.post("/persons/{person:path}/forget")
async def forget(person: str, fed: Fed, who: Who) -> Json:
    """By an operator, not by a session's token: for ever. How many rows of each table it changed."""
    operator_of(who)
    centres = [centre.spec for centre in fed.centres.values()]
    by, instead = who.person or "an operator", erasure.pseudonym()
    rows = await fed.db.run(erasure.forget, identifiers.person(person), instead, by, fed.clock(), federation=fed.spec, centres=centres)
    return {"rows": rows}
