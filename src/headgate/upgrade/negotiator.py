"""Drives tasks: an event in, then rows, effects, deadlines and slots follow. Nothing leaves from here.

What belongs to a change of a task is gathered in one turn, and so in one transaction: its row, the rows of
what it asks for, its campaign's counters, the line of the event log, and the slot that it gives or takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

from dataclasses import dataclass
from functools import partial
from typing import Protocol

from headgate.engine.timers import Timers
from headgate.store import tables
from headgate.upgrade import TABLES, advance
from headgate.upgrade.admission import Admission
from headgate.upgrade.askers import Active, Left, Roster
from headgate.upgrade.asking import profile_of
from headgate.upgrade.campaign import failure_counter, state_counter
from headgate.upgrade.events import (
    Activated,
    AnnounceOutcome,
    Effect,
    Event,
    RadioReported,
    SlotGranted,
    SlotRevoked,
    VersionReported,
)
from headgate.upgrade.frames import Body
from headgate.upgrade.notices import Notices
from headgate.upgrade.object5 import (
    CancelObservation,
    GrantDownload,
    ObservationEnded,
    WithdrawDownload,
)
from headgate.upgrade.object19 import (
    EnsureSubscription,
    GrantSegments,
    NotifyVersion,
    SubscribeData,
    WithdrawSegments,
)
from headgate.upgrade.places import Places
from headgate.upgrade.questions import Questions, wanted
from headgate.upgrade.records import task_row
from headgate.upgrade.subscriptions import Subscriptions
from headgate.upgrade.tally import Tally
from headgate.upgrade.task import Kind, Mark, State, Task, evolved
from headgate.upgrade.turns import Gathering, Outcome

ENDS = {State.SUCCESS: "succeeded", State.DONE_SAME: "up to date", State.CANCELLED: "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsWanted:
    """What the edge needs to answer the segment requests of one device."""

    pid: bytes
    segment_size_bytes: int
    version: str
    """That requests must name."""
    tokens: tuple[bytes, ...]
    """Of the observations of 19/0/0 by which they may come."""
    root: tuple[str, ...]
    """The alternate root of the device's paths."""
    wait_s: float
    """How long an answer may be under way."""


class Downloads(Protocol):
    """Who serves packages: the edge, as the server hands it to us. All of it may be repeated."""

    def uri(self, endpoint: str, pid: bytes) -> str:
        """Where this device finds this package: always the same."""

    def grant(self, endpoint: str, pid: bytes) -> None:
        """Serve it there from now on."""

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        """Serve it no longer."""

    def grant_segments(self, endpoint: str, wanted: SegmentsWanted) -> None:
        """Answer this device's segment requests from now on, under further tokens where it is so already."""

    def withdraw_segments(self, endpoint: str, pid: bytes) -> None:
        """Answer them no longer."""

    def body(self, pid: bytes) -> Body | None:
        """The bytes of a package that travels in segments; None while they are not at hand."""


class Negotiator:
    """All tasks that are under way."""

    def __init__(
        self,
        *,
        lwm2m: LwM2mServer,
        downloads: Downloads,
        admission: Admission,
        gathering: Gathering,
        questions: Questions,
        subscriptions: Subscriptions,
        notices: Notices,
        roster: Roster,
        timers: Timers,
        keep_s: float,
    ) -> None:
        self.admission = admission
        self.places = Places(admission, roster, timers)
        self.tally = Tally(gathering)
        self._lwm2m = lwm2m
        self._downloads = downloads
        self._gathering = gathering
        self._questions = questions
        self._subscriptions = subscriptions
        self._notices = notices
        self._roster = roster
        self._timers = timers
        self._keep_s = keep_s
        self.ended: list[Active] = []
        """Tasks that ended, for their campaigns to take."""

    def happens(self, active: Active, event: Event, now: float) -> None:
        """One event for one task."""
        if type(event) is Activated:
            self._begins(active)
        before = active.task
        after, effects = advance(before, event, now)
        if after is before and not effects:
            return
        active.task = after
        if after is not before:
            self.store(active)
        if after.state is not before.state:
            self._entered(active, before, event, effects, now)
        if after.deadline_s is None:
            self._timers.cancel(active)
        elif after.deadline_s != active.due_s:
            self._timers.set(active, after.deadline_s)
        if after.state is not before.state or after.radio is not before.radio:
            self.places.settle(active)
        for effect in effects:
            self.begin(active, effect, now)
        if type(event) is VersionReported:
            self._learned_version(active, event.version)
        elif after.state is State.SUCCESS and before.state is not after.state:
            self._learned_version(active, after.plan.target_version)  # which its result has confirmed
        elif after.radio is not before.radio and after.radio is not None:
            self._learned(after)
        if after.state.terminal:
            self._over(active, now)

    def _begins(self, active: Active) -> None:
        """An earlier campaign may have told the device of this version."""
        task = active.task
        if task.plan.kind is Kind.SOFTWARE and self._notices.names(task.endpoint, task.plan.target_version):
            active.task = evolved(task, {"marks": task.marks | {Mark.NOTIFIED_BEFORE}})

    def store(self, active: Active) -> None:
        """Put the task's row."""
        row = task_row(
            active.task,
            campaign_id=active.running.campaign.id,
            attempt=active.attempt,
            created_s=active.created_s,
        )
        self._gathering.put(tables.tasks, row)

    def admit(self, now: float) -> None:
        """Take slots from the silent, give those that are free; until nothing changes."""
        askers = self._roster.askers
        while (task_id := self.admission.silent(now)) is not None:
            active = askers[task_id]
            assert isinstance(active, Active)
            self.happens(active, SlotRevoked(), now)
        while (task_id := self.admission.grant(now)) is not None:
            active = askers[task_id]
            assert isinstance(active, Active)
            if not active.running.may_begin:
                self.places.withhold(active)
                continue
            self.places.count_anew(active)
            self.happens(active, SlotGranted(awake=self._lwm2m.awake(active.endpoint, now)), now)

    # -- what follows a change --

    def _entered(
        self, active: Active, before: Task, event: Event, effects: tuple[Effect, ...], now: float
    ) -> None:
        task = active.task
        self.tally.add(active.running, state_counter(before.state), -1)
        self.tally.add(active.running, state_counter(task.state), 1)
        if before.state is State.CREATED:
            self.tally.begun(active)
        if task.state.terminal:
            self.tally.ended(active)
        for pending in list(active.pending.values()):
            if pending.effect not in effects and not wanted(pending.effect, task):
                self._questions.drop(active, pending, now)
        row = TABLES[task.plan.kind].rows[task.state]
        if task.failure is not None:
            self.tally.add(active.running, failure_counter(task.failure), 1)
            what, detail = f"failed: {task.failure.value}", str(task.detail)
        elif task.state.terminal:
            what, detail = ENDS[task.state], str(task.detail or told(event))
        else:
            what, detail = f"waiting for {row.waits}", told(event)
        self._gathering.log(
            now,
            what,
            detail,
            endpoint=active.endpoint,
            task_id=task.id,
            campaign_id=active.running.campaign.id,
            step=row.step,
        )

    def _learned_version(self, active: Active, version: str) -> None:
        self._gathering.change(tables.devices, {"endpoint": active.endpoint, "version": version})

    def _learned(self, task: Task) -> None:
        radio = task.radio
        if radio is not None and radio.cell is not None and radio.radio_class is not None:
            row = {"endpoint": task.endpoint, "cell": str(radio.cell), "radio_class": radio.radio_class.value}
            self._gathering.change(tables.devices, row)

    def begin(self, active: Active, effect: Effect, now: float) -> None:
        """Do, after the commit, what a task asks for."""
        turn = self._gathering.turn
        task = active.task
        match effect:
            case GrantDownload():
                self._take_over(task)
                self._gathering.act(partial(self.grant, active))
            case GrantSegments():
                self._gathering.act(partial(self.grant, active))
            case WithdrawSegments():
                self._gathering.act(partial(self._withdraw_segments, task.endpoint, task.plan.pid))
            case EnsureSubscription() if self._subscriptions.stands(task.endpoint):
                pass
            case EnsureSubscription() | SubscribeData():
                self._questions.ask(active, SubscribeData(), now)
                self._questions.put_behind(active, now)
            case NotifyVersion():
                self._notices.told(task.endpoint, task.plan.target_version)
                self._questions.ask(active, effect, now)
            case WithdrawDownload():
                self._leave(active).pid = task.plan.pid
            case AnnounceOutcome():
                turn.outcomes.append(
                    Outcome(
                        task_id=task.id,
                        campaign_id=active.running.campaign.id,
                        endpoint=task.endpoint,
                        attempt=active.attempt,
                        state=task.state,
                        failure=task.failure,
                        detail=task.detail,
                        version=task.version,
                        at_s=now,
                    )
                )
            case CancelObservation() if not active.tokens:
                if not task.state.terminal:
                    self.happens(active, ObservationEnded(), now)  # there was none
            case _:
                self._questions.ask(active, effect, now)

    # -- the end, and what is left after it --

    def _leave(self, active: Active) -> Left:
        left = self._roster.askers.get(active.task_id)
        if not isinstance(left, Left):
            left = Left(active.task_id, active.endpoint)
            left.pending, left.tokens = active.pending, active.tokens
            self._roster.leave(active)
            self._roster.keep(left)
        return left

    def _over(self, active: Active, now: float) -> None:
        self.ended.append(active)
        left = self._leave(active)
        if active.task.plan.kind is Kind.SOFTWARE:
            runs = active.task.state in (State.SUCCESS, State.DONE_SAME)
            self._notices.ended(active.endpoint, now, runs=runs)
        if self._lwm2m.registration(active.endpoint) is None:
            self._subscriptions.forget(active.endpoint)
        if left.pid is not None:
            self.serve_on(left, now + self._keep_s, self._questions.new_id(), now)
        else:
            self._timers.set(left, now + self._keep_s)
        self.tidy(left)

    def serve_on(self, left: Left, until_s: float, id: int, now: float) -> None:
        """Keep serving its package until then: a row that says so."""
        assert left.pid is not None
        left.withdrawal_id = id
        self._timers.set(left, until_s)
        self._gathering.put(
            tables.effects,
            {
                "id": id,
                "task_id": left.task_id,
                "endpoint": left.endpoint,
                "effect": WithdrawDownload.__name__,
                "arguments": left.pid.hex(),
                "asked_s": now,
                "due_s": until_s,
            },
        )

    def tidy(self, left: Left) -> None:
        """Tokens are of no use once nothing is asked by them; a Left that has nothing left goes."""
        if not left.pending:
            self._questions.forget(left)
        if left.empty:
            self._timers.cancel(left)
            self._roster.drop(left)

    def due(self, left: Left, now: float) -> None:
        """Its time is over: the package is not served any longer, and nobody is asked any more.

        Not while the device's present task is about the same package: that one withdraws it.
        """
        for pending in list(left.pending.values()):
            self._questions.drop(left, pending, now)
        if left.withdrawal_id is not None and left.pid is not None:
            active = self._roster.active.get(left.endpoint)
            if active is not None and active.task.plan.pid == left.pid:
                self.serve_on(left, now + self._keep_s, left.withdrawal_id, now)
                return
            self._withdrawn(left)
            self._gathering.act(partial(self._withdraw, left.endpoint, left.pid))
        self.tidy(left)

    def _take_over(self, task: Task) -> None:
        """A newer task serves the same package: it withdraws it, and the older ones need not."""
        for left in list(self._roster.left.get(task.endpoint, ())):
            if left.pid == task.plan.pid and left.withdrawal_id is not None:
                self._withdrawn(left)
                self.tidy(left)

    def _withdrawn(self, left: Left) -> None:
        assert left.withdrawal_id is not None
        self._gathering.delete(tables.effects, (left.withdrawal_id,))
        left.withdrawal_id = None

    def subscribed(self, active: Active) -> None:
        """The device has a new token: segments are answered under that one too."""
        if Mark.GRANTED in active.task.marks:
            self._gathering.act(partial(self.grant, active))

    def grant(self, active: Active, now: float) -> None:
        """Serve its package to the device, by the way of its kind. Repeated, it changes nothing."""
        endpoint, plan = active.endpoint, active.task.plan
        if plan.kind is Kind.FIRMWARE:
            self._downloads.grant(endpoint, plan.pid)
            return
        registration = self._lwm2m.registration(endpoint)
        wanted = SegmentsWanted(
            pid=plan.pid,
            segment_size_bytes=plan.segment_size_bytes,
            version=plan.target_version,
            tokens=self._subscriptions.tokens(endpoint),
            root=() if registration is None else registration.objects.root,
            wait_s=profile_of(active.radio, registration).ack_timeout_s,
        )
        self._downloads.grant_segments(endpoint, wanted)

    def _withdraw_segments(self, endpoint: str, pid: bytes, now: float) -> None:
        self._downloads.withdraw_segments(endpoint, pid)

    def _withdraw(self, endpoint: str, pid: bytes, now: float) -> None:
        self._downloads.withdraw(endpoint, pid)


def told(event: Event) -> str:
    """An event in a few words.

    >>> told(VersionReported(version="V1.0"))
    'VersionReported V1.0'
    """
    if isinstance(event, RadioReported):
        radio = event.radio
        where = f"cell {radio.cell}, class {radio.radio_class}"
        return f"RadioReported {where}, {radio.rsrp_dbm} dBm, {radio.sinr_db} dB"
    values = [str(getattr(event, name)) for name in getattr(type(event), "__dataclass_fields__", ())]
    return " ".join([type(event).__name__, *values])
