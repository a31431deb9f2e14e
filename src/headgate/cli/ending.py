"""How a command that goes on and on is told to end: by SIGTERM, or by SIGINT, which is Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from typing import Any


def told_to_end(beginning: asyncio.Task[Any] | None = None) -> asyncio.Event:
    """Is set when it is told so, which cancels a beginning that is not done."""
    stop = asyncio.Event()

    def end() -> None:
        stop.set()
        if beginning is not None:
            beginning.cancel()  # changes nothing once it is done

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    return stop


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` came within that time."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
