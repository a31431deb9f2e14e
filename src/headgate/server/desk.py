"""What the API is given of the server. It asks by way of `Server` where that has a method, which checks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from headgate.config import Setting, Settings, settings_of
from headgate.errors import PackageConflictError, PackageError
from headgate.model import Progress
from headgate.server import rooms
from headgate.server.hooks.hooks import HookStatus
from headgate.server.operations import Operations
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.admission import Limits, Occupancy, Standing
from headgate.upgrade.announcements import Announced
from headgate.upgrade.campaign import RetryPolicy
from headgate.upgrade.radio import Cell
from headgate.upgrade.task import Kind, Timers
from headgate.web.desk import Figures

if TYPE_CHECKING:
    from headgate.server.house import House
    from headgate.server.server import Server


class ServerDesk:
    """One server's `web.desk.Desk`."""

    def __init__(self, server: Server, house: House, settings: Settings | None = None) -> None:
        """`settings` tell where the configuration comes from; without them, from the program."""
        self._server = server
        self._house = house
        self._settings = settings or settings_of(house.config)

    @property
    def database(self) -> Database:
        """To be read, in threads."""
        return self._house.database

    @property
    def operations(self) -> Operations:
        """What is asked for on behalf of an operator."""
        return self._house.operations

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

    def settings(self) -> Iterable[Setting]:
        """All settings, without the password of a database."""
        for each in self._settings:
            hidden = each.key == "store.url" and each.value
            yield replace(each, value=make_url(each.value).render_as_string()) if hidden else each

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

    async def label(self, endpoint: str, *, product: str | None, group: str | None) -> None:
        """Say of which product a device is, and in which group."""
        await self._house.operations.label([endpoint], product, group)

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

    async def add_archive(self, file: Path, *, name: str, product: str | None) -> str:
        """Keep the package of a vendor's archive; its PID."""
        return (await self._server.add_archive(file, name=name, product=product)).pid.hex()

    async def remove_package(self, pid: str) -> None:
        """Forget it. PackageConflictError: something needs it."""
        try:
            await self._server.remove_package(bytes.fromhex(pid))
        except PackageError as error:
            raise PackageConflictError(str(error)) from error

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

    def occupancy(self) -> Sequence[Occupancy]:
        """The slots of all cells that have holders, or someone waiting."""
        return self._server.occupancy()

    def standing(self, cell: Cell, limit: int) -> Standing:
        """Who holds slots of a cell, and who is next in its lines."""
        return self._house.orchestrator.standing(cell, limit)

    def progress(self, endpoint: str, pid: str) -> Progress | None:
        """What a device was served of a package."""
        grant = self._house.packages.downloads.progress(endpoint, bytes.fromhex(pid))
        return None if grant is None else grant.progress
