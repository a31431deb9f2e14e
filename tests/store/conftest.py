"""Each test of the store runs on a SQLite file and, where PostgreSQL is installed, on a server of ours."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import postgres
from headgate.store.database import Database


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL server; where there is none the test is skipped, but not in CI."""
    programs = postgres.programs()
    if programs is None:
        absent = "PostgreSQL is not installed (Debian: apt-get install postgresql)"
        if os.environ.get("CI") == "true":
            pytest.fail(absent)
        pytest.skip(absent)
    with postgres.started(programs) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes the URL of an empty database with each call."""
    if request.param == "postgresql":
        return request.getfixturevalue("server").new
    numbers = iter(range(1_000_000))
    return lambda: f"sqlite:///{tmp_path}/{next(numbers)}/headgate.db"


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
