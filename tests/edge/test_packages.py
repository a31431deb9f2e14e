"""Publishing: a path serves one package until its owner says otherwise, and no one is disturbed by others."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import pytest

from headgate.errors import PackageTooLargeError, PathError, PathTakenError
from headgate.wire.crc import check_code
from peer import Peer

GIB = 1 << 30


def etag_of(body: bytes) -> bytes:
    """The PID: versionCheckCode, where FFFF stands for 0, then 6 bytes of SHA-256."""
    return (check_code(body) or 0xFFFF).to_bytes(2, "big") + hashlib.sha256(body).digest()[:6]


# -- publish and withdraw --


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_served_as_they_were(run, edge_of, download, body, kind):
    """What can change is copied: the owner may use the buffer for something else."""

    async def main() -> None:
        source = kind(bytearray(body))
        async with edge_of() as edge:
            package = await edge.publish("fw", source)
            if not isinstance(source, bytes):
                source[:] = bytes(len(source))
            assert await download(edge, "fw", 5) == body
            assert package.etag == etag_of(body)
            assert package.sha256 == hashlib.sha256(body).digest()
            assert (len(package), package.content_format) == (len(body), 42)

    run(main())


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_is_served(run, edge_of, download, long_file, long_body, as_text):
    """By its path, as text or as a Path; large ones are mapped, small ones are not."""

    async def main() -> None:
        short = long_file.with_name("short.bin")
        short.write_bytes(long_body[:100])
        empty = long_file.with_name("empty.bin")
        empty.touch()
        async with edge_of() as edge:
            for path in (long_file, short, empty):
                package = await edge.publish(path.name, str(path) if as_text else path)
                assert await download(edge, path.name) == path.read_bytes()
                assert package.etag == etag_of(path.read_bytes())

    run(main())


def test_identity_may_be_given(run, edge_of, body):
    """The operator's versionCheckCode leads the ETag; the Content-Format is what is asked for."""

    async def main() -> None:
        async with edge_of() as edge:
            package = await edge.publish("fw", body, check_code=0x1234, content_format=60)
            assert package.etag == bytes.fromhex("1234") + hashlib.sha256(body).digest()[:6]
            with Peer(edge.port) as peer:
                answer = await asyncio.to_thread(peer.ask, "fw", (0, 6))
            assert dict(answer.options)[12] == b"\x3c"
            for wrong in ({"check_code": 0x10000}, {"content_format": 0x10000}, {"check_code": -1}):
                with pytest.raises((ValueError, OverflowError)):
                    await edge.load(body, **wrong)

    run(main())


def test_a_package_is_loaded_once_and_served_anywhere(run, edge_of, download, body):
    """Under several paths, and by another Edge that offers the block sizes for it."""

    async def main() -> None:
        async with edge_of() as edge, edge_of() as other:
            package = await edge.load(body)
            assert await edge.publish("a", package) is package
            await edge.publish("b/c", package)
            await other.publish("a", package)
            assert await download(edge, "a") == await download(edge, "b/c") == body
            assert await download(other, "a") == body
            assert edge.stats.packages == 2

    run(main())


def test_a_taken_path_keeps_its_package(run, edge_of, download, body):
    """Until it is withdrawn or the owner asks for a replacement; the same bytes again change nothing."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish("fw", body)
            await edge.publish("/fw", body)
            with pytest.raises(PathTakenError, match="withdraw it or ask to replace it"):
                await edge.publish("fw", body[:-1])
            assert await download(edge, "fw") == body
            await edge.publish("fw", body[:-1], replace=True)
            assert await download(edge, "fw") == body[:-1]
            assert edge.stats.packages == 1
            assert edge.withdraw("fw") is True
            assert edge.withdraw("fw") is False
            assert edge.stats.packages == 0
            await edge.publish("fw", body)
            assert await download(edge, "fw") == body

    run(main())


def test_a_replaced_package_shows_in_the_etag(run, edge_of, body):
    """A device in the middle of it notices, if it looks: blocks of two packages have two ETags."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish("fw", body)
            with Peer(edge.port) as peer:
                first = await asyncio.to_thread(peer.ask, "fw", (0, 6))
                await edge.publish("fw", bytes(5000), replace=True)
                second = await asyncio.to_thread(peer.ask, "fw", (1, 6))
            assert dict(first.options)[4] == etag_of(body)
            assert dict(second.options)[4] == etag_of(bytes(5000))
            assert second.payload == bytes(1024)

    run(main())


def test_the_second_of_two_publishers_is_told(run, edge_of, download, body, long_file, long_body):
    """Both load; whoever is done first has the path."""

    async def main() -> None:
        async with edge_of() as edge:
            both = await asyncio.gather(
                edge.publish("fw", long_file), edge.publish("fw", body), return_exceptions=True
            )
            assert sorted(type(one).__name__ for one in both) == ["Package", "PathTakenError"]
            assert await download(edge, "fw") in (body, long_body)

    run(main())


def test_a_cancelled_publish_publishes_nothing(
    run, edge_of, code_of, download, long_file, long_body, tmp_path
):
    """Nor does it leave anything behind; it may be done again."""

    async def main() -> None:
        async with edge_of() as edge:
            for turns in range(4):
                publishing = asyncio.create_task(edge.publish("fw", long_file))
                for _ in range(turns):
                    await asyncio.sleep(0)
                publishing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await publishing
                assert await code_of(edge, "fw") == "4.04"
            assert list((tmp_path / "spool").iterdir()) == []
            await edge.publish("fw", long_file)
            assert await download(edge, "fw") == long_body

    run(main())


def test_the_path_of_a_grant_is_not_published_over(run, edge_of, download, body):
    """A key that somebody learned does not become everybody's, nor somebody else's package."""

    async def main() -> None:
        async with edge_of() as edge:
            grant = edge.grant(await edge.load(body), "device")
            for replace in (False, True):
                with pytest.raises(PathTakenError):
                    await edge.publish(grant.key, body[:100], replace=replace)
            assert edge.withdraw(grant.key) is False
            assert await download(edge, grant.key) == body
            assert grant.progress.served_to_end
            assert edge.stats.packages == 0

    run(main())


# -- paths --

WRONG_PATHS = {
    "": "segments",
    "/": "segments",
    "//fw": "segments",
    "fw/": "segments",
    "a//b": "segments",
    ".": "segments",
    "..": "segments",
    "a/./b": "segments",
    "a/..": "segments",
    "x" * 256: "at most 255 bytes",
    "ü" * 128: "at most 255 bytes",
    "\ud800": "UTF-8",
    ".well-known/core": "the list of packages",
    "/.well-known/core": "the list of packages",
}


@pytest.mark.parametrize("replace", [False, True])
def test_a_path_that_nobody_could_ask_is_refused(run, edge_of, body, replace):
    """RFC 3986 section 5.2.4 would remove some segments; a Uri-Path is UTF-8; ours end at 255 bytes."""

    async def main() -> None:
        async with edge_of() as edge:
            for path, why in WRONG_PATHS.items():
                with pytest.raises(PathError, match=why):
                    await edge.publish(path, body, replace=replace)
            assert edge.stats.packages == 0

    run(main())


@pytest.mark.parametrize(
    "path",
    [
        "fw",
        "fw/v2.bin",
        "a b/%41/?&=",
        "...",
        ".a/b..",
        "ü/€/😀",
        "\x00\x7f",
        "x" * 255,
        "/".join("y" * 128),
        "a:b@c",
        "-_~",
    ],
)
def test_any_other_text_is_a_path(run, edge_of, download, body, path):
    """A segment is whatever UTF-8 can carry; nothing in it is decoded a second time."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish(path, body)
            assert await download(edge, path) == body
            assert edge.withdraw(path)

    run(main())


@pytest.mark.parametrize("path", ["", "a//b", "..", "\ud800"])
def test_what_is_no_path_cannot_be_withdrawn(edge_of, path):
    """The same mistake, the same answer."""
    with pytest.raises(PathError):
        edge_of().withdraw(path)


# -- sizes --


@pytest.mark.parametrize("smallest", [16, 64, 512, 1024])
def test_a_package_has_2_20_of_the_smallest_blocks_at_most(run, edge_of, tmp_path, smallest):
    """RFC 7959 section 2.2: NUM has 20 bits. The error says which blocks would do; nothing is copied."""

    async def main() -> None:
        async with edge_of(smallest_block=smallest) as edge:
            large = tmp_path / "large.bin"
            with large.open("wb") as file:
                file.truncate((smallest << 20) + 1)
            with pytest.raises(PackageTooLargeError, match=r"blocks of \d+ bytes") as caught:
                await edge.publish("fw", large)
            assert (f"offer no block below {smallest * 2}" in str(caught.value)) is (smallest < 1024)

    run(main())


def test_another_edges_package_is_measured_too(run, edge_of):
    """Its loader may have offered larger blocks than we do: the end could not be asked for here."""

    async def main() -> None:
        async with edge_of(smallest_block=1024) as coarse, edge_of() as fine:
            package = await coarse.publish("fw", bytes((16 << 20) + 1))
            with pytest.raises(PackageTooLargeError):
                await fine.publish("fw", package)
            with pytest.raises(PackageTooLargeError):
                fine.grant(package, "device")

    run(main())


def test_the_largest_package_is_served_to_its_last_block(run, edge_of):
    """NUM 2**20 - 1 at 16 bytes."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish("fw", bytes((16 << 20) - 1) + b"!")
            with Peer(edge.port) as peer:
                answer = await asyncio.to_thread(peer.ask, "fw", ((1 << 20) - 1, 0))
            assert answer.payload == bytes(15) + b"!"

    run(main())


# -- nobody is disturbed --


def test_a_thousand_changes_disturb_no_download(run, edge_of, threads, body):
    """Published, replaced, withdrawn, granted, while a device downloads what is not touched."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            await edge.publish("untouched", body)
            done = threading.Event()
            downloads = []

            def keep_downloading() -> None:
                with Peer(edge.port) as peer:
                    while not done.is_set() or len(downloads) < 3:
                        downloads.append(peer.download("untouched", 4))

            device = asyncio.create_task(asyncio.to_thread(keep_downloading))
            for number in range(1000):
                path = f"fw/{number}.bin"
                package = await edge.publish(path, number.to_bytes(4, "big") * 200)
                await edge.publish(path, number.to_bytes(4, "big") * 100, replace=True)
                grant = edge.grant(package, f"device {number}")
                if number % 10 > 0:
                    assert edge.withdraw(path)
                    assert edge.withdraw(grant)
            done.set()
            await device
            assert set(downloads) == {body}
            assert (edge.stats.packages, edge.stats.grants) == (101, 100)
            with Peer(edge.port) as peer:
                for number in range(0, 1000, 10):
                    found = await asyncio.to_thread(peer.download, f"fw/{number}.bin")
                    assert found == number.to_bytes(4, "big") * 100

    run(main())


def test_a_blocked_loop_stops_no_download(run, edge_of, body):
    """With threads: the loop is inside one callback, the device's whole download, and then some."""

    async def main() -> None:
        async with edge_of(threads=1) as edge:
            await edge.publish("fw", body)
            with Peer(edge.port) as peer:
                # No await here: nothing else runs on this loop meanwhile.
                assert [peer.download("fw", szx) for szx in range(7)] == [body] * 7

    run(main())
