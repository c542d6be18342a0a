"""Which live copies are the newest: each decision asks."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("scnet_copies_newest", "scnet_copies", ["job_live", "submitted_at"])
