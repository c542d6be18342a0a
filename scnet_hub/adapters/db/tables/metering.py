"""Usage as the centres' accounting told it, with the prices and outages that charges were made by."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)  # fmt: skip

from .columns import Packed, UtcDateTime, metadata

# Usage as the centres' accounting told it: every record that ever came and differs from those before it. Rows are never
# deleted.
usage = Table(
    "scnet_usage",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("identity", String(300), nullable=False),  # "centre/birth/job/submitted/restart"
    Column("revision", Integer, nullable=False),
    Column("digest", String(64), nullable=False),  # of all that it says
    Column("centre", String(32), nullable=False),
    Column("session", String(32), nullable=False, index=True),  # "": nobody's
    Column("copy", Integer, nullable=False),
    Column("final", Boolean, nullable=False),
    Column("over_at", UtcDateTime),  # when a final one was over
    Column("record", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False, index=True),  # counted, suspense, replaced, dropped
    Column("reason", Text, nullable=False),  # why it is in suspense
    Column("decision", Text, nullable=False),  # what an operator decided about it
    Column("decided_by", String(255), nullable=False),
    Column("decided_at", UtcDateTime),
    Column("tariff", String(64), nullable=False),  # the prices that it was charged by
    UniqueConstraint("identity", "digest", name="scnet_usage_once"),
)
Index("scnet_usage_by_day", usage.c.centre, usage.c.over_at)

# Prices as they were when something was charged by them, so that each charge can be made again.
tariffs = Table(
    "scnet_tariffs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("centre", String(32), nullable=False),
    Column("partition", String(64), nullable=False),
    Column("document", JSON, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

# What centres declared as outages: a page that names one no more doesn't undo what was not charged for it.
outages = Table(
    "scnet_outages",
    metadata,
    Column("centre", String(32), primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("end", UtcDateTime),
    Column("words", Text, nullable=False),
)

# What each centre's accounting holds of each day, and what the records here lack beside it.
manifests = Table(
    "scnet_manifests",
    metadata,
    Column("centre", String(32), primary_key=True),
    Column("day", String(10), primary_key=True),  # in the federation's zone
    Column("document", Packed, nullable=False),
    Column("watermark", UtcDateTime, nullable=False),  # up to when the accounting was complete
    Column("issued_at", UtcDateTime, nullable=False),
    Column("missing", JSON, nullable=False),  # in words
    Column("excuse", Text, nullable=False),  # why the month is closed all the same
    Column("excused_by", String(255), nullable=False),
)
