"""Indexes for paged lists of sessions and for uncharged sessions, without reading all sessions that ever existed."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    live, uncharged = sa.column("live", sa.Boolean()), sa.column("charged", sa.BigInteger()).is_(None)
    op.create_index(
        "scnet_sessions_listed", "scnet_sessions", ["created_at", "id"], sqlite_where=live, postgresql_where=live
    )
    op.create_index("scnet_sessions_ended", "scnet_sessions", ["ended_at"])
    op.create_index(
        "scnet_sessions_open",
        "scnet_sessions",
        ["project", "person"],
        sqlite_where=uncharged,
        postgresql_where=uncharged,
    )
