"""The REST calls before a start: where a session, or all jobs of a cluster, would be placed now, and what that would
cost. They change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Response

from ..domain.placement import placement
from ..domain.placement.clusters import place_cluster
from ..domain.pricing.quotes import ClusterQuote
from ..domain.sessions import requests
from ..services.placement import documents, quoting
from .bodies import Json, OptionsOf, answer
from .dependencies import Fed, Who, noun
from .models.clusters import ClusterOptions, ClusterPlacement, jobs_of
from .models.options import Options
from .models.placements import PlacementAsked, Quote
from .refusals import PLACING, refuses

router = noun()
Asked = Annotated[Json, Depends(OptionsOf(Options))]
ClusterAsked = Annotated[Json, Depends(OptionsOf(ClusterOptions))]


@router.post("/placements", response_model=PlacementAsked, openapi_extra=refuses(*PLACING))
async def place(fed: Fed, who: Who, body: Asked, quotes: Annotated[bool, Query()] = False) -> Response:
    """Returns where the session would be placed now; with `quotes` also its cost at each centre that could take it."""
    wanted = requests.job_request(who.person, body)
    if who.operator and not wanted.project:
        return answer(documents.placement(await fed.placing.place_without_project(wanted)))
    decision, available = await fed.placing.place(wanted)
    refusal = await fed.placing.refusal(decision)
    found: Json = {**documents.placement(decision, available), "refusal": refusal.problem() if refusal else None}
    if quotes:
        lease = fed.spec.lease.length
        each = await fed.db.query(
            quoting.quoted_each, decision.request, decision.ranked, fed.states, available, fed.clock(), lease
        )
        found["quotes"] = [documents.quote_or_why(there, one) for there, one in each]
    return answer(found)


@router.post("/quotes", response_model=Quote, openapi_extra=refuses(*PLACING, "no-placement"))
async def quote(fed: Fed, who: Who, body: Asked) -> Response:
    """Returns what the session would cost where it would be placed now: low, expected and max, and what is left
    afterwards."""
    wanted = requests.job_request(who.person, body)
    if who.operator and not wanted.project:
        decision, available = await fed.placing.place_without_project(wanted), None
    else:
        decision, available = await fed.placing.place(wanted)
    if decision.best is None:
        raise placement.refused(decision)
    found = await fed.db.query(
        quoting.quoted, decision.request, decision.best, fed.states, available, fed.clock(), fed.spec.lease.length
    )
    return answer(documents.quote(decision.best, found))


@router.post("/cluster-placements", response_model=ClusterPlacement, openapi_extra=refuses(*PLACING))
async def place_all(fed: Fed, who: Who, body: ClusterAsked) -> Response:
    """Returns where all jobs of a cluster would be placed together, and what they would cost: first the places where
    most of the jobs start soon."""
    jobs = jobs_of(who.person, body)
    largest = max(jobs, key=lambda job: (job.gpus, job.cores, job.memory))
    if who.operator and not largest.project:
        decision, available = await fed.placing.place_without_project(largest), None
    else:
        decision, available = await fed.placing.place(largest)
    assert decision.inputs is not None  # a decision made now has them
    mine = [replace(decision.request, cores=job.cores, gpus=job.gpus, memory=job.memory) for job in jobs]
    places = place_cluster(mine, decision.ranked, decision.decided_at, decision.inputs.forecast)
    lease = fed.spec.lease.length
    quotes = await fed.db.query(quoting.quoted_clusters, places, fed.states, available, fed.clock(), lease)
    refusal = None
    if places and isinstance(quotes[0], ClusterQuote) and not (who.operator and not largest.project):
        refusal = await fed.placing.refusal_of_all(decision, mine, quotes[0].first)
    problem = refusal.problem() if refusal else None
    return answer({**documents.cluster_placement(decision, places, quotes), "refusal": problem})
