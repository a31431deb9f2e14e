"""Nothing that a device says stops the server: see `liars`."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

from headgate.lwm2m.registration import LIFETIME_MAX_S
from headgate.store import tables
from headgate.upgrade.admission import Limits
from headgate.upgrade.campaign import Campaign, Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import HOLDING, Kind, Plan
from simulation.clock import Clock
from simulation.edge import Onlooker, package_of
from simulation.house import Doom, House
from simulation.liars import TARGET, Liar, Remote

NOON_S = 1_700_000_000.0
ENDPOINTS = tuple(f"liar-{number}" for number in range(12))
STEPS = int(os.environ.get("LIES", "2000"))
"""Datagrams of theirs. A bug may need more than CI has time for: LIES=500000 takes some minutes."""
PAUSE_S = 2.0
"""Between two datagrams, on average; sometimes nobody speaks for so long that deadlines pass."""
LONG_PAUSE_S = 400.0
SEGMENT_BYTES = 100
DAY_S = 86400.0
LIMITS = Limits(class_0=2, class_1=1, class_2=1, unknown=1)


class Inquisition:
    """One server, its liars, and campaigns one after the other."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.chance = random.Random(seed)
        self.clock = Clock(NOON_S)
        self.counts: Counter[str] = Counter()
        self.url = f"sqlite:///{folder / 'headgate.db'}"
        self.body = self.chance.randbytes(1000)
        self.package = package_of(self.body)
        self.liars = {
            endpoint: Liar(endpoint, random.Random(f"{seed} {endpoint}"), self._to_server)
            for endpoint in ENDPOINTS
        }
        self.campaigns = 0
        self.house = self.restarted()

    def restarted(self) -> House:
        """Another life of the server, on what is stored."""
        return House(
            url=self.url,
            packages={self.package.etag: self.package},
            bodies={self.package.etag: self.body},
            onlooker=Onlooker(),
            limits=LIMITS,
            clock=self.clock,
            rng=self.chance,
            send=self._to_liar,
            died=lambda where: None,
            counts=self.counts,
            watch=lambda house: None,
        )

    def run(self, steps: int) -> None:
        """Let them lie."""
        for _ in range(steps):
            chance = self.chance.random()
            pause_s = LONG_PAUSE_S if chance < 0.005 else PAUSE_S
            self._pass(self.chance.expovariate(1 / pause_s))
            if not self.house.orchestrator.roster.running:
                self._begin()
            if chance > 0.999:
                self.house.kill(Doom.AT_ONCE)
                self.house = self.restarted()
            elif chance > 0.997:
                self._meddle()
            self.chance.choice(list(self.liars.values())).act()

    def silence(self) -> None:
        """Nobody says anything any more, and all that was begun ends; at last the longest registration."""
        for campaign_id in list(self.house.orchestrator.roster.running):
            self.house.orchestrator.stop(campaign_id, "anna", self.clock.now)
        self.house.stroke()
        self._pass(LIFETIME_MAX_S + DAY_S)

    def _begin(self) -> None:
        kind = self.chance.choice(list(Kind))
        self.campaigns += 1
        plan = Plan(
            kind=kind,
            target_version=TARGET,
            pid=self.package.etag,
            size_bytes=len(self.body),
            segment_size_bytes=SEGMENT_BYTES if kind is Kind.SOFTWARE else 0,
            skip_same_package=self.chance.random() < 0.5,
        )
        again = RetryPolicy(by_failure=dict.fromkeys(Failure, Retry(count=1, interval_s=60.0)))
        campaign = Campaign(
            id=f"c{self.campaigns}", name="lies", plan=plan, retry=again, created_s=self.clock.now
        )
        self.house.orchestrator.start(campaign, ENDPOINTS, self.clock.now)
        self.house.stroke()

    def _meddle(self) -> None:
        """An operator loses patience."""
        active = list(self.house.orchestrator.roster.active.values())
        if active:
            self.house.orchestrator.cancel(self.chance.choice(active).task_id, "anna", self.clock.now)
            self.house.stroke()

    def _pass(self, seconds: float) -> None:
        passed = []
        self.clock.after(seconds, lambda: passed.append(True))
        while not passed:
            self.clock.tick()

    def _to_server(self, remote: Remote, datagram: bytes) -> None:
        self.counts["datagrams"] += 1
        self.house.receive(remote, datagram)

    def _to_liar(self, remote: Remote, datagram: bytes) -> None:
        self.liars[remote[0].split()[0].decode()].hear(datagram)


def test_lies_stop_nothing(tmp_path):
    """No exception; slots are those of tasks, a restart reads every row, and in the end nothing is left."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    world = Inquisition(seed, tmp_path)
    world.run(STEPS)
    assert world.counts["datagrams"] > STEPS / 2
    assert world.campaigns > 1, "tasks end, one way or another"
    orchestrator = world.house.orchestrator
    held = sum(each.held for each in orchestrator.occupancy())
    assert held == sum(active.task.state in HOLDING for active in orchestrator.roster.tasks())
    world.house.kill()
    again = world.restarted()
    tasks = list(again.orchestrator.roster.tasks())
    assert all(not active.task.state.terminal for active in tasks)
    counted = again.database.counted(tables.tasks, "active")
    assert counted.get(True, 0) == len(tasks)
    world.house = again
    world.silence()
    assert not again.orchestrator.roster.askers
    sizes = again.lwm2m.sizes()
    assert not any(sizes[name] for name in ("registrations", "devices known", "observations", "devices")), (
        sizes
    )
    again.database.close()
