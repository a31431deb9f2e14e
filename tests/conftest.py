"""Shared by all rooms: how hard hypothesis looks, the loops of asynchronous tests, and both databases."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

import postgres

RUN_BOUND_S = 60.0  # no test waits longer for what does not come

# How many examples each property is tried on: more in CI; EXAMPLES=1000 looks further, EXAMPLES=25 is brief.
EXAMPLES = int(os.environ.get("EXAMPLES") or (200 if os.environ.get("CI") == "true" else 100))

# What random tests begin with where SEED does not say it: one for all processes that a run is spread over.
os.environ.setdefault("DRAWN_SEED", str(random.SystemRandom().getrandbits(32)))

# A failure prints the blob that reproduces it. Builds differ in speed (sanitizers), so no deadline.
# Hypothesis would take the same examples each time where it sees CI; ours looks further with every run.
settings.register_profile(
    "headgate",
    print_blob=True,
    deadline=None,
    derandomize=False,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("headgate")


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end on a loop of its own, once per kind of loop."""

    async def bounded(main: Coroutine[Any, Any, Any]) -> Any:
        async with asyncio.timeout(RUN_BOUND_S):
            return await main

    return lambda main: request.param(bounded(main))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
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
    """Makes the URL of an empty database with each call: of a SQLite file, or on a server of ours."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_server").new
    numbers = iter(range(1_000_000))
    return lambda: f"sqlite:///{tmp_path}/{next(numbers)}/headgate.db"
