"""Allocations with their requests and answers; kinds of projects; roles and caps of members."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    text, moment = sa.Text(), UtcDateTime()
    op.add_column("scnet_projects", sa.Column("kind", sa.String(length=16), nullable=False, server_default="research"))
    op.add_column("scnet_members", sa.Column("role", sa.String(length=16), nullable=False, server_default="member"))
    op.add_column("scnet_members", sa.Column("cap", sa.BigInteger(), nullable=True))
    op.create_table(
        "scnet_allocations",
        sa.Column("id", sa.String(length=16), primary_key=True),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("grantor", sa.String(length=64), nullable=False),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("centres", sa.JSON(), nullable=False),
        sa.Column("begins_at", moment, nullable=False),
        sa.Column("ends_at", moment, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_by", sa.String(length=255), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("words", text, nullable=False),
        sa.Column("decided_by", sa.String(length=255), nullable=False),
        sa.Column("decided_at", moment, nullable=True),
        sa.Column("answer", text, nullable=False),
        sa.Column("renews", sa.String(length=16), nullable=False),
    )
    op.create_index("ix_scnet_allocations_project", "scnet_allocations", ["project"])
    op.create_index("ix_scnet_allocations_state", "scnet_allocations", ["state"])
