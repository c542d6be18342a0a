"""What a person asks of the usage, and whose usage they may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from ...adapters.db.database import Tx
from ...adapters.db.queries import projects as project_rows
from ...adapters.db.queries import spending as spending_rows
from ...errors import NotEntitled, NotFound
from ..projects import projects

T = TypeVar("T")
PAGE, LARGEST = 500, 5000  # rows of one answer: by default, and at most

BY = ("day", "centre", "person", "session", "charge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about usage: whose, when and by which key; no project, no person: all. Without `until` it goes until
    now. At most `limit` rows after the first `after` rows."""

    by: str
    since: datetime
    until: datetime | None = None
    project: str = ""
    person: str = ""
    after: int = 0
    limit: int = PAGE

    def of(self, rows: Sequence[T]) -> list[T]:
        """Returns the page's rows."""
        return list(rows[self.after : self.after + self.limit])


def seen(tx: Tx, asker: str, project: str, person: str) -> str:
    """Returns whose usage `asker` may see in that project ("" for any), having asked for `person`: everyone's ("") in a
    project whose PI or manager they are, else their own. Raises NotEntitled or NotFound."""
    if project and project not in [one.id for one in project_rows.list_for(tx, asker)] + spending_rows.projects_of(
        tx, asker
    ):
        raise NotFound(
            f"You have no project {project[:64]!r}.", hint="`scnet balances` lists them.", code="unknown-project"
        )
    if person == asker or (not person and not (project and projects.oversees(tx, asker, project))):
        return asker
    if not project:
        raise NotEntitled(
            "Another person's usage is only shown within a project that you lead.",
            hint="Name the project.",
            code="not-the-manager",
        )
    if not projects.oversees(tx, asker, project):
        raise NotEntitled(
            f"Only the PI and the managers of project {project} can see what each member used.",
            hint="You can see your own usage.",
            code="not-the-manager",
        )
    return person
