"""Edges on free ports of 127.0.0.1, and devices in threads of their own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate import Edge
from peer import Peer

BODY = random.Random(7959).randbytes(5000)
LONG_BODY = random.Random(7641).randbytes(200_001)  # enough to be mapped rather than kept as bytes


@pytest.fixture
def body() -> bytes:
    """A package of five blocks of 1024 bytes, the last one short."""
    return BODY


@pytest.fixture
def long_body() -> bytes:
    """A package of 196 blocks of 1024 bytes."""
    return LONG_BODY


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    """A file with the long package."""
    path = tmp_path / "v2.bin"
    path.write_bytes(LONG_BODY)
    return path


@pytest.fixture
def edge_of(tmp_path: Path) -> Callable[..., Edge]:
    """An Edge on a free port of 127.0.0.1, unless told otherwise; start it by `async with`."""
    spool = tmp_path / "spool"
    spool.mkdir()

    def make(**how: object) -> Edge:
        return Edge(**({"host": "127.0.0.1", "port": 0, "spool": spool} | how))

    return make


@pytest.fixture(params=[0, 1, 2], ids="threads={}".format)
def threads(request: pytest.FixtureRequest) -> int:
    """Served on the loop, by one thread, by several."""
    return request.param


@pytest.fixture
def download() -> Callable[..., asyncio.Future[bytes]]:
    """Awaited with an edge and a path: the body, as a device outside the loop gets it."""

    async def once(edge: Edge, path: str, szx: int = 6, *, first: int = 0) -> bytes:
        with Peer(edge.port) as peer:
            return await asyncio.to_thread(peer.download, path, szx, first=first)

    return once


@pytest.fixture
def code_of() -> Callable[..., asyncio.Future[str]]:
    """Awaited with an edge and a path: the response code, such as 2.05."""

    async def once(edge: Edge, path: str, **how: object) -> str:
        with Peer(edge.port) as peer:
            answer = await asyncio.to_thread(peer.ask, path, (0, 6), **how)
        return f"{answer.code >> 5}.{answer.code & 31:02}"

    return once
