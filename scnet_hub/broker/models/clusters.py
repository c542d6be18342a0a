"""Models of the placement of a whole cluster, and of its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, create_model

from ...display.request_fields import FIELDS
from ...domain.jobs import JobRequest
from ...domain.placement.clusters import MOST_JOBS
from ...domain.sessions import requests
from ...errors import BadOption
from ..bodies import validated
from .base import Credits, Document, Json, Seconds, Taken, Time
from .options import Requested, Text, field_of
from .placements import PlaceRefused
from .problems import Problem


class Jobs(Taken):
    """A number of jobs of the same size."""

    count: Annotated[int, Field(ge=1, le=MOST_JOBS)] = 1
    cores: Annotated[int, Field(ge=1, le=100_000)] = 1
    gpus: Annotated[int, Field(ge=0, le=10_000)] = 0
    memory: Text | Annotated[int, Field(ge=0, le=requests.MAX_MEMORY)] = 0
    """The memory of each job: "4G", or bytes (0: the centre's share for the job's cores)."""


SIZES = Annotated[list[Jobs], Field(min_length=1, max_length=16)]
OF_EACH = ("cores", "gpus", "memory", "nodes")  # which `jobs` says; a job of a cluster is on one node


class ClusterJobs(Taken):
    jobs: SIZES


if TYPE_CHECKING:

    class ClusterOptions(Taken):
        """What all jobs of a cluster need."""

else:
    ClusterOptions = create_model(
        "ClusterOptions",
        __base__=Taken,
        __doc__="What all jobs of a cluster need, as in Options, and their sizes.",
        **{one.name: field_of(one) for one in FIELDS if one.name not in OF_EACH},
        jobs=(SIZES, Field(description=f"The sizes of the jobs; at most {MOST_JOBS} jobs together.")),
    )


def jobs_of(person: str, body: Json) -> list[JobRequest]:
    """Returns the request of each job. Raises BadOption."""
    options: dict[str, Any] = {name: value for name, value in body.items() if name != "jobs"}
    for name in OF_EACH:
        if name in options:
            raise BadOption(
                f"{name} is not an option of a whole cluster.",
                hint="Give cores, gpus and memory of each job in `jobs`; each job is on one node.",
                details={"field": name},
            )
    sizes = validated(ClusterJobs, {"jobs": body["jobs"]} if "jobs" in body else {}).jobs
    if (count := sum(one.count for one in sizes)) > MOST_JOBS:
        raise BadOption(
            f"jobs: {count} are too many for one decision; at most {MOST_JOBS}.",
            hint="Ask for the first of them: the others follow as the first start.",
            details={"field": "jobs"},
        )
    found = []
    for one in sizes:
        size = {"cores": one.cores, "gpus": one.gpus, "memory": one.memory}
        found += [requests.job_request(person, {"kind": "dask", **options, **size})] * one.count
    return found


class ClusterQuote(Document):
    """The cost of all jobs: the sums of their quotes."""

    unit: str
    low: Credits
    expected: Credits
    max: Credits
    held_first: Credits
    """Held when all jobs start, for `held_first_s`."""
    held_first_s: Seconds
    available: Credits | None
    after_first: Credits | None
    after_max: Credits | None


class ClusterPlace(Document):
    """One partition as a place for all jobs."""

    centre: str
    centre_name: str
    partition: str
    jobs: int
    now: int
    """Of the jobs, how many would start at once."""
    soon: int
    """Of the jobs, how many would start within a minute."""
    first_start: str
    """The wait of the first job in words."""
    last_start: str
    """The wait of the last job in words."""
    last_start_s: Seconds | None
    reason: str
    quote: ClusterQuote | None
    problem: Problem | None
    """Why there is no quote."""


class ClusterPlacement(Document):
    """A placement of all jobs that starts nothing."""

    decided_at: Time
    request: Requested
    """The largest job."""
    jobs: int
    reason: str
    best: ClusterPlace | None
    ranked: list[ClusterPlace]
    """The best places for one job, ordered by how many jobs start soon there."""
    refusals: list[PlaceRefused]
    refusal: Problem | None
    """Why not all jobs would be taken (over quota, over budget), with how much would pass."""
