"""aiocoap's client downloads from the edge, on the same loop or another."""

from __future__ import annotations

import asyncio

import aiocoap
import pytest

from headgate import Edge

SZX = {16: 0, 64: 2, 512: 5, 1024: 6}


async def fetch(uri: str, **options: object) -> aiocoap.Message:
    """The answer with its whole body, put together by aiocoap."""
    context = await aiocoap.Context.create_client_context()
    try:
        request = aiocoap.Message(code=aiocoap.GET, uri=uri, **options)
        return await context.request(request).response
    finally:
        await context.shutdown()


async def download(source, spool, uri: str = "fw/v2.bin", **options: object) -> aiocoap.Message:
    """The answer of an Edge that serves `source` as "fw/v2.bin", and grants it as {key}."""
    threads = options.pop("threads", 0)
    async with Edge(host="127.0.0.1", port=0, threads=threads, spool=spool) as edge:
        key = edge.grant(await edge.publish("fw/v2.bin", source), "device").key
        return await fetch(f"coap://127.0.0.1:{edge.port}/{uri.format(key=key)}", **options)


def is_whole(answer: aiocoap.Message, body: bytes) -> bool:
    """Every byte, with the identity that any package has."""
    assert answer.code == aiocoap.CONTENT
    assert answer.opt.content_format == aiocoap.ContentFormat.OCTETSTREAM
    assert len(answer.opt.etag) == 8
    return answer.payload == body


@pytest.mark.parametrize("size", [None, 64, 512, 1024])
def test_the_body_arrives_in_blocks_of_any_size(body, body_file, tmp_path, size):
    """Byte for byte; without a size the edge chooses."""
    options = {} if size is None else {"block2": (0, False, SZX[size])}
    assert is_whole(asyncio.run(download(body_file, tmp_path, **options)), body)


def test_the_smallest_blocks(body, tmp_path):
    """Of a part only: aiocoap takes 0.8 ms for each of 18,751 blocks."""
    answer = asyncio.run(download(body[:40_001], tmp_path, block2=(0, False, 0)))
    assert is_whole(answer, body[:40_001])


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("uri", ["fw/v2.bin", "{key}"])
def test_on_any_loop_and_in_threads(run, body, body_file, tmp_path, threads, uri):
    """Public or granted; the client may live on the edge's own loop."""
    answer = run(download(body_file, tmp_path, uri, threads=threads, block2=(0, False, 6)))
    assert is_whole(answer, body)


@pytest.mark.parametrize(("num", "size"), [(37, 512), (37, 16), (18_750, 16), (292, 1024)])
def test_any_block_may_be_asked_first(body, body_file, tmp_path, num, size):
    """By a client that nobody has heard of: the edge has no transfer to look it up in."""

    async def main() -> aiocoap.Message:
        async with Edge(host="127.0.0.1", port=0, spool=tmp_path) as edge:
            await edge.publish("fw/v2.bin", body_file)
            context = await aiocoap.Context.create_client_context()
            try:
                request = aiocoap.Message(
                    code=aiocoap.GET,
                    uri=f"coap://127.0.0.1:{edge.port}/fw/v2.bin",
                    block2=(num, False, SZX[size]),
                )
                return await context.request(request, handle_blockwise=False).response
            finally:
                await context.shutdown()

    answer = asyncio.run(main())
    assert answer.payload == body[num * size :][:size]
    more = (num + 1) * size < len(body)
    assert tuple(answer.opt.block2) == (num, more, SZX[size])


def test_what_is_not_there(body_file, tmp_path):
    """4.04, as aiocoap reads it."""
    answer = asyncio.run(download(body_file, tmp_path, "nothing"))
    assert answer.code == aiocoap.NOT_FOUND


def test_the_list_of_packages_is_found(body_file, tmp_path):
    """`/.well-known/core`, by aiocoap's own reading of link format."""

    async def main() -> aiocoap.Message:
        edge = Edge(host="127.0.0.1", port=0, spool=tmp_path)
        await edge.publish("fw/v2.bin", body_file)
        async with edge:
            return await fetch(f"coap://127.0.0.1:{edge.port}/.well-known/core")

    answer = asyncio.run(main())
    assert answer.opt.content_format == aiocoap.ContentFormat.LINKFORMAT
    assert answer.payload == b"</fw/v2.bin>;ct=42;sz=300001"
