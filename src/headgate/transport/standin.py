"""A thread that serves in the loop's place while the loop has other work.

    begin    the loop lets go of the socket    a thread serves
    end      the thread sees it, and ends      the loop takes the socket again

Of loop and thread one serves at any time: each begins after the other has ended. What arrives in between
waits in the socket. The thread never takes the GIL, so whatever keeps the loop does not keep a block.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from headgate.transport.listener import Listener

LOOK_EVERY_S = 0.05  # how often a thread that waits for datagrams looks whether it is still wanted
TIMEVAL = struct.Struct("@ll")


class StandIn:
    """For one listener, which the loop serves."""

    def __init__(
        self,
        listener: Listener,
        bound: socket.socket,
        *,
        wake_fd: int,
        let_go: Callable[[], None],
        take: Callable[[], None],
        failed: Callable[[OSError], None],
    ) -> None:
        """`let_go` and `take` are the loop's; `failed` is told on the loop that the socket is unusable."""
        self._listener = listener
        self._bound = bound
        self._wake_fd = wake_fd
        self._let_go = let_go
        self._take = take
        self._failed = failed
        self._thread: threading.Thread | None = None
        self._wanted = 0
        self._through = False  # closed, or failed
        whole_s = int(LOOK_EVERY_S)
        timeout = TIMEVAL.pack(whole_s, int((LOOK_EVERY_S - whole_s) * 1e6))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)

    def begin(self) -> None:
        """Let a thread serve, until `end` was called as often. On the running loop."""
        loop = asyncio.get_running_loop()
        self._wanted += 1
        if self._wanted == 1 and self._thread is None and not self._through:
            self._lend(loop)

    def end(self) -> None:
        """One reason less."""
        self._wanted -= 1
        if self._wanted == 0 and self._thread is not None:
            self._listener.recall()

    def close(self) -> list[threading.Thread]:
        """Nobody begins any more, and the loop does not take the socket either.

        Returns who stands in yet, to be joined: only then nobody serves.
        """
        self._through = True
        if self._thread is None:
            return []
        self._listener.recall()
        return [self._thread]

    def _lend(self, loop: asyncio.AbstractEventLoop) -> None:
        self._let_go()
        self._bound.setblocking(True)  # libuv has made it non-blocking, and the thread would spin
        self._listener.wake_fd = self._wake_fd
        self._listener.lend()
        thread = threading.Thread(target=self._run, args=(loop,), name="headgate-stand-in", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has none to spare
            self._listener.wake_fd = -1
            self._take()
            loop.call_exception_handler({"message": "no thread can stand in", "exception": error})
            return
        self._thread = thread

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        failure = None
        try:
            self._listener.run()
        except OSError as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop was closed before the endpoint
            loop.call_soon_threadsafe(self._over, loop, failure)

    def _over(self, loop: asyncio.AbstractEventLoop, failure: OSError | None) -> None:
        assert self._thread is not None
        self._thread.join()  # it has nothing left to do
        self._thread = None
        self._listener.wake_fd = -1
        if failure is not None:
            self._through = True
            self._failed(failure)
        elif self._through:
            pass
        elif self._wanted:  # again, while it ended
            self._lend(loop)
        else:
            self._take()
