"""The rows of the firmware negotiation until the package is in the device: steps 9 to 11 of the OTA guide."""

from __future__ import annotations

from headgate.upgrade.choices import (
    clear_refused,
    observe_again,
    observed,
    package_reported,
    poll,
    poll_before_start,
    progressed,
    result_by_itself,
    state_before_start,
    state_of_refuser,
    state_of_unheard,
    state_of_writer,
    state_while_downloading,
    uri_cleared,
    uri_refused,
    uri_unanswered,
    uri_written,
    withdrawn,
)
from headgate.upgrade.events import (
    BEGINNINGS,
    DOWNLOADS,
    EXECUTE_ANSWERS,
    RADIO_ANSWERS,
    SLOTS,
    VERSION_ANSWERS,
    CommandReset,
    CommandUnanswered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    TaskCancelled,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import (
    CLEAR_ANSWERS,
    PACKAGE_ANSWERS,
    RESULT_ANSWERS,
    STATE_REFUSALS,
    STATES,
    URI_ANSWERS,
    ClearRefused,
    ClearUri,
    GrantDownload,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
    PackageRefused,
    PackageReported,
    ReadPackage,
    ReadState,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
    WriteUri,
)
from headgate.upgrade.rows import ASKED, NEEDED, Entries, these
from headgate.upgrade.table import Choice, Deadline, Entering, Failed, Row, Since, Stage
from headgate.upgrade.task import Mark, State

BEFORE = these(BEGINNINGS, SLOTS, VERSION_ANSWERS, RADIO_ANSWERS, CommandUnanswered, ObservationEnded)
"""Of earlier states and of earlier tasks, and lost messages, until the package is in the device."""
ASKING = these(BEFORE, EXECUTE_ANSWERS, RESULT_ANSWERS, DeviceHeard)
"""The same while a command of steps 9 and 10 waits for its answer."""
SET_UP = these(PACKAGE_ANSWERS, CLEAR_ANSWERS, URI_ANSWERS)
"""Late answers of steps 9 and 10."""
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


DOWNLOAD_ROWS: dict[State, Row] = {
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
}
