"""Brings a database up to the schema of `tables`, by Alembic and the steps in migrations/versions."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from headgate.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"  # no package: Alembic runs what is in it


def migrate(connection: Connection) -> None:
    """Bring the database up to this version's schema; StoreError where it is beyond it.

    Runs in the transaction of the connection: it is done as a whole, or not at all.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StoreError(
            f"the database has the schema {current} of a newer Headgate, and this one knows {max(known)}: "
            "install the newer one, or restore a backup from before"
        )
    command.upgrade(config, "head")
