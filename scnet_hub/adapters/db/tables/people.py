"""Who is who at which centre, and what people are told by mail."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
)  # fmt: skip

from .columns import UtcDateTime, metadata

# What people are told by mail. A key is told once.
mails = Table(
    "scnet_mails",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("person", String(255), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("body", Text, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("next_at", UtcDateTime, index=True),  # when it is tried next; null: it is sent, or given up
    Column("tries", Integer, nullable=False),
    Column("trouble", Text, nullable=False),  # why it did not go out
)

# Who is who at which centre. Rows are ended, never changed or deleted: they say who could act as whom, and when.
accounts = Table(
    "scnet_accounts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("person", String(255), nullable=False),
    Column("centre", String(32), nullable=False),
    Column("account", String(64), nullable=False),
    Column("how", String(16), nullable=False),
    Column("linked_by", String(255), nullable=False),
    Column("linked_at", UtcDateTime, nullable=False),
    Column("ended_by", String(255), nullable=False),
    Column("ended_at", UtcDateTime),
)
_linked = accounts.c.ended_at.is_(None)
Index(
    "scnet_one_account",
    accounts.c.person,
    accounts.c.centre,
    unique=True,
    sqlite_where=_linked,
    postgresql_where=_linked,
)
Index(
    "scnet_one_person",
    accounts.c.centre,
    accounts.c.account,
    unique=True,
    sqlite_where=_linked,
    postgresql_where=_linked,
)

proofs = Table(
    "scnet_proofs",
    metadata,
    Column("person", String(255), primary_key=True),
    Column("centre", String(32), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("code", String(64), nullable=False),  # SHA-256
    Column("expires_at", UtcDateTime, nullable=False),
)
