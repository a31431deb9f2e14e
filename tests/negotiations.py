"""A negotiation as a script of device, server and clock lines, in lockstep; and what holds after each."""

from __future__ import annotations

from headgate.upgrade import TABLES, advance, resume
from headgate.upgrade.events import (
    Activated,
    AnnounceOutcome,
    DeadlinePassed,
    DeviceHeard,
    Effect,
    Event,
    ExecuteAccepted,
    RadioReported,
    SlotGranted,
    TaskCancelled,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.object5 import (
    CancelObservation,
    StateObserved,
    StateReported,
    UriAccepted,
    UriRefused,
    WithdrawDownload,
    WriteUri,
)
from headgate.upgrade.object19 import (
    AnswerSegment,
    ConfirmDownload,
    ConfirmUpgrade,
    DataObserved,
    DownloadReported,
    ExecuteUpgrade,
    NotificationAccepted,
    NotificationDeclined,
    NotifyVersion,
    SegmentRequested,
    UpgradeReported,
    WithdrawSegments,
)
from headgate.upgrade.radio import Measurement, RadioReport, RadioRules, measured
from headgate.upgrade.table import IGNORED, Choice
from headgate.upgrade.task import OF_ONE_STATE, Kind, Mark, Plan, State, Task

NOON_S = 1_767_268_800.0  # a Thursday
URI = "coap://edge.example/uzcLHuq3x1hFvCsO"
OLD, TARGET = "V1.0", "V1.1"
PLAN = Plan(kind=Kind.FIRMWARE, target_version=TARGET, pid=bytes.fromhex("4EA021B62388BDD4"))
SOFTWARE_PLAN = Plan(
    kind=Kind.SOFTWARE,
    target_version=TARGET,
    pid=PLAN.pid,
    size_bytes=1300,
    segment_size_bytes=500,
    version_check_code=0x4EA0,
)
SEGMENT = SegmentRequested(version=TARGET, segment_index=0)
REPORT = RadioReport(rsrp=-98, sinr=9, cell_id=0x1A2B, smcc=460, smnc=0)


def radio(**changes: float | None) -> Measurement:
    """What a reading of object 4 gives: class 0 in cell 460-00-1A2B, but for the changes."""
    named = {name: getattr(REPORT, name) for name in RadioReport.__dataclass_fields__}
    return measured(RadioReport(**(named | changes)), RadioRules())


def check_step(
    table: Negotiation, before: Task, event: Event, now: float, after: Task, effects: tuple[Effect, ...]
) -> None:
    """The invariants of negotiation.py, as far as one step can break them."""
    way = table.way(before.state, type(event))
    asked = {type(effect) for effect in effects}
    if before.state.terminal or way is IGNORED:  # invariants 1 and 8
        assert after is before
        assert not effects
        return
    # Invariant 2
    if after.state.holds_slot and not before.state.holds_slot:
        assert before.state is State.WAIT_SLOT
        assert type(event) is SlotGranted
    if before.state.holds_slot and not after.state.holds_slot:
        assert after.state is State.WAIT_SLOT or after.state.terminal
    if after.state.holds_slot or after.state is State.WAIT_SLOT:
        assert after.radio is not None
        assert after.radio.cell is not None
        assert after.radio.radio_class is not None
    # Invariants 3 and 4
    assert (after.deadline_s is None) == (after.state is State.CREATED or after.state.terminal)
    assert (after.failure is not None) == (after.state is State.FAILED)
    assert after.failure is None or str(after.detail)
    # Invariant 5
    assert after.state in table.leads(before.state, type(event)), f"{before.state} to {after.state}, {event}"
    declared = set(way.effects) if isinstance(way, Choice) else set()
    assert asked <= declared | set(table.rows[after.state].asking())
    # Invariants 6 and 7
    assert WriteUri not in asked or Mark.OBSERVED in after.marks
    lasting = before.marks - {Mark.OBSERVED, Mark.READ_AGAIN} - OF_ONE_STATE
    if ExecuteUpgrade in asked:
        lasting -= {Mark.REGISTERED}  # since the device was last told
    assert lasting <= after.marks
    assert after.state is before.state or after.marks & OF_ONE_STATE <= table.rows[after.state].marks
    assert NotifyVersion not in asked or Mark.GRANTED in after.marks
    assert ExecuteUpgrade not in asked or after.state in (State.EXECUTE, State.UPDATING)
    # What is bound stays, and what was begun is undone.
    assert [getattr(after, name) for name in ("id", "endpoint", "plan", "uri")] == [
        getattr(before, name) for name in ("id", "endpoint", "plan", "uri")
    ]
    if after.state is not before.state:
        assert after.entered_s == now
    if after.state.terminal:
        assert AnnounceOutcome in asked
        assert (CancelObservation in asked) == (Mark.OBSERVED in after.marks)
        withdraw = WithdrawDownload if after.plan.kind is Kind.FIRMWARE else WithdrawSegments
        assert (withdraw in asked) == (Mark.GRANTED in after.marks)
    if type(event) is TaskCancelled:
        assert after.state is State.CANCELLED
    # Reports over PCP are answered, from the first question of the task to its last word.
    if before.state not in (State.CREATED, State.WAIT_ONLINE, State.WAIT_AWAKE):
        assert type(event) is not DownloadReported or ConfirmDownload in asked
        assert type(event) is not UpgradeReported or ConfirmUpgrade in asked
    assert AnswerSegment not in asked or type(event) is SegmentRequested


class Script:
    """One task, told line by line.

    Lockstep: all that the server asks for must be said in a `server` line before anything else happens.
    """

    def __init__(self, plan: Plan = PLAN, *, notified_before: bool = False) -> None:
        self.now = NOON_S
        self.task = Task.created(
            id="task-1",
            endpoint="urn:imei:860000000000001",
            plan=plan,
            now=NOON_S,
            uri=URI if plan.kind is Kind.FIRMWARE else "",
            notified_before=notified_before,
        )
        self.asked: list[Effect] = []

    def _happens(self, event: Event) -> None:
        assert not self.asked, f"before {event} the server asks {self.asked}"
        before = self.task
        self.task, effects = advance(before, event, self.now)
        check_step(TABLES[before.plan.kind], before, event, self.now, self.task, effects)
        self.asked.extend(effects)

    def device(self, *events: Event) -> Script:
        """The device, or the network for it, says this. Between several nothing is asked."""
        for event in events:
            self._happens(event)
        return self

    house = device
    """An operator, a campaign or admission says this."""

    def server(self, *effects: Effect) -> Script:
        """Exactly this was asked for, in this order."""
        assert self.asked == list(effects)
        self.asked.clear()
        return self

    def clock(self, seconds: float) -> Script:
        """So much time passes, and no deadline within it."""
        self.now += seconds
        assert self.task.deadline_s is None or self.now < self.task.deadline_s
        return self

    def deadline(self, seconds: float | None = None) -> Script:
        """The deadline passes; it was so many seconds away, and a second earlier it did not fire."""
        assert self.task.deadline_s is not None
        if seconds is not None:
            assert self.task.deadline_s - self.now == seconds
        self.now = self.task.deadline_s - 1
        before = self.task
        self._happens(DeadlinePassed())
        assert self.task is before
        self.now += 1
        self._happens(DeadlinePassed())
        assert self.task is not before
        return self

    def restart(self, *effects: Effect) -> Script:
        """The server was killed and started: this is asked for again."""
        assert resume(self.task) == effects
        return self

    def stands(self, state: State, **fields: object) -> Script:
        """The task is in this state, with these fields."""
        assert self.task.state is state
        for name, value in fields.items():
            assert getattr(self.task, name) == value
        return self

    def ends(self, state: State, failure: Failure | None = None, detail: str | None = None) -> Script:
        """The task is over: so."""
        assert not self.asked
        assert self.task.state is state
        assert state.terminal
        assert self.task.failure is failure
        if detail is not None:
            assert str(self.task.detail) == detail
        return self

    def reach(self, state: State) -> Script:
        """Go to this state by the shortest way, without a word of it; time stands still."""
        for event in WAYS[self.task.plan.kind][state]:
            self._happens(event)
            self.asked.clear()
        return self.stands(state)


TO_SLOT = (Activated(), DeviceHeard(), VersionReported(version=OLD), RadioReported(radio=radio()))
TO_OBSERVE = (*TO_SLOT, SlotGranted(awake=True))
TO_WRITE = (*TO_OBSERVE, StateObserved(state=0))
TO_START = (*TO_WRITE, UriAccepted())
TO_EXECUTE = (*TO_START, StateReported(state=1), StateReported(state=2))
TO_UPDATE = (*TO_EXECUTE, ExecuteAccepted())
WAY_TO: dict[State, tuple[Event, ...]] = {
    State.CREATED: (),
    State.WAIT_ONLINE: TO_SLOT[:1],
    State.QUERY_VERSION: TO_SLOT[:2],
    State.QUERY_RADIO: TO_SLOT[:3],
    State.QUERY_CELL: (*TO_SLOT[:3], RadioReported(radio=Measurement())),
    State.WAIT_SLOT: TO_SLOT,
    State.WAIT_AWAKE: (*TO_SLOT, SlotGranted(awake=False)),
    State.OBSERVE: TO_OBSERVE,
    State.CLEAR_URI: (*TO_OBSERVE, StateObserved(state=2)),
    State.WRITE_URI: TO_WRITE,
    State.CHECK_URI: (*TO_WRITE, UriRefused(code="4.00")),
    State.WAIT_START: TO_START,
    State.DOWNLOADING: TO_EXECUTE[:-1],
    State.EXECUTE: TO_EXECUTE,
    State.UPDATING: TO_UPDATE,
    State.READ_RESULT: (*TO_UPDATE, StateReported(state=0)),
}

TO_SUBSCRIBE = TO_SLOT[:3]
TO_LINE = (*TO_SUBSCRIBE, DataObserved(), TO_SLOT[3])
TO_NOTIFY = (*TO_LINE, SlotGranted(awake=True))
TO_SEGMENTS = (*TO_NOTIFY, NotificationAccepted(), SEGMENT)
TO_COMMAND = (*TO_SEGMENTS, DownloadReported(result=0))
SOFTWARE_WAY_TO: dict[State, tuple[Event, ...]] = {
    State.CREATED: (),
    State.WAIT_ONLINE: TO_SLOT[:1],
    State.QUERY_VERSION: TO_SLOT[:2],
    State.SUBSCRIBE: TO_SUBSCRIBE,
    State.QUERY_RADIO: TO_LINE[:-1],
    State.QUERY_CELL: (*TO_LINE[:-1], RadioReported(radio=Measurement())),
    State.WAIT_SLOT: TO_LINE,
    State.WAIT_AWAKE: (*TO_LINE, SlotGranted(awake=False)),
    State.NOTIFY: TO_NOTIFY,
    State.COMPARE: (*TO_NOTIFY, NotificationDeclined(result=3)),
    State.WAIT_START: TO_SEGMENTS[:-1],
    State.DOWNLOADING: TO_SEGMENTS,
    State.EXECUTE: TO_COMMAND,
    State.UPDATING: (*TO_COMMAND, ExecuteAccepted()),
}
WAYS = {Kind.FIRMWARE: WAY_TO, Kind.SOFTWARE: SOFTWARE_WAY_TO}
