"""Alembic's entry: runs on the connection that `database.migrate` passes. Uses our own version table, beside the hub's
if the database is shared.
"""

from alembic import context

from scnet_hub.adapters.db.engines import VERSIONS
from scnet_hub.adapters.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSIONS,
    include_name=lambda name, kind, parents: kind != "table" or str(name).startswith("scnet_"),
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
