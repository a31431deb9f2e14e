"""What happens to a task and what it asks of the house: the events and effects that the negotiations share.

An event is a past participle and a fact: something came from the device, the clock or an operator. The
orchestrator makes it out of a message and hands it to `advance`.

An effect is an imperative. Effects leave the house after the task that asked for them is committed, so a
crash in between repeats them: every effect may be repeated after a restart, and each says why this does no
harm. A command to the device that still waits for its answer is one command, however often it is asked for:
it is kept, and sent whenever the device is awake, until it is answered or the task no longer wants it.
"""

from __future__ import annotations

from dataclasses import dataclass

from headgate.upgrade.radio import Measurement

# -- events --


class Event:
    """Something that happened."""

    __slots__ = ()


class Uplink(Event):
    """Something that came from the device: it is online, and awake at this moment."""

    __slots__ = ()


class Refusal(Uplink):
    """A question or command was answered by an error; `code` is the CoAP code, such as `4.04`."""

    __slots__ = ()
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated(Event):
    """The task's turn has come: its campaign runs, and no other task of the device is active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflicted(Event):
    """The device is busy with another task or maintenance command, `other`."""

    other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCancelled(Event):
    """An operator ended the task."""

    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    """It is the task's `deadline_s` or later. One that comes early is ignored: no timer need be cancelled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHeard(Uplink):
    """Any uplink that is no other event: an Update, ordinary data, a notification of something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRegistered(Uplink):
    """A new Register: the device has forgotten what is observed. Queued commands and tokens are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceDeregistered(Event):
    """The device said that it goes. No Uplink: nobody is there any more to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationExpired(Event):
    """The registration's lifetime ended without an Update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReset(Uplink):
    """A command was answered by a Reset message. `command` names its resource or message."""

    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandUnanswered(Event):
    """A command's exchange timed out. It stays queued: deadlines fail a step, lost messages do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReported(Uplink):
    """The device told which version it runs."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRefused(Refusal):
    """The device did not tell its version."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioReported(Uplink):
    """Object 4 was read; `radio` is what `radio.measured` made of it, complete or not."""

    radio: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioRefused(Refusal):
    """Object 4 cannot be read as a whole."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellReported(Uplink):
    """4/0/8 was read: the raw cell ID."""

    cell_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRefused(Refusal):
    """4/0/8 cannot be read."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGranted(Event):
    """Admission gave the task a slot of its cell. `awake`: a command sent now would reach the device."""

    awake: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRevoked(Event):
    """Admission takes the slot back from a silent device, since others wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadStarted(Uplink):
    """The first block or segment of this task's package was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadProgressed(Uplink):
    """More of the package was asked for than ever before in this task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteAccepted(Uplink):
    """The device will update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRefused(Refusal):
    """The device will not update, or cannot now."""

    code: str


SHARED_EVENTS: frozenset[type[Event]] = frozenset(
    {
        Activated,
        Conflicted,
        TaskCancelled,
        DeadlinePassed,
        DeviceHeard,
        DeviceRegistered,
        DeviceDeregistered,
        RegistrationExpired,
        CommandReset,
        CommandUnanswered,
        VersionReported,
        VersionRefused,
        RadioReported,
        RadioRefused,
        CellReported,
        CellRefused,
        SlotGranted,
        SlotRevoked,
        DownloadStarted,
        DownloadProgressed,
        ExecuteAccepted,
        ExecuteRefused,
    }
)

# Groups, so that a row can say in a few words what it ignores.
BEGINNINGS: frozenset[type[Event]] = frozenset({Activated, Conflicted})
ABSENCES: frozenset[type[Event]] = frozenset({DeviceDeregistered, RegistrationExpired})
SLOTS: frozenset[type[Event]] = frozenset({SlotGranted, SlotRevoked})
VERSION_ANSWERS: frozenset[type[Event]] = frozenset((VersionReported, VersionRefused))
RADIO_ANSWERS: frozenset[type[Event]] = frozenset({RadioReported, RadioRefused, CellReported, CellRefused})
DOWNLOADS: frozenset[type[Event]] = frozenset({DownloadStarted, DownloadProgressed})
EXECUTE_ANSWERS: frozenset[type[Event]] = frozenset({ExecuteAccepted, ExecuteRefused})

# -- effects --


class Effect:
    """Something that the house shall do."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRadio(Effect):
    """Read 4/0. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCell(Effect):
    """Read 4/0/8. A reading changes nothing in the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceOutcome(Effect):
    """Tell console and web hooks how the task ended. They know it by its id: a repetition is no news."""
