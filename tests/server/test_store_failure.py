"""A store that takes nothing: no command is issued, nothing is acknowledged, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging

import pytest

from disks import fill, small_disk
from headgate.errors import StoreError
from peer import Peer, eventually, get

REGISTER = {
    "code": 2,
    "options": ((12, b"\x28"), (15, b"ep=device"), (15, b"lwm2m=1.1")),
    "payload": b"</5/0>",
}
BODY = b"the new firmware" * 100
MANY_LINKS = b",".join([b"</5/0>"] * 100)


def test_nothing_is_acknowledged_until_it_is_stored(run, server_of, locked, caplog):
    """One line when it fails and one when it takes commits again, however often it was tried between."""
    caplog.set_level(logging.INFO, "headgate")

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            with Peer(server.port) as peer:
                with locked():
                    peer.send(get("rd", message_id=5, **REGISTER))
                    await eventually(lambda: server.stats.store_failing_since_s is not None)
                    await eventually(lambda: server.stats.pump["commits failed"] >= 3)
                    assert peer.waiting() == []
                    with pytest.raises(StoreError, match="takes nothing just now"):
                        await server.create_campaign(name="c", package=package.pid, endpoints=["device"])
                    assert server.stats.campaigns == 0
                assert (await asyncio.to_thread(peer.hear)).code == 0x41
            assert server.stats.store_failing_since_s is None
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["device"])
        async with server_of() as server:
            assert (server.stats.devices, server.stats.tasks) == (1, 1)
            assert (await server.campaign(campaign.id)).campaign.name == "c"

    run(main())
    told = [record.getMessage() for record in caplog.records if record.name == "headgate"]
    assert len([line for line in told if "no command is issued" in line]) == 1
    assert len([line for line in told if line.startswith("the store takes commits again")]) == 1
    assert "headgate.db" in told[0]


def test_an_end_while_the_store_fails_acknowledges_nothing(run, server_of, locked):
    """The device repeats it to the next server, which stores it."""

    async def main() -> None:
        server = server_of()
        await server.start()
        with Peer(server.port) as peer:
            with locked():
                peer.send(get("rd", message_id=5, **REGISTER))
                await eventually(lambda: server.stats.store_failing_since_s is not None)
                port = server.port
                await server.close()
                assert peer.waiting() == []
            async with server_of(coap={"port": port}) as again:
                assert again.stats.devices == 0
                assert (
                    await asyncio.to_thread(peer.exchange, get("rd", message_id=5, **REGISTER), 5)
                ).code == 0x41

    run(main())


def test_a_full_disk_stops_nothing_for_ever(run, server_of, tmp_path, caplog):
    """Room is made, and everything goes on by itself; packages that found none left nothing behind."""

    async def main() -> None:
        with small_disk(tmp_path / "small", 8 << 20) as disk:
            async with server_of(store={"directory": disk / "data"}) as server:
                ballast = fill(disk)
                with pytest.raises(StoreError, match="no room"):
                    await server.add_package(BODY * 1000, version="V2")
                with Peer(server.port) as peer:
                    for number in range(1000):  # until the room that the log has is used up
                        peer.send(get("rd", message_id=number, **(REGISTER | {"payload": MANY_LINKS})))
                        await asyncio.sleep(0)
                        if server.stats.store_failing_since_s is not None:
                            break
                    await eventually(lambda: server.stats.store_failing_since_s is not None)
                    ballast.unlink()
                    await eventually(lambda: server.stats.store_failing_since_s is None)
                await server.add_package(BODY, version="V2")

    run(main())
    assert "no room is left" in caplog.text
