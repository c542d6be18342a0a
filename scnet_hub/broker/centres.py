"""The REST calls of what the federation offers: its centres, their prices, and the named sizes of sessions."""

from __future__ import annotations

from fastapi import Response

from ..domain.paging import PAGE, page
from ..services.documents import iso
from ..services.reporting import price_list
from .bodies import Json, answer
from .dependencies import After, Fed, Limit, Short, Who, noun
from .models.centres import Centres, Profiles, Tariffs
from .refusals import refuses

router = noun()


@router.get("/centres", response_model=Centres)
async def list_centres(fed: Fed, who: Who, after: After = "", limit: Limit = PAGE) -> Response:
    """Lists the member centres as the caller finds them, in the order of the federation's page."""
    names, following = page([*fed.states.centres], str, after, limit)
    found = await fed.reports.centres(who.person, names)
    return answer({"as_of": iso(fed.clock()), "centres": found, "next": following})


@router.get("/profiles", response_model=Profiles)
async def list_profiles(fed: Fed, who: Who, after: After = "", limit: Limit = PAGE) -> Response:
    """Lists the sizes that the start page offers by name."""
    found, following = page(fed.spec.profile, lambda one: one.id, after, limit)
    listed: list[Json] = [
        {**one.model_dump(exclude={"walltime"}), "walltime_s": one.walltime.total_seconds()} for one in found
    ]
    return answer({"profiles": listed, "next": following})


@router.get("/tariffs", response_model=Tariffs, openapi_extra=refuses("unknown-centre"))
async def list_tariffs(fed: Fed, who: Who, centre: Short = "", after: After = "", limit: Limit = PAGE) -> Response:
    """Lists the prices of each partition: current, past and future; of every centre, or of one centre. A page has
    `limit` centres."""
    now = fed.clock()
    names, following = page([fed.placing.centre(centre).spec.id] if centre else [*fed.centres], str, after, limit)
    tariffs = [one for name in names for one in price_list.of(fed.centres[name].spec, now)]
    return answer({"as_of": iso(now), "tariffs": tariffs, "next": following})
