"""The run of `headgate demo`: from an empty directory to the end of the last device."""

from __future__ import annotations

import asyncio
import gc
import math
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from headgate.cli.demo import batch
from headgate.cli.demo.contention import Contention
from headgate.cli.demo.orders import Placed, kind_of, orders_of, place, product_of
from headgate.cli.demo.pace import PacedClock
from headgate.cli.demo.pauses import Operator, pause_wrongs
from headgate.cli.demo.show import Show, Sight
from headgate.cli.demo.verdict import NEVER_ONLINE, Verdict, verdict_of
from headgate.config import Config
from headgate.fleet.population import Population
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from headgate.server import Server, TaskStatus
from headgate.server.process import uncollected
from headgate.upgrade.task import Kind, State

VERSION = "V1.0"
TARGET_VERSION = "V2.0"
# Simulated, as all that follow. Two more occasions within the 180 s of a step. At 120 s there was one: who
# loses an answer that is sent once, and then that report or the second answer, fails, healthy as it is.
REPORT_EVERY_S = 75.0
# What LwM2M hopes for (6.5: MAX_TRANSMIT_WAIT), and enough for every retransmission of ours to be heard.
# With 20 s awake and a report every 600 s, 6 of 190 healthy devices failed by losses alone: nobody had asked
# them a second time within the 180 s of a step.
AWAKE_S = 93.0
BOOT_WITHIN_S = 60.0
LOOK_EVERY_S = 0.05  # ours
LIFETIME_S = 7 * 86_400
"""Of registrations: whoever has left is there to be chosen after the 24 h that are skipped at the end."""
AFTERLIFE_S = 600.0
"""How long devices are there after their task. For hours they would report, and nothing else would happen."""
SWITCH_OFF_EVERY_S = 2.0  # ours
PROGRESS_EVERY_S = 0.2  # ours: how often the edge looks whether downloads go on
UNREAD_MAX_BYTES = 256 << 10
"""In the server's socket: half of what it receives in one turn of the loop. Beyond, time waits for it."""
LINK_LASTS_S = 365 * 86400.0  # simulated: the server's hours are seconds of whoever follows the link


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """One run: what is asked for, and `run` to do it."""

    devices: int
    cells: int
    seed: int
    speed: float
    loss: float
    faulty: float
    software: float
    size_bytes: int
    threads: int
    json: bool
    exit: bool
    bad_batch: bool = True
    http_port: int = 0

    async def run(self) -> int:
        """Upgrade the fleet, show it, and say who ended how: 0 when everything is as it must be, else 1."""
        show = Show(json=self.json)
        with TemporaryDirectory(prefix="headgate-demo-") as folder:
            clock = PacedClock(self.speed)
            population = self._population()
            make = batch.made if self.bad_batch else Population.make
            with uncollected():
                devices = make(population, clock.now())
                gc.freeze()  # they stay: to look through them again and again is what a demo has no time for
            async with Server(self._config(Path(folder)), clock=clock) as server:
                fleet = Fleet(
                    devices,
                    server=("127.0.0.1", server.port),
                    link=LinkSettings(loss=self.loss),
                    seed=self.seed,
                    clock=clock,
                )
                http = await server.serve_http()
                show.began(self, server, fleet, folder)
                show.doors(http.url, http.login_url(LINK_LASTS_S), http.token_file)
                if show.is_terminal and not self.exit:
                    show.variables(variables(server))
                # Before the first device is switched on, so that it is upgraded as soon as it is heard.
                placed = await self._place(server, fleet)
                async with fleet:
                    clock.start(lambda: behind_s(fleet, server))
                    try:
                        verdict = await self._upgrade(server, fleet, clock, show, placed)
                    finally:
                        clock.stop()
                    await label(server, fleet)
                    show.ended(verdict, clock)
                    if not self.exit and show.is_terminal:
                        show.next_steps(next_steps(fleet, placed))
                        await self._linger(server, show)
                    elif not self.json:
                        show.says(
                            "What to try next: `headgate demo` on a terminal, which leaves the pause to you, "
                            "and the console open at the end; or `headgate serve` and `headgate fleet`."
                        )
        return 0 if verdict.good else 1

    def _population(self) -> Population:
        return Population(
            devices=self.devices,
            cells=self.cells,
            seed=self.seed,
            faulty=self.faulty,
            software=self.software,
            version=VERSION,
            target_version=TARGET_VERSION,
            boot_within_s=BOOT_WITHIN_S,
            report_interval_s=REPORT_EVERY_S,
            awake_s=AWAKE_S,
            lifetime_s=LIFETIME_S,
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
                "http": {"port": self.http_port, "session_s": LINK_LASTS_S},
            }
        )

    async def _place(self, server: Server, fleet: Fleet) -> list[Placed]:
        """Make the campaigns."""
        orders = orders_of(fleet.devices, version=TARGET_VERSION, size_bytes=self.size_bytes, seed=self.seed)
        return [await place(server, order) for order in orders]

    async def _upgrade(
        self, server: Server, fleet: Fleet, clock: PacedClock, show: Show, placed: Sequence[Placed]
    ) -> Verdict:
        """The campaigns, to the last device's end."""
        operators = [
            Operator(server, clock, show, each, person=show.is_terminal and not self.exit)
            for each in placed
            if not each.order.conflicts
        ]
        contention = await self._watch(server, fleet, clock, show, placed, operators)
        tasks: dict[bool, dict[str, TaskStatus]] = {False: {}, True: {}}
        for each in placed:
            tasks[each.order.conflicts] |= await each.tasks(server)
        limits = server.config.limits
        wrongs: list[str] = []
        for operator in operators:
            order = operator.placed.order
            own = [device for device in fleet.devices if kind_of(device) is order.kind]
            wrongs += pause_wrongs(operator.pauses, order.stage_of, own, f"the {order.name} campaign")
        return verdict_of(
            fleet.devices,
            tasks[False],
            tasks[True],
            digests={each.order.kind: each.order.digest for each in placed},
            version=TARGET_VERSION,
            limits={"0": limits.class_0, "1": limits.class_1, "2": limits.class_2, "U": limits.unknown},
            contention=contention,
            now=clock.now(),
            pauses=[pause.reason for each in operators for pause in each.pauses],
            wrongs=wrongs,
        )

    async def _watch(
        self,
        server: Server,
        fleet: Fleet,
        clock: PacedClock,
        show: Show,
        placed: Sequence[Placed],
        operators: Sequence[Operator],
    ) -> Contention:
        """Look on until all campaigns are through."""
        contention = Contention()
        absent = sum(device.profile.fault == NEVER_ONLINE for device in fleet.devices)
        began_s = looked_s = time.monotonic()
        serves = False
        ended = asyncio.get_running_loop().create_task(all_ended(server, placed))
        try:
            with show:
                while not ended.done():
                    occupancy = server.occupancy()
                    contention.look(clock.now(), occupancy, fleet.upgrading())
                    for operator in operators:
                        await operator.look()
                    edge = server.stats.edge
                    if not serves and edge.blocks + edge.answered["segment"]:
                        serves = True
                        show.serves(time.monotonic() - began_s)
                    if show.due:
                        states = await states_of(server, placed)
                        show.look(
                            Sight(
                                clock=clock,
                                elapsed_s=time.monotonic() - began_s,
                                states=states,
                                occupancy=occupancy,
                                contention=contention,
                                served=edge.blocks + edge.answered["segment"],
                            )
                        )
                        if not clock.flies and only_absent(states, absent):
                            show.says(
                                f"Only {absent} are left that never come online: their 24 h are skipped."
                            )
                            fleet.close()
                            clock.fly()
                    if time.monotonic() - looked_s > SWITCH_OFF_EVERY_S:
                        looked_s = time.monotonic()
                        over = await over_since(server, placed, clock.now() - AFTERLIFE_S)
                        for device in fleet.devices:
                            if device.powered and device.profile.endpoint in over:
                                device.leave(clock.now(), goodbye=False)
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


def behind_s(fleet: Fleet, server: Server) -> float:
    """How far devices or server are behind, in simulated seconds.

    How long datagrams have waited in the server's socket nobody can say: where they are many, for too long.
    Without that, devices would repeat what is not answered yet, which makes them more, until the socket
    overflows: at a load of 9 on two cores, 49,380 of 561,900 were lost there, and none since.
    """
    if server.unread_bytes > UNREAD_MAX_BYTES:
        return math.inf
    return max(fleet.behind_s, server.committing_s)


async def label(server: Server, fleet: Fleet) -> None:
    """Say of which product each device is."""
    endpoints: dict[str, list[str]] = {}
    for device in fleet.devices:
        endpoints.setdefault(product_of(device), []).append(device.profile.endpoint)
    for product, named in endpoints.items():
        await server.label(named, product=product)


def next_steps(fleet: Fleet, placed: Sequence[Placed]) -> dict[str, str]:
    """Commands that a person may try, with what they show."""
    campaign_id, package = placed[0].campaign_id, placed[0].package
    told = [each for each in fleet.devices if each.profile.fault] or [fleet.devices[0]]
    device = next((each for each in told if each.profile.fault == batch.BATCH), told[0])
    endpoint, product = device.profile.endpoint, product_of(device)
    return {
        f"headgate campaign show {campaign_id}": "its stages, their gates, and who ended how",
        f"headgate device timeline {endpoint}": "all that happened to a device, step by step",
        f"headgate device list --product {product}": "its product: the devices with that label",
        f"headgate campaign create --package {package} --product {product} --dry-run": (
            "what another campaign would be like, for that product alone"
        ),
        f"headgate campaign report {campaign_id} -o report.html": "how it went, as a page with charts",
    }


def variables(server: Server) -> dict[str, str | Path]:
    """What these commands are to find in their environment: the server, and where its token is."""
    assert server.http is not None
    return {
        "HEADGATE_URL": server.http.url,
        "HEADGATE_STORE__DIRECTORY": server.config.store.directory,
    }


async def states_of(server: Server, placed: Sequence[Placed]) -> dict[Kind, Counter[State]]:
    """How many devices of each kind stand where; second tasks do not count."""
    found: dict[Kind, Counter[State]] = {}
    for each in placed:
        if not each.order.conflicts:
            counts = (await each.status(server)).counts
            found.setdefault(each.order.kind, Counter()).update(counts.states)
    return found


async def all_ended(server: Server, placed: Sequence[Placed]) -> None:
    """Wait until all campaigns are through."""
    for each in placed:
        await server.ended(each.campaign_id)


async def over_since(server: Server, placed: Sequence[Placed], then_s: float) -> set[str]:
    """The devices whose tasks were over then."""
    found: set[str] = set()
    for each in placed:
        if not each.order.conflicts:
            tasks = (await each.tasks(server)).values()
            found.update(
                task.endpoint for task in tasks if task.ended_s is not None and task.ended_s < then_s
            )
    return found


def only_absent(states: Mapping[Kind, Mapping[State, int]], absent: int) -> bool:
    """Whether all tasks are over but those of the devices that are never switched on."""
    active: Counter[State] = Counter()
    for each in states.values():
        active.update({state: count for state, count in each.items() if not state.terminal})
    return active == {State.WAIT_ONLINE: absent}
