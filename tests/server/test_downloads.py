"""Grants by way of the server: given, told of, withdrawn; by endpoint and PID."""

from __future__ import annotations

import asyncio
import random

import pytest

from headgate.server import Config, Server
from headgate.server import downloads as downloads_module
from headgate.server.clock import Clock
from headgate.upgrade.negotiator import SegmentsWanted
from headgate.upgrade.task import Kind
from peer import Peer, eventually, get

BODY = random.Random(9).randbytes(70_000)  # enough to be mapped


@pytest.mark.parametrize("threads", [0, 1])
def test_the_orchestrator_hears_of_downloads(run, server_of, monkeypatch, threads):
    """The first block, and more of them: a device that downloads is awake, and its task has begun."""
    heard: list[tuple[str, bytes, bool]] = []

    async def main() -> None:
        async with server_of(coap={"threads": threads}) as server:
            monkeypatch.setattr(server._in.orchestrator, "downloading", lambda *told: heard.append(told[:3]))
            package = await server.add_package(BODY, version="V2")
            server._in.packages.downloads.grant("device", package.pid)
            key = server.package_uri("device", package.pid).rpartition("/")[2]
            with Peer(server.port) as peer:
                await asyncio.to_thread(peer.ask, key, (0, 6))
                await eventually(lambda: heard[:1] == [("device", package.pid, True)])
                await asyncio.to_thread(peer.ask, key, (1, 6))
                await eventually(lambda: len(heard) > 1)
                assert set(heard[1:]) == {("device", package.pid, False)}
                assert await asyncio.to_thread(peer.download, key) == BODY

    run(main())


def test_granting_and_withdrawing_may_be_repeated(run, server_of):
    """Each effect may come again after a restart; a withdrawn URI is nobody's."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            downloads = server._in.packages.downloads
            key = server.package_uri("device", package.pid).rpartition("/")[2]
            with Peer(server.port) as peer:

                async def code() -> int:
                    return (await asyncio.to_thread(peer.ask, key, (0, 6))).code

                assert await code() == 0x84
                for _ in range(2):
                    downloads.grant("device", package.pid)
                assert (await code(), server.stats.edge.grants) == (0x45, 1)
                for _ in range(2):
                    downloads.withdraw("device", package.pid)
                assert (await code(), server.stats.edge.grants) == (0x84, 0)
                downloads.grant("device", package.pid)
                assert await code() == 0x45
                await server.remove_package(package.pid)
                assert (await code(), server.stats.edge.grants) == (0x84, 0)

    run(main())


def test_a_grant_waits_for_its_package(run, server_of, data, caplog):
    """One whose file is lost is told, and served once it is added again, to whom it is still granted."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
        (data / "packages" / package.sha256).unlink()
        async with server_of() as server:
            downloads = server._in.packages.downloads
            for device in ("device", "other"):
                downloads.grant(device, package.pid)
            downloads.withdraw("other", package.pid)
            await downloads.load_wanted(())
            assert "a package cannot be served" in caplog.text
            assert server.stats.edge.grants == 0
            await server.add_package(BODY, version="V2")
            assert server.stats.edge.grants == 1
            with Peer(server.port) as peer:
                key = server.package_uri("device", package.pid).rpartition("/")[2]
                assert await asyncio.to_thread(peer.download, key) == BODY

    run(main())


def test_a_grant_too_many_is_told_and_ends_nothing(run, server_of, caplog):
    """The device is answered 4.04, and its task fails by the text published for that."""

    async def main() -> None:
        async with server_of(coap={"grants_max": 1}) as server:
            package = await server.add_package(BODY, version="V2")
            downloads = server._in.packages.downloads
            downloads.grant("one", package.pid)
            downloads.grant("two", package.pid)
            assert "a download cannot be granted" in caplog.text
            assert server.failure is None
            with Peer(server.port) as peer:
                key = server.package_uri("two", package.pid).rpartition("/")[2]
                assert (await asyncio.to_thread(peer.exchange, get(key), 1)).code == 0x84

    run(main())


def wanted_of(package, root: tuple[str, ...], token: bytes = b"12345678") -> SegmentsWanted:
    """Segments for a device with this alternate root."""
    return SegmentsWanted(
        pid=package.pid,
        segment_size_bytes=package.segment_size_bytes,
        version=package.version,
        tokens=(token,),
        root=root,
        wait_s=1.0,
    )


def test_a_root_that_cannot_be_written_to_natively_ends_nothing(run, server_of, caplog):
    """A device may register a longer one at any time, and the usual one again: it is served either way."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2", kind=Kind.SOFTWARE)
            downloads = server._in.packages.downloads
            grants = []
            for root in ((), ("r" * 255,), ("r" * 255,), ("lwm2m",)):
                downloads.grant_segments("device", wanted_of(package, root))
                grants.append(server.stats.edge.grants)
            assert grants == [1, 0, 0, 1]
            assert caplog.text == "", "who registers again and again does not fill the log"
            downloads.withdraw_segments("device", package.pid)
            assert server.stats.edge.grants == 0

    run(main())


@pytest.mark.parametrize("what", ["deleted", "cut", "emptied"])
def test_a_package_file_that_changes_under_us_ends_nothing(run, server_of, data, caplog, what):
    """What was loaded is served on from its mapping; what is not at hand is nothing, and told."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2", kind=Kind.SOFTWARE)
            downloads = server._in.packages.downloads
            await downloads.load(package.pid)
            (path,) = (data / "packages").iterdir()
            path.chmod(0o600)
            if what == "deleted":
                path.unlink()
            else:
                path.write_bytes(BODY[:1000] if what == "cut" else b"")
            assert downloads.body(package.pid) is None
            assert "has changed since it was loaded" in caplog.text

    run(main())


def test_offers_for_roots_of_the_past_are_let_go(run, server_of, monkeypatch):
    """A device chooses its root; what is kept for others of its kind has a bound."""
    monkeypatch.setattr(downloads_module, "OFFERS_MAX", 3)

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2", kind=Kind.SOFTWARE)
            downloads = server._in.packages.downloads
            for number in range(10):
                downloads.grant_segments("device", wanted_of(package, (f"root{number}",)))
            assert len(downloads._offers) == 3
            assert server.stats.edge.grants == 1

    run(main())


def test_a_copy_of_a_request_is_answered_again_after_a_time_of_the_servers_clock(run, data, monkeypatch):
    """The edge goes by the kernel's clock: to a server that lives faster, its seconds are longer."""
    waits: list[float] = []
    offer_of = downloads_module.offer_of

    class Fast(Clock):
        def wait_s(self, until_s: float) -> float:
            return super().wait_s(until_s) / 100.0

    def offered(*what, wait_s, **how):
        waits.append(wait_s)
        return offer_of(*what, wait_s=wait_s, **how)

    monkeypatch.setattr(downloads_module, "offer_of", offered)

    async def main() -> None:
        config = Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": data})
        for clock in (Clock(), Fast()):
            async with Server(config, clock=clock) as server:
                package = await server.add_package(BODY, version="V2", kind=Kind.SOFTWARE)
                server._in.packages.downloads.grant_segments("device", wanted_of(package, ()))

    run(main())
    assert waits == [pytest.approx(1.0, rel=0.01), pytest.approx(0.01, rel=0.01)]
