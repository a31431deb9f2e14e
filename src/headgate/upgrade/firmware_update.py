"""The rows of the firmware negotiation from Execute to the result: steps 12 to 15 of the OTA guide."""

from __future__ import annotations

from headgate.upgrade.choices import (
    execute_refused,
    execute_unanswered,
    executed,
    poll,
    result_by_itself,
    state_before_execute,
    state_of_executor,
    state_of_refusing_executor,
    state_read_of_executor,
    withdrawn,
)
from headgate.upgrade.events import (
    ABSENCES,
    EXECUTE_ANSWERS,
    VERSION_ANSWERS,
    CommandReset,
    CommandUnanswered,
    DeviceHeard,
    DeviceRegistered,
    ExecuteAccepted,
    ExecuteRefused,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.firmware_download import SET_UP, states
from headgate.upgrade.object5 import (
    RESULT_ANSWERS,
    STATE_REFUSALS,
    STATES,
    CancelObservation,
    ExecuteUpdate,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
)
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
from headgate.upgrade.rows import CANCELLABLE, OVER, PAST, checking, executing, registered, these, updating
from headgate.upgrade.table import Deadline, Entering, Failed, Row, Stage
from headgate.upgrade.task import State

LATE = these(SET_UP, EXECUTE_ANSWERS, ObservationEnded)
"""Late answers of steps 9 to 12."""

UPDATE_ROWS: dict[State, Row] = {
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
        ignored=these(PAST, LATE, STATE_REFUSALS, ResultRefused, VersionRefused, CommandReset, DeviceHeard),
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
}
