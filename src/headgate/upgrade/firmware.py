"""The firmware negotiation: LwM2M object 5, pull by package URI. Steps 1 to 16 of the OTA guide.

What the order of the rows rests on

- 5/0/3 is observed before the URI is written. The LiteOS client starts, and leaves each State, only when its
  notification of it was acknowledged; without an observation that never happens.
- A device that is not Idle is reset first, by an empty URI.
- Every new Register is followed by a new observation. The token from before stays valid until the task ends:
  the notification of the result may come with it.
- Right after its reboot a device may say State 0, Result 0, and keep saying it: 3/0/3 decides.
"""

from __future__ import annotations

from headgate.upgrade.choices import (
    clear_refused,
    ended,
    execute_refused,
    execute_unanswered,
    executed,
    observe_again,
    observed,
    package_reported,
    poll,
    poll_before_start,
    progressed,
    result_by_itself,
    state_before_execute,
    state_before_start,
    state_of_executor,
    state_of_refuser,
    state_of_refusing_executor,
    state_of_unheard,
    state_of_writer,
    state_read_of_executor,
    state_while_downloading,
    uri_cleared,
    uri_refused,
    uri_unanswered,
    uri_written,
    withdrawn,
)
from headgate.upgrade.events import (
    ABSENCES,
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
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import Choice, Deadline, Entering, Failed, Negotiation, Row, Since, Stage
from headgate.upgrade.object5 import (
    CLEAR_ANSWERS,
    OWN,
    PACKAGE_ANSWERS,
    RESULT_ANSWERS,
    STATE_REFUSALS,
    STATES,
    URI_ANSWERS,
    CancelObservation,
    ClearRefused,
    ClearUri,
    ExecuteUpdate,
    GrantDownload,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
    PackageRefused,
    PackageReported,
    ReadPackage,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
    WithdrawDownload,
    WriteUri,
)
from headgate.upgrade.opening import opening
from headgate.upgrade.results import (
    read_again,
    result_in_check,
    result_read,
    result_while_waiting,
    returned,
    state_in_check,
    state_read,
    state_while_updating,
    state_while_waiting,
    unobserved,
    version_read,
    version_while_waiting,
)
from headgate.upgrade.rows import (
    ASKED,
    CANCELLABLE,
    NEEDED,
    OVER,
    PAST,
    Entries,
    checking,
    endings,
    executing,
    registered,
    these,
    updating,
)
from headgate.upgrade.task import Kind, Mark, State

BEFORE = these(BEGINNINGS, SLOTS, VERSION_ANSWERS, RADIO_ANSWERS, CommandUnanswered, ObservationEnded)
"""Of earlier states and of earlier tasks, and lost messages, until the package is in the device."""
ASKING = these(BEFORE, EXECUTE_ANSWERS, RESULT_ANSWERS, DeviceHeard)
"""The same while a command of steps 9 and 10 waits for its answer."""
SET_UP = these(PACKAGE_ANSWERS, CLEAR_ANSWERS, URI_ANSWERS)
"""Late answers of steps 9 and 10."""
LATE = these(SET_UP, EXECUTE_ANSWERS, ObservationEnded)
"""The same of steps 9 to 12."""
STARTING = Deadline(
    timer="download_start_s", since=Since.STAGE, passed=Failed(Failure.DOWNLOAD_START_TIMEOUT)
)
URI_WRITTEN: Entries = {
    **ASKED,
    TaskCancelled: withdrawn,
    DeviceRegistered: observe_again,
}
BEGUN: Entries = {  # who asks for a block has taken the URI
    UriAccepted: State.WAIT_START,
    DownloadStarted: State.DOWNLOADING,
    DownloadProgressed: State.DOWNLOADING,
}
FETCHING: Entries = {
    **NEEDED,
    TaskCancelled: withdrawn,
    DeviceRegistered: observe_again,
    DeviceHeard: poll,
    ResultReported: result_by_itself,
}


def states(way: Choice) -> Entries:
    """A State is the same news whichever way it came."""
    return dict.fromkeys(STATES, way)


FIRMWARE = Negotiation(
    Kind.FIRMWARE,
    {
        **opening(
            own=OWN,
            ask_version=(ReadVersion(),),
            version_at="3/0/3",
            version_refused=Failure.VERSION_TIMEOUT,
            radio_step=6,
            identified=State.QUERY_RADIO,
            admitted=State.OBSERVE,
        ),
        State.OBSERVE: Row(
            step=9,
            waits="the device to accept the observation of its State",
            at="5/0/3",
            enter=(ObserveState(),),
            stage=Stage.OBSERVE,
            marks=frozenset({Mark.OBSERVED}),
            deadline=STARTING,
            on={
                **ASKED,
                StateObserved: observed,
                ObserveRefused: Failed(Failure.NOT_ONLINE),
                DeviceRegistered: observe_again,
            },
            # A State that comes with an older token does not say that this observation stands.
            ignored=these(ASKING, SET_UP, DOWNLOADS, StateReported, StateRefused),
        ),
        State.COMPARE: Row(
            step=9,
            waits="the device to tell which package it holds",
            at="5/0/1, 5/0/7",
            enter=(ReadPackage(),),
            stage=Stage.OBSERVE,
            deadline=STARTING,
            on={
                **ASKED,
                PackageReported: package_reported,
                PackageRefused: State.CLEAR_URI,
                DeviceRegistered: observe_again,
            },
            ignored=these(ASKING, CLEAR_ANSWERS, URI_ANSWERS, DOWNLOADS, STATES, STATE_REFUSALS),
        ),
        State.CLEAR_URI: Row(
            step=10,
            waits="the device to reset its update machine",
            at="5/0/1",
            enter=Entering(decide=uri_cleared, effects=(ClearUri,)),
            stage=Stage.URI,
            deadline=STARTING,
            on={**URI_WRITTEN, UriCleared: State.WRITE_URI, ClearRefused: clear_refused},
            # States and blocks may be those of what is being reset.
            ignored=these(ASKING, PACKAGE_ANSWERS, URI_ANSWERS, DOWNLOADS, STATES, STATE_REFUSALS),
        ),
        State.WRITE_URI: Row(
            step=10,
            waits="the device to take the package URI",
            at="5/0/1",
            enter=Entering(decide=uri_written, effects=(GrantDownload, WriteUri)),
            resume=(GrantDownload(), ReadState()),
            stage=Stage.URI,
            marks=frozenset({Mark.GRANTED}),
            deadline=STARTING,
            on={
                **URI_WRITTEN,
                **BEGUN,
                StateReported: state_of_writer,
                UriRefused: uri_refused,
                CommandUnanswered: uri_unanswered,
            },
            ignored=these(ASKING, PACKAGE_ANSWERS, CLEAR_ANSWERS, StateObserved, STATE_REFUSALS)
            - {CommandUnanswered},
        ),
        State.CHECK_URI: Row(
            step=10,
            waits="the State of a device that refused the package URI, or was not heard",
            at="5/0/3",
            enter=(ReadState(),),
            stage=Stage.URI,
            deadline=STARTING,
            on={
                **URI_WRITTEN,
                **BEGUN,  # the refusal was that of a repetition
                StateObserved: state_of_refuser,
                StateReported: state_of_unheard,
                StateRefused: Failed(Failure.NOT_ONLINE),
            },
            ignored=these(ASKING, PACKAGE_ANSWERS, CLEAR_ANSWERS, UriRefused, ObserveRefused),
        ),
        State.WAIT_START: Row(
            step=11,
            waits="the device to begin its download",
            resume=(ObserveState(),),
            stage=Stage.DOWNLOAD,
            deadline=STARTING,
            on={
                **FETCHING,
                **states(state_before_start),
                DeviceHeard: poll_before_start,
                DownloadStarted: State.DOWNLOADING,
                DownloadProgressed: State.DOWNLOADING,
            },
            ignored=these(BEFORE, SET_UP, EXECUTE_ANSWERS, STATE_REFUSALS, ResultRefused, CommandReset),
        ),
        State.DOWNLOADING: Row(
            step=11,
            waits="the device to download the package",
            resume=(ObserveState(),),
            stage=Stage.DOWNLOAD,
            deadline=Deadline(
                timer="download_s",
                since=Since.STAGE,
                instead="no_progress_s",
                passed=Failed(Failure.DOWNLOADED_TIMEOUT),
            ),
            on={**FETCHING, **states(state_while_downloading), DownloadProgressed: progressed},
            ignored=these(
                BEFORE, SET_UP, EXECUTE_ANSWERS, STATE_REFUSALS, ResultRefused, CommandReset, DownloadStarted
            ),
        ),
        State.EXECUTE: executing(
            step=12,
            at="5/0/2",
            enter=Entering(decide=executed, effects=(ExecuteUpdate,)),
            resume=(ReadState(),),
            on={
                StateObserved: state_of_executor,
                StateReported: state_read_of_executor,
                CommandUnanswered: execute_unanswered,
                ExecuteRefused: execute_refused,
                TaskCancelled: withdrawn,
                DeviceRegistered: registered(ObserveState()),
            },
            ignored=these(SET_UP, RESULT_ANSWERS, STATE_REFUSALS, ObservationEnded),
        ),
        State.CHECK_EXECUTE: executing(
            step=12,
            at="5/0/3",
            enter=(ReadState(),),
            on={
                **states(state_of_refusing_executor),
                StateRefused: Failed(Failure.NOT_ONLINE),
                TaskCancelled: withdrawn,
                DeviceRegistered: registered(ObserveState()),
            },
            ignored=these(SET_UP, RESULT_ANSWERS, ExecuteRefused, ObserveRefused, ObservationEnded),
        ),
        State.WAIT_EXECUTE: Row(
            step=12,
            waits="the device to be Downloaded by its own account",
            at="5/0/3",
            resume=(ObserveState(),),
            stage=Stage.EXECUTE,
            deadline=Deadline(timer="read_again_s", share=1 / 6, passed=State.CHECK_EXECUTE),
            on={
                **states(state_before_execute),
                ExecuteAccepted: State.UPDATING,
                TaskCancelled: withdrawn,
                DeviceRegistered: registered(ObserveState()),
            },
            ignored=these(
                *(PAST, SET_UP, VERSION_ANSWERS, RESULT_ANSWERS, STATE_REFUSALS),
                *(ExecuteRefused, ObservationEnded, CommandReset, DeviceHeard),
            ),
        ),
        State.UPDATING: updating(
            step=13,
            resume=(ObserveState(),),
            on={
                **states(state_while_updating),
                ResultReported: result_by_itself,
                DeviceHeard: poll,
                DeviceRegistered: returned,
            },
            ignored=these(SET_UP, STATE_REFUSALS, ResultRefused, ObservationEnded),
        ),
        State.READ_RESULT: Row(
            step=14,
            waits="the device's Update Result",
            at="5/0/5",
            enter=(ReadResult(),),
            stage=Stage.UPDATE,
            deadline=Deadline(timer="result_s", passed=State.CHECK),
            on={
                **CANCELLABLE,
                **states(state_read),
                ResultReported: result_read,
                VersionReported: version_read,
                # An error is no answer.
                ResultRefused: State.CHECK,
                VersionRefused: State.CHECK,
                StateRefused: State.CHECK,
                CommandReset: State.CHECK,
                DeviceRegistered: registered(ObserveState()),
            },
            ignored=these(PAST, LATE, ObserveRefused, DeviceHeard),
        ),
        State.WAIT_RESULT: Row(
            step=14,
            waits="the device to tell its Update Result by itself",
            at="5/0/5",
            resume=(ObserveState(),),
            stage=Stage.UPDATE,
            deadline=Deadline(timer="read_again_s", passed=read_again),
            on={
                **CANCELLABLE,
                **states(state_while_waiting),
                ResultReported: result_while_waiting,
                VersionReported: version_while_waiting,
                DeviceRegistered: registered(ObserveState(), ReadResult()),
            },
            ignored=these(
                PAST, LATE, STATE_REFUSALS, ResultRefused, VersionRefused, CommandReset, DeviceHeard
            ),
        ),
        State.UNOBSERVE: Row(
            step=15,
            waits="the device to end the observation",
            at="5/0/3",
            enter=(CancelObservation(),),
            deadline=Deadline(timer="unobserve_s", passed=unobserved),
            on={
                **CANCELLABLE,
                **dict.fromkeys(ABSENCES, unobserved),
                ObservationEnded: unobserved,
                CommandReset: unobserved,
                CommandUnanswered: unobserved,
                DeviceRegistered: unobserved,
            },
            ignored=these(
                OVER,
                VERSION_ANSWERS,
                SET_UP,
                EXECUTE_ANSWERS,
                RESULT_ANSWERS,
                STATES,
                STATE_REFUSALS,
                DeviceHeard,
            ),
        ),
        State.CHECK: checking(
            step=14,
            at="3/0/3",
            enter=(ReadResult(), ReadVersion()),
            proves=lambda task: True,  # what 3/0/3 names is what runs
            early=True,
            on={
                **states(state_in_check),
                ResultReported: result_in_check,
                DeviceHeard: poll,
                DeviceRegistered: registered(ObserveState(), ReadResult(), ReadVersion()),
            },
            ignored=these(SET_UP, STATE_REFUSALS, ResultRefused, ObservationEnded),
        ),
        **endings(
            own=OWN,
            step=16,
            enter=Entering(decide=ended, effects=(CancelObservation, WithdrawDownload, AnnounceOutcome)),
        ),
    },
    SHARED_EVENTS | OWN,
)
