"""The control plane of one process, from a start to a kill, pumped by the simulation's clock.

What `headgate.server` does with sockets and a thread is done here by the clock: datagrams, deadlines and
downloads go in; a turn gathers; its batch is committed after a while; then what it deserves leaves.

A kill takes whatever is in memory. It may come at any time, and at the points where it is most likely to
hurt: see `Doom`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from enum import Enum

from headgate.engine.package import Package
from headgate.lwm2m.server import LwM2mServer
from headgate.lwm2m.settings import LwM2mSettings
from headgate.store.database import Database
from headgate.upgrade.admission import Limits
from headgate.upgrade.orchestrator import Orchestrator
from headgate.upgrade.restoring import restore
from headgate.upgrade.turns import Turn
from simulation.clock import Alarm, Clock
from simulation.edge import Onlooker, SimulatedEdge
from simulation.host import Remote, endpoint_of

COMMIT_S = (0.001, 0.2)
"""How long a transaction takes, and how long it takes until it is heard of."""

Send = Callable[[Remote, bytes], None]


class Doom(Enum):
    """Where a process dies that is to die soon."""

    AT_ONCE = "wherever it stands"
    BEFORE_COMMIT = "a turn has been taken, and is not stored"
    AFTER_COMMIT = "a turn is stored, and nobody has heard of it"
    BEFORE_SENDING = "a turn was acted upon, and nothing of it has left"
    WHILE_SENDING = "half of what is to be sent has left"


class House:
    """One life of the server."""

    def __init__(
        self,
        *,
        url: str,
        packages: Mapping[bytes, Package],
        onlooker: Onlooker,
        limits: Limits,
        clock: Clock,
        rng: random.Random,
        send: Send,
        died: Callable[[Doom], None],
        counts: Counter[str],
        watch: Callable[[House], None],
    ) -> None:
        """`watch` is called whenever something was committed or acted upon."""
        self.clock = clock
        self.rng = rng
        self.counts = counts
        self.born_s = clock.now
        self.dead = False
        self.doom: Doom | None = None
        self._send = send
        self._died = died
        self._watch = watch
        self._turn: Turn | None = None
        self.database = Database.open(url)
        self.edge = SimulatedEdge(packages, onlooker)
        self.lwm2m = LwM2mServer(rng=random.Random(rng.getrandbits(64)), settings=LwM2mSettings())
        self.orchestrator = Orchestrator(lwm2m=self.lwm2m, downloads=self.edge, limits=limits)
        restore(self.orchestrator, self.database, self.lwm2m, self.edge, clock.now)
        self._alarm = Alarm(clock, self._due)
        self.stroke()

    # -- what comes in --

    def receive(self, remote: Remote, datagram: bytes) -> None:
        """A datagram, for the edge or for the control plane."""
        now = self.clock.now
        answered = self.edge.answer(datagram, now)
        if answered is None:
            for happening in self.lwm2m.receive(remote, datagram, now):
                self.orchestrator.happened(happening, now)
        else:
            reply, told = answered
            if reply is not None:
                self._send(remote, reply)
            if told is not None:
                endpoint, pid, started = told
                assert endpoint == endpoint_of(remote), "a key leaked"
                self.orchestrator.downloading(endpoint, pid, started, now)
        self.stroke()

    def _due(self) -> None:
        now = self.clock.now
        for happening in self.lwm2m.expire(now):
            self.orchestrator.happened(happening, now)
        self.orchestrator.expire(now)
        self.stroke()

    # -- the pump --

    def stroke(self) -> None:
        """Send what is to be sent, begin a commit where none is under way, know the next timer."""
        if self.dead:
            return
        self._flush()
        if not self.dead and self._turn is None:
            self._turn = self.orchestrator.turn()
            if self._turn is not None and not self._dies(Doom.BEFORE_COMMIT):
                self.clock.after(self.rng.uniform(*COMMIT_S), self._commit)
        if not self.dead:
            timers = (self.lwm2m.next_timer(), self.orchestrator.next_timer())
            self._alarm.set(min((timer for timer in timers if timer is not None), default=None))

    def _commit(self) -> None:
        if self.dead:
            return
        assert self._turn is not None
        self.database.commit(self._turn.batch)
        self.counts["commits"] += 1
        if not self._dies(Doom.AFTER_COMMIT):
            self.clock.after(self.rng.uniform(*COMMIT_S), self._committed)

    def _committed(self) -> None:
        if self.dead:
            return
        turn, self._turn = self._turn, None
        assert turn is not None
        self.orchestrator.committed(turn, self.clock.now)
        if not self._dies(Doom.BEFORE_SENDING):
            self.stroke()
            if not self.dead:
                self._watch(self)

    def _flush(self) -> None:
        datagrams = self.lwm2m.take()
        for place, (remote, datagram) in enumerate(datagrams):
            if 2 * place >= len(datagrams) and self._dies(Doom.WHILE_SENDING):
                return
            self._send(remote, datagram)

    # -- death --

    def _dies(self, here: Doom) -> bool:
        if self.doom is here:
            self.kill(here)
        return self.dead

    def kill(self, where: Doom = Doom.AT_ONCE) -> None:
        """End here and now: only what is committed remains."""
        self.dead = True
        self._alarm.set(None)
        self.database.close()
        self._died(where)
