"""Relief for the loop: while it has other work than single devices, a thread serves blocks in its place.

That work is requests of the API, tasks that are made or ended by the thousand, and floods of reports. A
millisecond that it takes the loop would be a millisecond in which no block leaves. Only for
`coap.threads = 0`: otherwise threads serve anyway. docs/adr/0025 has the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

LINGER_S = 2.0  # who works asks again, or commits again, well before that
FLOOD = 64  # changes in one transaction: at rest it has those of one device


class Relief:
    """On from the first work on, until there was none for a while. On the running loop."""

    def __init__(self, stood_in: Callable[[], AbstractContextManager[None]]) -> None:
        """While a context of `stood_in` lasts, a thread serves."""
        self._stood_in = stood_in
        self._standing = ExitStack()
        self._under_way = 0
        self._worked_s = 0.0
        self._look: asyncio.TimerHandle | None = None
        self._closed = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Something that may keep the loop is under way."""
        self.worked()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self.worked()

    def worked(self) -> None:
        """Something has just kept the loop, and more of it may follow."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._worked_s = loop.time()
        if self._look is None:
            self._standing.enter_context(self._stood_in())
            self._look = loop.call_later(LINGER_S, self._looked, loop)

    def committed(self, changes: int, *, working: bool) -> None:
        """A transaction of so many changes was stored; there is work that goes on with the next."""
        if working or changes >= FLOOD:
            self.worked()

    def close(self) -> None:
        """The loop serves again, and for good. Requests may still end after that."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
            self._standing.close()

    def _looked(self, loop: asyncio.AbstractEventLoop) -> None:
        left_s = self._worked_s + LINGER_S - loop.time()
        if self._under_way or left_s > 0:
            self._look = loop.call_later(LINGER_S if self._under_way else left_s, self._looked, loop)
        else:
            self._look = None
            self._standing.close()
