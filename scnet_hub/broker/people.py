"""The REST calls about people: who the caller is; the erasure of a person's name by an operator."""

from __future__ import annotations

from fastapi import Response

from ..adapters.db.queries import projects as project_rows
from ..domain import identifiers
from ..services.projects import erasure
from .bodies import answer
from .dependencies import Fed, Operator, Who, name_of, noun
from .models.people import Erased, Me
from .refusals import refuses

router = noun()


@router.get("/me", response_model=Me)
async def get_me(fed: Fed, who: Who) -> Response:
    """Returns the caller, with their projects."""
    mine = await fed.db.query(project_rows.list_for, who.person)
    roles = ["member", *(["operator"] if who.operator else [])]
    listed = [{"id": project.id, "title": project.title} for project in mine]
    own = {"person": who.person, "roles": roles, "projects": listed, "default_project": mine[0].id if mine else None}
    return answer(own | {"federation": fed.spec.name, "time_zone": fed.spec.time_zone})


@router.post(
    "/people/{person:path}/erase",
    response_model=Erased,
    openapi_extra=refuses("unknown-person", "still-named", "sessions-open", "http"),
)
async def erase_person(person: str, fed: Fed, who: Operator) -> Response:
    """Erases a person, as an operator: replaces the person's name by a random name, permanently."""
    centres = [centre.spec for centre in fed.centres.values()]
    name, instead, by = identifiers.person(person), erasure.pseudonym(), name_of(who)
    rows = await fed.db.run(erasure.forget, name, instead, by, fed.clock(), federation=fed.spec, centres=centres)
    return answer({"rows": rows})
