"""Checks the ceilings that a request comes under: the person's, each member's of the project, the project's own, and
the centres', which close a centre for the request but refuse no one.

All of it is read in the transaction that then holds credits and writes the session, so of two starts of which only one
fits, one passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...adapters.db.database import Tx
from ...adapters.db.queries import sessions as session_rows
from ...adapters.db.queries.projects import ProjectRow
from ...domain.jobs import JobRequest
from ...domain.sessions.quotas import NOTHING, Ceiling, Use, document, over, refused, under
from ...domain.standard.centre import CentreSpec
from ...domain.standard.federation import FederationSpec

Json = dict[str, Any]
LIMITS = {"sessions": "max_sessions", "cores": "max_cores", "gpus": "max_gpus"}


def of_project(tx: Tx, project: ProjectRow, *, but: str = "") -> list[Ceiling]:
    """Returns a project's own ceilings, for all its members together."""
    limits = {what: getattr(project, column) for what, column in LIMITS.items()}
    return under(f"Project {project.id}", "it uses", limits, _use(tx, project=project.id, but=but))


def of_person(tx: Tx, spec: FederationSpec, project: ProjectRow, person: str, *, but: str = "") -> list[Ceiling]:
    """Returns a person's ceilings in the whole federation, and as a member of that project."""
    each = next((one.each for one in spec.project if one.id == project.id), None)
    found = under("Each person", f"{person} uses", spec.quota.person.limits(), _use(tx, person=person, but=but))
    if each is None:
        return found
    used = _use(tx, person=person, project=project.id, but=but)
    return found + under(f"Each member of project {project.id}", f"{person} uses", each.limits(), used)


def check(tx: Tx, spec: FederationSpec, project: ProjectRow, *requests: JobRequest, instead_of: str = "") -> None:
    """Raises OverQuota with every ceiling that the requests of one person would pass together, and the size that fits
    now. The use of session `instead_of` does not count: it ends when this one begins."""
    person = requests[0].person
    ceilings = [*of_project(tx, project, but=instead_of), *of_person(tx, spec, project, person, but=instead_of)]
    if error := refused(ceilings, sum(map(asked_for, requests), NOTHING)):
        raise error


def refusals(tx: Tx, specs: Iterable[CentreSpec], request: JobRequest, *, instead_of: str = "") -> dict[str, str]:
    """Returns, by centre, which of its ceilings this request would pass there now. Each copy of a session counts at its
    own centre."""
    limited = [spec for spec in specs if spec.quota.limits() or spec.quota.each.limits()]
    if not limited:
        return {}
    asked, uses = asked_for(request), _uses_at(tx, [spec.id for spec in limited], but=instead_of)
    found = ((spec.id, over(_at(spec, uses, request.person), asked)) for spec in limited)
    return {centre: passed[0].words for centre, passed in found if passed}


def quota_document(tx: Tx, spec: FederationSpec, project: ProjectRow, person: str) -> Json:
    """Returns the ceilings of a project, and of one of its members (`person` "": of none), with the current use."""
    own = of_project(tx, project)
    mine = of_person(tx, spec, project, person) if person else []
    return {
        "quota": {one.what: {"used": one.used, "limit": one.limit} for one in own},
        "my_quota": [document(one) for one in mine],
    }


def documents_by_centre(tx: Tx, specs: Iterable[CentreSpec], person: str) -> dict[str, list[Json]]:
    """Returns the same for the centres that have ceilings; the person's own only if `person` is given."""
    limited = [spec for spec in specs if spec.quota.limits() or spec.quota.each.limits()]
    uses = _uses_at(tx, [spec.id for spec in limited]) if limited else {}
    return {spec.id: [document(one) for one in _at(spec, uses, person)] for spec in limited}


def asked_for(request: JobRequest) -> Use:
    return Use(sessions=1, cores=request.cores, gpus=request.gpus)


def _at(spec: CentreSpec, uses: dict[tuple[str, str], Use], person: str) -> list[Ceiling]:
    together = sum((use for (centre, _), use in uses.items() if centre == spec.id), NOTHING)
    found = under("The federation", "it uses", spec.quota.limits(), together, "there")
    mine = uses.get((spec.id, person), NOTHING)
    return found + (under("Each person", f"{person} uses", spec.quota.each.limits(), mine, "there") if person else [])


def _use(tx: Tx, *, person: str = "", project: str = "", but: str = "") -> Use:
    sessions, cores, gpus = session_rows.use(tx, person=person, project=project, but=but)
    return Use(sessions=sessions, cores=cores, gpus=gpus)


def _uses_at(tx: Tx, centres: list[str], *, but: str = "") -> dict[tuple[str, str], Use]:
    found = session_rows.uses_at(tx, centres, but=but)
    return {who: Use(sessions=sessions, cores=cores, gpus=gpus) for who, (sessions, cores, gpus) in found.items()}
