"""Months that are closed, and the statements of their members."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    String,
    Table,
    Text,
)  # fmt: skip

from .columns import UtcDateTime, metadata

periods = Table(
    "scnet_periods",
    metadata,
    Column("name", String(7), primary_key=True),  # "2026-11"
    Column("state", String(16), nullable=False),
    Column("closing_at", UtcDateTime),
    Column("closed_at", UtcDateTime),  # when it was cut: what is written from then on is a correction in a later month
    Column("closed_by", String(255), nullable=False),
    Column("last_entry", BigInteger, nullable=False),  # the id of the last entry before that
    Column("sealed", BigInteger, nullable=False),  # that entry's journal: so many places of the chain...
    Column("head", String(64), nullable=False),  # ... with this hash at their end
    Column(
        "terms", JSON, nullable=False
    ),  # whose each account is, who pays for each lot, why it was closed without whom
)

statements = Table(
    "scnet_statements",
    metadata,
    Column("period", ForeignKey("scnet_periods.name"), primary_key=True),
    Column("unit", String(16), primary_key=True),
    Column("member", String(64), primary_key=True),
    Column("document", JSON, nullable=False),  # its sums and lines
    Column("issued_at", UtcDateTime, nullable=False),
    Column("accept_by", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("words", Text, nullable=False),
    Column("answered_by", String(255), nullable=False),
    Column("answered_at", UtcDateTime),
    Column("trail", Text, nullable=False),  # every answer that it ever had, a line each
)
