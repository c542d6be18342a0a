"""Every table of the broker on one page. Entries and postings are only ever added to."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)  # fmt: skip

from ...errors import SpecError
from .keys import MARK

KEYS = "scnet_keys"  # the attribute of an engine's dialect that holds its `Keys`


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python, naive UTC in the database (SQLite keeps no zone). A naive value is a mistake and raises."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Packed(TypeDecorator[Any]):
    """JSON that is long, much alike, and read seldom: compressed to a sixth or less."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> bytes:
        return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)

    def process_result_value(self, value: bytes | None, dialect: Any) -> Any:
        return None if value is None else json.loads(zlib.decompress(value))


class Sealed(TypeDecorator[Any]):
    """JSON that holds secrets: encrypted where the database was given keys. An empty document stays as it is."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        keys = getattr(dialect, KEYS, None)
        return keys.seal(json.dumps(value)) if keys and value else value

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return json.loads(_opened(value, dialect)) if isinstance(value, str) else value


class SealedText(TypeDecorator[str]):
    """A secret, encrypted where the database was given keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        keys = getattr(dialect, KEYS, None)
        return str(keys.seal(value)) if keys and value else value

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return _opened(value, dialect) if value else value


def _opened(text: str, dialect: Any) -> str:
    keys = getattr(dialect, KEYS, None)
    if keys is None and text.startswith(MARK):
        raise SpecError("The broker's database holds encrypted secrets, and was opened without its keys.")
    return str(keys.open(text)) if keys else text


metadata = MetaData()
Number = BigInteger().with_variant(Integer, "sqlite")  # for rows that are only ever added; SQLite's integers are of 64 bits anyway

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
    Column("lease_end", Text, nullable=False, server_default=""),  # why the hold can't be extended; "" while it can
)
# Law 5: one live session per person, kind and name, whatever runs at the same time.
_named = sessions.c.live & ~sessions.c.in_line
Index("scnet_one_live", sessions.c.person, sessions.c.kind, sessions.c.name, unique=True, sqlite_where=_named, postgresql_where=_named)
Index("scnet_sessions_live", sessions.c.live)
Index("scnet_sessions_by_person", sessions.c.person, sessions.c.created_at)
Index("scnet_sessions_ready", sessions.c.ready_at)
Index("scnet_sessions_listed", sessions.c.created_at, sessions.c.id, sqlite_where=sessions.c.live, postgresql_where=sessions.c.live)
Index("scnet_sessions_ended", sessions.c.ended_at)
_open = sessions.c.charged.is_(None)
Index("scnet_sessions_open", sessions.c.project, sessions.c.person, sqlite_where=_open, postgresql_where=_open)

# A session's jobs at the centres: mostly one; a further one where the first stalled or died. The first to call home leads.
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
    Column("job_state", String(16), nullable=False),
    Column("job_live", Boolean, nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("job_end", Text, nullable=False),
    Column("node", String(255), nullable=False),
    Column("host", String(255), nullable=False),
    Column("port", Integer, nullable=False),
    Column("address", String(300), nullable=False),  # "host:port" as the centre's nodes know it; host and port are ours
    Column("reason", Text, nullable=False),
    Column("place_in_queue", Integer, nullable=False),
    Column("submitted_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("job_cancelled_at", UtcDateTime),
    Column("job_ended_at", UtcDateTime),
    Column("unknown_since", UtcDateTime),
    Column("unknown_why", Text, nullable=False),
    Column("forgotten_since", UtcDateTime),  # since when its centre answers without it
    Column("used", BigInteger),  # micro-credits by the centre's usage record; null until it is in
)
Index("scnet_copies_by_centre", copies.c.centre, copies.c.job_live)
Index("scnet_copies_newest", copies.c.job_live, copies.c.submitted_at)

events = Table(
    "scnet_events",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("session", ForeignKey("scnet_sessions.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("message", Text, nullable=False),
)

# The books. Entries, postings and the chain are only ever added to; lots and holds are what they come to, kept beside them in the same
# transaction so that a hold need not add up a project's history: `audit` compares. Each further index costs every hold and charge a page.
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

# Usage as the centres' accounting told it: every record that ever came and differs from those before it. Rows are never deleted.
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
    Column("terms", JSON, nullable=False),  # whose each account is, who pays for each lot, why it was closed without whom
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
Index("scnet_one_account", accounts.c.person, accounts.c.centre, unique=True, sqlite_where=_linked, postgresql_where=_linked)
Index("scnet_one_person", accounts.c.centre, accounts.c.account, unique=True, sqlite_where=_linked, postgresql_where=_linked)

proofs = Table(
    "scnet_proofs",
    metadata,
    Column("person", String(255), primary_key=True),
    Column("centre", String(32), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("code", String(64), nullable=False),  # SHA-256
    Column("expires_at", UtcDateTime, nullable=False),
)

# The decision log: a row for each copy that was asked for, and for each start that was refused. What is the same for many
# decisions is written once beside it: what centres' pages promised (terms), and their snapshots.
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
