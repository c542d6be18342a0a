"""The books: entries, postings and the chain are only ever added to."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)  # fmt: skip

from .columns import Number, UtcDateTime, metadata

# The books. Entries, postings and the chain are only ever added to; lots and holds are what they come to, kept beside
# them in the same transaction so that a hold need not add up a project's history: `audit` compares. Each further index
# costs every hold and charge a page.
entries = Table(
    "scnet_entries",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("project", String(64), nullable=False, index=True),
    Column("session", String(32), nullable=False),
    Column("memo", Text, nullable=False),
    Column("actor", String(255), nullable=False, server_default=""),
    Column("reverses", String(200), nullable=False, server_default=""),
    Column("recorded_at", UtcDateTime),  # when it was written; `at` is since when it is true
)
CHARGES = text("kind IN ('charge', 'reverse')")  # word for word as in the index, or SQLite doesn't use it
Index("scnet_charges_by_session", entries.c.session, sqlite_where=CHARGES, postgresql_where=CHARGES)

postings = Table(
    "scnet_postings",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("entry", ForeignKey("scnet_entries.id"), nullable=False, index=True),
    Column("account", String(200), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("micros", BigInteger, nullable=False),
)

chain = Table(
    "scnet_chain",
    metadata,
    Column("seq", Number, primary_key=True, autoincrement=False),
    Column("entry", ForeignKey("scnet_entries.id"), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
)

lots = Table(
    "scnet_lots",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("unit", String(16), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("grantor", String(64), nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),  # how far below zero its available may go
    Column("expires_at", UtcDateTime, index=True),
    Column("centres", JSON, nullable=False),
    Column("rate", BigInteger, nullable=False),  # millionths of money that its grantor pays a centre for one of it
    sqlite_with_rowid=False,
)

holds = Table(
    "scnet_holds",
    metadata,
    Column("session", String(32), primary_key=True),
    Column("project", String(64), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("parts", JSON, nullable=False),  # micro-units of each lot
    Column("step", Integer, nullable=False),  # how often it changed
    Column("state", String(16), nullable=False),  # open, posted, void
    sqlite_with_rowid=False,
)
