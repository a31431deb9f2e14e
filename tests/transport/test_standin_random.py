"""Loop and stand-in take turns as chance has it, while peers ask and the catalog changes.

SEED begins with the same chances again, STEPS goes on for longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import threading
from collections import Counter

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from headgate.transport import udp
from headgate.transport.sockets import Bound
from headgate.transport.udp import UdpEndpoint
from peer import NON, eventually, get, package_of, ping
from reference import coap

SEED = int(os.environ.get("SEED") or os.environ["DRAWN_SEED"])
STEPS = int(os.environ.get("STEPS") or 1000)
UNREAD_MAX = 40  # answers that a peer may be owed; an AF_UNIX socket's queue has room for 10
BODIES = [random.Random(number).randbytes(600) for number in range(4)]


class Asker:
    """A peer that asks without waiting, and knows what it is owed. It reads when it is told to."""

    def __init__(self, asking: socket.socket) -> None:
        self.socket = asking
        self.socket.setblocking(False)
        self.pings: list[int] = []
        self.gets: list[int] = []
        self.answers: list[int] = []
        self._next_id = 0

    @property
    def owed(self) -> int:
        """Answers still to come."""
        return len(self.pings) + len(self.gets) - len(self.answers)

    def ask(self, chance: random.Random) -> None:
        """Send a ping or a GET, unless the socket is full."""
        message_id = self._next_id
        pings = chance.random() < 0.5
        with contextlib.suppress(BlockingIOError):
            self.socket.send(ping(message_id) if pings else get("fw", (0, 5), message_id=message_id))
            (self.pings if pings else self.gets).append(message_id)
            self._next_id += 1

    def read(self) -> None:
        """Take what has arrived."""
        with contextlib.suppress(BlockingIOError):
            while True:
                heard = coap.parse(self.socket.recv(4096))
                if heard.code == 0x45:
                    assert heard.payload in [body[:512] for body in BODIES]
                self.answers.append(heard.message_id)


class Story:
    """One endpoint, from its start to its end."""

    def __init__(self, seed: str, *, unix: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chance = random.Random(seed)
        self.unix = unix
        self.catalog = Catalog(Ledger(64))
        self.catalog.publish(b"fw", package_of(BODIES[0]))
        self.taken: Counter[int] = Counter()
        self.handed: Counter[int] = Counter()
        self.failed = 0
        self.standing = contextlib.ExitStack()
        self.depth = 0
        if unix:
            served = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            served.bind("")
            monkeypatch.setattr(udp, "bind", lambda *_, **__: [Bound(served, False)])
        self.endpoint = UdpEndpoint(
            Responder(self.catalog, handover=True),
            host="127.0.0.1",
            port=0,
            threads=0,
            receive_buffer_bytes=4 << 20,
            ring_bytes=1 << 18,
            on_handover=self.take,
        )
        self.askers = [Asker(self.peer()) for _ in range(3)]

    def peer(self) -> socket.socket:
        """A socket that is connected to the endpoint's."""
        if not self.unix:
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            peer.connect(self.endpoint.address)
            return peer
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        peer.bind("")
        peer.connect(self.endpoint._bound[0].socket.getsockname())
        return peer

    def take(self, kind: str, value: object) -> None:
        """What is handed over; who takes it has something to do, or fails."""
        assert kind == "datagram"
        self.taken[int.from_bytes(value[2][2:4], "big")] += 1
        if self.chance.random() < 0.1:
            self.begin()
        if self.chance.random() < 0.1:
            self.endpoint.deliver()
        if self.chance.random() < 0.05:
            self.failed += 1
            raise LookupError("one of the story's own")

    def begin(self) -> None:
        """One reason more."""
        if self.depth < 4:
            self.standing.enter_context(self.endpoint.stood_in())
            self.depth += 1

    def end(self) -> None:
        """No reason any more."""
        self.standing.close()
        self.depth = 0

    def loop_serves(self) -> bool:
        """Whether it does, with no reason left why it should not."""
        self.end()
        return not standing()

    async def step(self) -> None:
        """Something happens."""
        chance = self.chance
        asker = chance.choice(self.askers)
        what = chance.randrange(9)
        if what < 3:
            for _ in range(chance.randrange(1, 12)):
                if asker.owed < UNREAD_MAX:
                    asker.ask(chance)
        elif what == 3:
            message_id = chance.randrange(1 << 16)
            with contextlib.suppress(BlockingIOError):
                post = bytes((0x40 | NON << 4, 2)) + message_id.to_bytes(2, "big") + b"\xb2rd"
                asker.socket.send(post)
                self.handed[message_id] += 1
        elif what == 4:
            self.begin()
        elif what == 5:
            self.end()
        elif what == 6:
            self.catalog.publish(b"fw", package_of(chance.choice(BODIES)), replace=True)
            self.endpoint.deliver()
        elif what == 7:
            asker.read()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        elif chance.random() < 0.02:
            await eventually(self.loop_serves)

    async def close(self) -> bool:
        """The end, perhaps by one who does not wait for it; True where he did."""
        cancelled = self.chance.random() < 0.3
        closing = asyncio.create_task(self.endpoint.close())
        for _ in range(self.chance.randrange(1, 4)):
            await asyncio.sleep(0)
        if cancelled:
            closing.cancel()
        while not closing.done():
            for asker in self.askers:
                asker.read()
            if self.chance.random() < 0.5:
                self.begin()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await closing
            return True
        return False


def standing() -> list[threading.Thread]:
    """Threads that stand in."""
    return [each for each in threading.enumerate() if each.name == "headgate-stand-in"]


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("unix", [False, True], ids=["udp", "unix"])
def test_whoever_serves_each_datagram_has_one_answer(run, unix, monkeypatch):
    """In the order asked, with nothing left open at the end: no thread, no descriptor, no package."""
    story_seed = f"{SEED} {unix}"
    print(f"SEED={SEED}")

    async def main() -> None:
        failures: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context.get("exception") or RuntimeError(context["message"]))
        )
        before = descriptors()
        story = Story(story_seed, unix=unix, monkeypatch=monkeypatch)
        story.endpoint.start()
        for _ in range(STEPS):
            await story.step()
        waited = await story.close()
        story.end()
        await asyncio.sleep(0)
        for asker in story.askers:
            asker.read()
            asked = sorted(asker.pings + asker.gets)
            if waited or not unix:
                assert asker.answers == asked
            else:  # what a full socket would not take at once is given up
                assert asker.answers == asked[: len(asker.answers)]
            asker.socket.close()
        assert not standing()
        assert [type(each) for each in failures] == [LookupError] * story.failed
        if waited or not unix:
            assert story.taken == story.handed
        counts, outcomes = story.endpoint.counts(), story.endpoint.outcomes()
        assert counts["sent"] + counts["send failed"] == outcomes["ping"] + outcomes["2.05"]
        story.catalog.withdraw(b"fw")
        assert story.catalog.reclaim() == 0
        assert descriptors() == before

    run(main())
