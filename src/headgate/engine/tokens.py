"""Which tokens are alive, and whose they are. RFC 7252 section 5.3.1.

Invariants

1. A request has two live tokens while a later block is under way (`token`, `wire_token`), else one.
2. A request that fetches a notification is known by its wire token only.
"""

from __future__ import annotations

import random

from headgate.engine.request import Request
from headgate.errors import ExchangeLimitError

TOKEN_LENGTH = 8  # bytes: a token alone proves whose message this is, so it must not be guessed


class Tokens:
    """The live ones."""

    def __init__(self, rng: random.Random, most: int) -> None:
        self._rng = rng
        self._most = most
        self._requests: dict[bytes, Request] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def alive(self, token: bytes) -> Request | None:
        """The request that a message with this token is about."""
        return self._requests.get(token)

    def draw(self) -> bytes:
        """A token that is not alive."""
        while True:
            token = self._rng.getrandbits(8 * TOKEN_LENGTH).to_bytes(TOKEN_LENGTH)
            if token not in self._requests:
                return token

    def check_room(self) -> None:
        """Raise ExchangeLimitError where no more may live."""
        if len(self._requests) >= self._most:
            raise ExchangeLimitError(f"{len(self._requests)} tokens are alive: at most requests_max")

    def add(self, request: Request) -> None:
        """Let a request's own token live."""
        assert request.token not in self._requests, "a token is alive once"
        self._requests[request.token] = request

    def renew(self, request: Request) -> None:
        """Give the next message of a request a token of its own."""
        self.drop_wire(request)
        request.wire_token = self.draw()
        self._requests[request.wire_token] = request

    def drop(self, request: Request) -> None:
        """Let a request's own token die. A dead one is no fault."""
        self._requests.pop(request.token, None)

    def drop_wire(self, request: Request) -> None:
        """Let the message last sent have no token but the request's own."""
        if request.wire_token != request.token:
            del self._requests[request.wire_token]
            request.wire_token = request.token
