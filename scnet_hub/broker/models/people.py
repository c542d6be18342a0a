"""People: who the caller is, and what an erasure changed."""

from __future__ import annotations

from .base import Document


class ProjectName(Document):
    id: str
    title: str


class Me(Document):
    """The caller."""

    person: str
    roles: list[str]
    """member, operator"""
    projects: list[ProjectName]
    default_project: str | None
    federation: str
    """Its name."""
    time_zone: str
    """The federation's."""


class Erased(Document):
    rows: dict[str, int]
    """The number of changed rows, by table."""
