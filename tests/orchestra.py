"""The orchestrator between a database file and devices that behave: a house whose clock the tests turn.

`Desk` stands in for the LwM2M server, by its contract: it hands each command to its device and tells what
became of it. A `Device` answers like a client of object 5 that acts on what was acknowledged, and repeats
what was not. `House.kill` loses all memory; the database and the devices stay.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from headgate.lwm2m import commands as asked
from headgate.lwm2m.commands import Command, Execute, Observe, Read, Write
from headgate.lwm2m.happenings import (
    Answered,
    Deregistered,
    Happening,
    Heard,
    Notified,
    Observed,
    Refused,
    Registered,
    Updated,
)
from headgate.lwm2m.registration import Registration
from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.admission import Limits
from headgate.upgrade.campaign import Campaign, RetryPolicy, campaign_of
from headgate.upgrade.negotiator import SegmentsWanted
from headgate.upgrade.orchestrator import Orchestrator, OrchestratorSettings
from headgate.upgrade.restoring import restore
from headgate.upgrade.stages import Size, sized
from headgate.upgrade.task import Kind, Plan
from headgate.wire.links import parse_objects
from headgate.wire.resources import Path, Resources

NOON_S = 1_767_268_800.0
OLD, TARGET = "V1.0", "V1.1"
PID = bytes.fromhex("4EA021B62388BDD4")
PLAN = Plan(kind=Kind.FIRMWARE, target_version=TARGET, pid=PID)
LINKS = b"</3/0>,</4/0>,</5/0>"
LINKS_1_1 = b"</3/0>,</4/0>,</5>;ver=1.1,</5/0>"
STEPS_MAX = 100_000


class Desk:
    """The LwM2M server's side of the contract, without messages."""

    def __init__(self, drawn: Iterator[int]) -> None:
        """`drawn`: numbers of tokens, by all processes. None is drawn twice."""
        self.registrations: dict[str, Registration] = {}
        self.waiting: dict[str, list[Command]] = {}
        self.remembered: dict[bytes, str] = {}
        self.confirmed: list[Happening] = []
        self.rejected: list[Happening] = []
        self.asleep: set[str] = set()
        self.profiles: dict[Command, Any] = {}
        self.asks = 0
        self.drawn = drawn

    def confirm(self, happening: Happening, now: float) -> None:
        self.confirmed.append(happening)

    def reject(self, happening: Happening, now: float) -> None:
        self.rejected.append(happening)

    def ask(self, endpoint: str, command: Command, *, now: float, profile: Any = None) -> None:
        self.asks += 1
        self.profiles[command] = profile
        queue = self.waiting.setdefault(endpoint, [])
        if command not in queue:
            queue.append(command)

    def new_token(self) -> bytes:
        return f"drawn{next(self.drawn)}".encode()

    def drop(self, endpoint: str, command: Command, now: float) -> None:
        if command in self.waiting.get(endpoint, ()):
            self.waiting[endpoint].remove(command)

    def drop_all(self, endpoint: str, purpose: str, now: float) -> None:
        waiting = self.waiting.get(endpoint, [])
        waiting[:] = [command for command in waiting if command.purpose != purpose]

    def remember(self, endpoint: str, path: Path, token: bytes, now: float) -> None:
        self.remembered[token] = endpoint

    def forget(self, token: bytes, now: float) -> None:
        self.remembered.pop(token, None)

    def restore(self, registrations: Iterable[Registration], now: float) -> None:
        self.registrations = {each.endpoint: each for each in registrations}

    def heard(self, endpoint: str, now: float) -> None:
        self.asleep.discard(endpoint)

    def awake(self, endpoint: str, now: float) -> bool:
        return endpoint in self.registrations and endpoint not in self.asleep

    def registration(self, endpoint: str) -> Registration | None:
        return self.registrations.get(endpoint)

    def explain(self, endpoint: str, now: float) -> str:
        known = endpoint in self.registrations
        return "not registered" if not known else "asleep" if endpoint in self.asleep else "awake"


class Edge:
    """Who serves packages, as far as it is told."""

    def __init__(self) -> None:
        self.granted: set[tuple[str, bytes]] = set()
        self.segments: dict[tuple[str, bytes], SegmentsWanted] = {}
        self.bodies: dict[bytes, bytes] = {}

    def uri(self, endpoint: str, pid: bytes) -> str:
        return f"coap://edge.example/{endpoint}"

    def grant(self, endpoint: str, pid: bytes) -> None:
        self.granted.add((endpoint, pid))

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        self.granted.discard((endpoint, pid))

    def grant_segments(self, endpoint: str, wanted: SegmentsWanted) -> None:
        self.segments[endpoint, wanted.pid] = wanted

    def withdraw_segments(self, endpoint: str, pid: bytes) -> None:
        self.segments.pop((endpoint, pid), None)

    def body(self, pid: bytes) -> bytes | None:
        return self.bodies.get(pid)


@dataclass(eq=False)
class Device:
    """A client with object 5. What it owes is done when what it said was confirmed."""

    endpoint: str
    version: str = OLD
    state: int = 0
    result: int = 0
    uri: str = ""
    cell_id: int = 0x1A2B
    rsrp: float = -98
    sinr: float | None = 9
    links: bytes = LINKS
    fails_by: int | None = None
    """An Update Result of its download."""
    refuses: dict[tuple[int, ...], str] = field(default_factory=dict)
    """Codes by path, for reads, writes and executes."""
    answers: dict[tuple[int, ...], Resources | None] = field(default_factory=dict)
    """What reads are answered by instead."""
    said: list[Callable[[], Happening]] = field(default_factory=list)
    """What it repeats until it is confirmed, one after the other."""
    done: list[Callable[[], None]] = field(default_factory=list)
    """What it does when that was confirmed."""
    tokens: int = 0
    token: bytes | None = None
    registrations: int = 0
    executed: int = 0
    written: list[str] = field(default_factory=list)

    def register(self, now: float) -> None:
        """Register, as after a boot."""
        self.registrations += 1
        self.now = now
        location = f"{self.endpoint}-{self.registrations}"
        after = Registration(
            endpoint=self.endpoint,
            location=location,
            registered_s=now,
            expires_s=now + 86400,
            objects=parse_objects(self.links),
            remote=(b"address", b"control"),
        )
        self.say(lambda: Registered(endpoint=self.endpoint, before=None, after=after, owed=object()))

    def say(self, happening: Callable[[], Happening], done: Callable[[], None] = lambda: None) -> None:
        self.said.append(happening)
        self.done.append(done)

    def confirmed(self) -> None:
        self.said.pop(0)
        self.done.pop(0)()

    def notifies(self, state: int, done: Callable[[], None] = lambda: None) -> None:
        """The State changes when the notification of it is acknowledged."""
        if self.token is None:
            return

        def effective() -> None:
            self.state = state
            done()

        token = self.token
        self.say(
            lambda: Notified(
                endpoint=self.endpoint,
                path=Path(5, 0, 3),
                token=token,
                content_format=0,
                payload=str(state).encode(),
                stale=False,
                owed=object(),
            ),
            effective,
        )

    def download(self) -> None:
        if self.fails_by is not None:
            self.result = self.fails_by
            self.notifies(0)
        else:
            self.notifies(2)

    def reboot(self) -> None:
        self.version, self.state, self.result, self.uri = TARGET, 0, 1, ""
        self.register(self.now)

    def value(self, path: tuple[int, ...]) -> Resources | None:
        if path in self.answers:
            return self.answers[path]
        values: dict[tuple[int, ...], Any] = {
            (3, 0, 3): self.version,
            (4, 0, 2): self.rsrp,
            (4, 0, 8): self.cell_id,
            (4, 0, 9): 0,
            (4, 0, 10): 460,
            (5, 0, 1): self.uri,
            (5, 0, 3): self.state,
            (5, 0, 5): self.result,
            (5, 0, 7): TARGET,
        }
        if self.sinr is not None:
            values[4, 0, 11] = self.sinr
        return Resources({at: value for at, value in values.items() if at[: len(path)] == path})

    def answer(self, command: Command) -> Happening:
        """What it says to a command."""
        path = tuple(command.path)
        told: dict[str, Any] = {"endpoint": self.endpoint, "command": command}
        code = self.refuses.get(path)
        if code is not None:
            return Refused(**told, code=code)
        match command:
            case Observe():
                self.tokens += 1
                self.token = command.token or f"{self.endpoint}{self.tokens}".encode()[-8:]
                found = self.value(path)
                return Observed(
                    **told, token=self.token, observing=True, content_format=0, payload=b"", resources=found
                )
            case asked.CancelObservation():
                self.token = None
                return Answered(**told)
            case Read():
                return Answered(**told, resources=self.value(path))
            case Write(value=""):
                self.state, self.result, self.uri = 0, 0, ""
                return Answered(**told)
            case Write(value=str(uri)):
                self.written.append(uri)
                self.uri, self.result = uri, 0
                self.notifies(1, self.download)
                return Answered(**told)
            case Execute(path=(5, 0, 2)):
                if self.state != 2:
                    return Refused(**told, code="4.05")
                self.executed += 1
                self.state = 3
                self.notifies(3, self.reboot)
                return Answered(**told)
            case Execute():
                self.state, self.result, self.uri = 0, 10, ""
                return Answered(**told)
        raise AssertionError(command)


class House:
    """Everything, with a clock of its own."""

    def __init__(
        self,
        folder: FilePath,
        *,
        url: str | None = None,
        limits: Limits | None = None,
        settings: OrchestratorSettings | None = None,
    ) -> None:
        self.now = NOON_S
        self.limits = limits
        self.settings = settings
        self.url = url or f"sqlite:///{folder}/headgate.db"
        self.database = Database.open(self.url)
        self.drawn = itertools.count(1)
        self.devices: dict[str, Device] = {}
        self.commits = 0
        self.outcomes: list[Any] = []
        self.resumed: dict[str, dict[str, set[str]]] = {}
        """Tasks that had ended when an operator resumed their campaign, by campaign and stage."""
        self.steps: Callable[[str], None] = lambda when: None
        """Called before each commit, and after it before it is acted on."""
        self._build()

    def _build(self) -> None:
        self.desk = Desk(self.drawn)
        self.edge = Edge()
        self.orchestrator = Orchestrator(
            lwm2m=self.desk, downloads=self.edge, limits=self.limits, settings=self.settings
        )
        restore(self.orchestrator, self.database, self.desk, self.edge, self.now)

    def kill(self) -> None:
        """The process dies, and another begins."""
        self.database.close()
        self.database = Database.open(self.url)
        self._build()

    def close(self) -> None:
        self.database.close()

    # -- what tests say --

    def device(self, endpoint: str = "ep-1", *, registered: bool = True, **how: Any) -> Device:
        """A device, registered unless said otherwise."""
        device = self.devices[endpoint] = Device(endpoint, **how)
        if registered:
            device.register(self.now)
        return device

    def campaign(
        self,
        *endpoints: str,
        plan: Plan = PLAN,
        retry: RetryPolicy | None = None,
        id: str = "c1",
        sizes: Sequence[Size] = (),
        **how: Any,
    ) -> None:
        """Start one for these devices; further words are fields of `Campaign`."""
        listed = endpoints or tuple(self.devices)
        campaign = Campaign(
            id=id,
            name="test",
            plan=plan,
            retry=retry or RetryPolicy(),
            created_s=self.now,
            stages=sized(sizes, len(listed)),
            **how,
        )
        self.orchestrator.start(campaign, listed, self.now)

    def tell(self, happening: Happening) -> bool:
        """Something comes from a device, of which the desk knows."""
        if isinstance(happening, Registered | Updated):
            self.desk.registrations[happening.endpoint] = happening.after
        if isinstance(happening, Deregistered):
            self.desk.registrations.pop(happening.endpoint, None)
        return self.orchestrator.happened(happening, self.now)

    def heard(self, endpoint: str = "ep-1") -> None:
        self.tell(Heard(endpoint=endpoint))

    def commit(self) -> None:
        """Store what has gathered, and act on it."""
        while (turn := self.orchestrator.turn()) is not None:
            self.commits += 1
            self.steps("before")
            self.database.commit(turn.batch)
            self.outcomes += turn.outcomes
            self.steps("after")
            self.orchestrator.committed(turn, self.now)

    def step(self) -> bool:
        """One thing happens, if one can without time passing; False where none can."""
        self.commit()
        if self.orchestrator.next_timer() is not None and self.orchestrator.next_timer() <= self.now:
            self.orchestrator.expire(self.now)
            return True
        for device in self.devices.values():
            if device.endpoint in self.desk.asleep:
                continue
            if device.said:
                happening = device.said[0]()
                before = len(self.desk.confirmed)
                self.tell(happening)
                self.commit()
                if any(each is happening for each in self.desk.confirmed[before:]):
                    device.now = self.now
                    device.confirmed()
                return True
            queue = self.desk.waiting.get(device.endpoint)
            if queue:
                self.tell(device.answer(queue.pop(0)))
                return True
        return False

    def run(self) -> House:
        """Until nothing happens without time passing."""
        for _ in range(STEPS_MAX):
            if not self.step():
                return self
        raise AssertionError("this never ends")

    def clock(self, seconds: float) -> House:
        """So much time passes, and all that is due in it happens."""
        until_s = self.now + seconds
        self.run()
        while (due := self.orchestrator.next_timer()) is not None and due <= until_s:
            self.now = max(self.now, due)
            self.orchestrator.expire(self.now)
            self.run()
        self.now = until_s
        self.orchestrator.expire(self.now)
        return self.run()

    # -- what tests ask --

    def task(self, task_id: str = "c1-0000000") -> dict[str, Any]:
        row = self.database.row(tables.tasks, (task_id,))
        assert row is not None, f"no task {task_id}"
        return row

    def state(self, task_id: str = "c1-0000000") -> str:
        return self.task(task_id)["state"]

    def rows(self, table: Any, **where: Any) -> list[dict[str, Any]]:
        return self.database.rows(table, where=where, limit=10_000)

    def log(self, **where: Any) -> list[str]:
        return [row["what"] for row in self.rows(tables.events, **where)]

    def check_counters(self, campaign_id: str = "c1") -> dict[str, int]:
        """The counters are what counting the rows gives."""
        counters = {name: value for name, value in self.database.counters(campaign_id).items() if value}
        rows = self.rows(tables.tasks, campaign_id=campaign_id)
        counted = Counter(f"state {row['state']}" for row in rows)
        counted.update(f"failure {row['failure']}" for row in rows if row["failure"] is not None)
        retried = sum(row["attempt"] > 1 for row in rows)
        if retried:
            counted["retried"] = retried
        counted.update(self.counted_stages(campaign_id, rows))
        assert counters == {name: value for name, value in counted.items() if value}
        return {name: value for name, value in counters.items() if not name.startswith("stage ")}

    def counted_stages(self, campaign_id: str, rows: list[dict[str, Any]]) -> Counter[str]:
        """What the rows say of the stages. What counts since a resume is counted since then."""
        row = self.database.row(tables.campaigns, (campaign_id,))
        assert row is not None
        campaign = campaign_of(row)
        last = {each["endpoint"]: each for each in sorted(rows, key=lambda each: each["attempt"])}
        resumed = self.resumed.get(campaign_id, {})
        counted: Counter[str] = Counter()
        for each in rows:
            stage = f"stage {campaign.stage_of(each['id'])}"
            good = each["state"] in ("success", "done_same")
            bad = each["state"] == "failed"
            counted[f"{stage} begun"] += each["attempt"] == 1 and each["state"] != "created"
            if each["ended_s"] is not None and last[each["endpoint"]] is each:
                counted[f"{stage} ended"] += 1
                counted[f"{stage} succeeded"] += good
                counted[f"{stage} failed"] += bad
            if each["id"] not in resumed.get(stage, ()):
                counted[f"{stage} executed"] += good or bad
                counted[f"{stage} errors"] += bad
        return counted

    def resume(self, campaign_id: str = "c1") -> None:
        """An operator resumes a campaign: what the current stage has executed counts no more."""
        self.commit()
        campaign = self.orchestrator.campaign(campaign_id)
        assert campaign is not None
        stage = max(campaign.stage, 1)
        self.resumed.setdefault(campaign_id, {})[f"stage {stage}"] = {
            row["id"]
            for row in self.rows(tables.tasks, campaign_id=campaign_id)
            if row["ended_s"] is not None and campaign.stage_of(row["id"]) == stage
        }
        self.orchestrator.resume(campaign_id, "anna", self.now)
