"""Projects, their members, and what projects asked for and were granted."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    String,
    Table,
    Text,
)  # fmt: skip

from .columns import UtcDateTime, metadata

projects = Table(
    "scnet_projects",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("max_sessions", Integer, nullable=False),
    Column("max_cores", Integer, nullable=False),
    Column("max_gpus", Integer, nullable=False),
    Column("kind", String(16), nullable=False, server_default="research"),  # research, personal, company, class
)

members = Table(
    "scnet_members",
    metadata,
    Column("project", ForeignKey("scnet_projects.id"), primary_key=True),
    Column("person", String(255), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False, server_default="member"),  # pi, manager, member
    Column("cap", BigInteger),  # micro-credits that this person may spend of the project's; null: all
)

# What projects asked for and were granted. One that begins is a lot of the same name.
allocations = Table(
    "scnet_allocations",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("project", String(64), nullable=False, index=True),
    Column("unit", String(16), nullable=False),
    Column("grantor", String(64), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("centres", JSON, nullable=False),
    Column("begins_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("state", String(16), nullable=False, index=True),
    Column("asked_by", String(255), nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("words", Text, nullable=False),
    Column("decided_by", String(255), nullable=False),
    Column("decided_at", UtcDateTime),
    Column("answer", Text, nullable=False),
    Column("renews", String(16), nullable=False),
)
