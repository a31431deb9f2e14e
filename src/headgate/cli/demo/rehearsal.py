"""The run of `headgate demo`: from an empty directory to the end of the last device."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from headgate.cli.demo.contention import Contention
from headgate.cli.demo.pace import PacedClock
from headgate.cli.demo.show import Show, Sight
from headgate.cli.demo.verdict import ASKED_TWICE, NEVER_ONLINE, Verdict, verdict_of
from headgate.config import Config
from headgate.fleet.download import make_package
from headgate.fleet.population import Population
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from headgate.server import CampaignStatus, Server, TaskStatus
from headgate.upgrade.task import State

VERSION = "V1.0"
TARGET_VERSION = "V2.0"
REPORT_EVERY_S = 120.0  # simulated, as all that follow
# What LwM2M hopes for (6.5: MAX_TRANSMIT_WAIT), and enough for every retransmission of ours to be heard.
# With 20 s awake and a report every 600 s, 6 of 190 healthy devices failed by losses alone: nobody had asked
# them a second time within the 180 s of a step.
AWAKE_S = 93.0
BOOT_WITHIN_S = 60.0
LOOK_EVERY_S = 0.05  # ours
PROGRESS_EVERY_S = 0.2  # ours: how often the edge looks whether downloads go on
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run: what is asked for, and `run` to do it."""

    devices: int
    cells: int
    seed: int
    speed: float
    loss: float
    faulty: float
    size_bytes: int
    threads: int
    json: bool
    exit: bool

    async def run(self) -> int:
        """Upgrade the fleet, show it, and say who ended how: 0 when everything is as it must be, else 1."""
        show = Show(json=self.json)
        with TemporaryDirectory(prefix="headgate-demo-") as folder:
            clock = PacedClock(self.speed)
            devices = self._population().make(clock.now())
            async with Server(self._config(Path(folder)), clock=clock) as server:
                fleet = Fleet(
                    devices,
                    server=("127.0.0.1", server.port),
                    link=LinkSettings(loss=self.loss),
                    seed=self.seed,
                    clock=clock,
                )
                show.began(self, server, fleet, folder)
                async with fleet:
                    clock.start(lambda: max(fleet.behind_s, server.committing_s))
                    try:
                        verdict = await self._upgrade(server, fleet, clock, show)
                    finally:
                        clock.stop()
                    show.ended(verdict, clock)
                    if not self.exit and show.is_terminal:
                        await self._linger(server, show)
        return 0 if verdict.good else 1

    def _population(self) -> Population:
        return Population(
            devices=self.devices,
            cells=self.cells,
            seed=self.seed,
            faulty=self.faulty,
            version=VERSION,
            target_version=TARGET_VERSION,
            boot_within_s=BOOT_WITHIN_S,
            report_interval_s=REPORT_EVERY_S,
            awake_s=AWAKE_S,
        )

    def _config(self, folder: Path) -> Config:
        return Config.model_validate(
            {
                "coap": {
                    "host": "127.0.0.1",
                    "port": 0,
                    "threads": self.threads,
                    "look_every_s": PROGRESS_EVERY_S,
                },
                "store": {"directory": folder / "data"},
                "presence": {"awake_s": AWAKE_S},
            }
        )

    async def _upgrade(self, server: Server, fleet: Fleet, clock: PacedClock, show: Show) -> Verdict:
        """The campaign, and the second one that gets into its way."""
        body = make_package(TARGET_VERSION, self.size_bytes, self.seed)
        package = await server.add_package(body, version=TARGET_VERSION, name="demo")
        endpoints = [device.profile.endpoint for device in fleet.devices]
        campaign = await server.create_campaign(name="demo", package=package.pid, endpoints=endpoints)
        twice = [each.profile.endpoint for each in fleet.devices if each.profile.fault == ASKED_TWICE]
        second = None
        if twice:
            second = await server.create_campaign(name="too early", package=package.pid, endpoints=twice)
        contention = await self._watch(server, fleet, clock, show, campaign.id)
        conflicts = {} if second is None else await tasks_of(server, second.id)
        limits = server.config.limits
        return verdict_of(
            fleet.devices,
            await tasks_of(server, campaign.id),
            conflicts,
            digest=hashlib.sha256(body).hexdigest(),
            version=TARGET_VERSION,
            limits={"0": limits.class_0, "1": limits.class_1, "2": limits.class_2, "U": limits.unknown},
            contention=contention,
            now=clock.now(),
        )

    async def _watch(
        self, server: Server, fleet: Fleet, clock: PacedClock, show: Show, campaign_id: str
    ) -> Contention:
        """Look on until the campaign is through."""
        contention = Contention()
        absent = sum(device.profile.fault == NEVER_ONLINE for device in fleet.devices)
        began_s = time.monotonic()
        ended = asyncio.ensure_future(server.ended(campaign_id))
        try:
            with show:
                while not ended.done():
                    occupancy = server.occupancy()
                    contention.look(clock.now(), occupancy, fleet.upgrading())
                    if show.due:
                        status = await server.campaign(campaign_id)
                        show.look(
                            Sight(
                                clock=clock,
                                elapsed_s=time.monotonic() - began_s,
                                counts=status.counts,
                                occupancy=occupancy,
                                contention=contention,
                                blocks=server.stats.edge.blocks,
                            )
                        )
                        if not clock.flies and only_absent(status, absent):
                            show.says(
                                f"Only {absent} are left that never come online: their 24 h are skipped."
                            )
                            fleet.close()
                            clock.fly()
                    await asyncio.wait([ended], timeout=LOOK_EVERY_S)
            await ended
        finally:
            ended.cancel()
        return contention

    async def _linger(self, server: Server, show: Show) -> None:
        """Leave everything as it is, for who wants to look at it, until Ctrl-C."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        show.says(
            f"All stays as it is, the server's data in {server.config.store.directory}: "
            "Ctrl-C ends the server and removes them."
        )
        await stop.wait()


def only_absent(status: CampaignStatus, absent: int) -> bool:
    """Whether all tasks are over but those of the devices that are never switched on."""
    active = {state: count for state, count in status.counts.states.items() if not state.terminal}
    return active == {State.WAIT_ONLINE: absent}


async def tasks_of(server: Server, campaign_id: str) -> Mapping[str, TaskStatus]:
    """All tasks of a campaign, by endpoint."""
    found: dict[str, TaskStatus] = {}
    after = None
    while page := await server.tasks(campaign_id, after=after, limit=PAGE):
        found |= {task.endpoint: task for task in page}
        after = page[-1].id
    return found
