"""`kill -9` of the real server at random instants of running campaigns, over real UDP.

A fleet in this process, half of it upgraded in its firmware and half by PCP in its software, and a server in
another process that is killed KILLS times and started again on the same port and data directory. Every
device ends as it would have without that, no slot is leaked, Execute and 23 are never sent to a device that
confirmed them, and nobody restarts at block or segment 0 who did not choose to. SEED repeats a run's choices,
though not its instants.
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
from headgate.fleet.pcp_faults import PCP_FAULTS
from headgate.fleet.population import Population
from headgate.fleet.profile import Moves, Notify, Profile
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import HOLDING, TERMINAL, Kind, State
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
TIMELY_PCP = ("19: 7F", "20: 05", "22: 07", "23: 04", "24: 08", "comes back old")
SOFTWARE = 0.5
CONFIG = {
    "limits": LIMITS,
    "timers": {"read_again_s": 2.0, "unobserve_s": 5.0, "poll_s": 3.0, "resend_s": 2.0},
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
        software=SOFTWARE,
        pcp_faults=TIMELY_PCP,
        moving=0.0,
        boot_within_s=30.0,
        report_interval_s=120.0,
    )
    return [
        Device(steady(each), random.Random(f"{seed} {each.endpoint}"), 0.0) for each in population.profiles()
    ]


def steady(profile: Profile) -> Profile:
    """The same device, awake and patient; one that speaks by notifications says them until they are heard."""
    return replace(
        profile,
        notify=profile.notify if profile.pcp is None else Notify.CONFIRMABLE,
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

    def story(self, endpoints: set[str]) -> list[tuple[object, ...]]:
        """What the event log says of some devices: what a failure is understood by."""
        wanted = ",".join("?" * len(endpoints))
        query = (
            f"SELECT endpoint, at_s, step, what, detail FROM events WHERE endpoint IN ({wanted}) ORDER BY id"
        )
        return self._database.execute(query, sorted(endpoints)).fetchall()

    def under_way(self) -> set[str]:
        """Whose tasks are not over."""
        return {endpoint for endpoint, (state, _) in self.ends().items() if State(state) not in TERMINAL}

    def counters(self) -> tuple[dict[str, int], dict[str, int]]:
        """As they are kept, and as the rows say."""
        kept = self._database.execute("SELECT name, sum(value) FROM counters WHERE value <> 0 GROUP BY 1")
        counted = self._database.execute(
            "SELECT 'state ' || state, count(*) FROM tasks GROUP BY 1 UNION ALL "
            "SELECT 'failure ' || failure, count(*) FROM tasks WHERE failure IS NOT NULL GROUP BY 1 "
            f"UNION ALL SELECT name, sum(value) FROM ({STAGES}) GROUP BY 1"
        )
        return dict(kept), dict(counted)


def limit_of(radio_class: str) -> int:
    """The limit of a class."""
    return LIMITS[{RadioClass.UNKNOWN.value: "unknown"}.get(radio_class, f"class_{radio_class}")]


def expected_of(device: Device) -> tuple[str, str | None]:
    """How a device must end."""
    fault = device.profile.fault
    causes = FAULTS if device.profile.pcp is None else PCP_FAULTS
    return (State.FAILED.value, causes[fault]) if fault else (State.SUCCESS.value, None)


def orders_of(devices: list[Device], bodies: dict[Kind, bytes], folder: Path) -> list[dict[str, object]]:
    """A campaign for each kind of device."""
    orders: list[dict[str, object]] = []
    for kind, body in bodies.items():
        package = folder / f"{kind}.bin"
        package.write_bytes(body)
        endpoints = [device.profile.endpoint for device in devices if kind_of(device) is kind]
        orders.append({"package": str(package), "version": "V2.0", "endpoints": endpoints, "kind": kind})
    return orders


def kind_of(device: Device) -> Kind:
    """By what it is upgraded."""
    return Kind.FIRMWARE if device.profile.pcp is None else Kind.SOFTWARE


async def killed_round(seed: int, folder: Path, kills: int, rng: random.Random) -> int:
    """Two campaigns from beginning to end, with at most so many kills; how many there were."""
    bodies = {
        Kind.FIRMWARE: make_package("V2.0", PACKAGE_BYTES, seed),
        Kind.SOFTWARE: random.Random(f"{seed} software").randbytes(PACKAGE_BYTES),
    }
    devices = devices_of(seed)
    port = lasting_port()
    killed = 0
    with ServerProcess(folder, port, CONFIG) as server:
        await asyncio.to_thread(server.start, campaigns=orders_of(devices, bodies, folder))
        async with Fleet(devices, server=(HOST, port), link=LINK, seed=seed, speed=SPEED) as fleet:
            with closing(Tasks(folder)) as tasks:
                try:
                    async with asyncio.timeout(ROUND_S):
                        while not tasks.check():
                            await asyncio.sleep(rng.uniform(*LIFE_S))
                            if killed < kills:
                                await asyncio.to_thread(server.kill)
                                killed += 1
                                await asyncio.to_thread(server.start)
                finally:
                    for line in tasks.story(tasks.under_way()):
                        print(line)
                await asyncio.to_thread(server.stop)
                assert tasks.ends() == {device.profile.endpoint: expected_of(device) for device in devices}
                kept, counted = tasks.counters()
                assert kept == counted
            for (cell_id, radio_class), peak in fleet.peaks().items():
                assert peak <= limit_of(radio_class), f"{peak} upgraded at once in {cell_id}, {radio_class}"
    digests = {kind: sha256(body).hexdigest() for kind, body in bodies.items()}
    for device in devices:
        assert device.log.executes_after_confirmed == 0
        assert device.log.forced_restarts == 0
        if not device.profile.fault:
            assert (device.version, device.log.digest) == ("V2.0", digests[kind_of(device)])
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
    print(f"{KILLS} kills in {number} rounds of {DEVICES} devices, two campaigns in each")
