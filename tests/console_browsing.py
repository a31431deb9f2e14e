"""The console in Debian's Chromium: a server that it is shown by, and a page that is looked at.

Pictures go to build/screenshots. Where there is no Chromium these tests are skipped, in CI never.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from headgate.server import Config, Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = Path(__file__).parents[1] / "build" / "screenshots"
THEMES = ("light", "dark")
PATIENCE_MS = 20_000
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="there is no chromium on this machine"
)

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Served:
    """A server that a thread of its own serves, and what happens there."""

    url: str
    loop: asyncio.AbstractEventLoop
    server: Server
    package: bytes
    campaign: str
    """Which upgrades the devices."""

    def link(self) -> str:
        """A login link."""
        assert self.server.http is not None
        return self.ask(self.server.http.login_url)

    def begun(self, *endpoints: str, **how: Any) -> str:
        """The id of a new campaign for devices that never come."""
        made = self.server.create_campaign(name="trial", package=self.package, endpoints=endpoints, **how)
        return self.ask(lambda: made).id

    def ask(self, what: Callable[[], Any]) -> Any:
        """What something answers there."""

        async def asked() -> Any:
            said = what()
            return await said if asyncio.iscoroutine(said) else said

        return asyncio.run_coroutine_threadsafe(asked(), self.loop).result(30)


@contextmanager
def served_by(
    data: Path, scene: Callable[[Server], AbstractAsyncContextManager[tuple[bytes, str]]], **sections: Any
) -> Iterator[Served]:
    """A server in a thread of its own; `scene` is what happens there, with a package and a campaign's id."""
    local = {"coap": {"host": "127.0.0.1", "port": 0}, "store": {"directory": data}, "http": {"port": 0}}
    there, over = threading.Event(), asyncio.Event()
    found: list[Served] = []

    async def main() -> None:
        async with Server(Config(**local, **sections)) as server:
            http = await server.serve_http()
            async with scene(server) as (package, campaign):
                found.append(Served(http.url, asyncio.get_running_loop(), server, package, campaign))
                there.set()
                await over.wait()

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    try:
        assert there.wait(30)
        yield found[0]
    finally:
        if found:
            found[0].loop.call_soon_threadsafe(over.set)
        thread.join()


@contextmanager
def looking(served: Served, chromium: Browser, **how: Any) -> Iterator[Page]:
    """A page, logged in by a link; nothing that the policy forbids, and no error, happens on it."""
    context = chromium.new_context(viewport={"width": 1360, "height": 850}, **how)
    context.set_default_timeout(PATIENCE_MS)
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    link = served.link()
    if how.get("java_script_enabled", True):
        page.goto(link)
    else:
        page.goto(link.partition("#")[0])
        page.get_by_label("Token").fill(link.partition("#")[2])
        page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{served.url}/")
    yield page
    context.close()
    refused = re.compile("status of 4(12|22)")  # as a form with a mistake is answered, and one that is stale
    assert [each for each in said if not refused.search(each)] == []


def picture(page: Page, name: str) -> None:
    """Keep what it looks like."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert page.screenshot(path=PICTURES / f"{name}.png", full_page=True).startswith(b"\x89PNG")
