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
    config = configuration()
    config.attributes["connection"] = connection
    known = known_revisions()
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise StoreError(
            f"the database has the schema {current} of a newer Headgate, and this one knows {known[0]}: "
            "install the newer one, or restore a backup from before"
        )
    command.upgrade(config, "head")


def configuration() -> Config:
    """Where Alembic finds the steps."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def known_revisions() -> list[str]:
    """The schemas that this version knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()]
