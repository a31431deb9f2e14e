"""What every request goes through first: how many there are, and how large and how slow their bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.web.problems import Problem

LENGTH_DIGITS_MAX = 18  # of a Content-Length that is worth being looked at


class Bounds:
    """Middleware. A body that is too large is refused by its length, or when it has become so."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        requests_max: int,
        body_bytes_max: int,
        body_bytes_of: Mapping[tuple[str, str], int],
        unbounded: Callable[[str], bool],
        idle_s: float,
        count: Callable[[str], None],
    ) -> None:
        """`body_bytes_of` names methods and paths that take more; those to `unbounded` paths are not counted
        among the requests, since they last; `count` hears of every refusal.
        """
        self._app = app
        self._requests_max = requests_max
        self._body_bytes_max = body_bytes_max
        self._body_bytes_of = body_bytes_of
        self._unbounded = unbounded
        self._idle_s = idle_s
        self._count = count
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        counted = not self._unbounded(scope["path"])
        if counted and self._under_way >= self._requests_max:
            self._count("busy")
            busy = Problem(503, "too many requests at once", headers={"Retry-After": "1"})
            await busy.response()(scope, receive, send)
            return
        self._under_way += counted
        try:
            await self._bounded(scope, receive, send)
        finally:
            self._under_way -= counted

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self._body_bytes_of.get((scope["method"], scope["path"]), self._body_bytes_max)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Problem(413, f"the body has more than {most} bytes", headers={"Connection": "close"})
        if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX or int(length) > most:
            self._count("too large")
            await too_large.response()(scope, receive, send)
            return
        taken = 0
        ended = False

        async def take() -> Message:
            nonlocal taken, ended
            if ended:  # what comes now is the end of the connection, which may be waited for
                return await receive()
            try:
                async with asyncio.timeout(self._idle_s):
                    message = await receive()
            except TimeoutError as error:
                self._count("too slow")
                raise Problem(
                    408, f"nothing of the body came for {self._idle_s:g} s", headers={"Connection": "close"}
                ) from error
            if message["type"] == "http.disconnect":
                self._count("broken off")
                raise Problem(400, "the body was broken off")
            if message["type"] == "http.request":
                ended = not message.get("more_body", False)
                taken += len(message.get("body", b""))
                if taken > most:
                    self._count("too large")
                    raise too_large
            return message

        await self._app(scope, take, send)
