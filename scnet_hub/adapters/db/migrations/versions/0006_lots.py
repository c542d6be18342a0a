"""Lots and holds beside the entries that create them, and the chain over all entries."""

import sqlalchemy as sa
from alembic import op

from scnet_hub.adapters.db.tables import UtcDateTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    moment, micros = UtcDateTime(), sa.BigInteger()
    for name, length in (("actor", 255), ("reverses", 200)):
        op.add_column("scnet_entries", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    op.add_column("scnet_entries", sa.Column("recorded_at", moment, nullable=True))
    op.drop_index("ix_scnet_postings_account", table_name="scnet_postings")
    op.drop_index("ix_scnet_entries_session", table_name="scnet_entries")
    with op.batch_alter_table("scnet_postings") as postings:
        postings.alter_column("account", type_=sa.String(length=200), existing_nullable=False)
    op.create_table(
        "scnet_chain",
        sa.Column("seq", sa.Integer(), autoincrement=False, primary_key=True),
        sa.Column("entry", sa.Integer(), sa.ForeignKey("scnet_entries.id"), nullable=False, unique=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
    )
    op.create_table(
        "scnet_lots",
        sa.Column("project", sa.String(length=64), primary_key=True),
        sa.Column("unit", sa.String(length=16), primary_key=True),
        sa.Column("name", sa.String(length=64), primary_key=True),
        sa.Column("grantor", sa.String(length=64), nullable=False),
        *(
            sa.Column(name, micros, nullable=False)
            for name in ("granted", "available", "held", "spent", "expired", "floor")
        ),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("centres", sa.JSON(), nullable=False),
        sa.Column("rate", micros, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_scnet_lots_expires_at", "scnet_lots", ["expires_at"])
    op.create_table(
        "scnet_holds",
        sa.Column("session", sa.String(length=32), primary_key=True),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sqlite_with_rowid=False,
    )
    _fill()


def _fill() -> None:
    """Turns each project's credits into one lot without a name; what live sessions hold is held from that lot."""
    op.execute("UPDATE scnet_entries SET recorded_at = at")
    op.execute(
        "INSERT INTO scnet_lots (project, unit, name, grantor, granted, available, held, spent, expired, floor, "
        "centres, rate) "
        "SELECT project, unit, '', 'federation', granted, granted - held - spent, held, spent, 0, 0, '[]', 0 FROM ("
        "SELECT e.project AS project, p.unit AS unit,"
        " SUM(CASE WHEN p.account = 'federation:grants' THEN -p.micros ELSE 0 END) AS granted,"
        " SUM(CASE WHEN p.account LIKE 'held:%' THEN p.micros ELSE 0 END) AS held,"
        " SUM(CASE WHEN p.account LIKE 'centre:%' THEN p.micros ELSE 0 END) AS spent"
        " FROM scnet_entries e JOIN scnet_postings p ON p.entry = e.id GROUP BY e.project, p.unit) sums"
    )
    held = sa.text(
        "SELECT e.session AS session, e.project AS project, p.unit AS unit, SUM(p.micros) AS held, COUNT(*) AS step"
        " FROM scnet_entries e JOIN scnet_postings p ON p.entry = e.id WHERE p.account LIKE 'held:%' AND "
        "e.session <> ''"
        " GROUP BY e.session, e.project, p.unit HAVING SUM(p.micros) > 0"
    )
    holds = sa.table(
        "scnet_holds",
        *(sa.column(name) for name in ("session", "project", "unit")),
        sa.column("parts", sa.JSON()),
        *(sa.column(name) for name in ("step", "state")),
    )
    bind = op.get_bind()
    rows = [{**row._mapping, "parts": {"": int(row.held)}, "state": "open"} for row in bind.execute(held)]
    for row in rows:
        bind.execute(holds.insert().values({name: value for name, value in row.items() if name != "held"}))
