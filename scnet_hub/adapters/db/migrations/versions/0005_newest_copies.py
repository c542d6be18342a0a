"""An index for the newest live copies, which each decision reads."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("scnet_copies_newest", "scnet_copies", ["job_live", "submitted_at"])
