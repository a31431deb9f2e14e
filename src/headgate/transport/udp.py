"""Listeners on the running loop or in native threads; hands datagrams over, sends replies.

It serves on any loop with add_reader (uvloop or asyncio).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from headgate.engine.responder import Responder
from headgate.transport.joining import joined
from headgate.transport.listener import Listener
from headgate.transport.sockets import Bound, bind
from headgate.transport.standin import StandIn

STOP_DRAINS = 64  # drains of up to 512 datagrams each that a stop may answer before it closes
STOP_WRITABLE_S = 1.0  # how long a stop waits for a full socket
DELIVER_ROUNDS = 64  # takes of up to 1024 records each that one `deliver` may spend on one listener

SO_MEMINFO = 55  # Linux 4.12: u32 each, of which the first is what the receive queue holds
MEMINFO = struct.Struct("=9I")

Handover = Callable[[str, object], None]
"""Called on the loop with what `Listener.take` describes: ("datagram", ...), ("started", index), ..."""


class UdpEndpoint:
    """One UDP address that a Responder serves.

    `threads=0` serves on the running loop, a bounded number of datagrams per wake-up, but for while a thread
    stands in for it; `threads=N` in N native threads that never take the GIL, each with a socket of its own
    on the same port.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        host: str | None,
        port: int,
        threads: int,
        receive_buffer_bytes: int,
        ring_bytes: int,
        on_handover: Handover,
    ) -> None:
        """Bind at once, serve from `start` on. Raises AddressError."""
        if not 0 <= threads <= 64:
            raise ValueError(f"threads is 0 (the loop) to 64, not {threads}")
        self._on_handover = on_handover
        self._threads: list[threading.Thread] = []
        self._closing = asyncio.Lock()
        self._started = False
        self._closed = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._stand_in: StandIn | None = None  # of a loop that serves
        self._bound: list[Bound] = []
        self.failure: OSError | None = None
        try:
            self._bound = bind(host, port, count=max(1, threads), receive_buffer_bytes=receive_buffer_bytes)
            self._listeners = [
                Listener(
                    bound.socket.fileno(),
                    responder,
                    packet_info=bound.packet_info,
                    ring_bytes=ring_bytes,
                    wake_fd=self._wake_fd if threads else -1,
                )
                for bound in self._bound
            ]
        except BaseException:
            self._close_descriptors()
            raise
        self._threaded = threads > 0
        host, port = self._bound[0].socket.getsockname()[:2]
        self._address = (host, port)
        self.receive_buffer_bytes = self._bound[0].socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are bound; the host is "::" or "0.0.0.0" for every address."""
        return self._address

    def start(self) -> None:
        """Serve from now on. Call it on the running loop."""
        if self._closed:
            raise RuntimeError("this endpoint was closed; make a new one")
        self._loop = asyncio.get_running_loop()
        self._started = True
        self._loop.add_reader(self._wake_fd, self._woken)
        if not self._threaded:
            self._stand_in = StandIn(
                self._listeners[0],
                self._bound[0].socket,
                wake_fd=self._wake_fd,
                let_go=self._let_go,
                take=self._attend,
                failed=self._failed,
            )
            self._attend()
            return
        for number, listener in enumerate(self._listeners):
            thread = threading.Thread(
                target=self._run, args=(listener,), name=f"headgate-listener-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    async def close(self) -> None:
        """Answer what is queued, then close. Nothing that was received whole is left unanswered.

        Who asked one that was never started hears nothing: what would serve it is not there yet.
        Closing again does nothing. Cancelled, it still closes, but waits for no full socket.
        """
        async with self._closing:
            if self._closed:
                return
            self._loop = asyncio.get_running_loop()
            try:
                if self._started:
                    await (self._threads_ended() if self._threaded else self._loop_ended())
            finally:
                while any(listener.handed for listener in self._listeners):
                    self.deliver()
                self._closed = True
                self._on_handover = _ignore  # who takes the records need not outlive this
                self._loop.remove_reader(self._wake_fd)
                self._close_descriptors()

    @contextlib.contextmanager
    def stood_in(self) -> Iterator[None]:
        """A thread serves meanwhile where the loop does otherwise: for work that keeps the loop.

        On the running loop, after `start`. Several at once are one.
        """
        if self._stand_in is None or self.failure is not None:
            yield
            return
        self._stand_in.begin()
        try:
            yield
        finally:
            self._stand_in.end()

    def deliver(self) -> None:
        """Hand over at once what the listeners have for Python, the oldest of each first."""
        for listener in self._listeners:
            for _ in range(DELIVER_ROUNDS):
                if not listener.handed:
                    break
                self._take(listener)

    def send(self, address: bytes, control: bytes, datagram: bytes) -> None:
        """Send one datagram to a raw sockaddr, from the address that `control` (packet info) names.

        Both are as a handed-over datagram brought them. Raises OSError when the kernel refuses.
        """
        if self._closed:
            # The descriptor's number may be somebody else's by now.
            raise OSError(errno.EBADF, "the endpoint is closed")
        self._listeners[0].send(address, control, datagram)

    @property
    def unread_bytes(self) -> int:
        """What waits in the fullest socket to be received, as the kernel accounts it; 0 when closed."""
        if self._closed:
            return 0
        return max(unread_bytes(bound.socket) for bound in self._bound)

    def outcomes(self) -> Counter[str]:
        """Datagrams received by what became of each, over all listeners; names of `responder.OUTCOMES`."""
        return sum((Counter(listener.outcomes()) for listener in self._listeners), Counter())

    def counts(self) -> Counter[str]:
        """The counters of `Listener.counts`, over all listeners."""
        return sum((Counter(listener.counts()) for listener in self._listeners), Counter())

    # -- on the loop --

    def _attend(self) -> None:
        """Serve on the loop."""
        if self._listeners[0].flush():
            self._loop.add_reader(self._bound[0].socket, self._readable)
        else:
            self._loop.add_writer(self._bound[0].socket, self._writable)

    def _let_go(self) -> None:
        """Do not."""
        self._loop.remove_reader(self._bound[0].socket)
        self._loop.remove_writer(self._bound[0].socket)

    def _readable(self) -> None:
        try:
            state = self._listeners[0].drain()
        except OSError as error:
            self._loop.remove_reader(self._bound[0].socket)
            self._failed(error)
            return
        if state == "blocked":
            self._loop.remove_reader(self._bound[0].socket)
            self._loop.add_writer(self._bound[0].socket, self._writable)
        self._take_turn()

    def _writable(self) -> None:
        self._loop.remove_writer(self._bound[0].socket)
        self._attend()

    async def _loop_ended(self) -> None:
        """Answer what is queued; cancelled, all but the replies that a full socket does not take at once."""
        standing = [] if self._stand_in is None else self._stand_in.close()  # None: the start failed
        left = iter(range(STOP_DRAINS))
        try:
            try:
                await joined(standing)
            finally:
                for thread in standing:
                    thread.join()
                self._let_go()
                blocked = self._drain_queued(left)
            while blocked and await self._flushed():
                blocked = self._drain_queued(left)
        finally:
            self._listeners[0].abandon()

    def _drain_queued(self, left: Iterator[int]) -> bool:
        """Answer what is queued in as many drains as are left; True where replies wait for room."""
        if self.failure is not None:
            return False
        try:
            for _ in left:
                state = self._listeners[0].drain()
                if state != "more":
                    return state == "blocked"
        except OSError as error:
            self._failed(error)
        return False

    async def _flushed(self) -> bool:
        writable: asyncio.Future[None] = self._loop.create_future()

        def flush() -> None:
            if self._listeners[0].flush() and not writable.done():
                writable.set_result(None)

        self._loop.add_writer(self._bound[0].socket, flush)
        try:
            await asyncio.wait_for(writable, STOP_WRITABLE_S)
        except TimeoutError:
            return False
        finally:
            self._loop.remove_writer(self._bound[0].socket)
        return True

    # -- in threads --

    async def _threads_ended(self) -> None:
        for listener in self._listeners:
            listener.stop()
        try:
            await joined(self._threads)
        finally:
            for thread in self._threads:
                thread.join()

    def _run(self, listener: Listener) -> None:
        try:
            listener.run()
        except OSError as error:
            with contextlib.suppress(RuntimeError):  # the loop was closed before the endpoint
                self._loop.call_soon_threadsafe(self._failed, error)
        finally:
            listener.abandon()

    def _failed(self, error: OSError) -> None:
        self.failure = error
        self._loop.call_exception_handler(
            {"message": "a listener's socket became unusable", "exception": error}
        )

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):  # another wake-up has read it already
            os.eventfd_read(self._wake_fd)
        self._take_turn()

    # -- both --

    def _take_turn(self) -> None:
        for listener in self._listeners:
            if listener.handed:
                self._take(listener)
        if any(listener.handed for listener in self._listeners):
            # More than one turn's worth: let the loop breathe, then go on.
            self._loop.call_soon(self._take_turn)

    def _take(self, listener: Listener) -> None:
        for kind, value in listener.take():
            try:
                self._on_handover(kind, value)
            except Exception as error:
                # One record's failure is not the next one's.
                self._loop.call_exception_handler(
                    {"message": f"what a listener handed over was not taken: {kind}", "exception": error}
                )

    def _close_descriptors(self) -> None:
        for bound in self._bound:
            bound.socket.close()
        if self._wake_fd >= 0:
            os.close(self._wake_fd)
            self._wake_fd = -1


def _ignore(kind: str, value: object) -> None:
    """Nobody takes what was handed over any more."""


def unread_bytes(bound: socket.socket) -> int:
    """What a socket's receive queue holds, with what the kernel adds to each datagram (some 700 bytes)."""
    queued: int = MEMINFO.unpack(bound.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[0]
    return queued
