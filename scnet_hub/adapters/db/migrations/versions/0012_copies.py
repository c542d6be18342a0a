"""A copy's own columns have the names that a session's have. Renaming a column keeps its values and its indexes."""

from alembic import op

revision = "0012"
down_revision = "0011"
RENAMED = (
    ("copies", "job_state", "state"),
    ("copies", "job_live", "live"),
    ("copies", "job_end", "end_reason"),
    ("copies", "job_cancelled_at", "cancelled_at"),
    ("copies", "job_ended_at", "ended_at"),
    ("sessions", "lease_end", "lease_end_reason"),
)


def upgrade() -> None:
    for table, before, name in RENAMED:  # not as a batch: that would write the whole table again on SQLite
        op.execute(f"ALTER TABLE scnet_{table} RENAME COLUMN {before} TO {name}")
