"""The first schema: projects, sessions, ledger."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "scnet_entries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index(op.f("ix_scnet_entries_project"), "scnet_entries", ["project"], unique=False)
    op.create_index(op.f("ix_scnet_entries_session"), "scnet_entries", ["session"], unique=False)
    op.create_table(
        "scnet_projects",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("max_sessions", sa.Integer(), nullable=False),
        sa.Column("max_cores", sa.Integer(), nullable=False),
        sa.Column("max_gpus", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "scnet_sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("placement", sa.JSON(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("place_in_queue", sa.Integer(), nullable=False),
        sa.Column("end_reason", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ready_at", UtcDateTime(), nullable=True),
        sa.Column("cancelled_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("unknown_since", UtcDateTime(), nullable=True),
        sa.Column("unknown_why", sa.Text(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("charged", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "scnet_one_live",
        "scnet_sessions",
        ["person", "kind", "name"],
        unique=True,
        sqlite_where=sa.text("live"),
        postgresql_where=sa.text("live"),
    )
    op.create_index("scnet_sessions_by_centre", "scnet_sessions", ["centre", "live"], unique=False)
    op.create_table(
        "scnet_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("session", sa.String(length=32), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session"],
            ["scnet_sessions.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_scnet_events_session"), "scnet_events", ["session"], unique=False)
    op.create_table(
        "scnet_members",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project"],
            ["scnet_projects.id"],
        ),
        sa.PrimaryKeyConstraint("project", "person"),
    )
    op.create_table(
        "scnet_postings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("entry", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(length=100), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry"],
            ["scnet_entries.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_scnet_postings_account"), "scnet_postings", ["account"], unique=False)
    op.create_index(op.f("ix_scnet_postings_entry"), "scnet_postings", ["entry"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_scnet_postings_entry"), table_name="scnet_postings")
    op.drop_index(op.f("ix_scnet_postings_account"), table_name="scnet_postings")
    op.drop_table("scnet_postings")
    op.drop_table("scnet_members")
    op.drop_index(op.f("ix_scnet_events_session"), table_name="scnet_events")
    op.drop_table("scnet_events")
    op.drop_index("scnet_sessions_by_centre", table_name="scnet_sessions")
    op.drop_index(
        "scnet_one_live", table_name="scnet_sessions", sqlite_where=sa.text("live"), postgresql_where=sa.text("live")
    )
    op.drop_table("scnet_sessions")
    op.drop_table("scnet_projects")
    op.drop_index(op.f("ix_scnet_entries_session"), table_name="scnet_entries")
    op.drop_index(op.f("ix_scnet_entries_project"), table_name="scnet_entries")
    op.drop_table("scnet_entries")
