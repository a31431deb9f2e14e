"""A Server whose API is asked in the same process, with a token of each scope."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.server import Config, Server
from headgate.server.desk import ServerDesk
from headgate.web.access import Scope, new_secret
from headgate.web.app import Web
from headgate.web.settings import WebSettings
from web_asking import Asked


@pytest.fixture
def api(tmp_path: Path) -> Callable[..., Any]:
    """Makes an API as an asynchronous context, by its bounds; all of a test share a data directory."""

    @asynccontextmanager
    async def running(**bounds: Any) -> AsyncIterator[Asked]:
        sections = {
            "coap": {"host": "127.0.0.1", "port": 0},
            "store": {"directory": tmp_path / "data", "retry_s": 0.01},
        }
        async with Server(Config(**sections)) as server:
            web = Web(ServerDesk(server, server._in), WebSettings(**bounds))
            await web.start()
            server._http = web  # which is told of events
            secrets = {}
            for scope in Scope:
                secrets[scope] = new_secret()
                await web._office.tokens.add(scope.value, scope, secrets[scope])
            yield Asked(server, web, secrets)

    return running
