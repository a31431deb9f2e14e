"""What this room is given. The server sits behind the desk; who stands before it sees only this."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from headgate.model import Progress, Stats
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.admission import Limits, Occupancy, Standing
from headgate.upgrade.announcements import Announced, Hook
from headgate.upgrade.campaign import Campaign, RetryPolicy
from headgate.upgrade.draft import Draft
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import Cell
from headgate.upgrade.task import Kind, Timers


class Setting(Protocol):
    """One setting of the server, as it stands."""

    @property
    def key(self) -> str:
        """Its section, a dot, its name."""

    @property
    def value(self) -> Any:
        """As it is used; what is secret in it is not told."""

    @property
    def origin(self) -> str:
        """Where it was said: `default`, the path of a file, `environment`, `flag` or `program`."""

    @property
    def unit(self) -> str:
        """Empty where there is none."""

    @property
    def description(self) -> str:
        """What it is."""


class Figures(Protocol):
    """Counters since the start, and what is there now."""

    @property
    def edge(self) -> Stats:
        """Of the data plane."""

    @property
    def pump(self) -> Mapping[str, int]:
        """Of what went between the rooms."""

    @property
    def lwm2m(self) -> Mapping[str, int]:
        """Of the LwM2M server and its exchange."""

    @property
    def orchestrator(self) -> Mapping[str, int]:
        """Of the orchestrator."""

    @property
    def hooks(self) -> Mapping[str, int]:
        """Of web hooks and what they are told."""

    @property
    def devices(self) -> int:
        """Registered."""

    @property
    def tasks(self) -> int:
        """Active."""

    @property
    def campaigns(self) -> int:
        """Not through."""

    @property
    def packages(self) -> int:
        """That are there."""

    @property
    def store_failing_since_s(self) -> float | None:
        """Since when nothing can be stored."""

    @property
    def clock_behind_s(self) -> float:
        """How far the wall clock is ahead of ours."""


class HookStatus(Protocol):
    """A web hook, and how its deliveries stand."""

    @property
    def hook(self) -> Hook:
        """Who is told."""

    @property
    def failing_since_s(self) -> float | None:
        """Since when no delivery has succeeded."""

    @property
    def error(self) -> str | None:
        """Of the last attempt, None where it succeeded."""

    @property
    def delivered_s(self) -> float | None:
        """When the last one succeeded, since the start."""

    @property
    def next_s(self) -> float | None:
        """When the next one is due; None: nothing waits, or as many as may are under way."""


class Operations(Protocol):
    """What operators ask for. All is stored on return; all raise StoreError."""

    async def begin(self, draft: Draft, request: Mapping[str, Any] | None = None) -> Campaign:
        """Make a campaign, while its tasks are still being made on return.

        `request` is a row of `requests` that is stored with it, by then with the id as its resource. Raises
        PackageError and CampaignError, with nothing made.
        """

    async def pause(self, campaign_id: str, reason: str, by: str) -> None:
        """Begin nothing of it any more. Raises CampaignStateError."""

    async def resume(self, campaign_id: str, by: str) -> None:
        """Go on with it. Raises CampaignStateError."""

    async def confirm(self, campaign_id: str, by: str) -> None:
        """Let its next stage begin. Raises CampaignStateError."""

    async def edit(
        self, campaign_id: str, changes: Mapping[str, Any], revisions: Collection[int] | None, by: str
    ) -> None:
        """Change it. Raises CampaignChangedError where it is at none of these revisions, CampaignStateError
        and CampaignError.
        """

    async def retry(
        self, campaign_id: str, tasks: Iterable[str] | None, failures: Iterable[Failure] | None, by: str
    ) -> int:
        """Try devices again that failed; how many. Raises CampaignStateError and PackageError."""

    async def stop(self, campaign_id: str, by: str) -> bool:
        """Cancel what is left of it; False where it is through."""

    async def cancel_task(self, task_id: str, by: str) -> bool:
        """End it; False where it is over."""

    async def remove_device(self, endpoint: str, by: str) -> bool:
        """End its registration; False where there is none. Raises DeviceBusyError."""


class Desk(Protocol):
    """The server, as far as the API asks it for something. All coroutines run on the server's loop."""

    @property
    def database(self) -> Database:
        """To be read, in threads."""

    @property
    def operations(self) -> Operations:
        """What is asked for on behalf of an operator."""

    @property
    def limits(self) -> Limits:
        """The slots of each cell."""

    @property
    def timers(self) -> Timers:
        """How long each step lasts where a campaign does not say so."""

    @property
    def retry(self) -> RetryPolicy:
        """Who is tried again where a campaign does not say so."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def figures(self) -> Figures:
        """The counters, as they stand."""

    def settings(self) -> Iterable[Setting]:
        """All settings, and where each was said."""

    def failing(self) -> str | None:
        """Why nothing can be stored or served just now, None where all is well."""

    async def write(self, batch: Batch) -> None:
        """Store it. Raises StoreError."""

    async def label(self, endpoint: str, *, product: str | None, group: str | None) -> None:
        """Say of which product a device is, and in which group. Raises StoreError."""

    # -- packages --

    def received(self, chunks: Iterable[bytes]) -> AbstractContextManager[Path]:
        """A file of these bytes as long as the context lasts; blocking. Raises StoreError."""

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
        """Keep a package; its PID in hexadecimal. Raises PackageError and StoreError."""

    async def add_archive(self, file: Path, *, name: str, product: str | None) -> str:
        """Keep the package of a vendor's archive; its PID. Raises PackageError and StoreError."""

    async def remove_package(self, pid: str) -> None:
        """Forget a package. Raises PackageError where something needs it."""

    # -- web hooks --

    def hooks(self) -> Sequence[HookStatus]:
        """All of them, by id."""

    async def add_hook(self, *, url: str, events: Iterable[Announced], secret: str | None) -> HookStatus:
        """Make one, with a secret of its own where none is given. Raises HookError and StoreError."""

    async def remove_hook(self, hook_id: str) -> bool:
        """Forget it, and what it was not told; False where there is none. Raises StoreError."""

    async def replay_hook(self, hook_id: str) -> int | None:
        """Have its dead letters delivered; how many, None where there is no such hook. Raises StoreError."""

    # -- what is seen --

    def explain(self, endpoint: str) -> str:
        """Why a device stands where it stands, in one sentence."""

    def occupancy(self) -> Sequence[Occupancy]:
        """The slots of all cells that have holders, or someone waiting."""

    def standing(self, cell: Cell, limit: int) -> Standing:
        """Who holds slots of a cell, and who is next in its lines: the first so many of each."""

    def progress(self, endpoint: str, pid: str) -> Progress | None:
        """What a device was served of a package; None where it is permitted none of it."""
