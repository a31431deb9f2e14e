"""What a process sets for itself that is there for one server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Iterator

import pytest

from headgate.server import Config, Server
from headgate.server.process import SETTLED_TASKS, SWITCH_S, Settled, in_short_turns, uncollected
from headgate.store import tables
from headgate.store.batch import Batch


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Nothing is frozen, neither before nor after."""
    gc.unfreeze()
    yield
    gc.unfreeze()


def changed(tasks: int) -> Batch:
    """A turn in which so many tasks were."""
    batch = Batch()
    for number in range(tasks):
        batch.change(tables.tasks, {"id": str(number), "state": "created"})
    return batch


def test_what_has_come_to_stay_is_not_looked_through():
    """Tasks that are new, or other ones than they were, once they are many: few are left to the collector."""
    settled = Settled()
    settled.stored(changed(SETTLED_TASKS - 1))
    assert gc.get_freeze_count() == 0
    settled.stored(changed(1))
    frozen = gc.get_freeze_count()
    assert frozen > 0
    made = [[number] for number in range(1000)]
    settled.stored(changed(SETTLED_TASKS - 1))
    assert gc.get_freeze_count() <= frozen
    settled.stored(changed(1))
    assert gc.get_freeze_count() > frozen + len(made) / 2


def test_what_was_restored_is_not_looked_through():
    """It is frozen before anything else happens."""
    Settled().begin()
    assert gc.get_freeze_count() > 0


def test_threads_take_short_turns_meanwhile():
    """And as they did before, afterwards; a process that has shorter ones keeps them."""
    before_s = sys.getswitchinterval()
    with in_short_turns():
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
        sys.setswitchinterval(SWITCH_S / 2)
        with in_short_turns():
            assert sys.getswitchinterval() == pytest.approx(SWITCH_S / 2)
    assert sys.getswitchinterval() == before_s


def test_garbage_is_looked_for_again_afterwards():
    """Whatever is raised; and not where it was not before."""
    with contextlib.suppress(KeyError), uncollected():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("own_process", [True, False])
def test_a_server_sets_up_its_process_only_where_that_is_its_own(tmp_path, own_process):
    """As `headgate serve` does; a program that embeds a server is left as it is."""
    before_s = sys.getswitchinterval()
    config = Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": tmp_path})
    names = [f"urn:dev:{number}" for number in range(2 * SETTLED_TASKS)]
    changed: list[bool] = []

    async def run() -> None:
        async with Server(config, own_process=own_process) as server:
            changed.append(sys.getswitchinterval() != before_s)
            changed.append(gc.get_freeze_count() > 0)
            gc.unfreeze()
            package = await server.add_package(b"package", version="V2")
            await server.create_campaign(name="", package=package.pid, endpoints=names)
            changed.append(gc.get_freeze_count() > len(names))

    asyncio.run(run())
    assert changed == [own_process] * 3
    assert sys.getswitchinterval() == before_s
