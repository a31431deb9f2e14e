"""What does a web hook cost? Per task that ends without one and with one, and per event that is delivered."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate.server import Config, Server
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.announcements import Announced, Hook, hook_row
from orchestra import House

RECEIVER = """
import asyncio
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\\r\\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 204 Taken\\r\\n\\r\\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture
def receiver() -> Iterator[str]:
    """The URL of one that takes everything, in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield f"http://127.0.0.1:{running.stdout.readline().strip()}/hook"
        running.terminate()


@pytest.mark.benchmark(group="hooks", timer=time.process_time)
@pytest.mark.parametrize("hooks", [0, 1])
def bench_ended(benchmark: Any, tmp_path: Path, hooks: int, quick: bool) -> None:
    """Tasks are cancelled, and committed with what hooks are to be told of them."""
    count = 500 if quick else 20_000
    house = House(tmp_path)
    for number in range(hooks):
        events = frozenset({Announced.TASK_ENDED})
        hook = Hook(id=str(number), url="http://h/", events=events, secret="s" * 16, created_s=0.0)
        batch = Batch()
        batch.put(tables.hooks, hook_row(hook))
        house.database.commit(batch)
        house.orchestrator.announcements.add(hook)

    def due() -> bool:
        next_s = house.orchestrator.next_timer()
        return next_s is not None and next_s <= house.now

    def work() -> None:
        while due():
            house.orchestrator.expire(house.now)
            house.commit()

    house.campaign(*[f"urn:imei:86{number:013d}" for number in range(count)])
    work()
    house.orchestrator.stop("c1", "", house.now)
    benchmark.pedantic(work, rounds=1)
    assert sum(each.pending for each in house.orchestrator.announcements.hooks.values()) == count * hooks
    benchmark.extra_info.update(per=count, hooks=hooks)
    house.close()


@pytest.mark.benchmark(group="hooks", timer=time.process_time)
def bench_delivered(benchmark: Any, tmp_path: Path, receiver: str, quick: bool) -> None:
    """From rows in the store to their delivery and deletion, eight at a time, by one process."""
    count = 100 if quick else 2_000
    config = Config(
        coap={"host": "127.0.0.1", "port": 0},
        store={"directory": tmp_path / "data"},
        hooks={"allow_private": True},
    )

    async def prepared() -> None:
        async with Server(config) as server:
            hook = await server.hooks.add(url=receiver, events=[Announced.CAMPAIGN_PAUSED])
            batch = Batch()
            for number in range(1, count + 1):
                row = {
                    "hook_id": hook.id,
                    "number": number,
                    "event_id": f"{number:032x}",
                    "event": "task.ended",
                }
                row |= {"endpoint": f"urn:imei:86{number:013d}", "campaign_id": "c", "body": "x" * 400}
                row |= {"at_s": server._in.clock.now(), "since_s": server._in.clock.now(), "state": "pending"}
                batch.put(tables.outbox, row)
            await server._in.write(server._in.database.commit, batch)

    async def delivered() -> float:
        begun_s = time.perf_counter()
        async with Server(config) as server:
            (hook,) = server._in.orchestrator.announcements.hooks.values()
            while hook.pending:  # noqa: ASYNC110  (looked at from outside)
                await asyncio.sleep(0.01)
        return time.perf_counter() - begun_s

    asyncio.run(prepared())
    wall_s = benchmark.pedantic(lambda: asyncio.run(delivered()), rounds=1)
    benchmark.extra_info.update(per=count, delivered_per_s=round(count / wall_s))
