"""A device that may have heard is asked before it is told again. ADR 12; protocol 3.3, traps T14 and T25."""

from __future__ import annotations

import pytest

from headgate.upgrade.events import CommandUnanswered, DeviceHeard, ExecuteAccepted, ExecuteRefused
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import (
    ExecuteUpdate,
    GrantDownload,
    ObserveState,
    ReadResult,
    ReadState,
    ResultReported,
    StateReported,
    UriAccepted,
    UriRefused,
    WriteUri,
)
from headgate.upgrade.task import State
from negotiations import URI

WRITTEN = (GrantDownload(), WriteUri(uri=URI))
AFTER_IT_HEARD = {1: State.DOWNLOADING, 2: State.EXECUTE, 3: State.UPDATING}


def test_a_lost_uri_is_asked_after_and_told_again_to_an_idle_device(script):
    """Whether the request or its answer was lost shows in the State."""
    script.reach(State.WRITE_URI).device(CommandUnanswered()).server(ReadState()).stands(State.CHECK_URI)
    script.device(StateReported(state=0)).stands(State.CHECK_URI)  # a notification may be from before
    script.device(StateReported(state=0, asked=True)).server(*WRITTEN).stands(State.WRITE_URI)


@pytest.mark.parametrize("state", AFTER_IT_HEARD)
def test_a_lost_uri_that_was_heard_is_not_told_again(script, state):
    """Some devices would begin their download again."""
    script.reach(State.WRITE_URI).device(CommandUnanswered()).server(ReadState())
    script.device(StateReported(state=state, asked=True))
    script.server(*script.asked).stands(AFTER_IT_HEARD[state])


def test_a_refusal_after_a_loss_is_weighed_as_any(script):
    """The second telling may be refused like the first."""
    script.reach(State.WRITE_URI).device(CommandUnanswered()).server(ReadState())
    script.device(StateReported(state=0, asked=True)).server(*WRITTEN)
    script.device(UriRefused(code="4.00")).server(ReadState())
    script.device(StateReported(state=0, asked=True)).server(*script.asked)
    script.ends(State.FAILED, Failure.INVALID_URI)


def test_a_failure_that_overtook_the_answer_to_the_uri_is_asked_after(script):
    """It failed before its first block, and said so while its 2.04 was lost: T_dl_start is not to decide."""
    script.reach(State.WRITE_URI).device(StateReported(state=1), StateReported(state=0))
    script.device(UriAccepted()).stands(State.WAIT_START)
    script.clock(50).device(DeviceHeard()).stands(State.WAIT_START)
    script.clock(20).device(DeviceHeard()).server(ReadState())
    script.device(StateReported(state=0, asked=True)).server(ReadResult())
    script.device(ResultReported(result=9))
    script.server(*script.asked).ends(State.FAILED, Failure.INVALID_URI)


@pytest.mark.parametrize("state", AFTER_IT_HEARD)
def test_the_uri_over_a_restart(script, state):
    """The same question, and no URI for who has it."""
    script.reach(State.WRITE_URI).restart(GrantDownload(), ReadState())
    script.device(StateReported(state=state)).stands(State.WRITE_URI)
    script.device(StateReported(state=state, asked=True))
    script.server(*script.asked).stands(AFTER_IT_HEARD[state])


def test_execute_that_was_lost_is_asked_after(script):
    """Downloaded still: it was not heard. Any number of times, within T_up_start."""
    script.reach(State.EXECUTE)
    for _ in range(3):
        script.device(CommandUnanswered()).server(ReadState()).stands(State.CHECK_EXECUTE)
        script.device(StateReported(state=2)).stands(State.CHECK_EXECUTE)
        script.device(StateReported(state=2, asked=True)).server(ExecuteUpdate()).stands(State.EXECUTE)
    script.device(ExecuteAccepted()).stands(State.UPDATING)


def test_execute_that_was_heard_is_not_told_again(script):
    """Whether it updates or is through."""
    script.reach(State.EXECUTE).device(CommandUnanswered()).server(ReadState())
    script.device(StateReported(state=3, asked=True)).stands(State.UPDATING)
    script.device(StateReported(state=0)).server(ReadResult()).stands(State.READ_RESULT)


def test_a_late_acceptance_of_a_lost_execute_counts(script):
    """T25: it is matched by its token for as long as the step lasts."""
    script.reach(State.EXECUTE).device(CommandUnanswered()).server(ReadState())
    script.device(ExecuteAccepted()).stands(State.UPDATING)


def test_execute_over_a_restart(script):
    """The device may have confirmed it to the process that died. What it notifies may be older than that."""
    script.reach(State.EXECUTE).restart(ReadState())
    script.device(StateReported(state=2)).stands(State.EXECUTE)
    script.device(StateReported(state=2, asked=True)).server(ExecuteUpdate()).stands(State.EXECUTE)


def test_a_refused_execute_keeps_its_one_repetition_after_a_loss(script):
    """A loss uses nothing up."""
    script.reach(State.EXECUTE).device(CommandUnanswered()).server(ReadState())
    script.device(StateReported(state=2, asked=True)).server(ExecuteUpdate())
    script.device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateReported(state=2, asked=True)).server(ExecuteUpdate())
    script.device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateReported(state=2, asked=True)).server(*script.asked)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/2: 4.05 (in State 2)")


def test_execute_that_overtook_an_acknowledgement(script):
    """The device is Downloaded when it hears that we know: it repeats its notification, unheard as a copy."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateReported(state=1, asked=True)).stands(State.WAIT_EXECUTE)
    script.deadline(10).server(ReadState())
    script.device(StateReported(state=2, asked=True)).server(ExecuteUpdate()).stands(State.EXECUTE)


@pytest.mark.parametrize("state", [2, 3, 0])
def test_what_is_heard_while_it_is_waited_for(script, state):
    """Downloaded after all, or further already; a repeated Downloading is no news."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateReported(state=1, asked=True)).restart(ObserveState())
    script.device(StateReported(state=1)).stands(State.WAIT_EXECUTE)
    script.device(StateReported(state=state)).server(*script.asked)
    script.stands({2: State.EXECUTE, 3: State.UPDATING, 0: State.READ_RESULT}[state])


def test_a_device_that_stays_downloading_has_refused(script):
    """As published, once it had a minute."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    for _ in range(6):
        script.device(StateReported(state=1, asked=True)).stands(State.WAIT_EXECUTE)
        script.deadline(10).server(ReadState())
    script.device(StateReported(state=1, asked=True)).server(*script.asked)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/2: 4.05 (in State 1)")
