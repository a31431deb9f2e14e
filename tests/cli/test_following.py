"""Events, followed across what may happen to a connection; and a campaign, watched across a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli import watch
from headgate.cli.client import Client, RefusedError
from headgate.cli.following import EventReader, follow

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def answer(status: str, body: dict[str, Any]) -> bytes:
    """A response with a JSON body."""
    sent = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {len(sent)}\r\n\r\n".encode() + sent


def event(number: int) -> bytes:
    """One message of the stream."""
    return f'id: {number}\ndata: {{"id":{number}}}\n\n'.encode()


class Scripted:
    """An HTTP server that answers connection after connection as a script says, and keeps what was asked."""

    def __init__(self, *answers: bytes | None) -> None:
        """None refuses to say anything."""
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(request)
        said = self.answers.pop(0)
        if said is not None:
            writer.write(said)
        writer.close()
        await writer.wait_closed()


def last_ids(asked: list[str]) -> list[str | None]:
    """Behind which event each request wanted to go on."""
    found = []
    for request in asked:
        lines = [line.partition(": ") for line in request.splitlines()]
        found.append(next((value for name, _, value in lines if name.lower() == "last-event-id"), None))
    return found


def test_nothing_is_missed_and_nothing_is_told_twice(run: Callable[..., Any]):
    """Who comes again says behind which event; what came by halves is sent again (HTML, 9.2)."""
    script = Scripted(
        HEAD + b"retry: 1\n\n" + event(1) + event(2) + b"id: 3\nda",
        None,
        answer("503 Service Unavailable", {"detail": "busy"}),
        HEAD + event(3) + b":\n\n" + event(4),
        answer("401 Unauthorized", {"detail": "there is no such token"}),
    )

    async def main() -> None:
        async with script as url:
            with Client(url, "t") as client:
                async for data in follow(client, campaign="c", opened=lambda: opened.append(1)):
                    told.append(json.loads(data)["id"])

    told: list[int] = []
    opened: list[int] = []
    with pytest.raises(RefusedError, match="no such token"):
        run(main())
    assert told == [1, 2, 3, 4]
    assert last_ids(script.asked) == [None, "2", "2", "2", "4"]
    assert all("GET /api/v1/events?campaign=c " in request for request in script.asked)
    assert len(opened) == 2


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n"))))
def test_any_lines_are_read(lines):
    """Nothing that a stream may hold is an error; ids are kept with the message that they belong to."""
    reader = EventReader()
    for line in lines:
        reader.line(line)
    assert 0 <= reader.again_s <= 30


def status(state: str, *, ended: bool = False, **states: int) -> dict[str, Any]:
    """A campaign, as the API tells it."""
    devices = sum(states.values())
    return {
        "state": state,
        "devices": devices,
        "retried": 0,
        "states": states,
        "ended_s": 1.0 if ended else None,
    }


BUSY = {"detail": "too many questions wait for the store"}


class Campaign(Scripted):
    """The API of one campaign: events are not to be had, and looks are answered one by one."""

    def __init__(self, *looks: dict[str, Any] | None) -> None:
        super().__init__()
        self.looks = list(looks)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        said = BUSY if "/events" in request else self.looks.pop(0)
        if said is not None:
            writer.write(answer("503 Service Unavailable" if said is BUSY else "200 OK", said))
        writer.close()
        await writer.wait_closed()


def watched(
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    *looks: dict[str, Any] | None,
    at_least_every_s: float = 0.01,
) -> int:
    """The exit code of a watch that sees this."""
    monkeypatch.setattr(watch, "AT_MOST_EVERY_S", 0.01)
    monkeypatch.setattr(watch, "AT_LEAST_EVERY_S", at_least_every_s)

    async def main() -> int:
        async with Campaign(*looks) as url:
            with Client(url, "t") as client:
                return await watch.Watch(client, "/campaigns/c", "c").run()

    code: int = run(main())
    return code


def test_a_restart_of_the_server_is_waited_for(run, monkeypatch, capsys):
    """A campaign is looked at again until it is through; said once, on standard error."""
    looks = (status("running", created=2), None, BUSY, None, status("ended", ended=True, success=2))
    assert watched(run, monkeypatch, *looks) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "running: 0 of 2 devices through; created 2",
        "ended: 2 of 2 devices through, 2 succeeded",
    ]
    assert said.err.count("it is waited for") == 1


def test_a_server_that_goes_is_noticed_at_once(run, monkeypatch, capsys):
    """By the connection that follows its events, not when one looks next anyway."""
    looks = (status("running", created=2), None, status("ended", ended=True, success=2))
    assert watched(run, monkeypatch, *looks, at_least_every_s=3600.0) == 0
    assert "it is waited for" in capsys.readouterr().err


def test_a_campaign_that_is_stopped_is_watched_until_its_tasks_are_cancelled(run, monkeypatch, capsys):
    """Its state says so before they are."""
    looks = (status("stopped", wait_online=1), status("stopped", ended=True, cancelled=1))
    assert watched(run, monkeypatch, *looks) == 1
    assert capsys.readouterr().out.splitlines() == [
        "stopped: 0 of 1 devices through; wait_online 1",
        "stopped: 1 of 1 devices through, 1 cancelled",
    ]


@pytest.mark.parametrize(
    ("state", "states", "code"),
    [
        ("ended", {"success": 2, "done_same": 1}, 0),
        ("ended", {"success": 2, "failed": 1}, 1),
        ("ended", {"success": 2, "cancelled": 1}, 1),
        ("stopped", {"success": 2}, 1),
    ],
)
def test_how_it_ended_is_the_exit_code(state, states, code):
    """0 where every device runs what it should, for a script that goes on then."""
    assert watch.code_of(status(state, **states)) == code
