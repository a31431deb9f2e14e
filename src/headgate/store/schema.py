"""Brings a database up to the schema of `tables`, by Alembic and the steps in migrations/versions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from headgate.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"  # no package: Alembic runs what is in it
REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


def migrate(connection: Connection) -> None:
    """Bring the database up to this version's schema; StoreError where it is beyond it.

    Runs in the transaction of the connection: it is done as a whole, or not at all.
    """
    if at(connection) == newest():
        return
    # It brings a template engine along: 0.15 s, for which only who has something to migrate waits.
    from alembic import command
    from alembic.runtime.migration import MigrationContext

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


def at(connection: Connection) -> set[str]:
    """The revision of the database, as Alembic has noted it; none in a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return set()
    noted = table("alembic_version", column("version_num"))
    return set(connection.execute(select(noted.c.version_num)).scalars())


def newest() -> set[str]:
    """The revision that no step goes on from: Alembic's "head", read from the heads of the steps."""
    said = [
        found
        for step in (MIGRATIONS / "versions").glob("*.py")
        for found in REVISION.findall(step.read_text(encoding="utf-8"))
    ]
    return {name for down, name in said if not down} - {name for down, name in said if down}


def configuration() -> Config:
    """Where Alembic finds the steps."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def known_revisions() -> list[str]:
    """The schemas that this version knows, the newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()]
