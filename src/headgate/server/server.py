"""`headgate.Server`: the orchestrator in one process, and the one way into it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from headgate.config import Config, Settings
from headgate.server.archives import add_archive
from headgate.server.clock import Clock, Time
from headgate.server.followers import Follower, Followers
from headgate.server.hooks.hooks import Hooks
from headgate.server.house import House
from headgate.server.packages import StoredPackage
from headgate.server.reading import page_of, stats_of, status_of
from headgate.server.status import CampaignStatus, ServerStats, TaskStatus, task_status
from headgate.server.watching import Watched
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.admission import Occupancy
from headgate.upgrade.campaign import Campaign, Confirm, RetryPolicy, campaign_of
from headgate.upgrade.draft import Draft
from headgate.upgrade.failure import Failure
from headgate.upgrade.stages import Gate, Size
from headgate.upgrade.task import Kind, Timers
from headgate.upgrade.windows import Windows

if TYPE_CHECKING:
    from headgate.server.http import HttpServer


class Server:
    """The orchestrator: `async with Server(Config(...)) as server: ...`. One life each.

    Everything that was acknowledged to anyone is in the store: the next server on the same data directory
    goes on from there. Times are seconds since the epoch.
    """

    def __init__(
        self, config: Config | None = None, *, clock: Time | None = None, own_process: bool = False
    ) -> None:
        """`own_process`: nothing else of weight runs in this process, which may be set up for the loop.

        Then the garbage collector leaves tasks alone (through 1,000,000 it looks for 3 s, at once), and
        threads of Python take turns every 0.5 ms (docs/operating.md). `clock` is for rehearsals, in which
        time passes faster than it does here.
        """
        self.config = config or Config()
        self._clock = clock
        self._own_process = own_process
        self._house: House | None = None
        self._http: HttpServer | None = None
        self._started = False
        self._followers = Followers()
        self._watched = Watched(lambda: self._in)

    # -- life --

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Take the data directory and the port, restore what was there, and serve.

        Raises ConfigError, AddressError, and StoreError: another server, a newer database, no room.
        """
        if self._started:
            raise RuntimeError("this Server was started before; make a new one")
        self._started = True
        self._house = await House.open(
            self.config, self._clock or Clock(), self._committed, own_process=self._own_process
        )
        self._house.pump.stopped.add_done_callback(lambda _: self._watched.ended())

    async def serve_http(self, settings: Settings | None = None) -> HttpServer:
        """Serve API and console too, until the server closes. Raises AddressError and StoreError.

        `settings` tell the console where the configuration comes from.
        """
        # It brings a web framework along, which an embedder need not wait for.
        from headgate.server.desk import ServerDesk
        from headgate.server.http import TOKEN, HttpServer

        if self._http is not None:
            raise RuntimeError("the API is served already")
        desk = ServerDesk(self, self._in, settings)
        file = self.config.store.directory.absolute() / TOKEN
        self._http = await HttpServer.open(desk, self.config.http, file, self._in.relief.at_work)
        self._in.settle()
        return self._http

    async def close(self) -> None:
        """Store and acknowledge what was received, then stop serving and end the events."""
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        house, self._house = self._house, None
        try:
            if house is not None:
                await house.close()
        finally:
            self._followers.end()

    async def stopped(self) -> None:
        """Wait until the server stops by itself, and raise why; while it runs, that is for ever."""
        await asyncio.shield(self._in.pump.stopped)

    @property
    def failure(self) -> BaseException | None:
        """Why the server does not work any more: a bug, or a socket that became unusable. None: it works."""
        stopped = self._in.pump.stopped
        return stopped.exception() if stopped.done() else self._in.edge.failure

    @property
    def _in(self) -> House:
        if self._house is None:
            raise RuntimeError("the Server is not started: use it in `async with`, or call start()")
        return self._house

    @property
    def http(self) -> HttpServer | None:
        """The API, None where it is not served."""
        return self._http

    @property
    def host(self) -> str:
        """The bound host; "::" or "0.0.0.0" for every address."""
        return self._in.edge.host

    @property
    def port(self) -> int:
        """The bound UDP port."""
        return self._in.edge.port

    # -- packages --

    async def add_package(
        self,
        source: Path | str | bytes,
        *,
        version: str,
        kind: Kind = Kind.FIRMWARE,
        name: str = "",
        product: str = "",
        source_versions: Iterable[str] = (),
        check_code: int | None = None,
        segment_size_bytes: int | None = None,
    ) -> StoredPackage:
        """Keep a package: a file's path, or its bytes. The same again is the one that is there.

        `version` is what devices report when they run it. Software travels in segments, of the configured
        size unless one of 32 to 500 is given. Raises PackageError and StoreError.
        """
        return await self._in.packages.add(
            Path(source) if isinstance(source, str) else source,
            version=version,
            kind=kind,
            name=name,
            product=product,
            source_versions=source_versions,
            check_code=check_code,
            segment_size_bytes=segment_size_bytes,
            now=self._in.clock.now(),
        )

    async def add_archive(
        self, path: Path | str, *, name: str = "", product: str | None = None
    ) -> StoredPackage:
        """Keep the package of a vendor's archive: a zip with `UpgradeDesc.json`, which says what it is.

        Its model is the product unless one is named. Raises PackageError (ArchiveError) and StoreError.
        """
        return await add_archive(
            self._in.packages, Path(path), name=name, product=product, now=self._in.clock.now()
        )

    def packages(self) -> list[StoredPackage]:
        """All packages, the newest first."""
        return self._in.packages.list()

    async def remove_package(self, pid: bytes) -> None:
        """Remove a package that no campaign needs. Raises PackageError and StoreError."""
        await self._in.packages.remove(pid)

    def package_uri(self, endpoint: str, pid: bytes) -> str:
        """The URI at which this device, and nobody else, is given this package. Always the same."""
        return self._in.packages.downloads.uri(endpoint, pid)

    # -- campaigns --

    async def create_campaign(
        self,
        *,
        name: str,
        package: bytes,
        endpoints: Sequence[str],
        retry: RetryPolicy | None = None,
        timers: Timers | None = None,
        skip_same_package: bool = False,
        automatic_upgrade: bool = False,
        stages: Sequence[Size] = (),
        gate: Gate | None = None,
        confirm: Confirm = Confirm.NONE,
        start_s: float | None = None,
        windows: Windows | None = None,
        source_versions: Iterable[str] | None = None,
        made: bool = True,
    ) -> Campaign:
        """A task for each of these devices, whether they have registered yet or not.

        Stored on return are all tasks; where `made` is False the campaign and its list alone, and the tasks
        follow.

        `package` is a PID. Without `retry` and `timers` the configured ones hold. `stages` are sizes, in the
        order of the list; what they leave over is a last stage. `gate` is that of stages without their own.
        Nothing begins before `start_s`, nor outside of the windows. `source_versions` replace those of the
        package. Raises PackageError, CampaignError and StoreError, with nothing made.

        Where the server ends meanwhile it raises RuntimeError. The campaign may be stored by then: the next
        server on the data directory goes on making it, and lets it begin.
        """
        draft = Draft(
            name=name,
            package=package,
            endpoints=endpoints,
            retry=retry,
            timers=timers,
            skip_same_package=skip_same_package,
            automatic_upgrade=automatic_upgrade,
            stages=stages,
            gate=gate,
            confirm=confirm,
            start_s=start_s,
            windows=windows,
            source_versions=source_versions,
        )
        campaign = await self._in.operations.begin(draft)
        return (await self._watched.made(campaign.id)).campaign if made else campaign

    async def pause_campaign(self, campaign_id: str, *, reason: str = "", by: str = "") -> None:
        """Begin nothing of a campaign any more, and give nobody a slot; who holds one goes on to its end.

        Raises CampaignStateError where it is so already, or through.
        """
        await self._in.operations.pause(campaign_id, reason, by)

    async def resume_campaign(self, campaign_id: str, *, by: str = "") -> None:
        """Go on with a campaign that is paused, whoever paused it. Raises CampaignStateError.

        What its stage has executed and failed up to now does not pause it again. Where a gate has paused it
        and the stage is through, the next one begins.
        """
        await self._in.operations.resume(campaign_id, by)

    async def confirm_campaign(self, campaign_id: str, *, by: str = "") -> None:
        """Let the stage begin that waits to be confirmed. Raises CampaignStateError where none does."""
        await self._in.operations.confirm(campaign_id, by)

    async def edit_campaign(
        self,
        campaign_id: str,
        changes: Mapping[str, Any],
        *,
        revisions: Collection[int] | None = None,
        by: str = "",
    ) -> None:
        """Change `name`, `retry`, `gate`, `windows`, `start_s` or `confirm` of a campaign.

        Raises CampaignChangedError where `revisions` are given and it is at none of them, CampaignStateError
        where it is through (or has begun: its start), CampaignError for what cannot be.
        """
        await self._in.operations.edit(campaign_id, changes, revisions, by)

    async def retry_campaign(
        self,
        campaign_id: str,
        *,
        tasks: Iterable[str] | None = None,
        failures: Iterable[Failure] | None = None,
        by: str = "",
    ) -> int:
        """Try devices again whose last attempt failed; returns how many they are, once all is stored.

        Those of these tasks, by these causes; without both, all. A campaign that has ended runs again. Raises
        CampaignStateError (stopped, being created), CampaignError and PackageError.
        """
        return await self._in.operations.retry(campaign_id, tasks, failures, by)

    async def stop_campaign(self, campaign_id: str, *, by: str = "") -> bool:
        """Cancel what is left of a campaign; False where it is through already."""
        return await self._in.operations.stop(campaign_id, by)

    async def cancel_task(self, task_id: str, *, by: str = "") -> bool:
        """End one task; False where it is over already."""
        return await self._in.operations.cancel_task(task_id, by)

    async def remove_device(self, endpoint: str, *, by: str = "") -> bool:
        """End a registration as if its device had deregistered; False where there is none.

        Labels go with it. A device that is there registers again. Raises DeviceBusyError while a task is
        under way for it.
        """
        return await self._in.operations.remove_device(endpoint, by)

    async def label(
        self, endpoints: Iterable[str], *, product: str | None = None, group: str | None = None
    ) -> None:
        """Say of which product registered devices are, and in which group. Raises StoreError."""
        await self._in.operations.label(endpoints, product, group)

    async def campaign(self, campaign_id: str) -> CampaignStatus:
        """A campaign as it stands in the store. Raises CampaignError where there is none."""
        return await status_of(self._in, campaign_id)

    async def campaigns(self, *, after: str | None = None, limit: int = 100) -> list[Campaign]:
        """A page of all campaigns, by id; `after` is the last id of the page before."""
        rows = await page_of(self._in, tables.campaigns, after, limit)
        return [campaign_of(row) for row in rows]

    async def tasks(
        self, campaign_id: str, *, after: str | None = None, limit: int = 100
    ) -> list[TaskStatus]:
        """A page of a campaign's tasks, by id; `after` is the last id of the page before."""
        rows = await page_of(self._in, tables.tasks, after, limit, {"campaign_id": campaign_id})
        return [task_status(row) for row in rows]

    async def ended(self, campaign_id: str) -> CampaignStatus:
        """Wait until a campaign is through, and say how. Raises CampaignError where there is none."""
        await self.campaign(campaign_id)
        return await self._watched.through(campaign_id)

    @property
    def hooks(self) -> Hooks:
        """The web hooks: `add`, `statuses`, `status`, `remove` and `replay`."""
        return self._in.hooks

    # -- what is seen --

    def events(self) -> Follower:
        """Everything that is stored in the event log from this call on, until the server closes."""
        return self._followers.follow()

    def explain(self, endpoint: str) -> str:
        """Why a device stands where it stands, in one sentence."""
        return self._in.orchestrator.explain(endpoint, self._in.clock.now())

    def occupancy(self) -> list[Occupancy]:
        """The slots of all cells that have holders, or someone waiting."""
        return list(self._in.orchestrator.occupancy())

    @property
    def stats(self) -> ServerStats:
        """Counters since the start."""
        return stats_of(self._in, followers=len(self._followers))

    @property
    def committing_s(self) -> float:
        """How long the oldest of what is being stored has waited for it, 0 when nothing is."""
        return self._in.pump.committing_s

    @property
    def unread_bytes(self) -> int:
        """What waits in the fullest CoAP socket to be received, as the kernel accounts it."""
        return self._in.edge.unread_bytes

    # -- helpers --

    def _committed(self, batch: Batch) -> None:
        """Tell those who follow, and those who wait for a campaign."""
        self._followers.tell(batch.events)
        if self._http is not None and batch.events:
            self._http.told()
        self._watched.committed(batch)
