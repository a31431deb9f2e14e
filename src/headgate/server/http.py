"""The API on the server's own loop: its socket, its first token, and uvicorn between the two."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.config import Http
from headgate.errors import AddressError
from headgate.server.directory import keep_secret
from headgate.server.logs import logger
from headgate.web.app import Web
from headgate.web.console.sessions import CODE_S
from headgate.web.desk import Desk
from headgate.web.settings import WebSettings

TOKEN = "api-token"  # in the data directory, of the token that a new server makes
BACKLOG = 256
CONNECTIONS_BESIDE = 64  # beyond those that are answered or follow: they are told that it is busy
KEEP_ALIVE_S = 30
GRACE_S = 5  # what is being answered at the end may take so long

AtWork = Callable[[], contextlib.AbstractContextManager[None]]

log = logger()


class Uvicorn(uvicorn.Server):
    """One that leaves the signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield


class HttpServer:
    """Open by `open`, close by `close`."""

    def __init__(self, web: Web, bound: socket.socket, settings: Http, at_work: AtWork) -> None:
        self._web = web
        self._bound = bound
        self.host, self.port = bound.getsockname()[:2]
        config = uvicorn.Config(
            during(at_work, web.asgi),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=settings.requests_max + settings.viewers_max + CONNECTIONS_BESIDE,
        )
        self._uvicorn = Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None
        self.token_file: Path | None = None
        """Where the first token was written, of a server that had none."""

    @classmethod
    async def open(cls, desk: Desk, settings: Http, file: Path, at_work: AtWork) -> Self:
        """Take the port and serve; `file` is where a first token goes. Raises AddressError and StoreError.

        Each request is answered within an `at_work`.
        """
        bound = listening(settings.host, settings.port)
        web = None
        try:
            web = Web(desk, web_settings(settings))
            await web.start()
            server = cls(web, bound, settings, at_work)
            if await web.first_token(lambda secret: keep_secret(file, f"{secret}\n".encode())):
                server.token_file = file
        except BaseException:
            bound.close()
            if web is not None:
                await web.close()
            raise
        server._serving = asyncio.get_running_loop().create_task(server._uvicorn.serve([bound]))
        server._serving.add_done_callback(server._ended)
        return server

    @property
    def url(self) -> str:
        """Where it is reached, on this machine anyway."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def login_url(self, lasts_s: float = CODE_S) -> str:
        """A link that logs one into the console, once, within an hour or that time, by the server's clock.

        The code stands behind `#`, which no browser sends: so it is in no log of what stands before us, and
        no program that looks at links uses it up.
        """
        return f"{self.url}/login#{self._web.login_code(lasts_s)}"

    def told(self) -> None:
        """Events were stored."""
        self._web.told()

    async def close(self) -> None:
        """Answer what was asked, then let go of everything."""
        self._web.end()
        self._uvicorn.should_exit = True
        if self._serving is not None:
            await asyncio.wait([self._serving])
        self._bound.close()
        await self._web.close()

    def _ended(self, serving: asyncio.Task[None]) -> None:
        error = None if serving.cancelled() else serving.exception()
        if error is not None:
            log.error("the API has ended; devices are served on", reason=repr(error))


def during(at_work: AtWork, asgi: ASGIApp) -> ASGIApp:
    """The same application, each request within an `at_work`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        with at_work():
            await asgi(scope, receive, send)

    return answer


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises AddressError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(BACKLOG)
            bound.setblocking(False)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        said = f"TCP port {port} of {host} cannot be used: {error.strerror or error}"
        raise AddressError(f"{said}; set http.host and http.port") from error
    return bound


def web_settings(settings: Http) -> WebSettings:
    """The bounds of the API, of its section."""
    return WebSettings(**{name: getattr(settings, name) for name in WebSettings.__slots__})
