"""Servers on free ports of 127.0.0.1, each with a data directory of its own, and devices that register."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.server import Config, Server
from headgate.store import sqlite
from peer import Message, Peer, get

POST, URI_QUERY, CONTENT_FORMAT = 0x02, 15, 12
CREATED = 0x41
LINKS = b"</1/0>,</3/0>,</4/0>,</5/0>"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory that is not there yet."""
    return tmp_path / "data"


@pytest.fixture
def server_of(data: Path) -> Callable[..., Server]:
    """A Server; sections of the configuration may be given. Start it by `async with`."""

    def make(**sections: dict[str, Any]) -> Server:
        defaults = {
            "coap": {"host": "127.0.0.1", "port": 0, "look_every_s": 0.01},
            "store": {"directory": data, "retry_s": 0.01},
        }
        return Server(
            Config(**{name: defaults.get(name, {}) | sections.get(name, {}) for name in defaults | sections})
        )

    return make


def register(peer: Peer, endpoint: str, message_id: int = 1) -> Message:
    """The answer to a Register: LwM2M 1.1 core, 6.2.1."""
    options = ((CONTENT_FORMAT, b"\x28"), (URI_QUERY, f"ep={endpoint}".encode()), (URI_QUERY, b"lwm2m=1.1"))
    asked = get("rd", code=POST, options=options, message_id=message_id, payload=LINKS)
    return peer.exchange(asked, message_id)


@pytest.fixture
def registered() -> Callable[..., Any]:
    """Awaited with a server and an endpoint: it has registered, as a device outside the loop does."""

    async def once(server: Server, endpoint: str) -> None:
        with Peer(server.port) as peer:
            assert (await asyncio.to_thread(register, peer, endpoint)).code == CREATED

    return once


@pytest.fixture
def locked(data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """While the context lasts, another program holds a lock on the database, and commits fail."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.01)

    @contextmanager
    def holding() -> Iterator[None]:
        other = sqlite3.connect(data / "headgate.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
        finally:
            other.close()

    return holding
