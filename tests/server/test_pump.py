"""The pump's invariants, with rooms that write down what is asked of them and a writer that waits for us."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, Future

import pytest

from headgate.errors import StoreError, StoreFullError
from headgate.lwm2m.happenings import Heard
from headgate.server import pump as pump_module
from headgate.server.clock import Clock
from headgate.server.pump import Pump
from peer import eventually

REMOTE = (b"address", b"control")


class Writer(Executor):
    """Its one thread is the test: a commit ends when `finish` or `fail` says so."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.under_way: list[tuple[Future, object]] = []

    def submit(self, call, /, batch):
        """A commit begins."""
        assert not self.under_way, "one commit at a time"
        future: Future = Future()
        future.set_running_or_notify_cancel()
        self.under_way.append((future, batch))
        self.journal.append(f"commit {batch}")
        return future

    def finish(self) -> None:
        """It is stored."""
        future, batch = self.under_way.pop()
        self.journal.append(f"stored {batch}")
        future.set_result(None)

    def fail(self, error: Exception) -> None:
        """It is not."""
        future, _ = self.under_way.pop()
        self.journal.append("failed")
        future.set_exception(error)


class Turn:
    """Some happenings."""

    def __init__(self, batch: str) -> None:
        self.batch = batch


class Rooms:
    """Messages and decisions: every datagram is a happening, and is acknowledged once it is stored."""

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.outbox: list[tuple[tuple[bytes, bytes], bytes]] = []
        self.waiting: list[str] = []
        self.timer: float | None = None
        self.bug: Exception | None = None
        self.decides: Exception | None = None

    def receive(self, remote, datagram, now):
        """One happening, unless it is a question that needs no commit."""
        if self.bug is not None:
            raise self.bug
        if datagram.startswith(b"?"):
            self.outbox.append((remote, b"4.04"))
            return []
        return [Heard(endpoint=datagram.decode())]

    def expire(self, now):
        """The clock line."""
        if self.timer is not None and self.timer <= now:
            self.timer = None
            self.waiting.append("deadline")
        return []

    def next_timer(self):
        """The only one."""
        return self.timer

    def take(self):
        """What waits."""
        taken, self.outbox = self.outbox, []
        return taken

    def happened(self, happening, now):
        """Gathers."""
        self.waiting.append(happening.endpoint)
        if self.decides is not None:
            raise self.decides

    @property
    def gathered(self):
        """How much waits."""
        return len(self.waiting)

    def turn(self):
        """What was gathered."""
        gathered, self.waiting = self.waiting, []
        return Turn(" ".join(gathered)) if gathered else None

    def committed(self, turn, now):
        """An ACK for all of it."""
        self.outbox.append((REMOTE, f"ACK {turn.batch}".encode()))


class Bench:
    """A pump with everything around it."""

    def __init__(self, *, retry_s: float = 1000.0) -> None:
        self.journal: list[str] = []
        self.rooms = Rooms(self.journal)
        self.writer = Writer(self.journal)
        self.pump = Pump(
            self.rooms,
            self.rooms,
            clock=Clock(),
            writer=self.writer,
            commit=lambda batch: None,
            retry_s=retry_s,
            on_commit=lambda batch: self.journal.append(f"told {batch}"),
        )
        self.refuse: OSError | None = None

    def send(self, address: bytes, control: bytes, datagram: bytes) -> None:
        """To the device."""
        if self.refuse is not None:
            raise self.refuse
        self.journal.append(f"sent {datagram.decode()}")

    def hear(self, *datagrams: str) -> None:
        """From devices."""
        for datagram in datagrams:
            self.pump.receive(*REMOTE, datagram.encode())

    async def until(self, *journal: str) -> None:
        """The journal says this from where it was read last."""
        await eventually(lambda: len(self.journal) >= len(journal))
        assert tuple(self.journal) == journal
        self.journal.clear()

    async def still(self) -> None:
        """Nothing happens, however long one waits."""
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.journal == []


def test_nothing_is_acknowledged_before_it_is_stored(run):
    """Store first, then act (invariant 1); what needs no commit leaves at once."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one", "?", "two")
        await bench.until("sent 4.04", "commit one two")
        await bench.still()
        bench.writer.finish()
        await bench.until("stored one two", "sent ACK one two", "told one two")
        await bench.pump.close()
        assert await bench.pump.stopped is None

    run(main())


def test_while_one_turn_commits_the_next_one_gathers(run):
    """One commit at a time, in order (invariant 2)."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one")
        await bench.until("commit one")
        bench.hear("two")
        await bench.still()
        bench.hear("three", "?")
        await bench.until("sent 4.04")
        bench.writer.finish()
        await bench.until("stored one", "sent ACK one", "told one", "commit two three")
        bench.writer.finish()
        await bench.until("stored two three", "sent ACK two three", "told two three")
        await bench.pump.close()

    run(main())


def test_a_commit_that_fails_is_repeated_as_it_is(run):
    """Nothing leaves meanwhile, and what comes later waits behind it (invariant 3)."""

    async def main() -> None:
        bench = Bench(retry_s=0.001)
        bench.pump.start(bench.send)
        bench.hear("one")
        await bench.until("commit one")
        bench.writer.fail(StoreFullError("no room"))
        await bench.until("failed", "commit one")
        assert bench.pump.failing_since is not None
        bench.hear("two")
        await bench.still()
        bench.writer.fail(StoreError("still none"))
        await bench.until("failed", "commit one")
        bench.writer.finish()
        await bench.until("stored one", "sent ACK one", "told one", "commit two")
        assert bench.pump.failing_since is None
        assert bench.pump.counts["commits failed"] == 2
        bench.writer.finish()
        await bench.until("stored two", "sent ACK two", "told two")
        await bench.pump.close()

    run(main())


def test_what_gathers_is_bounded(run, monkeypatch):
    """Datagrams beyond are dropped as by a full socket: devices repeat them (invariant 4)."""
    monkeypatch.setattr(pump_module, "GATHERED_MAX", 2)

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one")
        await bench.until("commit one")
        bench.hear("two", "three", "four", "?")
        assert bench.pump.counts["dropped while the store was behind"] == 2
        bench.writer.finish()
        await bench.until("stored one", "sent ACK one", "told one", "commit two three")
        bench.hear("four")
        bench.writer.finish()
        await bench.until("stored two three", "sent ACK two three", "told two three", "commit four")
        bench.writer.finish()
        await bench.until("stored four", "sent ACK four", "told four")
        await bench.pump.close()

    run(main())


def test_deadlines_come_by_themselves(run):
    """The earliest of both rooms is waited for, also when it is set later."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        await bench.still()
        bench.rooms.timer = Clock().now() + 0.01
        bench.pump.wake()
        await bench.until("commit deadline")
        bench.writer.finish()
        await bench.until("stored deadline", "sent ACK deadline", "told deadline")
        await bench.pump.close()

    run(main())


@pytest.mark.parametrize("where", ["decision", "commit"])
def test_a_bug_stops_the_pump(run, where):
    """Nothing more is received, stored or sent: a restart goes on from the last commit (invariant 5)."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        if where == "decision":
            bench.rooms.decides = KeyError("nonsense")
            bench.hear("one")
        else:
            bench.hear("one")
            await bench.until("commit one")
            bench.writer.fail(KeyError("nonsense"))
            await bench.until("failed")
        with pytest.raises(KeyError, match="nonsense"):
            await bench.pump.stopped
        bench.rooms.decides = None
        bench.hear("two")
        await bench.still()
        await bench.pump.close()

    run(main())


def test_a_bug_before_anything_has_gathered_costs_its_datagram(run, caplog):
    """It is counted each time and told once, with its bytes; what others say goes on (ADR 20)."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one")
        bench.rooms.bug = KeyError("nonsense")
        bench.hear("evil", "evil", "evil")
        bench.rooms.bug = None
        bench.hear("two")
        await bench.until("commit one two")
        bench.writer.finish()
        await bench.until("stored one two", "sent ACK one two", "told one two")
        assert bench.pump.counts["dropped by a bug"] == 3
        assert [record.exc_info[0] for record in caplog.records] == [KeyError]
        assert b"evil".hex() in caplog.text
        await bench.pump.close()

    run(main())


def test_a_send_that_fails_is_a_datagram_lost(run):
    """The socket is full, there is no route: either side repeats."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        for bench.refuse in (BlockingIOError(), OSError("no route")):
            bench.hear("?")
            await bench.still()
        bench.refuse = None
        bench.hear("?")
        await bench.until("sent 4.04")
        counts = bench.pump.counts
        assert (counts["send blocked"], counts["send failed"], counts["sent"]) == (1, 1, 1)
        await bench.pump.close()

    run(main())


# -- the end --


def test_the_last_turns_are_committed_and_acknowledged(run):
    """What is under way, and what gathered behind it; what comes after the close is not heard."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one")
        await bench.until("commit one")
        bench.hear("two")
        closing = asyncio.ensure_future(bench.pump.close())
        await asyncio.sleep(0)
        bench.hear("three")
        bench.writer.finish()
        await bench.until("stored one", "sent ACK one", "told one", "commit two")
        bench.writer.finish()
        await closing
        await bench.until("stored two", "sent ACK two", "told two")

    run(main())


@pytest.mark.parametrize("recovers", [True, False])
def test_a_store_that_fails_does_not_hold_up_the_end(run, recovers):
    """One more try: stored and acknowledged, or neither."""

    async def main() -> None:
        bench = Bench()
        bench.pump.start(bench.send)
        bench.hear("one")
        await bench.until("commit one")
        bench.writer.fail(StoreError("no room"))
        await bench.until("failed")
        await eventually(lambda: bench.pump.failing_since is not None)
        closing = asyncio.ensure_future(bench.pump.close())
        await bench.until("commit one")
        if recovers:
            bench.writer.finish()
            await closing
            await bench.until("stored one", "sent ACK one", "told one")
        else:
            bench.writer.fail(StoreError("no room"))
            await closing
            await bench.until("failed")

    run(main())


def test_a_pump_that_never_started_can_be_closed(run):
    """A start that failed half-way needs no question first."""

    async def main() -> None:
        bench = Bench()
        await bench.pump.close()
        await bench.pump.close()
        await bench.still()

    run(main())
