"""A console that is looked at in the same process, as a browser would: cookies, and where it comes from."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.web.access import Scope
from web_asking import Asked

ORIGIN = "http://console.test"


def browser(asked: Asked, **headers: str) -> httpx.AsyncClient:
    """One that has not logged in."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(asked.web.asgi, raise_app_exceptions=False),
        base_url=ORIGIN,
        headers={"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"} | headers,
    )


@asynccontextmanager
async def logged_in(asked: Asked, scope: Scope = Scope.ADMIN) -> AsyncIterator[httpx.AsyncClient]:
    """One that has logged in with a token of that scope."""
    async with browser(asked) as client:
        answer = await client.post("/login", data={"token": asked.secrets[scope]})
        assert answer.status_code == 303, answer.text
        yield client


def shown(answer: httpx.Response, status: int = 200) -> str:
    """The text of a page: its tags taken away."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = re.sub(r"<(script|style)\b.*?</\1>", "", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", text)))


def fields(answer: httpx.Response) -> dict[str, Any]:
    """What a form of a page carries unseen."""
    found = re.findall(r'<textarea name="([^"]*)" hidden>\n(.*?)</textarea>', answer.text, flags=re.S)
    carried: dict[str, Any] = {}
    for name, value in found:
        carried.setdefault(unescape(name), []).append(unescape(value))
    return carried


async def registered(asked: Asked, *endpoints: str, **columns: object) -> None:
    """Devices, as if they had registered."""
    batch = Batch()
    row = {"registered_s": 1.0, "expires_s": 9e9, "lifetime_s": 86400} | columns
    for endpoint in endpoints:
        batch.put(tables.devices, {"endpoint": endpoint, "location": endpoint} | row)
    await asked.web._office.desk.write(batch)
