"""What devices speak with: a Block2 server on a socket, or a server in lockstep with one of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from counterpart import Counterpart
from headgate.fleet.device import Device
from headgate.fleet.profile import STYLES
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


@pytest.fixture
def attend() -> Callable[..., Counterpart]:
    """A device of a style, changed as said, and the server that takes its registration."""

    def attended(style: str = "zephyr", package: bytes = b"", **changes: Any) -> Counterpart:
        profile = replace(STYLES[style], **{"endpoint": "urn:dev:1", **changes})
        device = Device(profile, random.Random(11), now=0.0)
        server = Counterpart(device, package, root=profile.root)
        server.run(0.0)
        return server

    return attended
