"""When a thread stands in for the loop: while the loop has other work, and a while longer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import httpx
import pytest

from headgate.server import relief
from headgate.server.http import during
from headgate.server.relief import FLOOD, Relief
from peer import eventually


@pytest.fixture(autouse=True)
def lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of what it does otherwise."""
    monkeypatch.setattr(relief, "LINGER_S", 0.02)


class Edge:
    """Counts."""

    def __init__(self) -> None:
        self.standing = self.begun = 0

    @contextlib.contextmanager
    def stood_in(self) -> Iterator[None]:
        """While this lasts."""
        self.standing += 1
        self.begun += 1
        try:
            yield
        finally:
            self.standing -= 1


def test_it_is_there_while_a_request_is_answered(run):
    """However long that takes, and it goes some time after the last of several."""

    async def main() -> None:
        edge = Edge()
        relief_ = Relief(edge.stood_in)
        with relief_.at_work():
            with relief_.at_work():
                assert edge.standing == 1
            await asyncio.sleep(3 * relief.LINGER_S)
            assert edge.standing == 1
        assert edge.standing == 1
        await eventually(lambda: not edge.standing)
        assert edge.begun == 1
        with relief_.at_work():
            assert edge.standing == 1
            relief_.close()
            assert (edge.standing, edge.begun) == (0, 2)

    run(main())


@pytest.mark.parametrize(
    ("changes", "working", "standing"), [(FLOOD - 1, False, 0), (FLOOD, False, 1), (1, True, 1)]
)
def test_it_is_there_for_large_transactions_and_for_work(run, changes, working, standing):
    """A device alone is no reason."""

    async def main() -> None:
        edge = Edge()
        relief_ = Relief(edge.stood_in)
        relief_.committed(changes, working=working)
        assert edge.standing == standing
        await eventually(lambda: not edge.standing)

    run(main())


def test_a_request_that_outlives_the_server_does_no_harm(run):
    """It was being answered when the edge was closed."""

    async def main() -> None:
        edge = Edge()
        relief_ = Relief(edge.stood_in)
        with relief_.at_work():
            relief_.close()
            assert edge.standing == 0
        assert edge.standing == 0

    run(main())


def test_work_that_could_not_begin_is_not_under_way(run):
    """Or it would be for ever."""

    async def main() -> None:
        edge = Edge()
        relief_ = Relief(edge.stood_in)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(relief_, "_stood_in", lambda: (_ for _ in ()).throw(OSError("no socket")))
            with pytest.raises(OSError, match="no socket"), relief_.at_work():
                pass
        with relief_.at_work():
            assert edge.standing == 1
        await eventually(lambda: not edge.standing)

    run(main())


@pytest.mark.parametrize("how", ["answered", "cancelled", "failed"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_request_is_work_until_it_has_ended(run, how, kind):
    """However it ends: its client is gone, or a bug is met."""

    async def main() -> None:
        edge = Edge()
        relief_ = Relief(edge.stood_in)
        asked, ends = asyncio.Event(), asyncio.Event()

        async def app(*_: object) -> None:
            asked.set()
            await ends.wait()
            if how == "failed":
                raise LookupError("a bug")

        answering = asyncio.create_task(during(relief_.at_work, app)({"type": kind}, None, None))
        await asked.wait()
        await asyncio.sleep(3 * relief.LINGER_S)
        assert edge.standing == 1
        answering.cancel() if how == "cancelled" else ends.set()
        await asyncio.wait([answering])
        await eventually(lambda: not edge.standing)
        assert edge.begun == 1

    run(main())


def standing() -> int:
    """How many threads stand in."""
    return sum(each.name == "headgate-stand-in" for each in threading.enumerate())


@pytest.mark.parametrize("threads", [0, 1])
def test_a_server_whose_loop_serves_has_it(run, server_of, registered, threads):
    """While its API is used, and not for a device that registers."""

    async def main() -> None:
        server = server_of(coap={"threads": threads}, http={"port": 0})
        async with server:
            http = await server.serve_http()
            await registered(server, "urn:imei:1")
            assert not standing()
            async with httpx.AsyncClient(base_url=http.url) as client:
                assert (await client.get("/api/v1/healthz")).status_code == 200
            assert standing() == (1 if threads == 0 else 0)
            await registered(server, "urn:imei:2")
            await eventually(lambda: not standing())
            await registered(server, "urn:imei:3")
            assert server.stats.devices == 3
        assert not standing()

    run(main())


def test_who_follows_the_events_is_at_work_until_he_leaves(run, server_of):
    """What happens is sent to him by the loop. A connection that asks for nothing is none."""

    async def main() -> None:
        async with server_of(http={"port": 0}) as server:
            http = await server.serve_http()
            assert http.token_file is not None
            asked = {"Authorization": f"Bearer {http.token_file.read_text().strip()}"}
            async with httpx.AsyncClient(base_url=http.url, headers=asked) as client:
                async with client.stream("GET", "/api/v1/events") as following:
                    assert following.status_code == 200
                    await asyncio.sleep(3 * relief.LINGER_S)
                    assert standing() == 1
                await eventually(lambda: not standing())
                assert (await client.get("/api/v1/healthz")).status_code == 200
                await eventually(lambda: not standing())

    run(main())


def test_two_servers_are_relieved_each_by_its_own(run, server_of, registered, tmp_path):
    """In one process, one after the other has been restarted there."""

    async def main() -> None:
        for _ in range(2):
            async with (
                server_of(http={"port": 0}) as one,
                server_of(store={"directory": tmp_path / "other"}, http={"port": 0}) as other,
            ):
                ways = [await one.serve_http(), await other.serve_http()]
                async with httpx.AsyncClient() as client:
                    for number, way in enumerate(ways, 1):
                        assert (await client.get(f"{way.url}/api/v1/healthz")).status_code == 200
                        assert standing() <= number
                    await registered(one, "urn:imei:1")
                    await registered(other, "urn:imei:2")
            assert not standing()

    run(main())
