"""The decision log: why each copy was placed where it was, from which inputs, and which starts were refused."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import Packed, UtcDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    text, moment, packed = sa.Text(), UtcDateTime(), Packed()
    op.create_table(
        "scnet_decisions",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("session", sa.String(length=32), sa.ForeignKey("scnet_sessions.id"), nullable=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("said", text, nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("chance", sa.Integer(), nullable=True),
        sa.Column("expected_s", sa.Float(), nullable=True),
        sa.Column("p50_s", sa.Float(), nullable=True),
        sa.Column("p90_s", sa.Float(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("reason", text, nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("answer", packed, nullable=False),
        sa.Column("inputs", packed, nullable=False),
        sa.Column("terms", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_scnet_decisions_decided_at", "scnet_decisions", ["decided_at"])
    op.create_index("scnet_decisions_by_copy", "scnet_decisions", ["session", "number"], unique=True)
    op.create_index("scnet_decisions_by_person", "scnet_decisions", ["person", "decided_at"])
    op.create_table(
        "scnet_terms",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", packed, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "scnet_snapshots",
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("taken_at", moment, nullable=False),
        sa.Column("kept_at", moment, nullable=False),
        sa.Column("loads", packed, nullable=False),
        sa.PrimaryKeyConstraint("centre", "taken_at"),
    )
    op.create_index("ix_scnet_snapshots_kept_at", "scnet_snapshots", ["kept_at"])
    op.create_index("scnet_sessions_ready", "scnet_sessions", ["ready_at"])
    op.create_index("scnet_sessions_by_person", "scnet_sessions", ["person", "created_at"])
