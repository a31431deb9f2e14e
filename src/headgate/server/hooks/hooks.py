"""All web hooks of a server: made, removed, told, replayed, and their dead letters pruned."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.errors import HookError, HookLimitError, StoreError
from headgate.server.clock import Time
from headgate.server.hooks.addresses import place_of
from headgate.server.hooks.outgoing import DAY_S, Patience
from headgate.server.hooks.teller import Row, Teller
from headgate.server.logs import logger
from headgate.server.pump import Pump
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.announcements import (
    DEAD,
    PENDING,
    Announced,
    Announcements,
    Hook,
    drop_rows,
    hook_row,
)

if TYPE_CHECKING:
    from headgate.server.hooks.receiver import Resolver

SECRET_BYTES = 32
SECRET_LEAST, SECRET_MOST = 16, 255
ID_BYTES = 6
AT_ONCE = 2_000  # rows that are deleted or revived in one transaction
PRUNE_EVERY_S = 60.0

log = logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """What hooks may do, and how much is kept for them."""

    allow_private: bool = False
    """Whether they may lead to private, loopback and link-local addresses."""
    timeout_s: float = 10.0
    """Of one attempt, from the question for the address to the end of the answer."""
    hooks_max: int = 16
    dead_keep_s: float = 30 * DAY_S
    """How long an event that was given up is kept, from the event or its last replay."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookStatus:
    """A hook, and how its deliveries stand."""

    hook: Hook
    failing_since_s: float | None
    error: str | None
    delivered_s: float | None
    next_s: float | None


class Hooks:
    """Between `start` and `close`, on the loop."""

    def __init__(
        self,
        *,
        announcements: Announcements,
        pump: Pump,
        database: Database,
        write: Callable[..., Any],
        read: Callable[..., Any],
        clock: Time,
        settings: HookSettings,
        retry_s: float,
    ) -> None:
        """`write` and `read` do something in the writer's thread, and in others, and are awaited."""
        self.settings = settings
        self._announcements = announcements
        self._pump = pump
        self._database = database
        self._write = write
        self._read = read
        self._clock = clock
        self._retry_s = retry_s
        self._rng = random.Random()
        self._resolver: Resolver | None = None
        self._tellers: dict[str, Teller] = {}
        self._running: dict[str, asyncio.Task[None]] = {}  # by hook, and "" for the pruning
        self._refused: dict[str, str] = {}  # why a hook is told nothing, as the settings stand
        self._changing = asyncio.Lock()

    def start(self) -> None:
        """Tell the hooks of the store what they have not been told."""
        for hook in self._announcements.hooks.values():
            self._begin(hook)
        self._run("", self._prune())

    async def close(self) -> None:
        """Stop in the middle: what is not known to be delivered will be delivered again."""
        for running in self._running.values():
            running.cancel()
        if self._running:
            await asyncio.wait(self._running.values())
        if self._resolver is not None:
            self._resolver.close()

    def committed(self, batch: Batch) -> None:
        """A turn was stored."""
        rows = batch.puts.get(tables.outbox)
        if not rows:
            return
        by_hook: dict[str, list[Row]] = {}
        for row in rows.values():
            by_hook.setdefault(row["hook_id"], []).append(row)
        for hook_id, those in by_hook.items():
            teller = self._tellers.get(hook_id)
            if teller is not None:
                teller.told(those)

    def counts(self) -> dict[str, int]:
        """Hooks, events that are pending and dead; and counted since the start what became of them."""
        announcements = self._announcements
        hooks = announcements.hooks.values()
        counts = announcements.counts
        return {
            "hooks": len(hooks),
            "pending": sum(hook.pending for hook in hooks),
            "dead": sum(hook.dead for hook in hooks),
            "overflowing": sum(hook.overflowed_s is not None for hook in hooks),
            "delivered": counts["delivered"],
            "failed": counts["failed"],
            "given_up": counts["dead"],
            "lost": counts["lost"],
        }

    # -- what a person does --

    def statuses(self) -> list[HookStatus]:
        """All hooks, by id."""
        return [self.status(hook_id) for hook_id in sorted(self._announcements.hooks)]

    def status(self, hook_id: str) -> HookStatus:
        """One of them. Raises KeyError."""
        hook = self._announcements.hooks[hook_id]
        teller = self._tellers.get(hook_id)
        if teller is None:
            refused = self._refused.get(hook_id)
            return HookStatus(hook=hook, failing_since_s=None, error=refused, delivered_s=None, next_s=None)
        return HookStatus(
            hook=hook,
            failing_since_s=teller.failing_since_s,
            error=teller.error,
            delivered_s=teller.delivered_s,
            next_s=teller.next_s,
        )

    async def add(self, *, url: str, events: Iterable[Announced], secret: str | None = None) -> Hook:
        """Have a receiver told what happens from now on; without a secret, one is made.

        Raises HookError for a URL or a secret that is not permitted, HookLimitError, and StoreError.
        """
        place_of(url, allow_private=self.settings.allow_private)
        secret = secret or secrets.token_urlsafe(SECRET_BYTES)
        if not (SECRET_LEAST <= len(secret) <= SECRET_MOST and secret.isascii() and secret.isprintable()):
            raise HookError(f"a secret has {SECRET_LEAST} to {SECRET_MOST} printable ASCII characters")
        hook = Hook(
            id=secrets.token_hex(ID_BYTES),
            url=url,
            events=frozenset(events),
            secret=secret,
            created_s=self._clock.now(),
        )
        if not hook.events:
            raise HookError("a hook wants one event at least")
        async with self._changing:
            if len(self._announcements.hooks) >= self.settings.hooks_max:
                raise HookLimitError(f"there are {self.settings.hooks_max} hooks, as many as there may be")
            batch = Batch()
            batch.put(tables.hooks, hook_row(hook))
            self._pump.check()
            await self._write(self._database.commit, batch)
            self._announcements.add(hook)
            self._begin(hook)
        return hook

    async def remove(self, hook_id: str) -> bool:
        """Tell it nothing any more, and forget what it was not told. False where there is none."""
        async with self._changing:
            if hook_id not in self._announcements.hooks:
                return False
            self._pump.check()
            self._announcements.remove(hook_id)
            self._tellers.pop(hook_id, None)
            self._refused.pop(hook_id, None)
            running = self._running.pop(hook_id, None)
            if running is not None:
                running.cancel()
                await asyncio.wait([running])
            await self._pump.settled()
            await self._drop(hook_id)
        return True

    async def replay(self, hook_id: str) -> int | None:
        """Have all its dead letters delivered after all; how many. None where there is no such hook."""
        async with self._changing:
            hook = self._announcements.hooks.get(hook_id)
            if hook is None:
                return None
            self._pump.check()
            await self._pump.settled()  # those that have died are dead in the store too
            replayed = 0
            while rows := await self._dead(hook_id, AT_ONCE):
                self._announcements.revived(hook, [row["number"] for row in rows], self._clock.now())
                await self._pump.settled()
                replayed += len(rows)
            teller = self._tellers.get(hook_id)
            if teller is not None and replayed:
                teller.read_anew()
        return replayed

    # -- running --

    def _begin(self, hook: Hook) -> None:
        # It brings an HTTP client along, for which a server without hooks need not wait.
        from headgate.server.hooks.receiver import Receiver, Resolver

        if self._resolver is None:
            self._resolver = Resolver()
        settings = self.settings
        try:
            receiver = Receiver(
                hook.url,
                hook.secret,
                resolver=self._resolver,
                allow_private=settings.allow_private,
                timeout_s=settings.timeout_s,
                concurrency=settings.patience.concurrency,
            )
        except HookError as error:
            self._refused[hook.id] = str(error)
            log.error(
                "a hook leads where hooks may not lead; its events wait", hook=hook.id, reason=str(error)
            )
            return
        teller = self._tellers[hook.id] = Teller(
            hook,
            receiver,
            announcements=self._announcements,
            pump=self._pump,
            read=self._pending,
            clock=self._clock,
            patience=settings.patience,
            retry_s=self._retry_s,
            rng=self._rng,
        )
        self._run(hook.id, teller.run())

    def _run(self, name: str, work: Any) -> None:
        running = asyncio.get_running_loop().create_task(work)
        running.add_done_callback(self._ran)
        self._running[name] = running

    def _ran(self, running: asyncio.Task[None]) -> None:
        error = None if running.cancelled() else running.exception()
        if error is not None:
            self._pump.fail(error)

    # -- the store --

    async def _pending(self, hook_id: str, after: int, limit: int) -> Sequence[Row]:
        return await self._rows({"hook_id": hook_id, "state": PENDING}, (after,), limit)

    async def _dead(self, hook_id: str, limit: int) -> Sequence[Row]:
        return await self._rows({"hook_id": hook_id, "state": DEAD}, None, limit)

    async def _rows(
        self, where: Mapping[str, Any], after: tuple[int] | None, limit: int
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._read(
            self._database.rows, tables.outbox, where=where, after=after, limit=limit, by=("number",)
        )
        return rows

    async def _drop(self, hook_id: str) -> None:
        """Delete all rows of a hook that is no more."""
        while rows := await self._rows({"hook_id": hook_id}, None, AT_ONCE):
            batch = Batch()
            drop_rows(batch, rows)
            await self._write(self._database.commit, batch)

    async def _prune(self) -> None:
        """What nobody replays is kept for `dead_keep_s`; what a killed removal has left, not at all."""
        orphans = True
        while True:
            try:
                async with self._changing:
                    if orphans:
                        await self._drop_orphans()
                        orphans = False
                    await self._drop_old()
            except StoreError as error:
                log.warning("dead letters could not be deleted; tried again later", reason=str(error))
            await asyncio.sleep(PRUNE_EVERY_S)

    async def _drop_orphans(self) -> None:
        for hook_id in await self._read(self._database.counted, tables.outbox, "hook_id"):
            if hook_id not in self._announcements.hooks:
                await self._drop(hook_id)

    async def _drop_old(self) -> None:
        before_s = self._clock.now() - self.settings.dead_keep_s
        for hook in list(self._announcements.hooks.values()):
            if hook.dead:
                await self._pump.settled()
                rows = await self._dead(hook.id, AT_ONCE)
                old = [row["number"] for row in rows if row["since_s"] < before_s]
                self._announcements.forgotten(hook, old, self._clock.now())
                await self._pump.settled()
