"""Deregistration, expiry, Reset: who is "Device Abnormal is not online", and who is away. Protocol 3.1."""

from __future__ import annotations

import pytest

from headgate.upgrade.events import (
    CommandReset,
    CommandUnanswered,
    DeviceDeregistered,
    DeviceRegistered,
    RegistrationExpired,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import (
    GrantDownload,
    ObserveState,
    ReadState,
    StateReported,
    UriRefused,
    WriteUri,
)
from headgate.upgrade.task import State
from negotiations import URI

ABSENCES = {
    "deregistered": DeviceDeregistered(),
    "registration expired": RegistrationExpired(),
}
ASKING = [
    State.QUERY_VERSION,
    State.QUERY_RADIO,
    State.QUERY_CELL,
    State.OBSERVE,
    State.CLEAR_URI,
    State.WRITE_URI,
    State.CHECK_URI,
]


@pytest.mark.parametrize("state", [*ASKING, State.WAIT_START, State.DOWNLOADING])
@pytest.mark.parametrize("absence", ABSENCES)
def test_a_device_that_leaves_a_step_is_not_online(script, state, absence):
    """While a command waits for its answer, and while the package is downloaded."""
    waits = {
        State.QUERY_VERSION: "the device's version",
        State.DOWNLOADING: "the device to download the package",
    }
    script.reach(state).device(ABSENCES[absence]).server(*script.asked)
    script.ends(State.FAILED, Failure.NOT_ONLINE)
    assert str(script.task.detail).startswith(f"{absence} while waiting for {waits.get(state, '')}")


@pytest.mark.parametrize("state", [State.WAIT_ONLINE, State.WAIT_SLOT, State.WAIT_AWAKE])
@pytest.mark.parametrize("absence", ABSENCES)
def test_a_device_that_is_only_waited_for_may_leave(script, state, absence):
    """T_online governs."""
    script.reach(state).device(ABSENCES[absence]).stands(state)


@pytest.mark.parametrize("state", [State.EXECUTE, State.UPDATING, State.READ_RESULT])
@pytest.mark.parametrize("absence", ABSENCES)
def test_a_device_that_was_told_to_update_may_leave(script, state, absence):
    """Its absence is what an update looks like, a deregistration what a polite one begins with."""
    deadline_s = script.reach(state).task.deadline_s
    script.device(ABSENCES[absence]).stands(state, deadline_s=deadline_s)


@pytest.mark.parametrize("state", [*ASKING, State.EXECUTE])
def test_a_reset_instead_of_an_answer(script, state):
    """The device does not know the server, or the command."""
    script.reach(state).device(CommandReset(command="PUT")).server(*script.asked)
    script.ends(State.FAILED, Failure.NOT_ONLINE, "PUT: RST")


@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING, State.UPDATING])
def test_a_reset_where_nothing_is_waited_for(script, state):
    """It was the answer to a poll, or to a notification's observation."""
    script.reach(state).device(CommandReset()).stands(state)


UNREPEATED = {State.WRITE_URI, State.EXECUTE}  # their commands are not told twice to who may have heard


@pytest.mark.parametrize(
    "state",
    [
        each
        for each in [*ASKING, State.WAIT_START, State.DOWNLOADING, State.UPDATING]
        if each not in UNREPEATED
    ],
)
def test_a_lost_exchange_fails_no_step(script, state):
    """The command stays queued until the step's timer ends (section 3.1)."""
    deadline_s = script.reach(state).task.deadline_s
    script.device(CommandUnanswered()).stands(state, deadline_s=deadline_s)


@pytest.mark.parametrize(
    "state",
    [State.OBSERVE, State.CLEAR_URI, State.WRITE_URI, State.CHECK_URI, State.WAIT_START, State.DOWNLOADING],
)
def test_a_new_registration_is_followed_by_a_new_observation(script, state):
    """At once, and the step stays what it was (traps 26 and 36)."""
    script.reach(state).device(DeviceRegistered()).server(ObserveState()).stands(state)


@pytest.mark.parametrize(
    ("state", "effects"),
    [
        (State.OBSERVE, (ObserveState(),)),
        (State.CHECK_URI, (ReadState(),)),
        (State.WAIT_START, (ObserveState(),)),
        (State.DOWNLOADING, (ObserveState(),)),
        (State.UPDATING, (ObserveState(),)),
    ],
)
def test_after_a_restart_the_question_is_put_again(script, state, effects):
    """Or the observation is, where nothing is asked: its answer holds the State."""
    script.reach(state).restart(*effects)


def test_after_a_restart_the_uri_is_written_in_the_format_that_was_found(script):
    """What was tried is part of the task."""
    script.reach(State.WRITE_URI).device(UriRefused(code="4.15")).server(*script.asked)
    script.restart(GrantDownload(), ReadState())
    script.device(StateReported(state=0, asked=True)).server(WriteUri(uri=URI, tlv=True))


def test_after_the_end_nothing_is_asked(script):
    """What was committed and is not done yet is the store's to remember."""
    script.reach(State.WAIT_START).device(DeviceDeregistered()).server(*script.asked).restart()
