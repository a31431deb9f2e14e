"""Run by Alembic around migrations. `migrate` alone calls it, with a connection that is in a transaction."""

from __future__ import annotations

from alembic import context

from headgate.store.tables import metadata

# SQLite, too, rolls back what changes a schema: our connections begin their transactions themselves.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
context.run_migrations()
