"""Where packages come from: files that change, files that are none, and a spool that is full."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.edge import snapshot
from headgate.edge.mapping import map_file
from headgate.edge.snapshot import default_spool
from headgate.errors import PackageError, PackageTooLargeError
from peer import Peer, eventually

CHANGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 0),
    "cut short": lambda path: os.truncate(path, 100_000),
    "overwritten": lambda path: path.write_bytes(b"\xff" * 300_000),
    "replaced": lambda path: os.replace(path.with_name("other"), path),
    "deleted": lambda path: path.unlink(),
    "forbidden": lambda path: path.chmod(0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_source_changes_nothing_served(
    run, edge_of, threads, long_file, long_body, tmp_path, change
):
    """In the middle of a download: every byte is the published one, and the process is alive (no SIGBUS)."""
    long_file.with_name("other").write_bytes(b"other")

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            await edge.publish("fw", long_file)
            with Peer(edge.port) as peer:
                half = [(await asyncio.to_thread(peer.ask, "fw", (num, 6))).payload for num in range(98)]
                CHANGES[change](long_file)
                rest = await asyncio.to_thread(peer.download, "fw", first=98)
                again = await asyncio.to_thread(peer.download, "fw")
            assert b"".join(half) + rest == again == long_body
            assert list((tmp_path / "spool").iterdir()) == []

    run(main())


# -- what is no package --


def no_file(path: Path) -> None:
    """Nothing."""


def socket_file(path: Path) -> None:
    """A socket's name, which not even root can open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.bind(os.path.relpath(path))


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (no_file, "No such file or directory"),
    "directory": (Path.mkdir, "Is a directory"),
    "pipe": (os.mkfifo, "not a regular file"),
    "socket": (socket_file, "No such device or address"),
    "loop": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_is_a_package_error(run, edge_of, tmp_path, monkeypatch, what):
    """At once, also where an ordinary open would wait for somebody at the other end."""
    make, why = UNREADABLE[what]
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    path = tmp_path / "package"
    make(path)

    async def main() -> None:
        async with edge_of() as edge:
            with pytest.raises(PackageError, match=why) as caught:
                await edge.publish("fw", path)
            assert str(path) in str(caught.value)
            assert edge.stats.packages == 0

    run(main())


def test_a_name_that_no_file_can_have_is_a_package_error(run, edge_of):
    """Not another exception of somebody else's."""

    async def main() -> None:
        async with edge_of() as edge:
            for path in ("a\0b", "x" * 5000, ""):
                with pytest.raises(PackageError):
                    await edge.load(path)

    run(main())


@pytest.mark.parametrize("spool", ["missing", "file"])
def test_a_spool_that_takes_no_copy_is_a_package_error(run, edge_of, tmp_path, long_file, spool):
    """Told by both names: of the package and of the spool."""
    (tmp_path / "file").touch()

    async def main() -> None:
        async with edge_of(spool=tmp_path / spool) as edge:
            with pytest.raises(PackageError, match=f"cannot keep a copy of {long_file} in") as caught:
                await edge.load(long_file)
            assert str(tmp_path / spool) in str(caught.value)

    run(main())


FULL = """
import asyncio, resource, sys
from headgate import Edge
from headgate.errors import PackageError
from peer import Peer

async def main(path, spool):
    async with Edge(host="127.0.0.1", port=0, spool=spool) as edge:
        await edge.publish("small", bytes(1000))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        try:
            await edge.publish("fw", path)
        except PackageError as error:
            print(error)
        with Peer(edge.port) as peer:
            print(len(await asyncio.to_thread(peer.download, "small")))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(len(await edge.publish("fw", path)))

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_full_spool_is_a_package_error(tmp_path, long_file):
    """What is served goes on; when there is room, the package can be published.

    A limit on the size of files, in a process of its own, stands for the full disk.
    """
    spool = tmp_path / "full"
    spool.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(long_file), str(spool)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stderr == ""
    why = os.strerror(errno.EFBIG)
    assert done.stdout.splitlines() == [f"cannot copy {long_file} to {spool}: {why}", "1000", "200001"]
    assert list(spool.iterdir()) == []


def test_a_mapping_that_fails_is_a_package_error(run, edge_of, long_file, monkeypatch):
    """There is no more address space for it."""

    def refuse(fd: int, length: int) -> memoryview:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def main() -> None:
        async with edge_of() as edge:
            monkeypatch.setattr(snapshot, "map_file", refuse)
            with pytest.raises(PackageError, match="Cannot allocate memory"):
                await edge.load(long_file)

    run(main())


def test_a_package_keeps_no_descriptor(run, edge_of, long_file):
    """Thousands of files may be served under the usual limit on open ones."""

    async def main() -> None:
        async with edge_of() as edge:
            before = len(os.listdir("/proc/self/fd"))
            for number in range(20):
                await edge.publish(f"fw/{number}", long_file)
            assert len(os.listdir("/proc/self/fd")) == before

    run(main())


@pytest.mark.parametrize("length", [0, -1])
def test_a_mapping_has_at_least_one_byte(length):
    """The kernel would refuse it in its own words."""
    with pytest.raises(ValueError, match="at least one byte"):
        map_file(0, length)


def test_what_cannot_be_mapped_is_an_os_error():
    """A pipe, a closed descriptor."""
    reading, writing = os.pipe()
    with pytest.raises(OSError, match="No such device"):
        map_file(reading, 100)
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        map_file(reading, 100)


def test_a_source_that_grows_past_the_end_is_too_large(tmp_path, monkeypatch):
    """Its size was right when it was asked for; the copy counts for itself."""
    monkeypatch.setattr(snapshot, "BODY_MAX_BYTES", 1000)
    path = tmp_path / "growing"
    path.write_bytes(bytes(1001))
    with pytest.raises(PackageTooLargeError, match="more than 1000 bytes"):
        snapshot.snapshot_file(path, tmp_path, threading.Event())


def test_a_cancelled_copy_ends(run, edge_of, long_file, monkeypatch):
    """Within a chunk: a gigabyte that nobody waits for any more is not written."""
    chunks = []
    begun, cancelled = threading.Event(), threading.Event()

    def counting(chunk: bytes, code: int) -> int:
        chunks.append(chunk)
        begun.set()
        cancelled.wait()
        return code

    monkeypatch.setattr(snapshot, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(snapshot, "check_code", counting)

    async def main() -> None:
        loading = asyncio.create_task(edge_of().load(long_file))
        await asyncio.to_thread(begun.wait)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        cancelled.set()
        await asyncio.get_running_loop().shutdown_default_executor()
        assert len(chunks) == 1

    run(main())


def test_files_without_a_size_are_read_to_their_end(run, edge_of, download):
    """Such as those of /proc, which say 0."""

    async def main() -> None:
        async with edge_of() as edge:
            package = await edge.publish("status", "/proc/self/status")
            assert len(package) > 100
            assert (await download(edge, "status")).startswith(b"Name:")

    run(main())


def test_a_withdrawn_package_gives_back_what_it_held(run, edge_of, long_file, tmp_path):
    """Its mapping, and with it the space in the spool, once nobody is served from it."""

    def mapped() -> int:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            return sum(f"{tmp_path}/spool/" in line for line in maps)

    async def main() -> None:
        async with edge_of(look_every_s=0.001) as edge:
            for _ in range(3):
                await edge.publish("fw", long_file)
                await edge.publish("fw", long_file.read_bytes()[::-1], replace=True)
                assert mapped() > 0
                assert edge.withdraw("fw")
            await eventually(lambda: mapped() == 0)

    run(main())


def test_the_default_spool_takes_files():
    """/var/tmp where it can be written to, else what the platform says."""
    assert os.access(default_spool(), os.W_OK | os.X_OK)


# -- mapped where it is --


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 200_001])
def test_a_file_that_never_changes_is_served_in_place(run, edge_of, download, tmp_path, long_body, length):
    """Without a copy: the spool is not even there. Hashes are those of a copy; deleting it does no harm."""
    file = tmp_path / "v2.bin"
    file.write_bytes(long_body[:length])

    async def main() -> None:
        async with edge_of(spool=tmp_path / "missing") as edge:
            package = await edge.load(file, in_place=True)
            assert package.etag == (await edge.load(long_body[:length])).etag
            file.unlink()
            await edge.publish("fw", package)
            assert await download(edge, "fw") == long_body[:length]

    run(main())


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_read_in_place_is_a_package_error(run, edge_of, tmp_path, monkeypatch, what):
    """With the same words as of a copy."""
    make, why = UNREADABLE[what]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "package"
    make(path)

    async def main() -> None:
        with pytest.raises(PackageError, match=why):
            await edge_of().load(path, in_place=True)

    run(main())


def test_a_mapping_in_place_that_fails_is_a_package_error(run, edge_of, long_file, monkeypatch):
    """Told by the package's name alone: there is no spool in it."""

    def refuse(fd: int, length: int) -> memoryview:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def main() -> None:
        monkeypatch.setattr(snapshot, "map_file", refuse)
        with pytest.raises(PackageError, match=f"cannot read {long_file}: Cannot allocate memory"):
            await edge_of().load(long_file, in_place=True)

    run(main())
