"""Devices, a network, and a server that may die: one seed, one clock, and what must hold at all times."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.fleet.faults import FAULTS
from headgate.fleet.pcp_faults import PCP_FAULTS
from headgate.fleet.population import Population
from headgate.fleet.profile import Profile
from headgate.upgrade.admission import Limits
from headgate.upgrade.campaign import Campaign, RetryPolicy
from headgate.upgrade.task import Kind, Plan, State, Timers
from simulation.clock import Clock
from simulation.edge import Onlooker, package_of
from simulation.hearing import Hearing
from simulation.host import Host, Remote, endpoint_of
from simulation.house import Doom, House
from simulation.network import FAIR, Network, Weather
from simulation.watch import Watch

NOON_S = 1_700_000_000.0
CAMPAIGN = "campaign"
SOFTWARE = "software"
"""The same for PCP devices."""
MADE_S = 2.0
"""Until campaigns are stored. Who is killed before that has told nobody that they exist."""
DOWN_S = (0.1, 10.0)
"""How long it takes until a killed server is there again."""
SEGMENT_BYTES = 400
RETRANSMIT = 8
PATIENCE = 50
STORIES_MAX = 2
TICKS_MAX = 20_000_000
ASKED_TWICE = "asked twice"
AGAIN = "again"
AGAIN_S = 30.0
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated; everything else follows from the seed."""

    seed: int
    population: Population = field(default_factory=Population)
    weather: Weather = FAIR
    limits: Limits = field(default_factory=Limits)
    timers: Timers = field(default_factory=Timers)
    package_bytes: int = 8_000
    software_bytes: int = 8_000
    kills: int = 0
    kill_every_s: float = 15.0
    """On average, while the campaign runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How it ended for one device, as far as it may not depend on when the server died."""

    state: State
    failure: str | None
    version: str


class World:
    """Everything."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.counts: Counter[str] = Counter()
        self.died: Counter[Doom] = Counter()
        self.began_s = NOON_S
        self.clock = Clock(NOON_S)
        self.onlooker = Onlooker()
        self.hearing = Hearing()
        self.house: House | None = None
        self._rng = random.Random(f"{scenario.seed} world")
        database = folder / "headgate.db"
        self._url = f"sqlite:///{database}"
        self._kills_left = scenario.kills
        body = make_package("V2.0", scenario.package_bytes, scenario.seed)
        self.package = package_of(body)
        self.network = Network(self.clock, random.Random(f"{scenario.seed} network"), scenario.weather)
        self.plan = Plan(
            kind=Kind.FIRMWARE, target_version="V2.0", pid=self.package.etag, timers=scenario.timers
        )
        self.software = random.Random(f"{scenario.seed} software").randbytes(scenario.software_bytes)
        self.software_package = package_of(self.software)
        self.software_plan = Plan(
            kind=Kind.SOFTWARE,
            target_version="V2.0",
            pid=self.software_package.etag,
            size_bytes=len(self.software),
            segment_size_bytes=SEGMENT_BYTES,
            version_check_code=int.from_bytes(self.software_package.etag[:2]),
            timers=scenario.timers,
        )
        faults = random.Random(f"{scenario.seed} faults").sample(tuple(FAULTS), len(FAULTS))
        pcp_faults = random.Random(f"{scenario.seed} PCP faults").sample(tuple(PCP_FAULTS), len(PCP_FAULTS))
        population = replace(scenario.population, seed=scenario.seed, faults=faults, pcp_faults=pcp_faults)
        self.watch = Watch(self, database)
        self.devices = [
            Device(self._patient(profile), random.Random(f"{scenario.seed} {profile.endpoint}"), NOON_S)
            for profile in population.profiles()
        ]
        self.hosts = {
            device.profile.endpoint: Host(device, self.clock, self.network, self._to_server, self.hearing)
            for device in self.devices
        }
        self._start()
        self._create()

    def _patient(self, profile: Profile) -> Profile:
        """Where the server dies, devices repeat for longer than it may be away, again and again; so do those
        on a foul network that take a lost notification for the end of their update.

        Else some would give up by their own rules, and how it ends would be a matter of luck.
        """
        foul = self.scenario.weather.loss > 0.0
        if not self.scenario.kills and not (foul and profile.pcp is None):
            return profile
        return replace(profile, timing=replace(profile.timing, max_retransmit=RETRANSMIT), patience=PATIENCE)

    # -- the network --

    def _to_server(self, remote: Remote, datagram: bytes) -> None:
        if self.house is None:
            self.counts["found no server"] += 1
            return
        endpoint = endpoint_of(remote)
        if self.hosts[endpoint].device.profile.pcp is not None:
            self.hearing.heard(endpoint, datagram, self.clock.now)
        self.house.receive(remote, datagram)

    def _to_device(self, remote: Remote, datagram: bytes) -> None:
        host = self.hosts[endpoint_of(remote)]
        self.watch.to_device(host.endpoint, datagram)
        self.network.carry(host.endpoint, datagram, lambda data: host.receive(remote, data))

    # -- the server's lives --

    def _start(self) -> None:
        self.counts["lives"] += 1
        self.watch.forget()
        self.house = House(
            url=self._url,
            packages={
                self.package.etag: self.package,
                self.software_package.etag: self.software_package,
            },
            bodies={self.software_package.etag: self.software},
            onlooker=self.onlooker,
            limits=self.scenario.limits,
            clock=self.clock,
            rng=self._rng,
            send=self._to_device,
            died=self._died,
            counts=self.counts,
            watch=self.watch.stored,
        )

    def _died(self, where: Doom) -> None:
        self.died[where] += 1
        self.hearing.died(self.clock.now)
        self.house = None
        self.clock.after(self._rng.uniform(*DOWN_S), self._start)
        self._next_kill()

    def _next_kill(self) -> None:
        if self._kills_left:
            self.clock.after(self._rng.expovariate(1 / self.scenario.kill_every_s), self._kill)

    def _kill(self) -> None:
        if self.house is None:  # not yet there again
            self._next_kill()
            return
        self._kills_left -= 1
        doom = self._rng.choice(list(Doom))
        if doom is Doom.AT_ONCE:
            self.house.kill()
        else:
            self.house.doom = doom

    # -- the campaign --

    def _create(self) -> None:
        assert self.house is not None
        software = [name for name, host in self.hosts.items() if host.device.profile.pcp is not None]
        firmware = [name for name in self.hosts if name not in set(software)]
        self._ask(CAMPAIGN, firmware)
        if software:
            self._ask(SOFTWARE, software)
        if self.asked_twice and not self.scenario.kills:  # else it may die while it makes the second campaign
            self.clock.after(AGAIN_S, lambda: self._ask(AGAIN, self.asked_twice))

    def _ask(self, id: str, endpoints: list[str]) -> None:
        assert self.house is not None
        plan = self.software_plan if id == SOFTWARE else self.plan
        campaign = Campaign(id=id, name=id, plan=plan, retry=RetryPolicy(), created_s=self.clock.now)
        self.house.orchestrator.start(campaign, endpoints, self.clock.now)
        self.house.stroke()

    @property
    def asked_twice(self) -> list[str]:
        """Devices whose operator starts a second campaign while the first one runs."""
        return [device.profile.endpoint for device in self.devices if device.profile.fault == ASKED_TWICE]

    def run(self) -> None:
        """To the end of the campaign, and until nothing is left of it."""
        self.settle(MADE_S)
        self._next_kill()
        for _ in range(TICKS_MAX):
            if self.watch.over and self.house is not None:
                break
            assert self.clock.tick(), "nothing will ever happen again"
        else:
            raise AssertionError("it never ends")
        self._kills_left = 0
        self.watch.campaign_ended()
        self.retire(self.hosts)
        self.settle(DAY_S + HOUR_S)
        self.watch.all_is_over()

    def retire(self, endpoints: Iterable[str]) -> None:
        """These devices are neither heard nor seen any more."""
        for endpoint in endpoints:
            self.hosts[endpoint].leave()

    def settle(self, seconds: float) -> None:
        """Let so much time pass."""
        until_s = self.clock.now + seconds
        reached = []
        self.clock.at(until_s, lambda: reached.append(True))
        while not reached:
            assert self.clock.tick()

    def ends(self) -> dict[str, End]:
        """How it ended for each."""
        return {
            endpoint: End(state=state, failure=failure, version=self.hosts[endpoint].device.version)
            for campaign in (CAMPAIGN, SOFTWARE)
            for endpoint, state, failure in self.watch.ends(campaign)
        }

    def second_ends(self) -> set[tuple[State, str | None]]:
        """How the second campaign ended for those that were asked twice."""
        return {(state, failure) for _, state, failure in self.watch.ends(AGAIN)}

    def restarts(self) -> dict[str, int]:
        """Who began at block 0 more often than it chose to, and how often."""
        return {
            device.profile.endpoint: beginnings
            for device in self.devices
            if (beginnings := self.onlooker.beginnings[device.profile.endpoint, self.package.etag])
            > device.log.starts_at_zero
            or device.log.forced_restarts
        }

    def close(self) -> None:
        """Let go of the database."""
        self.watch.close()
        if self.house is not None:
            self.house.database.close()

    def expected(self) -> dict[str, End]:
        """How it must end for each: as its fault says."""
        return {device.profile.endpoint: expected_of(device) for device in self.devices}


def expected_of(device: Device) -> End:
    """The published cause of its fault, or the new version."""
    fault = device.profile.fault
    if fault in ("", ASKED_TWICE):
        return End(state=State.SUCCESS, failure=None, version="V2.0")
    failure = FAULTS[fault] if device.profile.pcp is None else PCP_FAULTS[fault]
    return End(state=State.FAILED, failure=failure, version="V1.0")


def describe(world: World) -> Iterable[str]:
    """What a failure is understood by: seed, numbers, and the story of some whose end is another."""
    scenario = world.scenario
    yield f"SEED={scenario.seed}, {scenario.population.devices} devices, {scenario.weather}"
    hours = (world.clock.now - NOON_S) / HOUR_S
    yield f"{hours:.1f} h, {dict(world.counts)}, {dict(world.died)}, {dict(world.network.counts)}"
    ends, expected = world.ends(), world.expected()
    wrong = [
        device for device in world.devices if ends.get(name := device.profile.endpoint) != expected[name]
    ]
    for device in wrong[:STORIES_MAX]:
        yield f"{ends.get(device.profile.endpoint)}, not {expected[device.profile.endpoint]}"
        yield f"{device.profile}"
        yield f"{device.log}"
        yield from world.watch.story(device.profile.endpoint)
