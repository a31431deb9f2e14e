"""From the first uplink to the notification, over PCP, as scripts. Protocol 3.2, 1.10; traps 20, 33, 36."""

from __future__ import annotations

import pytest

from headgate.upgrade.events import (
    Activated,
    AnnounceOutcome,
    CommandReset,
    CommandUnanswered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    ExecuteAccepted,
    RadioReported,
    ReadRadio,
    SlotGranted,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object19 import (
    ConfirmDownload,
    ConfirmUpgrade,
    DataObserved,
    EnsureSubscription,
    ExecuteUpgrade,
    FrameDelivered,
    NotificationAccepted,
    NotificationDeclined,
    NotificationRefused,
    NotifyVersion,
    QueryVersion,
    QuestionDelivered,
    SubscribeData,
    SubscriptionRefused,
)
from headgate.upgrade.task import Mark, State
from negotiations import OLD, SOFTWARE_PLAN, TARGET, Script, radio
from pcp_lines import ASK, DONE, DOWNLOADED, OVER, TELL, segment, served


def to_slot(script):
    """Steps 1 to 9."""
    script.house(Activated()).device(DeviceHeard()).server(*ASK)
    script.device(QuestionDelivered(), VersionReported(version=OLD)).server(SubscribeData())
    script.device(DataObserved()).server(ReadRadio())
    script.device(RadioReported(radio=radio())).stands(State.WAIT_SLOT)
    return script.house(SlotGranted(awake=True)).server(*TELL)


# -- the whole way --


def test_a_device_is_upgraded(software):
    """Steps 1 to 15: the generation that answers 20."""
    to_slot(software).device(QuestionDelivered(), NotificationAccepted()).stands(State.WAIT_START)
    for index in range(3):
        software.device(segment(index)).server(served(index)).device(FrameDelivered())
    software.stands(State.DOWNLOADING)
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade()).stands(State.EXECUTE)
    software.device(ExecuteAccepted()).stands(State.UPDATING)
    software.clock(40).device(DeviceRegistered()).server(EnsureSubscription())
    software.device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


def test_the_older_generation_goes_straight_to_21(software):
    """A segment request is as good as the answer to 20, and is answered (section 1.5)."""
    to_slot(software).device(segment(0)).server(served(0)).stands(State.DOWNLOADING)
    software.device(segment(1)).server(served(1)).device(segment(2)).server(served(2))
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


@pytest.mark.parametrize("state", [State.NOTIFY, State.WAIT_START, State.COMPARE, State.DOWNLOADING])
def test_a_device_that_holds_every_segment_says_22_at_once(software, state):
    """Same version, same check code: nothing to download."""
    software.reach(state).device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.stands(State.EXECUTE)


@pytest.mark.parametrize("event", [DownloadStarted(), DownloadProgressed()])
@pytest.mark.parametrize("state", [State.NOTIFY, State.WAIT_START, State.COMPARE])
def test_segments_that_are_served_natively_begin_a_download_too(software, state, event):
    """The edge tells of the first; nobody asks for an answer."""
    software.reach(state).device(event).stands(State.DOWNLOADING)


def test_a_device_on_the_target_version_is_left_alone(software):
    """Step 5."""
    software.reach(State.QUERY_VERSION).device(VersionReported(version=TARGET)).server(AnnounceOutcome())
    software.ends(State.DONE_SAME, detail="PCP 19: V1.1 (current version is the same as the target version)")


# -- step 4: what 19 proves --


def test_a_retried_task_does_not_believe_19(software):
    """After an earlier 20 some devices name the target version, upgraded or not (trap 33)."""
    script = Script(SOFTWARE_PLAN, notified_before=True).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=TARGET)).server(SubscribeData()).stands(State.SUBSCRIBE)
    script.device(DataObserved()).server(ReadRadio()).device(RadioReported(radio=radio()))
    script.house(SlotGranted(awake=True)).server(*TELL)
    script.device(NotificationDeclined(result=3)).server(QueryVersion())
    script.device(VersionReported(version=TARGET)).server(*OVER).ends(State.DONE_SAME)


def test_a_retried_task_of_a_device_in_mid_download_goes_on(software):
    """It names the target version, and has half of the package: 20 makes it go on."""
    script = Script(SOFTWARE_PLAN, notified_before=True).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=TARGET)).server(SubscribeData()).device(DataObserved())
    script.server(ReadRadio()).device(RadioReported(radio=radio()))
    script.house(SlotGranted(awake=True)).server(*TELL)
    script.device(segment(2)).server(served(2)).stands(State.DOWNLOADING)


@pytest.mark.parametrize("code", ["01", "7F", "4.04", "5.03"])
def test_a_version_that_is_refused(software, code):
    """By PCP or by CoAP: not online."""
    software.reach(State.QUERY_VERSION).device(VersionRefused(code=code)).server(AnnounceOutcome())
    software.ends(State.FAILED, Failure.NOT_ONLINE, f"PCP 19: {code}")


# -- step 6: subscribe --


@pytest.mark.parametrize("answer", [SubscriptionRefused(code="4.05"), CommandReset(command="19/0/0")])
def test_the_observation_of_the_registration_will_do(software, answer):
    """It brought the version, so it delivers."""
    software.reach(State.SUBSCRIBE).device(answer).server(ReadRadio()).stands(State.QUERY_RADIO)


def test_a_subscription_that_is_not_answered_will_do_too(software):
    """The step is nominal; the same observation stands."""
    software.reach(State.SUBSCRIBE).deadline(180).server(ReadRadio())


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(SubscriptionRefused(code="4.05"), "19/0/0: 4.05"), (CommandReset(), "19/0/0: RST")],
)
def test_without_any_observation_the_device_is_not_online(software, answer, detail):
    """A new Register ended the one that brought the version."""
    software.reach(State.SUBSCRIBE).device(DeviceRegistered()).server(SubscribeData())
    software.device(answer).server(AnnounceOutcome()).ends(State.FAILED, Failure.NOT_ONLINE, detail)


def test_without_any_observation_time_is_limited(software):
    """The same in silence."""
    software.reach(State.SUBSCRIBE).device(DeviceRegistered()).server(SubscribeData())
    software.deadline(180).server(AnnounceOutcome()).ends(State.FAILED, Failure.NOT_ONLINE)


# -- after every Register: observe again (trap 36) --


OBSERVED_AGAIN = {
    State.QUERY_VERSION: (EnsureSubscription(), QueryVersion()),
    State.SUBSCRIBE: (SubscribeData(),),
    State.QUERY_RADIO: (EnsureSubscription(),),
    State.QUERY_CELL: (EnsureSubscription(),),
    State.WAIT_SLOT: (EnsureSubscription(),),
    State.WAIT_AWAKE: TELL,
    State.NOTIFY: (EnsureSubscription(), NotifyVersion()),
    State.COMPARE: (EnsureSubscription(), QueryVersion()),
    State.WAIT_START: (EnsureSubscription(), NotifyVersion()),
    State.DOWNLOADING: (EnsureSubscription(), NotifyVersion()),
    State.EXECUTE: (EnsureSubscription(),),
    State.UPDATING: (EnsureSubscription(),),
}


@pytest.mark.parametrize("state", OBSERVED_AGAIN)
def test_a_new_register_is_followed_by_an_observation(software, state):
    """And where a question is open, by that: the device has rebooted, and may have lost it."""
    software.reach(state).device(DeviceRegistered()).server(*OBSERVED_AGAIN[state])
    assert software.task.state is (State.NOTIFY if state is State.WAIT_AWAKE else state)


def test_a_device_that_lost_its_power_resumes_where_it_says(software):
    """At any segment; the generation that keeps nothing starts again at 0."""
    for resumed in range(3):
        script = Script(SOFTWARE_PLAN).reach(State.DOWNLOADING)
        script.device(segment(1)).server(served(1))
        script.device(DeviceRegistered()).server(EnsureSubscription(), NotifyVersion())
        script.device(NotificationAccepted()).device(segment(resumed)).server(served(resumed))
        script.stands(State.DOWNLOADING)


# -- questions are repeated --


REPEATED = {
    State.QUERY_VERSION: QueryVersion(),
    State.NOTIFY: NotifyVersion(),
    State.WAIT_START: NotifyVersion(),
    State.COMPARE: QueryVersion(),
    State.EXECUTE: ExecuteUpgrade(),
}


@pytest.mark.parametrize("state", REPEATED)
def test_a_question_is_repeated_at_another_uplink_after_30_s(software, state):
    """Three transmissions at most, 30 s after they were there, within the timer of the step (section 1.10).

    The last goes with a new observation: who was not heard may have ended the old one (RFC 7641, 4.5).
    """
    question = REPEATED[state]
    software.reach(state)
    deadline_s = software.task.deadline_s
    software.device(QuestionDelivered()).clock(29).device(DeviceHeard())
    software.clock(1).device(DeviceHeard()).server(question).clock(5).device(QuestionDelivered())
    software.clock(29).device(DeviceHeard())
    software.clock(1).device(DeviceHeard()).server(SubscribeData(), question).device(QuestionDelivered())
    software.clock(60).device(DeviceHeard()).device(DeviceHeard()).stands(state, deadline_s=deadline_s)


@pytest.mark.parametrize("state", [state for state in REPEATED if state is not State.WAIT_START])
def test_a_question_that_is_still_on_its_way_is_not_repeated(software, state):
    """Its command waits and is repeated by CoAP: those uplinks use up none of the three transmissions."""
    software.reach(state)
    for _ in range(5):
        software.clock(31).device(DeviceHeard())
    software.device(QuestionDelivered()).stands(state)
    assert software.task.marks.isdisjoint({Mark.RESENT, Mark.RESENT_AGAIN})


@pytest.mark.parametrize("state", REPEATED)
def test_silence_draws_no_repetition(software, state):
    """Nobody is there to hear it; nor is the delivery of a frame a reason, its answer is on its way."""
    software.reach(state).clock(100).device(QuestionDelivered(), FrameDelivered(), CommandUnanswered())
    software.stands(state)


def test_each_state_has_its_own_repetitions(software):
    """What one used up, the next has again."""
    software.reach(State.NOTIFY).device(QuestionDelivered())
    for asked in ((NotifyVersion(),), (SubscribeData(), NotifyVersion())):
        software.clock(30).device(DeviceHeard()).server(*asked).device(QuestionDelivered())
    software.device(NotificationAccepted())
    for asked in ((NotifyVersion(),), (SubscribeData(), NotifyVersion())):
        software.clock(30).device(DeviceHeard()).server(*asked).device(QuestionDelivered())
    software.clock(40).device(DeviceHeard()).stands(State.WAIT_START)


def test_registers_do_not_repeat_a_question_without_end(software):
    """They count like other uplinks."""
    software.reach(State.NOTIFY).device(QuestionDelivered())
    for _ in range(2):
        software.device(DeviceRegistered()).server(EnsureSubscription(), NotifyVersion())
        software.device(QuestionDelivered())
    software.device(DeviceRegistered()).server(EnsureSubscription())


# -- step 10: the notification --


def test_a_device_that_has_the_newest_version_is_asked_for_it(software):
    """03, then 19: the target version."""
    software.reach(State.NOTIFY).device(NotificationDeclined(result=3)).server(QueryVersion())
    software.device(VersionReported(version=TARGET)).server(*OVER)
    software.ends(State.DONE_SAME, detail="PCP 20: 03 (current version is the same as the target version)")


def test_a_newest_version_that_is_another(software):
    """03, then 19: not the target version."""
    software.reach(State.COMPARE).device(VersionReported(version=OLD)).server(*OVER)
    software.ends(State.FAILED, Failure.UPDATE_FAILED, "PCP 20: 03 (already newest, but version V1.0)")


@pytest.mark.parametrize("state", [State.NOTIFY])
@pytest.mark.parametrize("code", ["4.04", "4.15", "5.00"])
def test_a_notification_that_coap_refuses(software, state, code):
    """The device answered the command by an error (section 3.1)."""
    software.reach(state).device(NotificationRefused(code=code)).server(*OVER)
    software.ends(State.FAILED, Failure.NOT_ONLINE, f"PCP 20: {code}")
