"""Queries on projects and their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from . import Tx
from .tables import members, projects


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project and its quota: ceilings on use at once, not money."""

    id: str
    title: str
    max_sessions: int
    max_cores: int
    max_gpus: int


def put(tx: Tx, project: ProjectRow, people: Sequence[str]) -> None:
    """Makes the stored project be this one, with these members in this order."""
    values = {"title": project.title, "max_sessions": project.max_sessions, "max_cores": project.max_cores, "max_gpus": project.max_gpus}
    if get(tx, project.id):
        tx.execute(projects.update().where(projects.c.id == project.id).values(values))
    else:
        tx.execute(projects.insert().values(id=project.id, **values))
    tx.execute(delete(members).where(members.c.project == project.id))
    if people:
        rows = [{"project": project.id, "person": person, "position": i} for i, person in enumerate(dict.fromkeys(people))]
        tx.execute(members.insert(), rows)


def get(tx: Tx, project_id: str) -> ProjectRow | None:
    row = tx.execute(select(projects).where(projects.c.id == project_id)).first()
    return ProjectRow(**row._mapping) if row else None


def of(tx: Tx, person: str) -> list[ProjectRow]:
    """The person's projects, by id."""
    query = select(projects).join(members, members.c.project == projects.c.id).where(members.c.person == person).order_by(projects.c.id)
    return [ProjectRow(**row._mapping) for row in tx.execute(query)]


def all_projects(tx: Tx) -> list[ProjectRow]:
    return [ProjectRow(**row._mapping) for row in tx.execute(select(projects).order_by(projects.c.id))]
