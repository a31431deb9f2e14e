"""The Block2 server that the fleet's tests download from."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from reference.block2_server import Block2Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Block2Server]]:
    """Start a Block2Server; it is stopped when the test ends."""
    servers: list[Block2Server] = []

    def start(body: bytes, **how: object) -> Block2Server:
        servers.append(Block2Server(body, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()
