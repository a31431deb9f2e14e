"""The software negotiation: PCP over LwM2M object 19, pushed in segments. Steps 1 to 15 of the OTA guide.

What the order of the rows rests on

- Everything that the device says comes by an observation of 19/0/0. One must stand before the first question,
  and a new Register ends it: EnsureSubscription goes with both. Step 6 then only makes it anew.
- A segment request, or a report, is as good as the answer to 20: some devices never send that.
- Between 20 and the next Register what 19 says proves nothing: some devices name the target version from the
  notification on.
- A question is one Write, done when the Write is answered; its own answer comes later, or not. So each state
  that waits for one repeats its question: at another uplink 30 s after it was there, and not more than twice.
- What a device says by NON may be lost, and one that was not heard may tell nothing any more. The last
  repetition goes with a new observation; and the answer to 23 and the report may both be missing, while a
  Register tells of an update: CHECK_EXECUTE.
- Reports are answered whatever the state, since devices repeat them until they are.
"""

from __future__ import annotations

from headgate.upgrade.events import (
    BEGINNINGS,
    DOWNLOADS,
    EXECUTE_ANSWERS,
    RADIO_ANSWERS,
    SHARED_EVENTS,
    SLOTS,
    VERSION_ANSWERS,
    AnnounceOutcome,
    CommandReset,
    CommandUnanswered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    ExecuteAccepted,
    ExecuteRefused,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.object19 import (
    NOTIFICATION_ANSWERS,
    OWN,
    SUBSCRIPTION_ANSWERS,
    DataObserved,
    DownloadReported,
    EnsureSubscription,
    ExecuteDeclined,
    ExecuteUpgrade,
    FrameDelivered,
    GrantSegments,
    NotificationAccepted,
    NotificationDeclined,
    NotificationRefused,
    NotifyVersion,
    QueryVersion,
    QuestionDelivered,
    SegmentRequested,
    SubscribeData,
    SubscriptionRefused,
    UpgradeReported,
    WithdrawSegments,
)
from headgate.upgrade.opening import opening
from headgate.upgrade.rows import (
    ASKED,
    CANCELLABLE,
    NEEDED,
    PAST,
    Entries,
    checking,
    endings,
    executing,
    registered,
    these,
    updating,
)
from headgate.upgrade.software_choices import (
    after_register,
    again,
    begun,
    declined,
    declined_in_download,
    delivered,
    download_of_another_task,
    downloaded,
    downloaded_again,
    downloaded_in_check,
    downloaded_while_updating,
    ended,
    execute_declined,
    newest_version,
    not_begun,
    progressed,
    registered_while_executing,
    returned,
    returned_with,
    segment_again,
    segment_requested,
    segment_too_early,
    subscribe_again,
    subscribe_anew,
    subscription_refused,
    subscription_unanswered,
    upgrade_of_another_task,
    upgraded,
    wake,
    wake_after_register,
)
from headgate.upgrade.table import Deadline, Entering, Failed, Row, Since, Stage
from headgate.upgrade.task import Kind, Mark, State

ASIDES: Entries = {
    DeviceRegistered: subscribe_again,
    SegmentRequested: segment_too_early,
    DownloadReported: download_of_another_task,
    UpgradeReported: upgrade_of_another_task,
}
QUERYING: Entries = {
    QuestionDelivered: delivered,
    DeviceRegistered: after_register(QueryVersion()),
    DeviceHeard: again(QueryVersion()),
}
"""Where the answer to 19 is waited for."""
NOTIFYING: Entries = {
    QuestionDelivered: delivered,
    DeviceRegistered: after_register(NotifyVersion()),
    DeviceHeard: again(NotifyVersion()),
}
"""The same for 20."""
BEGUN: Entries = {
    SegmentRequested: begun,
    DownloadStarted: State.DOWNLOADING,
    DownloadProgressed: State.DOWNLOADING,
    DownloadReported: downloaded,
    UpgradeReported: upgrade_of_another_task,
}
"""Where the device may begin, whatever it was last heard to say."""
BEFORE = these(
    BEGINNINGS, SLOTS, RADIO_ANSWERS, SUBSCRIPTION_ANSWERS, EXECUTE_ANSWERS, ExecuteDeclined, FrameDelivered
)
"""Of earlier states and of earlier tasks, and what says too little, until the package is in the device."""
LATE = these(SUBSCRIPTION_ANSWERS, NOTIFICATION_ANSWERS, FrameDelivered, QuestionDelivered)
"""The same after that."""
STARTING = Failed(Failure.DOWNLOAD_START_TIMEOUT)


SOFTWARE = Negotiation(
    Kind.SOFTWARE,
    {
        **opening(
            own=OWN,
            ask_version=(EnsureSubscription(), QueryVersion()),
            version_at="PCP 19",
            version_refused=Failure.NOT_ONLINE,
            radio_step=7,
            identified=State.SUBSCRIBE,
            admitted=State.NOTIFY,
            asides=ASIDES,
            while_asking=QUERYING,
        ),
        State.SUBSCRIBE: Row(
            step=6,
            waits="the device to accept the observation of its data",
            at="19/0/0",
            enter=(SubscribeData(),),
            deadline=Deadline(timer="version_s", passed=subscription_unanswered),
            on={
                **CANCELLABLE,
                **NEEDED,
                **ASIDES,
                DataObserved: State.QUERY_RADIO,
                SubscriptionRefused: subscription_refused,
                CommandReset: subscription_refused,
                DeviceRegistered: subscribe_anew,
            },
            ignored=these(
                BEFORE - SUBSCRIPTION_ANSWERS,
                NOTIFICATION_ANSWERS,
                VERSION_ANSWERS,
                QuestionDelivered,
                DOWNLOADS,
                CommandUnanswered,
                DeviceHeard,
            ),
        ),
        State.NOTIFY: Row(
            step=10,
            waits="the device to take the notification",
            at="PCP 20",
            enter=(EnsureSubscription(), GrantSegments(), NotifyVersion()),
            marks=frozenset({Mark.GRANTED}),
            deadline=Deadline(timer="download_start_s", passed=STARTING),
            on={
                **ASKED,
                **BEGUN,
                NotificationAccepted: State.WAIT_START,
                NotificationDeclined: declined,
                NotificationRefused: Failed(Failure.NOT_ONLINE),
                **NOTIFYING,
            },
            ignored=these(BEFORE, VERSION_ANSWERS, CommandUnanswered),
        ),
        State.COMPARE: Row(
            step=10,
            waits="the version of a device that says it has the newest",
            at="PCP 19",
            enter=(QueryVersion(),),
            deadline=Deadline(timer="version_s", passed=Failed(Failure.VERSION_TIMEOUT)),
            on={
                **ASKED,
                **BEGUN,  # it changed its mind
                **QUERYING,
                VersionReported: newest_version,
                VersionRefused: Failed(Failure.NOT_ONLINE),
            },
            ignored=these(BEFORE, NOTIFICATION_ANSWERS, CommandUnanswered),
        ),
        State.WAIT_START: Row(
            step=11,
            waits="the device to begin its download",
            resume=(EnsureSubscription(),),
            stage=Stage.DOWNLOAD,
            marks=frozenset({Mark.DELIVERED}),  # it has answered 20
            deadline=Deadline(timer="download_start_s", since=Since.STAGE, passed=STARTING),
            on={
                **CANCELLABLE,
                **NEEDED,
                **BEGUN,
                NotificationDeclined: declined,
                **NOTIFYING,
            },
            ignored=these(
                BEFORE,
                VERSION_ANSWERS,
                NotificationAccepted,
                NotificationRefused,
                CommandReset,
                CommandUnanswered,
            ),
        ),
        State.DOWNLOADING: Row(
            step=11,
            waits="the device to download the package",
            resume=(EnsureSubscription(),),
            stage=Stage.DOWNLOAD,
            deadline=Deadline(
                timer="download_s",
                since=Since.STAGE,
                instead="no_progress_s",
                passed=Failed(Failure.DOWNLOADED_TIMEOUT),
            ),
            on={
                **CANCELLABLE,
                **NEEDED,
                SegmentRequested: segment_requested,
                DownloadProgressed: progressed,
                DownloadReported: downloaded,
                UpgradeReported: upgrade_of_another_task,
                NotificationDeclined: declined_in_download,
                DeviceRegistered: wake_after_register,
                DeviceHeard: wake,
            },
            ignored=these(
                BEFORE,
                VERSION_ANSWERS,
                NotificationAccepted,
                NotificationRefused,
                QuestionDelivered,
                DownloadStarted,
                CommandReset,
                CommandUnanswered,
            ),
        ),
        State.EXECUTE: executing(
            step=12,
            at="PCP 23",
            enter=(ExecuteUpgrade(),),
            passed=not_begun,
            on={
                QuestionDelivered: delivered,
                ExecuteDeclined: execute_declined,
                ExecuteRefused: Failed(Failure.NOT_ONLINE),
                SegmentRequested: segment_again,
                DownloadReported: downloaded_again,
                UpgradeReported: upgraded,
                DeviceRegistered: registered_while_executing,
                DeviceHeard: again(ExecuteUpgrade()),
            },
            ignored=LATE - {QuestionDelivered},
        ),
        State.CHECK_EXECUTE: Row(
            step=13,
            waits="the version of a device that registered, and did not say that it updates",
            at="PCP 19",
            enter=(EnsureSubscription(), QueryVersion()),
            stage=Stage.EXECUTE,
            deadline=Deadline(timer="check_s", passed=Failed(Failure.UPDATE_START_TIMEOUT)),
            on={
                **CANCELLABLE,
                **QUERYING,
                VersionReported: returned_with,
                ExecuteAccepted: State.UPDATING,
                ExecuteDeclined: execute_declined,
                SegmentRequested: segment_again,
                DownloadReported: downloaded_in_check,
                UpgradeReported: upgraded,
            },
            ignored=these(LATE, PAST, VersionRefused, ExecuteRefused, CommandReset) - QUERYING.keys(),
        ),
        State.UPDATING: updating(
            step=14,
            resume=(EnsureSubscription(),),
            on={
                SegmentRequested: segment_again,
                DownloadReported: downloaded_while_updating,
                UpgradeReported: upgraded,
                DeviceRegistered: registered(EnsureSubscription()),
            },
            ignored=these(LATE, ExecuteDeclined, DeviceHeard),
        ),
        State.CHECK: checking(
            step=14,
            at="PCP 19",
            enter=(QueryVersion(),),
            proves=returned,
            early=False,
            on={
                QuestionDelivered: delivered,
                SegmentRequested: segment_again,
                DownloadReported: downloaded_in_check,
                UpgradeReported: upgraded,
                DeviceRegistered: registered(EnsureSubscription(), QueryVersion()),
                DeviceHeard: again(QueryVersion()),
            },
            ignored=these(LATE, ExecuteDeclined) - {QuestionDelivered},
        ),
        **endings(
            own=OWN,
            step=15,
            enter=Entering(decide=ended, effects=(WithdrawSegments, AnnounceOutcome)),
        ),
    },
    SHARED_EVENTS | OWN,
)
"""Its last step, 15, announces; 13 is the answer to 23."""
