"""`/.well-known/core`: what is published, in link format, and nothing that is granted. RFC 6690."""

from __future__ import annotations

import asyncio
import contextlib
import re
from urllib.parse import unquote

import pytest

from headgate import Edge
from headgate.edge import discovery
from headgate.edge.snapshot import Snapshot, snapshot_bytes
from peer import ChangedError, Peer

CORE = ".well-known/core"
LINK = re.compile(r"</(?P<path>[^>]*)>;ct=(?P<ct>\d+);sz=(?P<sz>\d+)")


def parse(links: bytes) -> dict[str, tuple[int, int]]:
    """Path -> (Content-Format, bytes), of a link list whose paths hold no comma unescaped."""
    found = {}
    for link in links.decode("ascii").split(",") if links else []:
        match = LINK.fullmatch(link)
        assert match, link
        found[unquote(match["path"])] = (int(match["ct"]), int(match["sz"]))
    return found


async def listed(edge: Edge, expected: set[str]) -> bytes:
    """The list, when it holds these paths; the loop writes it when it has a turn for that."""
    while True:
        with Peer(edge.port) as peer, contextlib.suppress(ChangedError):
            links = await asyncio.to_thread(peer.download, CORE, 0)
            if set(parse(links)) == expected:
                return links


def test_it_lists_what_is_published(run, edge_of, threads, body):
    """With Content-Format and size, from the publishing to the withdrawal."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            assert await listed(edge, set()) == b""
            await edge.publish("fw/v2.bin", body)
            await edge.publish("config", b"{}", content_format=50)
            links = await listed(edge, {"fw/v2.bin", "config"})
            assert parse(links) == {"fw/v2.bin": (42, 5000), "config": (50, 2)}
            await edge.publish("config", b"{...}", content_format=60, replace=True)
            edge.withdraw("fw/v2.bin")
            while parse(links) != {"config": (60, 5)}:
                links = await listed(edge, {"config"})
            edge.withdraw("config")
            assert await listed(edge, set()) == b""

    run(main())


def test_it_is_written_once_for_all_that_is_published_before_the_start(run, edge_of, body, monkeypatch):
    """The first device finds all of it; writing it for each of N packages would cost N squared."""
    written = []

    def counting(links: bytes) -> Snapshot:
        written.append(links)
        return snapshot_bytes(links)

    async def main() -> None:
        edge = edge_of()
        package = await edge.load(body)
        monkeypatch.setattr(discovery, "snapshot_bytes", counting)
        for number in range(100):
            await edge.publish(f"gone/{number}", package)
            edge.withdraw(f"gone/{number}")
        await edge.publish("fw", package)
        async with edge:
            assert written == [b"</fw>;ct=42;sz=5000"]
            with Peer(edge.port) as peer:
                links = await asyncio.to_thread(peer.download, CORE, 0)
            assert links == b"</fw>;ct=42;sz=5000"

    run(main())


@pytest.mark.parametrize(
    "path", ["a b/c", "x,y;z", '"quoted"', "<angle>", "100%", "%41", "ü/€/😀", "\x00\n", "a?b#c", "~-._"]
)
def test_paths_are_percent_encoded(run, edge_of, path, body):
    """RFC 6690 section 2: a URI reference in angle brackets. Whoever decodes it has the path."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish(path, body)
            links = await listed(edge, {path})
            assert re.fullmatch(rb"</[A-Za-z0-9/._~%-]+>;ct=42;sz=5000", links)

    run(main())


def test_it_is_link_format(run, edge_of, code_of, body):
    """Content-Format 40: RFC 6690 section 7.2.1. It is asked for like any package, and changed by nobody."""

    async def main() -> None:
        async with edge_of() as edge:
            with Peer(edge.port) as peer:
                answer = await asyncio.to_thread(peer.ask, CORE)
            assert dict(answer.options)[12] == b"\x28"
            assert await code_of(edge, CORE, options=((17, b"\x28"),)) == "2.05"
            assert await code_of(edge, CORE, options=((17, b"\x2a"),)) == "4.06"
            assert await code_of(edge, CORE, code=0x03) == "4.05"
            assert edge.withdraw(CORE) is False
            assert edge.stats.packages == 0

    run(main())


def test_a_long_list_comes_in_blocks(run, edge_of, threads):
    """A thousand packages, in blocks as small as the request: it is no amplifier."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            paths = {f"fw/{number}.bin" for number in range(1000)}
            package = await edge.load(b"x")
            for path in paths:
                await edge.publish(path, package)
            links = await listed(edge, paths)
            assert len(links) > 20_000

    run(main())


def test_many_changes_in_a_row_cost_few_writings(run, edge_of, monkeypatch):
    """A writing costs as much as the list is long; the loop has other things to do."""
    written = []

    def counted(links: bytes) -> Snapshot:
        written.append(links.count(b"</"))
        return snapshot_bytes(links)

    monkeypatch.setattr(discovery, "snapshot_bytes", counted)

    async def main() -> None:
        async with edge_of() as edge:
            package = await edge.load(b"x")
            for number in range(1000):
                await edge.publish(f"fw/{number}.bin", package)
                await asyncio.sleep(0)
            await listed(edge, {f"fw/{number}.bin" for number in range(1000)})
            assert len(written) < 500
            assert written[-1] == 1000

    run(main())


def test_a_change_just_before_the_close_stays_unwritten_and_harms_nothing(run, edge_of, body):
    """Nobody can ask any more; no callback is left behind on the loop."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish("fw", body)
        edge.withdraw("fw")
        await asyncio.sleep(0)

    run(main())
