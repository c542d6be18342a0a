"""Usage records with suspense, prices that charges used, manifests, periods, statements, mails; leases of sessions."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import Packed, UtcDateTime

revision = "0008"
down_revision = "0007"
# to 64 bits; SQLite's columns have 64 bits already
LONGER = {"entries": ["id"], "postings": ["id", "entry"], "chain": ["seq", "entry"], "events": ["id"]}


def upgrade() -> None:
    moment = UtcDateTime()
    op.add_column("scnet_sessions", sa.Column("leased_until", moment, nullable=True))
    op.add_column("scnet_sessions", sa.Column("lease_end", sa.Text(), nullable=False, server_default=""))
    charges = sa.text("kind IN ('charge', 'reverse')")
    if op.get_bind().dialect.name == "postgresql":
        for table, columns in LONGER.items():
            longer = ", ".join(f"ALTER COLUMN {column} TYPE bigint" for column in columns)
            op.execute(f"ALTER TABLE scnet_{table} {longer}")
            if columns[0] == "id":
                op.execute(f"ALTER SEQUENCE scnet_{table}_id_seq AS bigint")
    op.create_index(
        "scnet_charges_by_session", "scnet_entries", ["session"], sqlite_where=charges, postgresql_where=charges
    )
    op.create_table(
        "scnet_usage",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("identity", sa.String(length=300), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("copy", sa.Integer(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("over_at", moment),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=False),
        sa.Column("decided_at", moment),
        sa.Column("tariff", sa.String(length=64), nullable=False),
        sa.UniqueConstraint("identity", "digest", name="scnet_usage_once"),
    )
    op.create_index("ix_scnet_usage_session", "scnet_usage", ["session"])
    op.create_index("ix_scnet_usage_state", "scnet_usage", ["state"])
    op.create_index("scnet_usage_by_day", "scnet_usage", ["centre", "over_at"])
    op.create_table(
        "scnet_tariffs",
        sa.Column("digest", sa.String(length=64), primary_key=True),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("seen_at", moment, nullable=False),
    )
    op.create_table(
        "scnet_outages",
        sa.Column("centre", sa.String(length=32), primary_key=True),
        sa.Column("start", moment, primary_key=True),
        sa.Column("end", moment),
        sa.Column("words", sa.Text(), nullable=False),
    )
    op.create_table(
        "scnet_manifests",
        sa.Column("centre", sa.String(length=32), primary_key=True),
        sa.Column("day", sa.String(length=10), primary_key=True),
        sa.Column("document", Packed(), nullable=False),
        sa.Column("watermark", moment, nullable=False),
        sa.Column("issued_at", moment, nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("excuse", sa.Text(), nullable=False),
        sa.Column("excused_by", sa.String(length=255), nullable=False),
    )
    op.create_table(
        "scnet_periods",
        sa.Column("name", sa.String(length=7), primary_key=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("closing_at", moment),
        sa.Column("closed_at", moment),
        sa.Column("closed_by", sa.String(length=255), nullable=False),
        sa.Column("last_entry", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
    )
    op.create_table(
        "scnet_statements",
        sa.Column("period", sa.String(length=7), sa.ForeignKey("scnet_periods.name"), primary_key=True),
        sa.Column("unit", sa.String(length=16), primary_key=True),
        sa.Column("member", sa.String(length=64), primary_key=True),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("issued_at", moment, nullable=False),
        sa.Column("accept_by", moment, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("answered_by", sa.String(length=255), nullable=False),
        sa.Column("answered_at", moment),
        sa.Column("trail", sa.Text(), nullable=False),
    )
    op.create_table(
        "scnet_mails",
        sa.Column("key", sa.String(length=200), primary_key=True),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("written_at", moment, nullable=False),
        sa.Column("sent_at", moment),
        sa.Column("next_at", moment),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
    )
    op.create_index("ix_scnet_mails_next_at", "scnet_mails", ["next_at"])
