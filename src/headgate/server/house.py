"""All rooms of one process, built once and in order, and taken down in the other order.

    the data directory is ours -> the port is taken -> the store is open -> what was there is there again
    -> devices are answered

The port is taken before anything is read: a device that asks meanwhile waits in the socket, and is not told
4.04 by a server that has not yet looked for its package.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self, TypeVar

from headgate.config import Config
from headgate.edge import DownloadProgressed, DownloadStarted, Edge
from headgate.errors import StoreError
from headgate.lwm2m.server import LwM2mServer
from headgate.server import rooms
from headgate.server.clock import Time
from headgate.server.directory import Directory
from headgate.server.hooks.hooks import Hooks
from headgate.server.logs import logger
from headgate.server.operations import Operations
from headgate.server.packages import Packages
from headgate.server.process import Settled, in_short_turns, uncollected
from headgate.server.pump import Pump
from headgate.server.relief import Relief
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.packages import PackageStore
from headgate.upgrade.orchestrator import Orchestrator
from headgate.upgrade.restoring import restore

EVENTS_PER_TURN = 200  # of downloads, before the loop goes on with something else
FORGOTTEN_AT_ONCE = 2000  # events of the log: some milliseconds of the writer
FORGET_EVERY_S = 60.0

Read = TypeVar("Read")

log = logger()


class House:
    """Open by `open`, close by `close`; in between its rooms are there to be used."""

    edge: Edge
    database: Database
    packages: Packages
    lwm2m: LwM2mServer
    orchestrator: Orchestrator
    pump: Pump
    hooks: Hooks
    relief: Relief

    def __init__(
        self, config: Config, clock: Time, on_commit: Callable[[Batch], None], *, own_process: bool
    ) -> None:
        """Raises ConfigError for settings that do not go together."""
        self.config = config
        self.clock = clock
        self.operations = Operations(self)
        self._on_commit = on_commit
        self._settled = Settled() if own_process else None
        self._limits = rooms.limits_of(config)
        self._radio = rooms.radio_of(config)
        self._bounds = rooms.bounds_of(config)
        self._lwm2m = rooms.lwm2m_of(config)
        rooms.timers_of(config)  # campaigns are made with these two
        rooms.retry_of(config)
        self._closing = AsyncExitStack()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="headgate-writer")

    @classmethod
    async def open(
        cls, config: Config, clock: Time, on_commit: Callable[[Batch], None], *, own_process: bool
    ) -> Self:
        """Build, restore, serve. What fails on the way leaves nothing behind.

        Raises ConfigError, StoreError (another server, a newer database, no room) and AddressError.
        """
        house = cls(config, clock, on_commit, own_process=own_process)
        try:
            await house._open()
        except BaseException:
            await house.close()
            raise
        return house

    async def close(self) -> None:
        """Commit and acknowledge the last turn, then let go of everything. Again does nothing."""
        await self._closing.aclose()

    # -- building --

    async def _open(self) -> None:
        closing = self._closing
        if self._settled is not None:
            closing.enter_context(in_short_turns())
        closing.callback(self._writer.shutdown)
        directory = Directory(self.config.store.directory)
        closing.callback(directory.close)
        self.edge = self._edge(directory.secret())
        closing.push_async_callback(self.edge.close)
        self.edge.bind()
        self.relief = Relief(self.edge.stood_in)
        closing.callback(self.relief.close)
        self.database = await self.write(Database.open, self.config.store.url or directory.url)
        closing.push_async_callback(self.write, self.database.close)
        files = await asyncio.to_thread(PackageStore, directory.packages)
        self.packages = Packages(
            files,
            self.edge,
            write=self._write_batch,
            in_use=self._in_use,
            lasting=lambda seconds: self.clock.wait_s(self.clock.now() + seconds),
            check_codes=rooms.check_codes_of(self.config),
            segment_size_bytes=self.config.pcp.segment_size_bytes,
        )
        self.lwm2m = LwM2mServer(rng=random.SystemRandom(), settings=self._lwm2m, bounds=self._bounds)
        self.orchestrator = Orchestrator(
            lwm2m=self.lwm2m,
            downloads=self.packages.downloads,
            limits=self._limits,
            radio=self._radio,
            settings=rooms.orchestrator_of(self.config),
        )
        self.pump = Pump(
            self.lwm2m,
            self.orchestrator,
            clock=self.clock,
            writer=self._writer,
            commit=self.database.commit,
            retry_s=self.config.store.retry_s,
            on_commit=self._committed,
        )
        closing.push_async_callback(self.pump.close)
        self.hooks = Hooks(
            announcements=self.orchestrator.announcements,
            pump=self.pump,
            database=self.database,
            write=self.write,
            read=self.read,
            clock=self.clock,
            settings=rooms.hooks_of(self.config),
            retry_s=self.config.store.retry_s,
        )
        closing.push_async_callback(self.hooks.close)
        with uncollected():
            await asyncio.to_thread(self._restore)
            running = self.orchestrator.roster.running.values()
            await self.packages.downloads.load_wanted([each.campaign.plan.pid for each in running])
            self.settle()
        self.pump.start(self.edge.send)
        self.hooks.start()
        await self.edge.start()
        for work in (self._follow_downloads(), self._forget_events()):
            working = asyncio.get_running_loop().create_task(work)
            working.add_done_callback(self._worked)
            closing.push_async_callback(self._ended, working)

    def _edge(self, secret: bytes) -> Edge:
        coap = self.config.coap
        return rooms.made(
            "coap",
            Edge,
            host=coap.host,
            port=coap.port,
            threads=coap.threads,
            secret=secret,
            authority=coap.authority,
            smallest_block=coap.smallest_block,
            largest_block=coap.largest_block,
            default_block=coap.default_block,
            receive_buffer_bytes=coap.receive_buffer_bytes,
            ring_bytes=coap.ring_bytes,
            grants_max=coap.grants_max,
            look_every_s=coap.look_every_s,
            on_datagram=self._datagram,
        )

    def _restore(self) -> None:
        """What earlier processes have left. Nothing else runs in these rooms yet."""
        self.packages.restore(self.database)
        downloads = self.packages.downloads
        restore(self.orchestrator, self.database, self.lwm2m, downloads, self.clock.now())
        for product in self.config.presence.awake_s_of:
            for rows in self.database.chunks(tables.devices, where={"product": product}):
                for row in rows:
                    self.labelled(row.endpoint, product)

    # -- between the rooms --

    def settle(self) -> None:
        """What was built up to now stays: in a process of our own it is not looked through for garbage."""
        if self._settled is not None:
            self._settled.begin()

    def _committed(self, batch: Batch) -> None:
        self.relief.committed(len(batch), working=self.orchestrator.campaigns.working)
        self.hooks.committed(batch)
        self._on_commit(batch)
        if self._settled is not None:
            self._settled.stored(batch)

    def labelled(self, endpoint: str, product: str | None) -> None:
        """An operator has said of which product a device is; None: of none."""
        self.lwm2m.listens(endpoint, self.config.presence.awake_s_of.get(product or ""))

    def _datagram(self, address: bytes, control: bytes, datagram: bytes) -> None:
        self.pump.receive(address, control, datagram)

    async def _follow_downloads(self) -> None:
        told = 0
        async for event in self.edge.events():
            kind = type(event)
            if kind is DownloadStarted or kind is DownloadProgressed:
                grant = event.grant
                self.pump.downloading(grant.endpoint, grant.package.etag, started=kind is DownloadStarted)
            told += 1
            if told % EVENTS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _forget_events(self) -> None:
        """The event log would be the only table that grows for ever."""
        while True:
            before_s = self.clock.now() - self.config.store.events_keep_s
            forget = partial(
                self.database.forget_events,
                before_s=before_s,
                keep=self.config.store.events_max,
                limit=FORGOTTEN_AT_ONCE,
            )
            forgotten = 0
            try:
                forgotten = await self.write(forget)
            except StoreError as error:
                log.warning("old events could not be deleted; tried again later", reason=str(error))
            if forgotten < FORGOTTEN_AT_ONCE:
                await asyncio.sleep(FORGET_EVERY_S)

    def _worked(self, work: asyncio.Task[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            self.pump.fail(error)

    async def _ended(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait([task])

    def _in_use(self, pid: bytes) -> str | None:
        """What still needs a package."""
        for running in self.orchestrator.roster.running.values():
            if running.campaign.plan.pid == pid:
                return f"campaign {running.campaign.id} ({running.campaign.name})"
        return None

    # -- the store --

    async def write(self, call: Callable[..., Read], *arguments: Any) -> Read:
        """Do something in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *arguments)

    async def _write_batch(self, batch: Batch) -> None:
        await self.write(self.database.commit, batch)

    async def read(self, call: Callable[..., Read], *arguments: Any, **how: Any) -> Read:
        """Read beside the loop."""
        return await asyncio.to_thread(call, *arguments, **how)
