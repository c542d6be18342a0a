"""Accounts at the centres: links, proofs under way, and the account under which a session runs."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("scnet_sessions", sa.Column("account", sa.String(length=255), nullable=False, server_default=""))
    op.add_column("scnet_sessions", sa.Column("address", sa.String(length=300), nullable=False, server_default=""))
    op.create_table(
        "scnet_accounts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("how", sa.String(length=16), nullable=False),
        sa.Column("linked_by", sa.String(length=255), nullable=False),
        sa.Column("linked_at", UtcDateTime(), nullable=False),
        sa.Column("ended_by", sa.String(length=255), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    linked = sa.text("ended_at IS NULL")
    for name, columns in (("scnet_one_account", ["person", "centre"]), ("scnet_one_person", ["centre", "account"])):
        op.create_index(name, "scnet_accounts", columns, unique=True, sqlite_where=linked, postgresql_where=linked)
    op.create_table(
        "scnet_proofs",
        sa.Column("person", sa.String(length=255), nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person", "centre"),
    )
