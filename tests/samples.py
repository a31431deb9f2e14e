"""Events of every kind, plans, and new tasks: what the tests of both tables are fed with."""

from __future__ import annotations

from dataclasses import replace

from headgate.upgrade import TABLES, advance
from headgate.upgrade.events import (
    Activated,
    CellRefused,
    CellReported,
    CommandReset,
    CommandUnanswered,
    Conflicted,
    DeadlinePassed,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    Effect,
    Event,
    ExecuteAccepted,
    ExecuteRefused,
    RadioRefused,
    RadioReported,
    RegistrationExpired,
    SlotGranted,
    SlotRevoked,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.object5 import (
    ClearRefused,
    ObservationEnded,
    ObserveRefused,
    PackageRefused,
    PackageReported,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
)
from headgate.upgrade.object19 import (
    DataObserved,
    DownloadReported,
    ExecuteDeclined,
    FrameDelivered,
    NotificationAccepted,
    NotificationDeclined,
    NotificationRefused,
    QuestionDelivered,
    SegmentRequested,
    SubscriptionRefused,
    UpgradeReported,
)
from headgate.upgrade.radio import Measurement
from headgate.upgrade.task import Kind, Task
from negotiations import NOON_S, OLD, PLAN, SOFTWARE_PLAN, TARGET, URI, check_step, radio

FIRMWARE, SOFTWARE = TABLES[Kind.FIRMWARE], TABLES[Kind.SOFTWARE]

FIRMWARE, SOFTWARE = TABLES[Kind.FIRMWARE], TABLES[Kind.SOFTWARE]

CODES = ["4.00", "4.04", "4.05", "4.06", "4.15", "5.03"]
SHARED_SAMPLES: dict[type[Event], list[Event]] = {
    Activated: [Activated()],
    Conflicted: [Conflicted()],
    TaskCancelled: [TaskCancelled(by="anna")],
    DeadlinePassed: [DeadlinePassed()],
    DeviceHeard: [DeviceHeard()],
    DeviceRegistered: [DeviceRegistered()],
    DeviceDeregistered: [DeviceDeregistered()],
    RegistrationExpired: [RegistrationExpired()],
    CommandReset: [CommandReset(command="5/0/1")],
    CommandUnanswered: [CommandUnanswered()],
    VersionReported: [VersionReported(version=version) for version in (OLD, TARGET, "V0.1")],
    RadioReported: [RadioReported(radio=each) for each in (radio(), radio(rsrp=-130), Measurement())],
    CellReported: [CellReported(cell_id=cell_id) for cell_id in (0, 0x1A2B, 0x77)],
    SlotGranted: [SlotGranted(awake=awake) for awake in (True, False)],
    SlotRevoked: [SlotRevoked()],
    DownloadStarted: [DownloadStarted()],
    DownloadProgressed: [DownloadProgressed()],
    ExecuteAccepted: [ExecuteAccepted()],
    **{
        refusal: [refusal(code=code) for code in CODES]  # type: ignore[call-arg]
        for refusal in (VersionRefused, RadioRefused, CellRefused, ExecuteRefused)
    },
}
FIRMWARE_SAMPLES: dict[type[Event], list[Event]] = {
    StateObserved: [StateObserved(state=state) for state in range(5)],
    StateReported: [StateReported(state=state, asked=asked) for state in range(5) for asked in (False, True)],
    PackageReported: [PackageReported(uri=uri, version=TARGET) for uri in (URI, "coap://other/x")],
    UriCleared: [UriCleared()],
    UriAccepted: [UriAccepted()],
    ResultReported: [ResultReported(result=result) for result in range(14)],
    ObservationEnded: [ObservationEnded()],
    **{
        refusal: [refusal(code=code) for code in CODES]  # type: ignore[call-arg]
        for refusal in (ObserveRefused, StateRefused, PackageRefused, ClearRefused, UriRefused, ResultRefused)
    },
}
RESULTS = [*range(11), 0x7F, 0x80, 0x81, 0xFF]
SOFTWARE_SAMPLES: dict[type[Event], list[Event]] = {
    FrameDelivered: [FrameDelivered()],
    QuestionDelivered: [QuestionDelivered()],
    DataObserved: [DataObserved()],
    SubscriptionRefused: [SubscriptionRefused(code=code) for code in CODES],
    NotificationAccepted: [NotificationAccepted()],
    NotificationDeclined: [NotificationDeclined(result=result) for result in RESULTS[1:]],
    NotificationRefused: [NotificationRefused(code=code) for code in CODES],
    SegmentRequested: [
        SegmentRequested(version=version, segment_index=index)
        for version, index in ((TARGET, 0), (TARGET, 2), (TARGET, 3), (OLD, 0), (TARGET, 65535))
    ],
    DownloadReported: [DownloadReported(result=result) for result in RESULTS],
    ExecuteDeclined: [ExecuteDeclined(result=result) for result in RESULTS[1:]],
    UpgradeReported: [
        UpgradeReported(result=result, version=version) for result in RESULTS for version in (TARGET, OLD)
    ],
}
SAMPLES = {
    FIRMWARE: SHARED_SAMPLES | FIRMWARE_SAMPLES,
    SOFTWARE: SHARED_SAMPLES | SOFTWARE_SAMPLES,
}
PLANS = {
    FIRMWARE: [
        PLAN,
        replace(
            PLAN,
            skip_same_package=True,
            automatic_upgrade=True,
            source_versions=frozenset({OLD}),
            timers=replace(PLAN.timers, no_progress_s=600.0),
        ),
    ],
    SOFTWARE: [
        SOFTWARE_PLAN,
        replace(
            SOFTWARE_PLAN,
            source_versions=frozenset({OLD}),
            timers=replace(PLAN.timers, no_progress_s=600.0),
        ),
    ],
}


def beginnings(table: Negotiation) -> list[Task]:
    """A new task of each plan, and one whose device heard of the version before."""
    return [
        Task.created(id="1", endpoint="ep", plan=plan, now=NOON_S, uri=URI, notified_before=before)
        for plan in PLANS[table]
        for before in ((False, True) if table is SOFTWARE else (False,))
    ]


def effects_of(task: Task, event: Event, now: float) -> tuple[Task, tuple[Effect, ...]]:
    """One step, checked."""
    after, effects = advance(task, event, now)
    check_step(TABLES[task.plan.kind], task, event, now, after, effects)
    return after, effects
