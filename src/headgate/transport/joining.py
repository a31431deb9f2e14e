"""Waiting on a loop for threads to end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence


async def joined(threads: Sequence[threading.Thread]) -> None:
    """Wait until all have ended.

    In a thread of its own: the loop's executor may be full of what its owner waits for. Where there is none
    to be had the loop is kept instead. Cancelled, it returns while they still run.
    """
    if not threads:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def join() -> None:
        for thread in threads:
            thread.join()
        with contextlib.suppress(RuntimeError):  # the wait was cancelled, and the loop closed since
            loop.call_soon_threadsafe(ended.set)

    try:
        threading.Thread(target=join, name="headgate-close", daemon=True).start()
    except RuntimeError:
        join()
    await ended.wait()
