"""A task: one device in one campaign, with everything that a restart must find again. Values only.

A task is never changed: `evolved` makes the next one, and the store keeps each as it is. All times are
seconds since the epoch, so that a deadline set before a restart means the same instant after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from operator import attrgetter
from typing import Any

from headgate.model import maker
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.radio import Measurement
from headgate.wire.pcp_messages import version_field
from headgate.wire.segmentation import segment_count_of

MINUTE_S = 60.0
HOUR_S = 60 * MINUTE_S


class Kind(StrEnum):
    """Which negotiation a task follows."""

    FIRMWARE = "firmware"
    """LwM2M object 5: the package travels in blocks."""
    SOFTWARE = "software"
    """PCP over object 19: it travels in segments."""


class State(StrEnum):
    """Where a negotiation stands. What may be trusted in each is written at the head of `negotiation.py`."""

    CREATED = "created"
    WAIT_ONLINE = "wait_online"
    QUERY_VERSION = "query_version"
    SUBSCRIBE = "subscribe"
    QUERY_RADIO = "query_radio"
    QUERY_CELL = "query_cell"
    WAIT_SLOT = "wait_slot"
    WAIT_AWAKE = "wait_awake"
    REQUERY_RADIO = "requery_radio"
    REQUERY_CELL = "requery_cell"
    NOTIFY = "notify"
    OBSERVE = "observe"
    COMPARE = "compare"
    CLEAR_URI = "clear_uri"
    WRITE_URI = "write_uri"
    CHECK_URI = "check_uri"
    WAIT_START = "wait_start"
    DOWNLOADING = "downloading"
    EXECUTE = "execute"
    CHECK_EXECUTE = "check_execute"
    WAIT_EXECUTE = "wait_execute"
    UPDATING = "updating"
    READ_RESULT = "read_result"
    WAIT_RESULT = "wait_result"
    UNOBSERVE = "unobserve"
    CHECK = "check"
    SUCCESS = "success"
    DONE_SAME = "done_same"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the task is over."""
        return self in TERMINAL

    @property
    def holds_slot(self) -> bool:
        """Whether a task in this state holds a slot of its cell."""
        return self in HOLDING


TERMINAL = frozenset({State.SUCCESS, State.DONE_SAME, State.FAILED, State.CANCELLED})
BEFORE_SLOT = frozenset(
    {
        State.CREATED,
        State.WAIT_ONLINE,
        State.QUERY_VERSION,
        State.SUBSCRIBE,
        State.QUERY_RADIO,
        State.QUERY_CELL,
        State.WAIT_SLOT,
    }
)
HOLDING = frozenset(State) - TERMINAL - BEFORE_SLOT


class Mark(StrEnum):
    """What was done in a task and counts later: to be undone at its end, or not to be done a second time."""

    OBSERVED = "observed"
    """The device's progress is observed, or may be."""
    GRANTED = "granted"
    """The edge may serve the package to this device, in blocks or segments."""
    NOTIFIED_BEFORE = "notified_before"
    """An earlier task told the device of this version: from then on some devices say that they run it."""
    RENEWED = "renewed"
    """A new Register came in SUBSCRIBE: the observation that brought the version is gone."""
    REGISTERED = "registered"
    """A new Register came since the device was last told to update."""
    TLV = "tlv"
    """Text was refused: the URI is written as TLV."""
    CLEARED = "cleared"
    """The one reset after a refused URI is used up."""
    EXECUTED_AGAIN = "executed_again"
    """The one repetition of a refused Execute is used up."""
    READ_AGAIN = "read_again"
    """The one later reading of a result that was still 0 is used up."""
    DELIVERED = "delivered"
    """The question of this state is in the device, as often as it was sent, and has not been answered."""
    RESENT = "resent"
    """The question of this state was sent a second time."""
    RESENT_AGAIN = "resent_again"
    """And a third: the last."""


OF_ONE_STATE = frozenset({Mark.DELIVERED, Mark.RESENT, Mark.RESENT_AGAIN})
"""Marks that are taken away with every state entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """How long each step may last, in seconds. The defaults are the published figures where there are any."""

    online_s: float = 24 * HOUR_S
    """T_online; a wait for a slot is bounded by the same time again."""
    version_s: float = 3 * MINUTE_S
    radio_s: float = 3 * MINUTE_S
    """T_radio: half of it for the signal, what remains for the cell ID."""
    download_start_s: float = 3 * MINUTE_S
    download_s: float = 60 * MINUTE_S
    """T_download, from the moment the URI was acknowledged."""
    update_start_s: float = 3 * MINUTE_S
    update_s: float = 30 * MINUTE_S
    """T_update, from the moment Execute was acknowledged."""
    result_s: float = 3 * MINUTE_S
    read_again_s: float = 60.0
    """After which a result that is still 0 is read once more; and how long a device that said Downloaded, and
    refused Execute, may take to be Downloaded by its own account."""
    check_s: float = 3 * MINUTE_S
    unobserve_s: float = 93.0
    """MAX_TRANSMIT_WAIT: what the last, dispensable request of a successful task may take."""
    poll_s: float = 5 * MINUTE_S
    """Without news of the device's State for this long, an uplink is an occasion to read it."""
    resend_s: float = 30.0
    """Over PCP: an uplink after this long without the answer to a question is an occasion to repeat it."""
    measurement_s: float = 10 * MINUTE_S
    """An older measurement is made again before its slot is used."""
    no_progress_s: float | None = None
    """Where set, a download ends after this long without progress, instead of after T_download."""

    def __post_init__(self) -> None:
        for timer in fields(self):
            duration_s = getattr(self, timer.name)
            if duration_s is not None and not duration_s > 0:
                raise ValueError(f"{timer.name} is a time above 0, not {duration_s}")
        for start, whole in (("download_start_s", "download_s"), ("update_start_s", "update_s")):
            if getattr(self, start) > getattr(self, whole):
                raise ValueError(f"{start} lies within {whole}: {getattr(self, start)} is too long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign wants of each of its devices. Bound when a task is made, and changed by nothing."""

    kind: Kind
    target_version: str
    """Compared byte for byte with what devices report."""
    pid: bytes
    """The package's identity, 8 bytes: nothing else is served to the device until the task ends."""
    size_bytes: int = 0
    """Of the package; needed where it travels in segments."""
    segment_size_bytes: int = 0
    """Over PCP; 0 where the package travels in blocks."""
    version_check_code: int = 0
    """What PCP message 20 carries: 0 for products in zero mode. Bound, so that a repetition is one."""
    source_versions: frozenset[str] = frozenset()
    """supportSourceVersionList: the versions that may be upgraded from; empty for any."""
    timers: Timers = Timers()
    skip_same_package: bool = False
    """A device that holds this very package already (5/0/1, 5/0/7) does not download it again."""
    automatic_upgrade: bool = False
    """5/0/14 is true in this product: devices go from Downloaded to Updating by themselves."""

    def __post_init__(self) -> None:
        if self.kind is Kind.SOFTWARE:
            segment_count_of(self.size_bytes, self.segment_size_bytes)
            version_field(self.target_version)

    @property
    def segment_count(self) -> int:
        """How many segments the package has; the last one may be short."""
        return segment_count_of(self.size_bytes, self.segment_size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the device said of its update since it was asked. None: not yet."""

    result: int | None = None
    version: str | None = None
    state: int | None = None
    segment: int | None = None
    """The highest segment index that was asked for."""

    def having(self, **said: Any) -> Reading:
        """The same with something more."""
        return replace(self, **said)


NOTHING_READ = Reading()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One device in one campaign."""

    id: str
    endpoint: str
    plan: Plan
    uri: str = ""
    """The package URI for this device: the same whenever it is given this package."""

    state: State = State.CREATED
    entered_s: float
    """When `state` was entered."""
    stage_s: float
    """When the stage began that `state` belongs to: T_radio, T_download and T_update span several states."""
    deadline_s: float | None = None
    """When something must have happened. None in CREATED and in the terminal states alone."""

    radio: Measurement | None = None
    measured_s: float = 0.0
    waiting_s: float = 0.0
    """When the task first waited for a slot: T_online counts again from here."""
    queued_s: float = 0.0
    """Its place in line: when it came, or was sent to the back."""

    version: str | None = None
    """What the device ran before the upgrade."""
    state_seen_s: float = 0.0
    """When the device last told its State, or was last asked for it out of turn."""
    reading: Reading = NOTHING_READ
    refused: str = ""
    """The code of the last refusal, while its reason is looked for."""
    marks: frozenset[Mark] = frozenset()

    failure: Failure | None = None
    """Set in FAILED alone."""
    detail: Detail | None = None

    @classmethod
    def created(
        cls,
        *,
        id: str,
        endpoint: str,
        plan: Plan,
        now: float,
        uri: str = "",
        notified_before: bool = False,
    ) -> Task:
        """A new task, in CREATED. `notified_before`: as of the Mark of that name."""
        marks = frozenset({Mark.NOTIFIED_BEFORE} if notified_before else ())
        return cls(id=id, endpoint=endpoint, plan=plan, uri=uri, entered_s=now, stage_s=now, marks=marks)


made = maker(Task)
_values = attrgetter(*(field.name for field in fields(Task)))
_setters = {field.name: getattr(Task, field.name).__set__ for field in fields(Task)}


def evolved(task: Task, changes: Mapping[str, Any]) -> Task:
    """The task with these fields changed.

    What dataclasses.replace does, but by `made`: making the next task is most of what an event costs.
    """
    changed = made(_values(task))
    for name, value in changes.items():
        _setters[name](changed, value)
    return changed
