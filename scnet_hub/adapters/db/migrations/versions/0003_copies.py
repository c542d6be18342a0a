"""Copies: a session may have several jobs at the centres, and one of the copies leads."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import UtcDateTime

revision = "0003"
down_revision = "0002"

MOVED = (
    "centre", "partition", "account", "nonce", "job_id", "node", "host", "port", "address", "reason", "place_in_queue",
    "submitted_at", "started_at", "unknown_since", "unknown_why",
)  # fmt: skip


def upgrade() -> None:
    text, moment = sa.Text(), UtcDateTime()
    op.create_table(
        "scnet_copies",
        sa.Column("session", sa.String(length=32), sa.ForeignKey("scnet_sessions.id"), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("centre", sa.String(length=32), nullable=False),
        sa.Column("partition", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=255), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("job_state", sa.String(length=16), nullable=False),
        sa.Column("job_live", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("job_end", text, nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("reason", text, nullable=False),
        sa.Column("place_in_queue", sa.Integer(), nullable=False),
        sa.Column("submitted_at", moment, nullable=True),
        sa.Column("started_at", moment, nullable=True),
        sa.Column("job_cancelled_at", moment, nullable=True),
        sa.Column("job_ended_at", moment, nullable=True),
        sa.Column("unknown_since", moment, nullable=True),
        sa.Column("unknown_why", text, nullable=False),
        sa.Column("forgotten_since", moment, nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("session", "number"),
    )
    op.create_index("scnet_copies_by_centre", "scnet_copies", ["centre", "job_live"])
    _fill()
    _narrow()


def _fill() -> None:
    """Makes each session's one job its first copy. The payload held the plain text of the nonce."""
    moved = ", ".join(f'"{name}"' for name in MOVED)
    op.execute(
        f"INSERT INTO scnet_copies ({moved}, session, number, cause, asked_at, secret, job_state, job_live, job_end, "
        f"job_cancelled_at, job_ended_at, used) SELECT {moved}, id, 1, 'first', created_at, '', state, live, "
        "end_reason, "
        "cancelled_at, ended_at, charged FROM scnet_sessions"
    )
    sessions = sa.table("scnet_sessions", sa.column("id"), sa.column("payload", sa.JSON()))
    copies = sa.table("scnet_copies", sa.column("session"), sa.column("secret"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(sessions.c.id, sessions.c.payload)).all():
        if nonce := (row.payload or {}).get("nonce"):
            connection.execute(copies.update().where(copies.c.session == row.id).values(secret=nonce))


def _narrow() -> None:
    """Drops the columns that moved. SQLite's indexes on these columns would prevent that, so indexes go first."""
    op.drop_index("scnet_one_live", table_name="scnet_sessions")
    op.drop_index("scnet_sessions_by_centre", table_name="scnet_sessions")
    op.add_column("scnet_sessions", sa.Column("lead", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("scnet_sessions", sa.Column("continues", sa.String(length=32), nullable=False, server_default=""))
    op.add_column("scnet_sessions", sa.Column("in_line", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in MOVED:
        op.drop_column("scnet_sessions", name)
    named = sa.text("live AND NOT in_line")
    op.create_index(
        "scnet_one_live",
        "scnet_sessions",
        ["person", "kind", "name"],
        unique=True,
        sqlite_where=named,
        postgresql_where=named,
    )
    op.create_index("scnet_sessions_live", "scnet_sessions", ["live"])
