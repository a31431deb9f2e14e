"""The schema that migrations make is the one that tables.py draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from headgate.errors import StoreError
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.schema import MIGRATIONS, newest
from headgate.store.tables import campaigns, effects, metadata
from rows import effect


@contextmanager
def connected(url: str) -> Iterator[Engine]:
    """Connections beside the database's own."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(parsed.database).parent.mkdir(exist_ok=True)
        engine = create_engine(parsed)
    else:
        engine = create_engine(parsed.set(drivername="postgresql+psycopg"))
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Connections to the database of the test."""
    with connected(url) as engine:
        yield engine


def schema(engine: Engine) -> dict[str, object]:
    """All tables but Alembic's own: their columns and keys, and their indexes with what these leave out."""
    inspector = inspect(engine)
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        columns = [
            (column["name"], str(column["type"]), column["nullable"], column["default"])
            for column in inspector.get_columns(table)
        ]
        indexes = sorted(
            (
                index["name"],
                index["column_names"],
                index["unique"],
                *map(str, index["dialect_options"].values()),
            )
            for index in inspector.get_indexes(table)
        )
        found[table] = (columns, inspector.get_pk_constraint(table)["constrained_columns"], indexes)
    found.pop("alembic_version", None)
    return found


def test_migrations_make_the_tables_that_are_drawn(new_url):
    """A column in tables.py that no migration makes would be missing in every database that exists."""
    migrated, drawn = new_url(), new_url()
    Database.open(migrated).close()
    with connected(migrated) as engine:
        made = schema(engine)
    with connected(drawn) as engine:
        metadata.create_all(engine)
        assert made == schema(engine)
    assert set(made) == set(metadata.tables)


def test_the_newest_step_is_found_without_alembic():
    """A start that has nothing to migrate does not wait for Alembic: the same head is read from the files."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert newest() == set(ScriptDirectory.from_config(config).get_heads())
    assert len(newest()) == 1


def test_opening_again_changes_nothing(url):
    """Migrations are made once; what is stored stays."""
    database = Database.open(url)
    batch = Batch()
    batch.put(effects, effect(1))
    database.commit(batch)
    database.close()
    again = Database.open(url)
    assert again.rows(effects, limit=10) == [effect(1)]
    again.close()


def test_a_newer_schema_is_refused(url, engine):
    """An older Headgate does not write into what it does not know, and leaves it as it is."""
    Database.open(url).close()
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="schema 9999 of a newer Headgate"):
        Database.open(url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"


def test_a_migration_that_fails_leaves_nothing(url, engine):
    """All steps are one transaction: the next start finds what was there before."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tasks (somebody TEXT)"))
    with pytest.raises(StoreError, match="tasks"):
        Database.open(url)
    assert inspect(engine).get_table_names() == ["tasks"]


def test_a_path_with_a_percent_sign(tmp_path, monkeypatch):
    """Alembic's configuration gives that sign a meaning; a path may hold it."""
    folder = tmp_path / "100%s"
    folder.mkdir()
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    assert (folder / "headgate.db").exists()
    database.close()


def test_campaigns_from_before_there_were_stages(url):
    """They have one, of all their devices; what its counters would have said is counted."""
    with connected(url) as before, before.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO campaigns (id, name, kind, pid, state, created_s, started_s) VALUES "
                "('c', 'old', 'firmware', 'p', 'running', 1, 2), "
                "('d', 'new', 'firmware', 'p', 'creating', 1, NULL)"
            )
        )
        rows = (
            ("a", 1, "failed", 5),
            ("a", 2, "success", 6),
            ("b", 1, "failed", 5),
            ("e", 1, "created", None),
            ("f", 1, "downloading", None),
            ("g", 1, "cancelled", 7),
            ("h", 1, "done_same", 7),
        )
        for endpoint, attempt, state, ended_s in rows:
            connection.execute(
                text(
                    "INSERT INTO tasks (id, campaign_id, endpoint, attempt, state, entered_s, stage_s, "
                    "created_s, ended_s, active) "
                    "VALUES (:id, 'c', :endpoint, :attempt, :state, 1, 1, 1, :ended_s, :active)"
                ),
                {
                    "id": f"{endpoint}.{attempt}",
                    "endpoint": endpoint,
                    "attempt": attempt,
                    "state": state,
                    "ended_s": ended_s,
                    "active": ended_s is None,
                },
            )
    database = Database.open(url)
    old, new = database.rows(campaigns, limit=10)
    assert (old["stages"], old["stage"], new["stages"], new["stage"]) == ("[[6, null]]", 1, "[[0, null]]", 0)
    assert database.counters("c") == {
        "stage 1 begun": 5,
        "stage 1 ended": 4,
        "stage 1 succeeded": 2,
        "stage 1 failed": 1,
        "stage 1 executed": 4,
        "stage 1 errors": 2,
    }
    database.close()
