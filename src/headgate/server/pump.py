"""The pump: receive, store, then act. Everything that the control plane does is one of its strokes.

    datagrams, deadlines, downloads --> happenings --> the orchestrator: a turn gathers
    turn --> one transaction, in the writer's thread        (meanwhile the next turn gathers)
    committed --> what the turn deserves leaves: ACKs, responses, commands, grants

Invariants
 1. What a turn deserves leaves after its commit, never before, and once.
 2. One commit is under way at a time, and turns are committed in the order in which they were gathered.
 3. A commit that fails is repeated as it is. Until it is done nothing new is issued: devices repeat what was
    not acknowledged, so nothing is lost by waiting.
 4. What gathers is bounded: with GATHERED_MAX happenings uncommitted, datagrams are dropped and counted, as a
    full socket would drop them.
 5. Any other exception is a bug. One that a datagram meets before anything has gathered for it costs that
    datagram (docs/adr/0020). After any other the pump stops where it stands, and the process with it: what
    was committed is whole, and a restart goes on from there; going on with half a turn in memory might not.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from headgate.errors import StoreError
from headgate.lwm2m.happenings import Happening
from headgate.server.bugs import Bugs
from headgate.server.clock import Time
from headgate.server.logs import logger

GATHERED_MAX = 50_000  # happenings: some seconds of a fleet that all speaks at once
LAST_TURNS_MAX = 16  # that a close commits: what was under way, and what that led to
TIMER_MAX_S = 60.0  # no wait is longer: the clock may be drawn to the wall clock meanwhile

log = logger()

Send = Callable[[bytes, bytes, bytes], None]


class Messages(Protocol):
    """The part of `LwM2mServer` that is pumped."""

    def receive(self, remote: tuple[bytes, bytes], datagram: bytes, now: float) -> Sequence[Happening]:
        """What a datagram means."""

    def expire(self, now: float) -> Sequence[Happening]:
        """What the passing of time means."""

    def next_timer(self) -> float | None:
        """When `expire` has something to do."""

    def take(self) -> Iterable[tuple[Any, bytes]]:
        """The datagrams to be sent."""


class Turn(Protocol):
    """What is committed together."""

    @property
    def batch(self) -> Any:
        """As `Database.commit` takes it."""


class Decisions(Protocol):
    """The part of `Orchestrator` that is pumped."""

    def happened(self, happening: Happening, now: float) -> object:
        """Take in what a device did."""

    def downloading(self, endpoint: str, pid: bytes, started: bool, now: float) -> None:
        """Take in that a device downloads."""

    def expire(self, now: float) -> None:
        """Take in that time has passed."""

    def next_timer(self) -> float | None:
        """When `expire` has something to do."""

    def turn(self) -> Any | None:
        """Everything since the last turn."""

    def committed(self, turn: Any, now: float) -> None:
        """Do what the turn deserves: it is stored."""

    @property
    def gathered(self) -> int:
        """How much has gathered since the last turn."""


class Pump:
    """Runs between `start` and `close`, on the running loop."""

    def __init__(
        self,
        messages: Messages,
        decisions: Decisions,
        *,
        clock: Time,
        writer: Executor,
        commit: Callable[[Any], None],
        retry_s: float,
        on_commit: Callable[[Any], None],
    ) -> None:
        """`commit` runs in the one thread of `writer`; `on_commit` hears of every batch that is stored."""
        self._messages = messages
        self._decisions = decisions
        self._clock = clock
        self._writer = writer
        self._commit = commit
        self._retry_s = retry_s
        self._on_commit = on_commit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._send: Send | None = None
        self._stroke_due = False
        self._turn: Any | None = None  # is being committed, or waits to be tried again
        self._committing: asyncio.Future[None] | None = None
        self._turn_s = 0.0  # when it was taken
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._failing_since: float | None = None
        self._gathered = 0
        self._waiters: list[asyncio.Future[None]] = []  # for the turn that gathers
        self._turn_waiters: list[asyncio.Future[None]] = []  # for the one that is committed
        self._closing = False
        self._bugs = Bugs()
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the pump is closed; with the exception when it stopped by a bug."""
        self.counts: Counter[str] = Counter()

    # -- life --

    def start(self, send: Send) -> None:
        """Pump from now on."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.wake()

    async def close(self) -> None:
        """Take in nothing more, commit the last turn, and send what it deserves.

        While the store fails, the last turn is tried once more and then let go: nobody was told of it.
        """
        self._closing = True
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        if self._loop is None or self.stopped.done():
            self._finish()
            return
        if self._committing is not None:
            await asyncio.wait([self._committing])
        for _ in range(LAST_TURNS_MAX):
            if self._turn is None:
                self._next_turn()
            if self._turn is None or self.stopped.done():
                break
            self._begin()
            assert self._committing is not None
            await asyncio.wait([self._committing])
            if self._failing_since is not None:
                log.error("closed while the store fails; what was not stored was not acknowledged either")
                break
        self._finish()

    # -- what comes in --

    def receive(self, address: bytes, control: bytes, datagram: bytes) -> None:
        """A datagram that is no package request."""
        if self._closing or self.stopped.done():
            return
        if self._gathered >= GATHERED_MAX:
            self.counts["dropped while the store was behind"] += 1
            return
        now = self._clock.now()
        gathered = self._decisions.gathered
        try:
            self._take_in(self._messages.receive((address, control), datagram, now), now)
        except Exception as error:
            if self._decisions.gathered != gathered:
                self.fail(error)
                return
            self.counts["dropped by a bug"] += 1
            self._bugs.met(error, address, datagram, now)
        self.wake()

    def downloading(self, endpoint: str, pid: bytes, *, started: bool) -> None:
        """The edge served the first block of a package to a device, or more of it."""
        if self._closing or self.stopped.done():
            return
        try:
            self._decisions.downloading(endpoint, pid, started, self._clock.now())
        except Exception as error:
            self.fail(error)
            return
        self.wake()

    def wake(self) -> None:
        """Something was done to the orchestrator, or to the messages: a stroke follows, soon."""
        if not self._stroke_due and self._loop is not None and not self._closing:
            self._stroke_due = True
            self._loop.call_soon(self._stroke)

    def check(self) -> None:
        """Raise StoreError while the store fails, and RuntimeError when the pump does not run.

        For who is about to begin something on behalf of a person, who would wait in vain.
        """
        if self._failing_since is not None:
            raise StoreError("the store takes nothing just now: the log says why; try again when it does")
        if self._loop is None or self._closing or self.stopped.done():
            raise RuntimeError("the server does not run")

    async def settled(self) -> None:
        """Wait until everything that was done up to now is stored. Raises what `check` raises."""
        self.check()
        assert self._loop is not None
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        self.wake()
        await waiter

    def _take_in(self, happenings: Sequence[Happening], now: float) -> None:
        for happening in happenings:
            self._decisions.happened(happening, now)
        self._gathered += len(happenings)
        self.counts["happenings"] += len(happenings)

    # -- a stroke --

    def _stroke(self) -> None:
        self._stroke_due = False
        if self._closing or self.stopped.done():
            return
        try:
            self._emit()
            if self._turn is None:
                self._next_turn()
                if self._turn is not None:
                    self._begin()
            self._arm()
        except Exception as error:
            self.fail(error)

    def _next_turn(self) -> None:
        """Take what has gathered, and who waits for it."""
        self._turn_s = self._clock.now()
        self._turn = self._decisions.turn()
        self._gathered = 0
        self._turn_waiters, self._waiters = self._waiters, []
        if self._turn is None:
            self._release()

    def _release(self, error: Exception | None = None) -> None:
        waiters, self._turn_waiters = self._turn_waiters, []
        for waiter in waiters:
            if waiter.done():  # cancelled by who waited
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _begin(self) -> None:
        assert self._loop is not None
        assert self._turn is not None
        assert self._committing is None, "one commit at a time"
        self._retry = None
        self._committing = self._loop.run_in_executor(self._writer, self._commit, self._turn.batch)
        self._committing.add_done_callback(self._ended)

    def _ended(self, committing: asyncio.Future[None]) -> None:
        """The commit is done, or failed."""
        self._committing = None
        if committing.cancelled():  # by whoever ends the loop under us
            self._finish()
            return
        error = committing.exception()
        try:
            if isinstance(error, StoreError):
                self._failed(error)
                return
            if error is not None:
                raise error
            self._committed()
        except Exception as fault:
            self.fail(fault)

    def _committed(self) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None
        now = self._clock.now()
        if self._failing_since is not None:
            log.info("the store takes commits again", failed_for_s=round(now - self._failing_since, 1))
            self._failing_since = None
        self.counts["commits"] += 1
        self._decisions.committed(turn, now)
        self._emit()
        self._on_commit(turn.batch)
        self._release()
        self.wake()

    def _failed(self, error: StoreError) -> None:
        self.counts["commits failed"] += 1
        if self._failing_since is None:
            self._failing_since = self._clock.now()
            log.error(
                "the store failed: no command is issued until it takes commits again",
                reason=str(error),
                retry_every_s=self._retry_s,
            )
        if not self._closing:
            assert self._loop is not None
            self._retry = self._loop.call_later(self._retry_s, self._begin)

    @property
    def failing_since(self) -> float | None:
        """Since when the store takes nothing, None while it does."""
        return self._failing_since

    @property
    def committing_s(self) -> float:
        """How long the turn that is being committed has waited to be so, 0 when there is none."""
        return 0.0 if self._turn is None else self._clock.now() - self._turn_s

    def _emit(self) -> None:
        assert self._send is not None
        for (address, control), datagram in self._messages.take():
            try:
                self._send(address, control, datagram)
            except BlockingIOError:
                self.counts["send blocked"] += 1  # as if it were lost on the way: either side repeats
            except OSError:
                self.counts["send failed"] += 1  # no route, a port of 0: as above
            else:
                self.counts["sent"] += 1

    # -- time --

    def _arm(self) -> None:
        assert self._loop is not None
        due = [
            timer
            for timer in (self._messages.next_timer(), self._decisions.next_timer())
            if timer is not None
        ]
        now = self._clock.now()
        next_s = min([*due, now + TIMER_MAX_S])
        if self._timer is not None:
            if self._timer_s <= next_s:
                return
            self._timer.cancel()
        self._timer_s = next_s
        self._timer = self._loop.call_later(self._clock.wait_s(next_s), self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._closing or self.stopped.done():
            return
        now = self._clock.now()
        try:
            self._take_in(self._messages.expire(now), now)
            self._decisions.expire(now)
        except Exception as error:
            self.fail(error)
            return
        self._stroke()

    # -- the end --

    def fail(self, error: BaseException) -> None:
        """Stop where it stands: a bug was met, here or by who works for the pump."""
        if not self.stopped.done():
            log.critical("stopped by a bug; a restart goes on from the last commit", exc_info=error)
            self._let_go()
            self.stopped.set_exception(error)
            self.stopped.exception()  # it was told; who awaits `stopped` hears of it once more

    def _finish(self) -> None:
        if not self.stopped.done():
            self._let_go()
            self.stopped.set_result(None)

    def _let_go(self) -> None:
        self._turn_waiters += self._waiters
        self._release(RuntimeError("the server ended before this was stored"))
