"""PCP over LwM2M object 19 to a negotiation: what its messages say, and what is said by them.

A question of the platform (19, 20, 23) is one Write of 19/1/0 that waits in the queue like every command, and
its answer comes as a notification of 19/0/0. An answer of the platform (to 21, 22, 24) is a Write too, but
one that is not worth keeping: if it is lost, the device asks again. Until its ACK has come, a second answer
with the same bytes is the same command: so several copies of a request draw one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from headgate.upgrade.events import (
    Effect,
    Event,
    ExecuteAccepted,
    Refusal,
    Uplink,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.task import Plan
from headgate.wire.pcp_messages import (
    DownloadAnswer,
    DownloadReport,
    ExecuteAnswer,
    ExecuteRequest,
    FromDevice,
    FromPlatform,
    MessageCode,
    NotificationAnswer,
    ResultCode,
    SegmentAnswer,
    SegmentRequest,
    UpgradeAnswer,
    UpgradeReport,
    VersionAnswer,
    VersionNotification,
    VersionQuery,
    meaning,
)

CAUSES: dict[ResultCode, Failure] = {
    ResultCode.IN_USE: Failure.UPDATE_FAILED,
    ResultCode.POOR_SIGNAL: Failure.CONNECTION_LOST,
    ResultCode.ALREADY_NEWEST: Failure.UPDATE_FAILED,
    ResultCode.LOW_BATTERY: Failure.UPDATE_FAILED,
    ResultCode.NOT_ENOUGH_SPACE: Failure.STORAGE,
    ResultCode.DOWNLOAD_TIMEOUT: Failure.CONNECTION_LOST,
    ResultCode.PACKAGE_CHECK_FAILED: Failure.INTEGRITY,
    ResultCode.UNSUPPORTED_PACKAGE: Failure.PACKAGE_TYPE,
    ResultCode.NOT_ENOUGH_MEMORY: Failure.MEMORY,
    ResultCode.INSTALLING_FAILED: Failure.UPDATE_FAILED,
    ResultCode.INTERNAL_ERROR: Failure.UPDATE_FAILED,
    ResultCode.NO_SUCH_TASK: Failure.UPDATE_FAILED,
    ResultCode.NO_SUCH_SEGMENT: Failure.UPDATE_FAILED,
}
"""A code means the same in whichever message it comes; the published lists differ by message."""


def code_text(result: int) -> str:
    """A result as details have it.

    >>> code_text(0x0A)
    '0A'
    """
    return f"{result:02X}"


def cause_of(message: MessageCode, result: int) -> tuple[Failure, Detail]:
    """The failure that a result other than 00 means, and the raw pair of code and message.

    >>> failure, detail = cause_of(MessageCode.DOWNLOAD, 0x07)
    >>> failure.value, str(detail)
    ('Integrity check failure for new downloaded package', 'PCP 22: 07 (package check failed)')
    >>> str(cause_of(MessageCode.UPGRADE, 0x42)[1])
    'PCP 24: 42 (unknown code)'
    """
    known = meaning(result)
    note = known.name.lower().replace("_", " ") if known == result else "unknown code"
    return CAUSES[known], Detail(at=f"PCP {message.value}", code=code_text(result), note=note)


# -- events --


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDelivered(Uplink):
    """The Write of an answer of ours was answered 2.04: it is in the device, which may say more or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDelivered(Uplink):
    """The same for 19, 20 or 23: the question is in the device. What it says to it comes later, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataObserved(Uplink):
    """Our Observe of 19/0/0 was answered, by 2.05 or 2.04: the device will notify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRefused(Refusal):
    """19/0/0 cannot be observed: an error, or an answer as to a Read (its code is then 2.05)."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationAccepted(Uplink):
    """20 was answered by 00: the upgrade is welcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationDeclined(Uplink):
    """20 was answered by another result."""

    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRefused(Refusal):
    """The Write that carried 20 was answered by an error of CoAP."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequested(Uplink):
    """21: a segment was asked for, and not answered natively."""

    version: str
    segment_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadReported(Uplink):
    """22: the package is in the device, or will not be."""

    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteDeclined(Uplink):
    """23 was answered by another result than 00, or such an answer came unasked."""

    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeReported(Uplink):
    """24: what became of the upgrade, and which version runs."""

    result: int
    version: str


SUBSCRIPTION_ANSWERS: frozenset[type[Event]] = frozenset({DataObserved, SubscriptionRefused})
NOTIFICATION_ANSWERS: frozenset[type[Event]] = frozenset(
    {NotificationAccepted, NotificationDeclined, NotificationRefused}
)
REQUESTS: frozenset[type[Event]] = frozenset({SegmentRequested, DownloadReported, UpgradeReported})
"""What the device asks, and is owed an answer to."""
OWN: frozenset[type[Event]] = (
    SUBSCRIPTION_ANSWERS
    | NOTIFICATION_ANSWERS
    | REQUESTS
    | {FrameDelivered, QuestionDelivered, ExecuteDeclined}
)


def event_of(message: FromDevice) -> Event:
    """What a message of the device is to a negotiation.

    >>> event_of(ExecuteAnswer(result=4)), event_of(VersionAnswer(result=0, version="V0.9"))
    (ExecuteDeclined(result=4), VersionReported(version='V0.9'))
    """
    match message:
        case VersionAnswer(result=ResultCode.OK, version=version):
            return VersionReported(version=version)
        case VersionAnswer(result=result):
            return VersionRefused(code=code_text(result))
        case NotificationAnswer(result=ResultCode.OK):
            return NotificationAccepted()
        case NotificationAnswer(result=result):
            return NotificationDeclined(result=result)
        case SegmentRequest(target_version=version, segment_index=segment_index):
            return SegmentRequested(version=version, segment_index=segment_index)
        case DownloadReport(result=result):
            return DownloadReported(result=result)
        case ExecuteAnswer(result=ResultCode.OK):
            return ExecuteAccepted()
        case ExecuteAnswer(result=result):
            return ExecuteDeclined(result=result)
        case UpgradeReport(result=result, version=version):
            return UpgradeReported(result=result, version=version)


# -- effects --


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureSubscription(Effect):
    """Observe 19/0/0, unless an observation made since the device's last Register stands. Older tokens stay.

    A device keeps one observation of a path: a repetition replaces it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeData(Effect):
    """Observe 19/0/0 with a new token, whatever stands; older tokens stay known. A repetition replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryVersion(Effect):
    """Say 19, to hear which version runs. A question changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantSegments(Effect):
    """Let the edge answer this device's segment requests. Granting twice is granting once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawSegments(Effect):
    """Let it no longer, from this moment on: a finished task's segments are answered by 80.

    What is withdrawn stays so.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyVersion(Effect):
    """Say 20, that this version is to be had. A device that knows version and check code already goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSegment(Effect):
    """Answer 21. A segment that the device does not wait for is ignored by it."""

    segment_index: int
    result: int = ResultCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDownload(Effect):
    """Answer 22. A device that has its answer ignores another."""

    result: int = ResultCode.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteUpgrade(Effect):
    """Say 23, to upgrade now. A device that upgrades already answers by an error or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmUpgrade(Effect):
    """Answer 24. A device that has its answer ignores another."""

    result: int = ResultCode.OK


ANSWERS: frozenset[type[Effect]] = frozenset({AnswerSegment, ConfirmDownload, ConfirmUpgrade})
"""Not to be kept for a device that is out of reach, nor sent again of our own accord: it asks again."""


def message_of(effect: Effect, plan: Plan | None, body: bytes | memoryview = b"") -> FromPlatform | None:
    """The message of an effect; None where it is not said by PCP. `body`: the package bound to the task.

    What is answered to a device without a task needs no plan.

    >>> message_of(ConfirmDownload(), None)
    DownloadAnswer(result=<ResultCode.OK: 0>)
    """
    match effect:
        case QueryVersion():
            return VersionQuery()
        case NotifyVersion():
            assert plan is not None
            return VersionNotification(
                target_version=plan.target_version,
                segment_size=plan.segment_size_bytes,
                segment_count=plan.segment_count,
                version_check_code=plan.version_check_code,
            )
        case AnswerSegment(segment_index=index, result=ResultCode.OK):
            assert plan is not None
            start = index * plan.segment_size_bytes
            segment = bytes(body[start : start + plan.segment_size_bytes])
            assert segment, f"segment {index} lies in the package"
            return SegmentAnswer(segment_index=index, segment=segment)
        case AnswerSegment(segment_index=index, result=result):
            return SegmentAnswer(segment_index=index, result=result)
        case ConfirmDownload(result=result):
            return DownloadAnswer(result=result)
        case ExecuteUpgrade():
            return ExecuteRequest()
        case ConfirmUpgrade(result=result):
            return UpgradeAnswer(result=result)
    return None
