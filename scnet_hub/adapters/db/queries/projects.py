"""Queries on projects and their members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select

from ..database import Tx
from ..tables import members, projects


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project and its quota: ceilings on use at once, not money."""

    id: str
    title: str
    max_sessions: int
    max_cores: int
    max_gpus: int
    kind: str = "research"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """A person in a project: pi, manager or member, who may spend `cap` micro-credits of the project (None: all)."""

    person: str
    role: str = "member"
    cap: int | None = None


def upsert(tx: Tx, project: ProjectRow, people: Sequence[MemberRow]) -> None:
    """Stores this project, with these members in this order."""
    values = {name: getattr(project, name) for name in ProjectRow.__slots__ if name != "id"}
    if get(tx, project.id):
        tx.execute(projects.update().where(projects.c.id == project.id).values(values))
    else:
        tx.execute(projects.insert().values(id=project.id, **values))
    tx.execute(delete(members).where(members.c.project == project.id))
    if people:
        rows = [
            {"project": project.id, "person": one.person, "role": one.role, "cap": one.cap, "position": i}
            for i, one in enumerate(people)
        ]
        tx.execute(members.insert(), rows)


def empty_all_but(tx: Tx, projects: Sequence[str]) -> None:
    """Removes the members of all other projects."""
    tx.execute(delete(members).where(members.c.project.not_in(projects)))


def people(tx: Tx, project: str) -> list[MemberRow]:
    """Returns a project's members, in the order of the page."""
    query = (
        select(members.c.person, members.c.role, members.c.cap)
        .where(members.c.project == project)
        .order_by(members.c.position)
    )
    return [MemberRow(**row._mapping) for row in tx.execute(query)]


def get(tx: Tx, project_id: str) -> ProjectRow | None:
    row = tx.execute(select(projects).where(projects.c.id == project_id)).first()
    return ProjectRow(**row._mapping) if row else None


def list_for(tx: Tx, person: str) -> list[ProjectRow]:
    """Returns the person's projects, by id."""
    query = (
        select(projects)
        .join(members, members.c.project == projects.c.id)
        .where(members.c.person == person)
        .order_by(projects.c.id)
    )
    return [ProjectRow(**row._mapping) for row in tx.execute(query)]


def all_projects(tx: Tx) -> list[ProjectRow]:
    return [ProjectRow(**row._mapping) for row in tx.execute(select(projects).order_by(projects.c.id))]
