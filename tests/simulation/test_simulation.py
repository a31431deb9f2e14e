"""The whole system under a virtual clock: devices, a network that loses, and a server that dies.

The invariants are checked after each commit by `simulation.watch`; here is how it must end. SEED=n runs one
seed in place of those below; EXAMPLES grows the fleets.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import EXAMPLES
from headgate.fleet.device import Device
from headgate.fleet.faults import FAULTS
from headgate.fleet.population import Population
from headgate.upgrade.admission import Limits
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import HOUR_S, State, Timers
from simulation.house import Doom
from simulation.network import FAIR, FOUL
from simulation.world import End, Scenario, World, describe

SEEDS = [int(os.environ["SEED"])] if os.environ.get("SEED") else [1, int(os.environ["DRAWN_SEED"])]
DEVICES = max(24, min(EXAMPLES // 2, 500))
KILLS = 2 * DEVICES
"""Campaign after campaign, until there were so many."""
LIMITS = Limits(class_0=5, class_1=3, class_2=1, unknown=2)
"""So that most have to wait."""
PUBLISHED = Timers(online_s=2 * HOUR_S)
"""The published times; but nobody has to be waited for for a day."""
PATIENT = Timers(
    online_s=24 * HOUR_S,
    version_s=HOUR_S,
    radio_s=2 * HOUR_S,
    download_start_s=HOUR_S,
    download_s=3 * HOUR_S,
    update_start_s=HOUR_S,
    update_s=2 * HOUR_S,
    result_s=HOUR_S,
    check_s=HOUR_S,
)
"""Times that no device passes by mere bad luck, such as a server that is dead whenever it wakes, or a cell of
one slot in which several devices fail by a timer before it."""


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """For the database: in memory where there is a file system for that.

    A kill in here is none for the kernel, so nothing is gained by waiting for a disk at each commit.
    """
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        yield Path(memory)


@pytest.fixture
def run(folder) -> Iterator[Callable[[Scenario], World]]:
    """Runs a scenario to its end, and says what it was."""
    worlds = []

    def running(scenario: Scenario) -> World:
        own = folder / str(len(worlds))
        own.mkdir()
        worlds.append(World(scenario, own))
        worlds[-1].run()
        return worlds[-1]

    yield running
    for world in worlds:
        print(*describe(world), sep="\n")
        world.close()


def scenario_of(seed: int, *, devices: int = DEVICES, software: float = 0.35, **how: Any) -> Scenario:
    """A mixed fleet, where one device of four has some fault."""
    population = Population(devices=devices, cells=3, faulty=0.25, software=software, report_interval_s=60.0)
    return Scenario(seed=seed, population=population, limits=LIMITS, **how)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_device_ends_as_its_fault_says(run, seed):
    """On a fair network, undisturbed, by the published timers: by the exact published text, every fault."""
    devices = max(DEVICES, 8 * len(FAULTS))
    world = run(scenario_of(seed, devices=devices, weather=FAIR, timers=PUBLISHED))
    assert world.ends() == world.expected()
    assert world.restarts() == {}
    assert world.second_ends() == {(State.FAILED, Failure.TASK_CONFLICT.value)}
    assert {radio_class for *_, radio_class in world.watch.fullest} == set(RadioClass)


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_copies_and_disorder_change_no_end(run, seed):
    """On a foul network. Who is not heard at all is no matter of order: see `hearing`."""
    world = run(scenario_of(seed, weather=FOUL, timers=PATIENT))
    assert world.ends() == world.expected() | unheard(world)
    assert world.network.counts["lost"] > 0


def unheard(world: World) -> dict[str, End]:
    """Devices that ended by a timer and had done what was awaited, while nothing of that was heard.

    Of those that speak PCP see `hearing`. A device that died updating may have told of it in vain.
    """

    def never_began(device: Device, end: End) -> bool:
        return (
            device.profile.fault == "dies updating"
            and not device.firmware.confirmed
            and end.failure == Failure.UPDATE_START_TIMEOUT.value
        )

    ends = world.ends()
    ended = [(device, ends[device.profile.endpoint]) for device in world.devices]
    return {
        device.profile.endpoint: end
        for device, end in ended
        if world.hearing.in_vain(device.profile, end.failure) or never_began(device, end)
    }


@pytest.mark.parametrize("weather", [FAIR, FOUL], ids=["fair", "foul"])
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_any_point_change_no_end(run, seed, weather):
    """Between a commit and its effects, before one, after one, in the middle of sending."""
    died: Counter[Doom] = Counter()
    for campaign in itertools.count():
        world = run(
            scenario_of(
                seed + campaign,
                weather=weather,
                timers=PATIENT,
                kills=KILLS - died.total(),
                kill_every_s=15.0,
            )
        )
        assert world.ends() == world.expected() | unheard(world)
        assert world.restarts() == {}
        died.update(world.died)
        if died.total() >= KILLS:
            break
    assert set(died) == set(Doom)
