"""The shared rows serve another negotiation too: one whose device speaks of segments, and not of object 5."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from headgate.upgrade.events import (
    DOWNLOADS,
    EXECUTE_ANSWERS,
    RADIO_ANSWERS,
    SHARED_EVENTS,
    VERSION_ANSWERS,
    Activated,
    AnnounceOutcome,
    DeadlinePassed,
    DeviceHeard,
    DeviceRegistered,
    DownloadStarted,
    Effect,
    ExecuteAccepted,
    ExecuteRefused,
    RadioReported,
    SlotGranted,
    Uplink,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.opening import opening
from headgate.upgrade.rows import ASKED, PAST, checking, endings, executing, registered, these, updating
from headgate.upgrade.table import NOTHING, Choice, Deadline, Entering, Failed, Row, Since
from headgate.upgrade.task import Kind, Mark, State, Task
from negotiations import NOON_S, OLD, PLAN, TARGET, check_step, radio


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageKept(Uplink):
    """The device has all segments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Effect):
    """Ask for the version. A question changes nothing."""


OWN = frozenset({PackageKept})
STAYS = Choice(lambda task, event, now: NOTHING, (), stays=True)
TABLE = Negotiation(
    Kind.FIRMWARE,
    {
        **opening(
            own=OWN,
            ask_version=(Query(),),
            version_at="PCP 19",
            version_refused=Failure.NOT_ONLINE,
            radio_step=7,
            identified=State.QUERY_RADIO,
            admitted=State.DOWNLOADING,
        ),
        State.DOWNLOADING: Row(
            step=11,
            waits="the device to download the package",
            deadline=Deadline(
                timer="download_s", since=Since.ENTERED, passed=Failed(Failure.DOWNLOADED_TIMEOUT)
            ),
            on={**ASKED, PackageKept: State.EXECUTE},
            ignored=these(
                PAST - ASKED.keys(), VERSION_ANSWERS, EXECUTE_ANSWERS, DeviceHeard, DeviceRegistered
            ),
        ),
        State.EXECUTE: executing(
            step=12,
            at="PCP 23",
            enter=(),
            on={ExecuteRefused: Failed(Failure.UPDATE_FAILED), DeviceRegistered: registered()},
            ignored=OWN,
        ),
        State.UPDATING: updating(
            step=14, resume=(), on={DeviceRegistered: registered(), DeviceHeard: STAYS}, ignored=OWN
        ),
        State.CHECK: checking(
            step=14,
            at="PCP 19",
            enter=(Query(),),
            proves=lambda task: Mark.REGISTERED in task.marks,
            early=True,
            on={DeviceRegistered: registered(Query()), DeviceHeard: STAYS},
            ignored=OWN,
        ),
        **endings(
            own=OWN,
            step=15,
            enter=Entering(decide=lambda task: (AnnounceOutcome(),), effects=(AnnounceOutcome,)),
        ),
    },
    SHARED_EVENTS | OWN,
)
TO_CHECK = (
    Activated(),
    DeviceHeard(),
    VersionReported(version=OLD),
    RadioReported(radio=radio()),
    SlotGranted(awake=True),
    DownloadStarted(),
    PackageKept(),
    ExecuteAccepted(),
)


def negotiated(*events):
    """The task after these events, and what was asked for last; a deadline passes when it does."""
    task, effects = Task.created(id="1", endpoint="ep", plan=PLAN, now=NOON_S), ()
    for event in events:
        now = task.deadline_s if isinstance(event, DeadlinePassed) else NOON_S
        before = task
        task, effects = TABLE.advance(before, event, now)
        check_step(TABLE, before, event, now, task, effects)
    return task, effects


def test_events_of_its_own_prove_that_the_device_is_there():
    """In WAIT_ONLINE, and where a sleeper is waited for."""
    assert negotiated(Activated(), PackageKept())[1] == (Query(),)
    task, _ = negotiated(*TO_CHECK[:4], SlotGranted(awake=False), PackageKept())
    assert task.state is State.DOWNLOADING


def test_steps_and_causes_are_its_own():
    """The software flow asks for the radio in step 7, and a refused version is another cause."""
    assert (TABLE.rows[State.QUERY_RADIO].step, TABLE.rows[State.QUERY_CELL].step) == (7, 9)
    task, _ = negotiated(*TO_CHECK[:2], VersionRefused(code="7F"))
    assert (task.failure, str(task.detail)) == (Failure.NOT_ONLINE, "PCP 19: 7F")


@pytest.mark.parametrize(
    "when", ["never", "before Execute", "while executing", "while updating", "in the check"]
)
def test_a_version_is_proof_only_where_the_device_has_returned(when):
    """Some devices tell the target version from the notification on, updated or not (trap 33)."""
    told = {
        "never": TO_CHECK,
        "before Execute": (*TO_CHECK[:6], DeviceRegistered(), *TO_CHECK[6:]),
        "while executing": (*TO_CHECK[:7], DeviceRegistered(), *TO_CHECK[7:]),
        "while updating": (*TO_CHECK, DeviceRegistered()),
        "in the check": TO_CHECK,
    }[when]
    returned = (DeviceRegistered(),) if when == "in the check" else ()
    task, _ = negotiated(
        *told, DeadlinePassed(), *returned, VersionReported(version=TARGET), DeadlinePassed()
    )
    if when in ("never", "before Execute"):
        assert (task.state, task.failure) == (State.FAILED, Failure.RESULT_TIMEOUT)
    else:
        assert task.state is State.SUCCESS


def test_what_is_not_said_of_a_shape_is_noticed():
    """A negotiation that forgets its own entries is refused."""
    rows = dict(TABLE.rows) | {State.EXECUTE: executing(step=12, at="PCP 23", enter=(), on={}, ignored=OWN)}
    with pytest.raises(AssertionError, match="DeviceRegistered"):
        Negotiation(Kind.FIRMWARE, rows, SHARED_EVENTS | OWN)
    assert RADIO_ANSWERS | DOWNLOADS <= PAST
