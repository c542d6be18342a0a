"""The REST call of prices: what each partition costs now, did and will."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from ..services.documents import iso
from ..services.reporting import price_list
from .sessions import Fed, Who

Json = dict[str, Any]
router = APIRouter()


@router.get("/tariffs")
async def tariffs(fed: Fed, who: Who, centre: Annotated[str, Query(max_length=64)] = "") -> Json:
    """Of every partition, or of those of one centre."""
    now = fed.clock()
    found = [fed.placing.centre(centre)] if centre else fed.centres.values()
    return {"as_of": iso(now), "tariffs": [one for each in found for one in price_list.of(each.spec, now)]}
