"""LwM2M object 5, Firmware Update, to a negotiation: its values, what it says, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from headgate.upgrade.events import Effect, Event, Refusal, Uplink
from headgate.upgrade.failure import Detail, Failure


class UpdateState(IntEnum):
    """5/0/3."""

    IDLE = 0
    DOWNLOADING = 1
    DOWNLOADED = 2
    UPDATING = 3


class UpdateResult(IntEnum):
    """5/0/5. From 2 on they are failures, except for DEFERRED."""

    INITIAL = 0
    SUCCEEDED = 1
    NOT_ENOUGH_FLASH = 2
    OUT_OF_RAM = 3
    CONNECTION_LOST = 4
    INTEGRITY_FAILED = 5
    UNSUPPORTED_PACKAGE = 6
    INVALID_URI = 7
    UPDATE_FAILED = 8
    UNSUPPORTED_PROTOCOL = 9
    CANCELLED = 10
    DEFERRED = 11


CAUSES: dict[int, Failure] = {
    UpdateResult.NOT_ENOUGH_FLASH: Failure.STORAGE,
    UpdateResult.OUT_OF_RAM: Failure.MEMORY,
    UpdateResult.CONNECTION_LOST: Failure.CONNECTION_LOST,
    UpdateResult.INTEGRITY_FAILED: Failure.INTEGRITY,
    UpdateResult.UNSUPPORTED_PACKAGE: Failure.PACKAGE_TYPE,
    UpdateResult.INVALID_URI: Failure.INVALID_URI,
    UpdateResult.UPDATE_FAILED: Failure.UPDATE_FAILED,
    UpdateResult.UNSUPPORTED_PROTOCOL: Failure.INVALID_URI,
    UpdateResult.CANCELLED: Failure.UPDATE_FAILED,
}
NOTES: dict[int, str] = {
    UpdateResult.UNSUPPORTED_PROTOCOL: "unsupported protocol",
    UpdateResult.CANCELLED: "cancelled, not by us",
}


def cause_of(result: int) -> tuple[Failure, Detail]:
    """The failure that an Update Result means; one that nobody knows is a failed update.

    >>> failure, detail = cause_of(9)
    >>> failure.value, str(detail)
    ('Invalid URI', '5/0/5: 9 (unsupported protocol)')
    >>> cause_of(77)[0].value
    'Firmware update failed'
    """
    detail = Detail(at="5/0/5", code=str(int(result)), note=NOTES.get(result, ""))
    return CAUSES.get(result, Failure.UPDATE_FAILED), detail


# -- events --


@dataclass(frozen=True, slots=True, kw_only=True)
class StateObserved(Uplink):
    """Our Observe of 5/0/3 was answered: the device will notify. `state` is what the answer held."""

    state: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRefused(Refusal):
    """5/0/3 cannot be observed, in no content format."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReported(Uplink):
    """5/0/3 was notified or read. Notifications of one token come in the order of RFC 7641 section 3.4."""

    state: int
    asked: bool = False
    """Whether it answers a reading. A notification that is repeated may be older than our last command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRefused(Refusal):
    """5/0/3 cannot be read."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageReported(Uplink):
    """5/0/1 and 5/0/7 were read: which package the device holds."""

    uri: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRefused(Refusal):
    """5/0/1 or 5/0/7 cannot be read; the latter is optional."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UriCleared(Uplink):
    """The empty URI was taken: the update machine is Idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearRefused(Refusal):
    """The empty URI was not taken."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UriAccepted(Uplink):
    """The package URI was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UriRefused(Refusal):
    """The package URI was not taken."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReported(Uplink):
    """5/0/5 was read, or the device sent it of its own accord."""

    result: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRefused(Refusal):
    """5/0/5 cannot be read."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationEnded(Uplink):
    """The end of the observation was answered, whatever the code."""


STATES: frozenset[type[Event]] = frozenset({StateObserved, StateReported})
STATE_REFUSALS: frozenset[type[Event]] = frozenset({ObserveRefused, StateRefused})
PACKAGE_ANSWERS: frozenset[type[Event]] = frozenset({PackageReported, PackageRefused})
CLEAR_ANSWERS: frozenset[type[Event]] = frozenset({UriCleared, ClearRefused})
URI_ANSWERS: frozenset[type[Event]] = frozenset({UriAccepted, UriRefused})
RESULT_ANSWERS: frozenset[type[Event]] = frozenset({ResultReported, ResultRefused})
OWN: frozenset[type[Event]] = (
    STATES
    | STATE_REFUSALS
    | PACKAGE_ANSWERS
    | CLEAR_ANSWERS
    | URI_ANSWERS
    | RESULT_ANSWERS
    | {ObservationEnded}
)

# -- effects --


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadVersion(Effect):
    """Read 3/0/3. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveState(Effect):
    """Observe 5/0/3 with a new token; the task's older tokens stay known.

    A device keeps one observation of a path: a repetition replaces it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadState(Effect):
    """Read 5/0/3. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPackage(Effect):
    """Read 5/0/1 and 5/0/7. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearUri(Effect):
    """Write an empty 5/0/1. A device that is Idle stays so."""

    tlv: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantDownload(Effect):
    """Let the edge serve the package to this device at the task's URI. Granting twice is granting once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteUri(Effect):
    """Write the URI to 5/0/1, as text or as TLV.

    A device that has taken it already refuses or takes it again: both have their entries.
    """

    uri: str
    tlv: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteUpdate(Effect):
    """Execute 5/0/2, without payload. A device that updates already refuses, and is asked for its State."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult(Effect):
    """Read 5/0/5. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelObservation(Effect):
    """Observe 5/0/3 with value 1 and the observation's token. Best effort; to cancel nothing does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelUpdate(Effect):
    """Execute 5/0/10 where the device has it, else write an empty 5/0/1.

    Best effort; a device that is Idle stays so.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDownload(Effect):
    """Stop serving the package to this device, when the operator's time for late requests is over.

    What is withdrawn stays so.
    """
