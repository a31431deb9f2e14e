"""`kill -9` of the real server at random instants of running campaigns, over real UDP.

A fleet in this process, and a server in another one that is killed KILLS times and started again on the same
port and data directory. Every device ends as it would have without that, no slot is leaked, Execute is never
sent to a device that confirmed it, and nobody restarts at block 0 who did not choose to. SEED repeats a run's
choices, though not its instants.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.fleet.faults import FAULTS
from headgate.fleet.population import Population
from headgate.fleet.profile import Moves, Profile
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import HOLDING, TERMINAL, State
from peer import lasting_port
from server_process import HOST, ServerProcess
from stage_rows import STAGES

KILLS = int(os.environ.get("KILLS") or (200 if os.environ.get("CI") == "true" else 40))
SEED = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
DEVICES = 48
CELLS = 3
SPEED = 60.0
LIFE_S = (0.02, 0.35)
"""How long a server lives, of our seconds."""
ROUND_S = 120.0
PACKAGE_BYTES = 12_000
LIMITS = {"class_0": 4, "class_1": 3, "class_2": 1, "unknown": 2}
# The server's own timers are not sped up: losses and faults that only a timer finds belong to the simulation.
LINK = LinkSettings(loss=0.0)
TIMELY = (
    "Result 2",
    "Result 5",
    "Result 8",
    "refuses URI",
    "refuses Execute",
    "comes back old",
    "has no version",
)
CONFIG = {
    "limits": LIMITS,
    "timers": {"read_again_s": 2.0, "unobserve_s": 5.0, "poll_s": 3.0},
    "presence": {"awake_s": 20.0 / SPEED},
    "log": {"level": "error"},
}


def devices_of(seed: int) -> list[Device]:
    """A fleet whose devices listen all the time, from one port between reboots, and answer all questions.

    What is not answered is asked again after a time of the server's, which is not sped up. And they repeat
    for longer than servers are dead: a minute of theirs is a second of ours.
    """
    population = Population(
        devices=DEVICES,
        cells=CELLS,
        seed=seed,
        faulty=0.15,
        faults=TIMELY,
        moving=0.0,
        boot_within_s=30.0,
        report_interval_s=120.0,
    )
    return [
        Device(steady(each), random.Random(f"{seed} {each.endpoint}"), 0.0) for each in population.profiles()
    ]


def steady(profile: Profile) -> Profile:
    """The same device, awake and patient."""
    return replace(
        profile,
        queue_mode=False,
        moves=Moves.REBOOT,
        silent_accepts=frozenset(),
        timing=replace(profile.timing, max_retransmit=10),
        patience=100,
    )


class Tasks:
    """What the database says, read beside the server, and while there is none."""

    def __init__(self, folder: Path) -> None:
        self._database = sqlite3.connect(f"file:{folder / 'headgate.db'}?mode=ro", uri=True)

    def close(self) -> None:
        """Read no more."""
        self._database.close()

    def check(self) -> bool:
        """No cell and class above its limit; whether all tasks are over."""
        held: Counter[tuple[int, str]] = Counter()
        over = True
        for cell_id, radio_class, state in self._database.execute(
            "SELECT cell_id, radio_class, state FROM tasks"
        ):
            over = over and State(state) in TERMINAL
            if State(state) in HOLDING:
                held[cell_id, radio_class] += 1
        for (_, radio_class), count in held.items():
            assert count <= limit_of(radio_class)
        return over

    def ends(self) -> dict[str, tuple[str, str | None]]:
        """State and failure by endpoint."""
        rows = self._database.execute("SELECT endpoint, state, failure FROM tasks")
        return {endpoint: (state, failure) for endpoint, state, failure in rows}

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """As they are kept, and as the rows say."""
        kept = self._database.execute("SELECT name, value FROM counters WHERE value <> 0")
        counted = self._database.execute(
            "SELECT 'state ' || state, count(*) FROM tasks GROUP BY 1 UNION ALL "
            "SELECT 'failure ' || failure, count(*) FROM tasks WHERE failure IS NOT NULL GROUP BY 1 "
            f"UNION ALL SELECT name, value FROM ({STAGES})"
        )
        return dict(kept), dict(counted)


def limit_of(radio_class: str) -> int:
    """The limit of a class."""
    return LIMITS[{RadioClass.UNKNOWN.value: "unknown"}.get(radio_class, f"class_{radio_class}")]


def expected_of(device: Device) -> tuple[str, str | None]:
    """How a device must end."""
    fault = device.profile.fault
    return (State.FAILED.value, FAULTS[fault]) if fault else (State.SUCCESS.value, None)


async def killed_round(seed: int, folder: Path, kills: int, rng: random.Random) -> int:
    """One campaign from beginning to end, with at most so many kills; how many there were."""
    package = folder / "package.bin"
    body = make_package("V2.0", PACKAGE_BYTES, seed)
    package.write_bytes(body)
    devices = devices_of(seed)
    port = lasting_port()
    killed = 0
    with ServerProcess(folder, port, CONFIG) as server:
        endpoints = [device.profile.endpoint for device in devices]
        await asyncio.to_thread(server.start, package=str(package), version="V2.0", endpoints=endpoints)
        async with Fleet(devices, server=(HOST, port), link=LINK, seed=seed, speed=SPEED) as fleet:
            with closing(Tasks(folder)) as tasks:
                async with asyncio.timeout(ROUND_S):
                    while not tasks.check():
                        await asyncio.sleep(rng.uniform(*LIFE_S))
                        if killed < kills:
                            await asyncio.to_thread(server.kill)
                            killed += 1
                            await asyncio.to_thread(server.start)
                await asyncio.to_thread(server.stop)
                assert tasks.ends() == {device.profile.endpoint: expected_of(device) for device in devices}
                kept, counted = tasks.counters()
                assert kept == counted
            for (cell_id, radio_class), peak in fleet.peaks().items():
                assert peak <= limit_of(radio_class), f"{peak} upgraded at once in {cell_id}, {radio_class}"
    digest = sha256(body).hexdigest()
    for device in devices:
        assert device.log.executes_after_confirmed == 0
        assert device.log.forced_restarts == 0
        if not device.profile.fault:
            assert (device.version, device.log.digest) == ("V2.0", digest)
            cuts = len(device.profile.power_cuts)
            assert device.log.starts_at_zero + len(device.log.resumed_at) <= 1 + cuts
    return killed


def test_a_campaign_survives_kill_9_at_any_instant(tmp_path):
    """Round after round, until the kills are spent."""
    print(f"SEED={SEED} KILLS={KILLS}")
    rng = random.Random(SEED)
    left = KILLS
    number = 0
    while left > 0:
        folder = tmp_path / str(number)
        folder.mkdir()
        left -= asyncio.run(killed_round(rng.getrandbits(32), folder, left, rng))
        number += 1
    print(f"{KILLS} kills in {number} campaigns of {DEVICES} devices")
