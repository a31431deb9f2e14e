"""Messages that come twice, late, not at all, or before those that were sent earlier. Protocol 3.3 and 7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.upgrade import advance
from headgate.upgrade.events import (
    Activated,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    ExecuteAccepted,
    ExecuteRefused,
    RadioReported,
    SlotGranted,
    Uplink,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import (
    ClearUri,
    ExecuteUpdate,
    ObservationEnded,
    ReadResult,
    ResultReported,
    StateObserved,
    StateReported,
    UriAccepted,
    UriCleared,
    WriteUri,
)
from headgate.upgrade.task import State
from negotiations import OLD, Script, radio

WHOLE = (
    Activated(),
    DeviceHeard(),
    VersionReported(version=OLD),
    RadioReported(radio=radio()),
    SlotGranted(awake=True),
    StateObserved(state=2),
    UriCleared(),
    UriAccepted(),
    StateReported(state=1),
    DownloadStarted(),
    DownloadProgressed(),
    StateReported(state=2),
    ExecuteAccepted(),
    StateReported(state=3),
    DeviceRegistered(),
    StateObserved(state=0),
    ResultReported(result=1),
    ObservationEnded(),
)
ONCE = {ClearUri, WriteUri, ExecuteUpdate}


def asked_for(events):
    """How it ends, and the commands that change something in the device."""
    script, commands = Script(), []
    for event in events:
        script.device(event)
        commands += [type(effect) for effect in script.asked if type(effect) in ONCE]
        script.asked.clear()
        script.now += 1
    return script.task, commands


def test_every_message_may_come_twice():
    """The device is told the same, and ends the same."""
    twice = [event for event in WHOLE for _ in range(1 + isinstance(event, Uplink))]
    task, commands = asked_for(twice)
    assert task.state is State.SUCCESS
    assert commands == [ClearUri, WriteUri, ExecuteUpdate]


@pytest.mark.parametrize("late", [event for event in WHOLE if isinstance(event, Uplink)], ids=str)
def test_every_message_may_come_again_later(late):
    """After each of those that followed it; what a repetition says of the past leads to no second command."""
    index = WHOLE.index(late)
    for after in range(index + 1, len(WHOLE)):
        task, commands = asked_for([*WHOLE[: after + 1], late, *WHOLE[after + 1 :]])
        assert commands == [ClearUri, WriteUri, ExecuteUpdate], WHOLE[after]
        if not isinstance(late, StateReported | VersionReported):  # these may be the question of the moment
            assert task.state is State.SUCCESS, WHOLE[after]
        assert task.state is not State.FAILED, WHOLE[after]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (StateReported(state=1), UriAccepted()),
        (DownloadStarted(), UriAccepted()),
        (StateReported(state=3), ExecuteAccepted()),
        (DownloadStarted(), StateReported(state=1)),
        (ResultReported(result=1), StateObserved(state=0)),
    ],
)
def test_an_answer_may_come_after_what_follows_from_it(first, second):
    """A notification overtakes a slow acknowledgement."""
    events = [event for event in WHOLE if event not in (first, second)]
    index = min(WHOLE.index(first), WHOLE.index(second))
    task, commands = asked_for([*events[:index], first, second, *events[index:]])
    assert task.state is State.SUCCESS
    assert commands == [ClearUri, WriteUri, ExecuteUpdate]


@pytest.mark.parametrize("lost", [8, 9, 10, 13, 15])
def test_a_notification_may_be_lost(lost):
    """State 1, the start, progress, State 3, the State after the reboot: none is indispensable."""
    events = [event for index, event in enumerate(WHOLE) if index != lost]
    task, commands = asked_for(events)
    assert task.state is State.SUCCESS
    assert commands == [ClearUri, WriteUri, ExecuteUpdate]


def test_only_the_state_after_the_reboot_is_told(script):
    """Neither State 2 nor a Register was heard of: the poll finds out."""
    script.reach(State.UPDATING).clock(400).device(DeviceHeard()).server(*script.asked)
    script.device(StateReported(state=0)).server(ReadResult())


@pytest.mark.parametrize("state", [State.SUCCESS, State.FAILED, State.CANCELLED, State.DONE_SAME])
def test_after_the_end_nothing_happens_any_more(script, state):
    """Trap 28: "Downloading" after the result was reported; and whatever else comes."""
    over = replace(script.reach(State.DOWNLOADING).task, state=state, deadline_s=None)
    for event in (*WHOLE, ExecuteRefused(code="4.05")):
        assert advance(over, event, script.now) == (over, ())


def test_an_execute_that_was_refused_late_changes_nothing(script):
    """Its repetition was taken."""
    script.reach(State.UPDATING).device(ExecuteRefused(code="4.05")).stands(State.UPDATING)
    script.deadline(1800).server(*script.asked).deadline(180).server(*script.asked)
    script.ends(State.FAILED, Failure.CHECK_TIMEOUT)
