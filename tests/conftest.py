"""Shared by all rooms: how hard hypothesis looks, and the loops that asynchronous tests run on."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, settings

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
