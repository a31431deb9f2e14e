"""What is PostgreSQL's own: connections that are lost, and locks that others hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate.errors import StoreError
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import effects, events
from relay import Relay
from rows import effect, event


def batch_of(number: int) -> Batch:
    """A batch that shows when it is stored twice."""
    batch = Batch()
    batch.put(effects, effect(number))
    batch.append(events, event(number, step=number))
    batch.add(("c", "batches"), 1)
    return batch


def assert_holds(database: Database, count: int) -> None:
    """The batches 1 to `count` are there, each once."""
    assert database.counters("c") == {"batches": count}
    assert [row["step"] for row in database.rows(events, limit=100)] == list(range(1, count + 1))
    assert [row["id"] for row in database.rows(effects, limit=100)] == list(range(1, count + 1))


@pytest.fixture
def url(server) -> str:
    """The URL of an empty database."""
    return server.new()


@pytest.fixture
def database(url):
    """An open database, empty at first."""
    opened = Database.open(url)
    yield opened
    opened.close()


def cut(server) -> None:
    """End all connections of the server but the one that says so."""
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


def test_a_lost_connection(server, database):
    """Said once, made anew with the next commit; readers go on by themselves."""
    database.commit(batch_of(1))
    for number in (2, 3):
        cut(server)
        batch = batch_of(number)
        with pytest.raises(StoreError, match="cannot be reached"):
            database.commit(batch)
        assert_holds(database, number - 1)
        database.commit(batch)
        assert_holds(database, number)


def test_a_server_that_is_restarted(server, database):
    """While it is away every commit fails the same way; afterwards the first one is stored."""
    database.commit(batch_of(1))
    batch = batch_of(2)
    server.stop()
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be reached"):
            database.commit(batch)
        with pytest.raises(StoreError, match="cannot be reached"):
            database.rows(events, limit=1)
    server.start()
    database.commit(batch)
    assert_holds(database, 2)


@pytest.fixture
def folder(server) -> Path:
    """Where the socket of the relay is."""
    return server.short_folder()


@pytest.fixture
def relay(server, folder):
    """A relay to the server."""
    opened = Relay(folder / server.socket.name, server.socket)
    yield opened
    opened.close()


@pytest.mark.parametrize("passes", [True, False], ids=["the commit was done", "the commit was not done"])
def test_a_connection_that_is_lost_while_it_commits(server, folder, relay, passes):
    """Invariant 1: nobody heard what became of the commit. Repeating it stores it once, either way."""
    url = server.new(folder)
    database = Database.open(url)
    database.commit(batch_of(1))
    batch = batch_of(2)
    relay.cut_at(b"COMMIT", passes=passes)
    with pytest.raises(StoreError, match="cannot be reached"):
        database.commit(batch)
    database.commit(batch)
    database.commit(batch_of(3))
    assert_holds(database, 3)
    database.close()


def test_a_batch_that_was_stored_unheard_is_not_asked_for_again(server, folder, relay):
    """Whoever gives it up and commits another goes on from what is stored."""
    database = Database.open(server.new(folder))
    database.commit(batch_of(1))
    relay.cut_at(b"COMMIT", passes=True)
    with pytest.raises(StoreError):
        database.commit(batch_of(2))
    database.commit(batch_of(3))
    assert_holds(database, 3)
    database.close()


def test_what_is_wrong_with_a_url_is_said():
    """Nobody listens there: the message names the place, and no password."""
    with pytest.raises(StoreError, match=r"headgate:\*\*\*@127\.0\.0\.1:1/x cannot be reached"):
        Database.open("postgresql://headgate:secret@127.0.0.1:1/x")


def test_a_missing_database(server):
    """The server's own words, and what to do."""
    with pytest.raises(StoreError, match='"nowhere" does not exist'):
        Database.open(f"postgresql://headgate@/nowhere?host={server.folder}")


def test_commits_are_durable_where_the_server_does_not_make_them_so(server, url):
    """Invariant 2: synchronous_commit is off in some places."""
    with server.connect() as connection:
        connection.execute("ALTER ROLE headgate SET synchronous_commit = off")
        try:
            database = Database.open(url)
            with database.reading() as reader:
                assert reader.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
            database.close()
        finally:
            connection.execute("ALTER ROLE headgate RESET synchronous_commit")


def test_readers_cannot_write(database):
    """A slip in a query changes nothing."""
    with pytest.raises(StoreError, match="read-only"), database.reading() as reader:
        reader.execute(effects.delete())
