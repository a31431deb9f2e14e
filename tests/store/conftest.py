"""Each test of the store runs on a SQLite file and, where PostgreSQL is installed, on a server of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import postgres
from headgate.store.database import Database


@pytest.fixture
def server(postgres_server: postgres.PostgresServer) -> postgres.PostgresServer:
    """A PostgreSQL server, for what is asked of it alone."""
    return postgres_server


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The URL of an empty database."""
    return new_url()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """An open database, empty at first."""
    opened = Database.open(url)
    yield opened
    opened.close()
