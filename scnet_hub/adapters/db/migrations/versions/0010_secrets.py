"""Room for encrypted secrets. `Database.open` encrypts the existing secrets, because it has the keys."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    with op.batch_alter_table("scnet_copies") as copies:
        copies.alter_column("secret", type_=sa.Text(), existing_type=sa.String(length=64), existing_nullable=False)
