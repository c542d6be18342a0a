"""Sessions, their copies at the centres, and the lines of their logs."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)  # fmt: skip

from .columns import Number, Sealed, SealedText, UtcDateTime, metadata

sessions = Table(
    "scnet_sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("person", String(255), nullable=False),
    Column("project", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("request", JSON, nullable=False),
    Column("placement", JSON, nullable=False),
    Column("payload", Sealed, nullable=False),  # argv and env of the job, with its token; emptied when it ends
    Column("lead", Integer, nullable=False),  # the number of the copy that it is seen by
    Column("continues", String(32), nullable=False),  # the session whose place it takes, or took; "" of its own
    Column("in_line", Boolean, nullable=False),  # that one still has the name
    Column("why", Text, nullable=False),
    Column("end_reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ready_at", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("held", BigInteger, nullable=False),  # micro-credits
    Column("charged", BigInteger),
    Column("leased_until", UtcDateTime),  # how long what is held lasts; null: for its whole walltime
    Column(
        "lease_end_reason", Text, nullable=False, server_default=""
    ),  # why the hold can't be extended; "" while it can
)

# Law 5: one live session per person, kind and name, whatever runs at the same time.
_named = sessions.c.live & ~sessions.c.in_line
Index(
    "scnet_one_live",
    sessions.c.person,
    sessions.c.kind,
    sessions.c.name,
    unique=True,
    sqlite_where=_named,
    postgresql_where=_named,
)
Index("scnet_sessions_live", sessions.c.live)
Index("scnet_sessions_by_person", sessions.c.person, sessions.c.created_at)
Index("scnet_sessions_ready", sessions.c.ready_at)
Index(
    "scnet_sessions_listed",
    sessions.c.created_at,
    sessions.c.id,
    sqlite_where=sessions.c.live,
    postgresql_where=sessions.c.live,
)
Index("scnet_sessions_ended", sessions.c.ended_at)
_open = sessions.c.charged.is_(None)
Index("scnet_sessions_open", sessions.c.project, sessions.c.person, sqlite_where=_open, postgresql_where=_open)

# A session's jobs at the centres: mostly one; a further one where the first stalled or died. The first to call home
# leads.
copies = Table(
    "scnet_copies",
    metadata,
    Column("session", ForeignKey("scnet_sessions.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("cause", String(16), nullable=False),  # first, refused, failed, stalled
    Column("asked_at", UtcDateTime, nullable=False),
    Column("centre", String(32), nullable=False),
    Column("partition", String(64), nullable=False),
    Column("account", String(255), nullable=False),  # who runs it at the centre
    Column("secret", SealedText, nullable=False),  # the call-home nonce; emptied when it ends
    Column("nonce", String(64), nullable=False),  # its SHA-256
    Column("state", String(16), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("end_reason", Text, nullable=False),
    Column("node", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("address", String(300), nullable=False),  # "host:port" as the centre's nodes know it; host and port are ours
    Column("reason", Text, nullable=False),
    Column("place_in_queue", Integer, nullable=False),
    Column("submitted_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("cancelled_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("unknown_since", UtcDateTime),
    Column("unknown_why", Text, nullable=False),
    Column("forgotten_since", UtcDateTime),  # since when its centre answers without it
    Column("used", BigInteger),  # micro-credits by the centre's usage record; null until it is in
)
Index("scnet_copies_by_centre", copies.c.centre, copies.c.live)
Index("scnet_copies_newest", copies.c.live, copies.c.submitted_at)

events = Table(
    "scnet_events",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("session", ForeignKey("scnet_sessions.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("message", Text, nullable=False),
)
