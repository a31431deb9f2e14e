"""Segment grants of an Edge: tokens, events, progress and limits beside its grants by URI."""

from __future__ import annotations

import asyncio

import pytest

from headgate.edge.events import DownloadCompleted, DownloadStarted
from headgate.edge.segments import SegmentDownload, downlink_options, offer_of
from headgate.engine.segments import Segments
from headgate.errors import FormatError, GrantLimitError
from peer import CON, Message, Peer, eventually, package_of
from reference import coap
from reference import segments as reference

TOKEN, OTHER = b"a token!", b"another!"
CONTENT = 0x45


def asked(segment: int, token: bytes = TOKEN, version: bytes = b"V1.1") -> bytes:
    """A notification with a segment request."""
    payload = reference.request(version, segment)
    return coap.encode(Message(type=CON, code=CONTENT, message_id=segment, token=token, payload=payload))


async def heard(edge, datagram: bytes, count: int) -> list[Message]:
    """What comes back for it, from a device outside the loop."""

    def ask() -> list[Message]:
        with Peer(edge.port) as peer:
            peer.send(datagram)
            return [peer.hear() for _ in range(count)]

    return await asyncio.to_thread(ask)


def test_a_download_is_told_like_any_other(run, edge_of, body, threads):
    """The first segment, the last one, and how many bytes there were; payload counts with the blocks'."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            package = await edge.load(body)
            download = edge.segments.grant(
                offer_of(Segments(package), version="V1.1", root=("lwm2m",)), "urn:dev:1", tokens=[TOKEN]
            )
            events = edge.events()
            for segment in range(10):
                _, write = await heard(edge, asked(segment), 2)
                assert write.payload == reference.answer(segment, body[segment * 500 :][:500])
                path = [value for number, value in write.options if number == 11]
                assert path == [b"lwm2m", b"19", b"1", b"0"]
            seen = [await anext(events) for _ in range(2)]
            assert [type(event) for event in seen] == [DownloadStarted, DownloadCompleted]
            assert all(event.grant is download for event in seen)
            assert (download.endpoint, download.package) == ("urn:dev:1", package)
            assert (download.progress.bytes, download.progress.served_to_end) == (len(body), True)
            stats = edge.stats
            assert (stats.answered["segment"], stats.payload_bytes, stats.grants) == (10, len(body), 1)
            await eventually(lambda: edge.stats.sent == 20)  # a thread counts after it has sent

    run(main())


def test_tokens_come_and_go(run, edge_of, body):
    """A device that registers anew has another; an old one is let go when nobody needs it."""

    async def main() -> None:
        async with edge_of() as edge:
            offer = offer_of(Segments(await edge.load(body)), version="V1.1")
            download = edge.segments.grant(offer, "urn:dev:1", tokens=[TOKEN])
            edge.segments.admit(download, OTHER)
            assert len(await heard(edge, asked(0), 2)) == len(await heard(edge, asked(1, OTHER), 2)) == 2
            edge.segments.dismiss(download, TOKEN)
            [reset] = await heard(edge, asked(2), 1)
            assert reset.type == 3
            assert download.tokens == {OTHER}
            assert download.progress.blocks == 2

    run(main())


def test_a_token_that_moved_on_is_not_withdrawn(run, edge_of, body):
    """The next task of an observed device takes its token over; the task before ends later."""

    async def main() -> None:
        async with edge_of() as edge:
            offer = offer_of(Segments(await edge.load(body)), version="V1.1")
            first = edge.segments.grant(offer, "urn:dev:1", tokens=[TOKEN])
            newer = offer_of(offer.segments, version="V1.2")
            second = edge.segments.grant(newer, "urn:dev:1", tokens=[TOKEN])
            assert edge.withdraw(first)
            assert not edge.withdraw(first)
            assert not edge.segments.withdraw(first)
            assert len(await heard(edge, asked(0, version=b"V1.2"), 2)) == 2
            assert second.progress.blocks == 1
            with pytest.raises(RuntimeError, match="withdrawn"):
                edge.segments.admit(first, OTHER)

    run(main())


def test_what_was_served_is_known_after_the_withdrawal(run, edge_of, body):
    """The record goes to another grant."""

    async def main() -> None:
        async with edge_of(grants_max=1) as edge:
            offer = offer_of(Segments(await edge.load(body)), version="V1.1")
            first = edge.segments.grant(offer, "urn:dev:1", tokens=[TOKEN])
            await heard(edge, asked(0), 2)
            with pytest.raises(GrantLimitError):
                edge.segments.grant(offer, "urn:dev:2", tokens=[OTHER])
            with pytest.raises(GrantLimitError):
                edge.grant(offer.segments.package, "urn:dev:2")
            assert edge.withdraw(first)
            second = edge.segments.grant(offer, "urn:dev:2", tokens=[OTHER])
            assert (first.progress.blocks, second.progress.blocks) == (1, 0)
            assert edge.stats.grants == 1
            assert isinstance(second, SegmentDownload)
            assert "urn:dev:2" in repr(second)

    run(main())


def test_where_segments_are_written():
    """Uri-Path 19, 1, 0 and Content-Format 42, behind the device's alternate path."""
    assert downlink_options().hex() == "b2313901310130112a"
    assert downlink_options(("lwm2m",)).hex() == "b56c776d326d02313901310130112a"


def test_a_root_that_is_too_long_is_refused(body):
    """It is what a device registered, so it is no bug: a native write has room for 64 bytes of options."""
    segments = Segments(package_of(body), size=500)
    with pytest.raises(FormatError, match="266 bytes of options are too many"):
        offer_of(segments, version="V2", root=("r" * 255,))
