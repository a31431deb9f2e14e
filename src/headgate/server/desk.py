"""What the API is given of the server. It asks by way of `Server` where that has a method, which checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.errors import PackageConflictError, PackageError
from headgate.model import Progress
from headgate.server import rooms
from headgate.server.hooks.hooks import HookStatus
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.admission import Limits
from headgate.upgrade.announcements import Announced
from headgate.upgrade.campaign import RetryPolicy
from headgate.upgrade.task import Kind, Timers
from headgate.web.desk import Figures

if TYPE_CHECKING:
    from headgate.server.house import House
    from headgate.server.server import Server


class ServerDesk:
    """One server's `web.desk.Desk`."""

    def __init__(self, server: Server, house: House) -> None:
        self._server = server
        self._house = house

    @property
    def database(self) -> Database:
        """To be read, in threads."""
        return self._house.database

    @property
    def limits(self) -> Limits:
        """The slots of each cell."""
        return self._house.orchestrator.negotiator.admission.limits

    @property
    def timers(self) -> Timers:
        """As configured."""
        return rooms.timers_of(self._house.config)

    @property
    def retry(self) -> RetryPolicy:
        """As configured."""
        return rooms.retry_of(self._house.config)

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._house.clock.now()

    def figures(self) -> Figures:
        """The counters, as they stand."""
        return self._server.stats

    def failing(self) -> str | None:
        """Why nothing can be stored or served just now."""
        if self._house.pump.failing_since is not None:
            return "the store fails"
        failure = self._server.failure
        return None if failure is None else repr(failure)

    async def write(self, batch: Batch) -> None:
        """Store it, beside the turns of the pump."""
        self._house.pump.check()
        await self._house.write(self._house.database.commit, batch)

    # -- packages --

    def received(self, chunks: Iterable[bytes]) -> AbstractContextManager[Path]:
        """A file of these bytes, on the disk of the packages."""
        return self._house.packages.received(chunks)

    async def add_package(
        self,
        file: Path,
        *,
        version: str,
        kind: Kind,
        name: str,
        product: str,
        source_versions: Sequence[str],
        check_code: int | None,
        segment_size_bytes: int | None,
    ) -> str:
        """Keep a package; its PID."""
        package = await self._server.add_package(
            file,
            version=version,
            kind=kind,
            name=name,
            product=product,
            source_versions=source_versions,
            check_code=check_code,
            segment_size_bytes=segment_size_bytes,
        )
        return package.pid.hex()

    async def remove_package(self, pid: str) -> None:
        """Forget it. PackageConflictError: something needs it."""
        try:
            await self._server.remove_package(bytes.fromhex(pid))
        except PackageError as error:
            raise PackageConflictError(str(error)) from error

    # -- campaigns --

    async def begin_campaign(
        self,
        *,
        name: str,
        pid: str,
        endpoints: Sequence[str],
        retry: RetryPolicy | None,
        timers: Timers | None,
        skip_same_package: bool,
        request: Mapping[str, Any] | None,
    ) -> str:
        """Make a campaign; its id, once it is stored."""
        campaign = await self._server.begin_campaign(
            name=name,
            package=bytes.fromhex(pid),
            endpoints=endpoints,
            retry=retry,
            timers=timers,
            skip_same_package=skip_same_package,
            request=request,
        )
        return campaign.id

    async def stop_campaign(self, campaign_id: str, by: str) -> bool:
        """Cancel what is left of it."""
        return await self._server.stop_campaign(campaign_id, by=by)

    async def cancel_task(self, task_id: str, by: str) -> bool:
        """End it."""
        return await self._server.cancel_task(task_id, by=by)

    # -- web hooks --

    def hooks(self) -> Sequence[HookStatus]:
        """All of them."""
        return self._house.hooks.statuses()

    async def add_hook(self, *, url: str, events: Iterable[Announced], secret: str | None) -> HookStatus:
        """Make one."""
        hook = await self._house.hooks.add(url=url, events=events, secret=secret)
        return self._house.hooks.status(hook.id)

    async def remove_hook(self, hook_id: str) -> bool:
        """Forget it."""
        return await self._house.hooks.remove(hook_id)

    async def replay_hook(self, hook_id: str) -> int | None:
        """Have its dead letters delivered."""
        return await self._house.hooks.replay(hook_id)

    # -- what is seen --

    def explain(self, endpoint: str) -> str:
        """Why a device stands where it stands."""
        return self._server.explain(endpoint)

    def progress(self, endpoint: str, pid: str) -> Progress | None:
        """What a device was served of a package."""
        grant = self._house.packages.downloads.progress(endpoint, bytes.fromhex(pid))
        return None if grant is None else grant.progress
