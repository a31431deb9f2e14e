"""A Server begins and ends once; a restart finds what was acknowledged; nothing is served by two."""

from __future__ import annotations

import asyncio
import os
import random

import pytest

from headgate.errors import AddressError, ConfigError, StoreError
from headgate.server import Config, Server
from peer import CON, Peer, eventually, get
from reference import coap

BODY = random.Random(5).randbytes(3000)
NOT_FOUND = 0x84


@pytest.mark.parametrize("threads", [0, 1])
def test_a_restart_finds_what_was_acknowledged(run, server_of, registered, threads):
    """Devices, packages, campaigns and their tasks; URIs are the same (design: grants)."""

    async def main() -> None:
        async with server_of(coap={"threads": threads}) as server:
            await registered(server, "device")
            package = await server.add_package(BODY, version="V2", name="two", source_versions=["V1"])
            campaign = await server.create_campaign(
                name="all", package=package.pid, endpoints=["device", "late"]
            )
            before = await server.tasks(campaign.id)
            uri = server.package_uri("device", package.pid)
            port = server.port
        async with server_of(coap={"threads": threads, "port": port}) as server:
            assert server.packages() == [package]
            assert (server.stats.devices, server.stats.tasks, server.stats.campaigns) == (1, 2, 1)
            assert (await server.campaign(campaign.id)).campaign == campaign
            assert [(task.id, task.endpoint, task.state) for task in await server.tasks(campaign.id)] == [
                (task.id, task.endpoint, task.state) for task in before
            ]
            assert server.package_uri("device", package.pid) == uri

    run(main())


def test_an_unstarted_server_says_so(run, server_of):
    """Before, and after: one life each."""
    server = server_of()
    with pytest.raises(RuntimeError, match="not started"):
        server.packages()

    async def main() -> None:
        async with server:
            with pytest.raises(RuntimeError, match="started before"):
                await server.start()
        with pytest.raises(RuntimeError, match="not started"):
            server.packages()
        with pytest.raises(RuntimeError, match="started before"):
            await server.start()
        await server.close()

    run(main())


def test_two_servers_on_one_data_directory_are_refused(run, server_of, data, registered):
    """The second one, in one line; the first one goes on (invariant: one process writes)."""

    async def main() -> None:
        async with server_of() as server:
            with pytest.raises(StoreError, match=f"another server uses the data directory {data}"):
                await server_of().start()
            await registered(server, "device")
        async with server_of():
            pass

    run(main())


def test_a_start_that_fails_leaves_nothing_behind(run, server_of, data):
    """Neither a lock nor a socket: the same can be tried again."""

    async def main() -> None:
        descriptors = len(os.listdir("/proc/self/fd"))
        async with server_of(store={"directory": data.with_name("other")}) as other:
            with pytest.raises(AddressError, match="is taken"):
                await server_of(coap={"port": other.port}).start()
            (data / "headgate.db").write_bytes(b"no database, but longer than its header" * 100)
            with pytest.raises(StoreError, match=r"headgate\.db"):
                await server_of().start()
            (data / "headgate.db").unlink()
        async with server_of():
            pass
        assert len(os.listdir("/proc/self/fd")) <= descriptors

    run(main())


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"timers": {"download_start_s": 7200.0}}, "timers: download_start_s lies within download_s"),
        ({"radio": {"rsrp_dbm": (1, 2, 3)}}, "radio: three descending bounds"),
        ({"exchange": {"upload_bytes_max": 1 << 30}}, "exchange: upload_bytes_max"),
        ({"retry": {"count": 1, "failures": ("no such text",)}}, "retry.failures: 'no such text'"),
        ({"coap": {"authority": "a b"}}, "coap: authority is host"),
        ({"coap": {"smallest_block": 1024, "largest_block": 16}}, "coap: "),
    ],
)
def test_settings_that_do_not_go_together_are_refused(run, server_of, sections, said):
    """By the section they are in."""

    async def main() -> None:
        with pytest.raises(ConfigError, match=said):
            await server_of(**sections).start()

    run(main())


def test_a_device_that_asks_during_a_restart_is_not_refused(run, server_of, registered, monkeypatch):
    """The port is taken before the store is read; what waits in the socket is answered when all is there."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            port = server.port
            key = server.package_uri("device", package.pid).rpartition("/")[2]
        with Peer(port) as peer:
            asked = []

            def restore(*rooms) -> None:
                peer.send(get(key, (0, 6), type=CON, message_id=7))
                asked.append(rooms)
                rooms[3].grant("device", package.pid)  # as a task that downloads does

            monkeypatch.setattr("headgate.server.house.restore", restore)
            async with server_of(coap={"port": port}):
                answer = await asyncio.to_thread(peer.hear)
            assert len(asked) == 1
            assert (answer.code, answer.message_id, answer.payload) == (0x45, 7, BODY[:1024])

    run(main())


def test_the_last_turn_is_stored_and_answered(run, server_of, registered):
    """What was received before the end: a graceful one owes nobody an answer."""

    async def main() -> None:
        server = server_of()
        await server.start()
        with Peer(server.port) as peer:
            peer.send(
                get(
                    "rd",
                    code=2,
                    options=((15, b"ep=last"), (15, b"lwm2m=1.1")),
                    message_id=9,
                    payload=b"</5/0>",
                )
            )
            await eventually(lambda: server.stats.edge.handed_over == 1)
            await server.close()
            assert (await asyncio.to_thread(peer.hear)).code == 0x41
        async with server_of() as again:
            assert again.stats.devices == 1

    run(main())


def test_what_no_room_knows_is_not_found(run, server_of):
    """A path of nobody's is answered by the LwM2M server, since the edge hands it over."""

    async def main() -> None:
        async with server_of() as server:
            with Peer(server.port) as peer:
                assert (await asyncio.to_thread(peer.exchange, get("fw/none", type=CON), 1)).code == NOT_FOUND

    run(main())


def test_a_bug_ends_the_server_and_nobody_waits_in_vain(run, server_of, monkeypatch, caplog):
    """It is told with its trace; who waits for a campaign hears of it."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["device"])
            waiting = asyncio.ensure_future(server.ended(campaign.id))
            assert server.failure is None

            def nonsense(*_: object) -> None:
                raise KeyError("nonsense")

            monkeypatch.setattr(server._in.orchestrator, "turn", nonsense)
            with Peer(server.port) as peer:
                peer.send(get("rd", code=2))
                with pytest.raises(KeyError, match="nonsense"):
                    await server.stopped()
            with pytest.raises(RuntimeError, match="the server has ended"):
                await waiting
            assert isinstance(server.failure, KeyError)
            with pytest.raises(RuntimeError, match="does not run"):
                await server.stop_campaign(campaign.id)

    run(main())
    assert "stopped by a bug" in caplog.text
    assert "nonsense" in caplog.text


def test_defaults_are_a_configuration():
    """Made, and nothing opened."""
    assert Server().config == Config()
    assert coap.parse(get("x")).code == 1
