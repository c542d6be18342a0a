"""The decision log, with what centres promised and said at the time."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)  # fmt: skip

from .columns import Packed, UtcDateTime, metadata

# The decision log: a row for each copy that was asked for, and for each start that was refused. What is the same for
# many decisions is written once beside it: what centres' pages promised (terms), and their snapshots.
decisions = Table(
    "scnet_decisions",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("decided_at", UtcDateTime, nullable=False, index=True),
    Column("person", String(255), nullable=False),
    Column("project", String(64), nullable=False),
    Column("session", ForeignKey("scnet_sessions.id")),  # null: the start was refused
    Column("number", Integer, nullable=False),  # of the copy; 0: none
    Column("cause", String(16), nullable=False),  # as the copy's
    Column("code", String(64), nullable=False),  # why the start was refused; "" if it was not
    Column("said", Text, nullable=False),
    Column("times", Integer, nullable=False),  # how often the same was refused within a minute
    Column("centre", String(32), nullable=False),
    Column("partition", String(64), nullable=False),
    Column("chance", Integer),
    Column("expected_s", Float),  # until it starts
    Column("p50_s", Float),
    Column("p90_s", Float),
    Column("cost", BigInteger),  # micro-credits
    Column("reason", Text, nullable=False),
    Column("request", JSON, nullable=False),
    Column("answer", Packed, nullable=False),
    Column("inputs", Packed, nullable=False),
    Column("terms", String(64), nullable=False),
)
Index("scnet_decisions_by_copy", decisions.c.session, decisions.c.number, unique=True)
Index("scnet_decisions_by_person", decisions.c.person, decisions.c.decided_at)

terms = Table(
    "scnet_terms",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("document", Packed, nullable=False),
)

snapshots = Table(
    "scnet_snapshots",
    metadata,
    Column("centre", String(32), primary_key=True),
    Column("taken_at", UtcDateTime, primary_key=True),
    Column("kept_at", UtcDateTime, nullable=False, index=True),
    Column("loads", Packed, nullable=False),
)
