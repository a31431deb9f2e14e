"""Pages that change while they are looked at: rendered once, however many look.

Who looks at the same page, with the same rights, has the same topic. One task goes round the topics that
have viewers. Where anything happened since it was there last, and that is a second ago, it asks the page's
question again, and what came out otherwise is made into one message, which all viewers of the topic are
sent. So it costs the same for one viewer as for a hundred, but for the sending; a page nobody looks at costs
nothing; and since the task rests for many times as long as it worked, all topics together take a small share
of a core.

A viewer holds a number: which state of its topic it has. One who is a state behind is sent what changed, one
who is further behind is sent all of it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from headgate.errors import HeadgateError
from headgate.web.access import Scope
from headgate.web.console.pages import Question, View
from headgate.web.office import Office
from headgate.web.problems import Problem
from headgate.web.routes.events import BEAT, BEAT_S, HELLO

AT_MOST_EVERY_S = 1.0
AT_LEAST_EVERY_S = 15.0
REST = 20  # times as long as it worked
OVER = b"event: over\ndata: \n\n"
REFUSED = (HeadgateError, Problem, RequestValidationError, ValidationError)

log = logging.getLogger("headgate.web")

Parts = Mapping[str, str]
Render = Callable[[View, Question], Awaitable[Parts]]


@dataclass(slots=True, eq=False, kw_only=True)
class Topic:
    """A page that somebody looks at."""

    view: View
    question: Question
    viewers: int = 0
    parts: Parts = field(default_factory=dict)
    number: int = 0
    """How often it has changed."""
    change: bytes = b""
    """The message from the state before to this one."""
    asked_s: float = float("-inf")
    asked_at: object = None
    """What had happened by then."""
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def became(self, parts: Parts) -> None:
        """Note what it looks like now."""
        changed = {name: text for name, text in parts.items() if self.parts.get(name) != text}
        if not changed:
            return
        self.parts = parts
        self.number += 1
        self.change = message(changed)
        more, self.more = self.more, asyncio.Event()
        more.set()


def message(parts: Parts) -> bytes:
    """Parts of a page as a message of text/event-stream."""
    return f"event: parts\ndata: {json.dumps(parts)}\n\n".encode()


class Live:
    """All topics."""

    def __init__(self, office: Office, render: Render) -> None:
        self._office = office
        self._render = render
        self._topics: dict[tuple[str, tuple[tuple[str, str], ...], Scope], Topic] = {}
        self._some = asyncio.Event()
        self.renders = 0

    async def run(self) -> None:
        """Go round until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            happened = self._happened()
            worked_s = 0.0
            for topic in list(self._topics.values()):
                begun_s = loop.time()
                since_s = begun_s - topic.asked_s
                due = since_s >= (AT_MOST_EVERY_S if topic.asked_at != happened else AT_LEAST_EVERY_S)
                if not due or not topic.viewers:
                    continue
                topic.asked_s, topic.asked_at = begun_s, happened
                await self._ask(topic)
                took_s = loop.time() - begun_s
                worked_s += took_s
                await asyncio.sleep(took_s * REST)
            if not worked_s:
                await asyncio.sleep(AT_MOST_EVERY_S / 4)

    async def _ask(self, topic: Topic) -> None:
        self.renders += 1
        try:
            topic.became(await self._render(topic.view, topic.question))
        except REFUSED:
            return  # the page stays as it is, and is asked again
        except Exception:  # a bug of one page, or of its question, must not end all others
            topic.asked_s = math.inf  # once is enough: as long as somebody looks, it stays as it is
            log.exception("a page that is looked at met a bug; please report it")

    def _happened(self) -> object:
        figures = self._office.desk.figures()
        return (self._office.tail.newest, figures.edge.blocks, figures.devices, figures.packages)

    async def pieces(self, view: View, question: Question, good: Callable[[], bool]) -> AsyncIterator[bytes]:
        """What a viewer is sent, as long as `good` says that he may see it."""
        office = self._office
        if office.metrics.viewers >= office.settings.viewers_max:
            return
        key = (question.path, tuple(sorted(question.query.items())), question.token.scope)
        topic = self._topics.setdefault(key, Topic(view=view, question=question))
        topic.viewers += 1
        office.metrics.viewers += 1
        self._some.set()
        seen = 0
        try:
            yield HELLO
            while not office.tail.ended:
                if not good():
                    yield OVER
                    return
                if topic.number == seen:
                    try:
                        async with asyncio.timeout(BEAT_S):
                            await topic.more.wait()
                    except TimeoutError:
                        yield BEAT
                    continue
                piece = topic.change if 0 < seen == topic.number - 1 else message(topic.parts)
                seen = topic.number
                yield piece
        finally:
            office.metrics.viewers -= 1
            topic.viewers -= 1
            if not topic.viewers:
                del self._topics[key]
            if not self._topics:
                self._some.clear()

    def end(self) -> None:
        """Let everybody go."""
        for topic in self._topics.values():
            topic.more.set()
