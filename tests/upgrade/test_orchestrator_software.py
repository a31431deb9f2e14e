"""Software tasks in the orchestrator: commands, tokens, grants, answers, restarts. Protocol 1.8 to 1.10."""

from __future__ import annotations

import pytest

from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.lwm2m.commands import Observe, Read, Write
from headgate.lwm2m.happenings import (
    Deregistered,
    Notified,
    Observed,
    Refused,
    Registered,
    Unanswered,
    Unmatched,
    WasReset,
)
from headgate.store import tables
from headgate.upgrade.containers import Observing
from headgate.upgrade.failure import Failure
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.wire.pcp import DOWNLINK, UPLINK, encode
from headgate.wire.pcp_messages import (
    DownloadReport,
    NotificationAnswer,
    SegmentRequest,
    UpgradeReport,
)
from headgate.wire.resources import Path
from orchestra import OLD, TARGET, House
from orchestra_pcp import BODY, PID, PLAN, at_notify, clock, software_device, told, waiting

generations = pytest.mark.parametrize("generation", Generation)


@generations
def test_a_device_is_upgraded(house, generation):
    """All fifteen steps, the segments answered here."""
    device = software_device(house, pcp=PcpProfile(generation=generation))
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 120)
    assert house.state() == "success"
    assert (device.client.version, device.client.image) == (TARGET, BODY)
    assert told(device) == [19, 20, 21, 21, 21, 22, 23, 24]
    assert house.rows(tables.effects) == []
    assert house.edge.segments == {}
    house.check_counters()


@generations
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_around_every_commit(tmp_path, generation, when):
    """Nothing is installed twice, and whatever the table waits for is asked for again."""
    house = House(tmp_path)
    device = software_device(house, pcp=PcpProfile(generation=generation))
    house.run()
    house.campaign(plan=PLAN)
    house.run()

    class Killed(Exception):
        pass

    killed_at = 0

    def kill(now: str) -> None:
        nonlocal killed_at
        if now == when and house.commits > killed_at:
            killed_at = house.commits + 1
            raise Killed

    house.steps = kill
    for _ in range(400):
        try:
            clock(house, 1)
        except Killed:
            house.kill()
            house.edge.bodies[PID] = BODY
    assert house.state() == "success", house.log()
    assert (device.client.version, device.client.image) == (TARGET, BODY)
    house.close()


# -- observations --


def test_one_observation_before_the_first_question_and_one_in_step_6(house):
    """By Accept 42; the first answer, a single 00, is no message."""
    device = software_device(house)
    house.run()
    assert waiting(house) == []  # nothing is observed without a task (trap 24)
    house.campaign(plan=PLAN)
    clock(house, 5)
    assert device.data_tokens == 2
    rows = house.rows(tables.observations)
    assert [(row["path"], row["task_id"]) for row in rows] == [("/19/0/0", "c1-0000000")] * 2
    assert house.orchestrator.counts["pcp_ordinary"] == 0


def test_observed_anew_at_once_after_each_register(house):
    """Trap 36; old tokens stay (trap 15), four of them."""
    device = software_device(house, pcp=PcpProfile(stalls=1))
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 5)
    for count in range(3, 8):
        device.register(house.now)
        house.run()
        assert device.data_tokens == count
    tokens = [row["token"] for row in house.rows(tables.observations)]
    assert len(tokens) == 4
    assert house.edge.segments["ep-1", PID].tokens[-1] == device.data_token


def test_a_device_that_answers_as_to_a_read(house):
    """No Observe option: 2.05 is a refusal; the version came by an observation, so that one will do."""
    device = software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    answer = device.answer

    def as_to_a_read(command):
        told = answer(command)
        if isinstance(command, Observe) and device.data_tokens == 2:
            object.__setattr__(told, "observing", False)
            device.data_token = b"ep-1d1"
        return told

    device.answer = as_to_a_read
    clock(house, 60)
    assert house.state() == "success"


def test_who_goes_is_not_asked_for_ever(tmp_path):
    """Observed after its Register, on behalf of nobody: with the registration ends the question too."""
    house = House(tmp_path, settings=OrchestratorSettings(observing=Observing.ALWAYS))
    registration = software_device(house).said[0]().after
    del house.devices["ep-1"]
    house.tell(Registered(endpoint="ep-1", before=None, after=registration))
    house.commit()
    assert len(waiting(house)) == 1
    house.tell(Deregistered(endpoint="ep-1", before=registration))
    house.commit()
    assert waiting(house) == []
    house.close()


def test_always_observing(tmp_path):
    """1.9: right after every Register, where the device has object 19."""
    house = House(tmp_path, settings=OrchestratorSettings(observing=Observing.ALWAYS))
    device = software_device(house)
    house.device("ep-2")
    house.run()
    assert (device.data_tokens, house.devices["ep-2"].tokens) == (1, 0)
    device.says([encode(UpgradeReport(version=OLD))])
    house.run()
    assert told(device) == [24]
    assert device.frames[0].endswith(b"\x80")  # there was no task
    house.kill()
    house.edge.bodies[PID] = BODY
    house.campaign("ep-1", plan=PLAN)
    clock(house, 60)
    assert house.state() == "success"
    house.close()


def test_a_device_that_is_gone_is_forgotten(house):
    """Its tokens live no longer than its registration, unless a task waits for its return."""
    device = software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    assert house.rows(tables.observations) != []
    house.tell(Deregistered(endpoint="ep-1", before=house.desk.registrations["ep-1"]))
    house.run()
    assert house.rows(tables.observations) == []
    assert house.desk.remembered == {}
    assert device.client.version == TARGET


# -- what devices say --


@pytest.mark.parametrize(
    ("content_format", "head"),
    [(42, b""), (None, b""), (0, b""), (11542, b"\xc8\x00\x1a"), (1542, b"\x88\x00\x1d\x48\x00\x1a")],
)
def test_wrapped_frames(house, content_format, head):
    """1.9, trap 20: bare or in TLV, single or multiple, whatever the Content-Format says."""
    device = at_notify(house)
    device.tells(
        head + encode(SegmentRequest(target_version=TARGET, segment_index=2)), content_format=content_format
    )
    house.run()
    assert house.state() == "downloading"
    assert told(device) == [21]
    assert device.frames[0].endswith(BODY[1000:])


def test_a_state_under_the_token_of_an_earlier_firmware_task(house):
    """That token lives on for a day: what comes under it is heard, logged, and no event of the task."""
    software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    house.run()
    before = house.state()
    assert before not in ("success", "failed")
    late = Notified(
        endpoint="ep-1", path=Path(5, 0, 3), token=b"old", content_format=0, payload=b"1", stale=False
    )
    house.tell(late)
    house.commit()
    assert "notified without a task" in house.log(endpoint="ep-1")
    assert house.state() == before
    clock(house, 120)
    assert house.state() == "success"


def test_a_stale_notification_is_no_less_a_message(house):
    """That another came before it says nothing of it."""
    device = at_notify(house)
    device.tells(encode(NotificationAnswer(result=5)), stale=True)
    house.run()
    assert house.task()["failure"] == Failure.STORAGE.value


def test_a_damaged_frame_is_ordinary_data_and_counted(house):
    """1.8: one bit."""
    device = at_notify(house)
    damaged = bytearray(encode(NotificationAnswer(result=5)))
    damaged[5] ^= 1
    device.tells(bytes(damaged))
    device.tells(b"\x01metering")
    house.run()
    assert house.state() == "notify"
    counts = house.orchestrator.counts
    assert (counts["pcp_suspect"], counts["pcp_ordinary"]) == (1, 1)
    assert device.frames == []


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (SegmentRequest(target_version="V9", segment_index=1), b"\x80\x00\x01"),
        (SegmentRequest(target_version=TARGET, segment_index=3), b"\x81\x00\x03"),
        (DownloadReport(), b"\x00"),
        (UpgradeReport(version=OLD), b"\x80"),
    ],
    ids=str,
)
def test_what_the_edge_does_not_answer(house, request_, answer):
    """Another version, past the end, and reports: never one byte but 80 (trap 32)."""
    device = at_notify(house)
    device.says([encode(request_)])
    house.run()
    assert device.frames[0][8:] == answer


def test_copies_draw_one_answer_while_it_is_under_way(house):
    """1.10: and the next copy is answered again after it was acknowledged."""
    device = at_notify(house)
    copies = [encode(SegmentRequest(target_version=TARGET, segment_index=0))] * 5
    token = device.data_token
    for frame in copies:
        happening = Notified(
            endpoint="ep-1", path=UPLINK, token=token, content_format=42, payload=frame, stale=False
        )
        house.tell(happening)
    house.commit()
    assert [command.path for command in waiting(house)] == [DOWNLINK]
    house.run()
    assert told(device) == [21]
    device.says(copies[:1])
    house.run()
    assert told(device) == [21, 21]


def answer_under_way(house):
    """A segment that was sent and not acknowledged."""
    device = at_notify(house)
    frame = encode(SegmentRequest(target_version=TARGET, segment_index=0))
    house.tell(
        Notified(
            endpoint="ep-1",
            path=UPLINK,
            token=device.data_token,
            content_format=42,
            payload=frame,
            stale=False,
        )
    )
    house.commit()
    (command,) = waiting(house)
    assert house.rows(tables.effects, effect="AnswerSegment") == []
    return command


def test_a_lost_answer_is_not_kept(house):
    """The device asks again."""
    command = answer_under_way(house)
    house.tell(Unanswered(endpoint="ep-1", command=command))
    assert waiting(house) == []
    assert house.run().state() == "downloading"


@pytest.mark.parametrize("how", [lambda **of: Refused(**of, code="4.04"), WasReset])
def test_a_refused_answer_ends_nothing(house, how):
    """It proves that the device is there, no more."""
    command = answer_under_way(house)
    waiting(house).clear()
    house.tell(how(endpoint="ep-1", command=command))
    assert house.run().state() == "downloading"
    assert waiting(house) == []


@pytest.mark.parametrize(
    ("deaf_to", "failure"),
    [(19, Failure.NOT_ONLINE), (20, Failure.NOT_ONLINE), (23, Failure.NOT_ONLINE)],
)
def test_a_question_that_coap_refuses(house, deaf_to, failure):
    """4.xx to the Write of 19, 20, 23 (3.1)."""
    device = software_device(house)
    answer = device.answer

    def refusing(command):
        if isinstance(command, Write) and command.value[3] == deaf_to:
            return Refused(endpoint="ep-1", command=command, code="4.05")
        return answer(command)

    device.answer = refusing
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 30)
    assert (house.task()["failure"], house.task()["detail_code"]) == (failure.value, "4.05")


# -- grants, restarts, retries --


def test_a_grant_is_given_with_the_notification_and_taken_at_the_end(house):
    """With all that the edge needs; each new token is granted too; it is restored before a device asks."""
    device = at_notify(house)
    wanted = house.edge.segments["ep-1", PID]
    assert (wanted.segment_size_bytes, wanted.version, wanted.root) == (500, TARGET, ())
    assert wanted.tokens == (b"drawn1", b"drawn2")
    assert wanted.wait_s == 5.0  # class 0
    device.register(house.now)
    house.run()
    assert house.edge.segments["ep-1", PID].tokens == (b"drawn1", b"drawn2", b"drawn3")
    house.kill()
    assert house.edge.segments["ep-1", PID].tokens == (b"drawn1", b"drawn2", b"drawn3")
    assert set(house.desk.remembered) == {b"drawn1", b"drawn2", b"drawn3"}
    house.orchestrator.stop("c1", "me", house.now)
    house.run()
    assert house.edge.segments == {}


def test_native_segments_are_progress(house):
    """The edge says so: begun, and further (11)."""
    at_notify(house)
    house.orchestrator.downloading("ep-1", PID, True, house.now)
    assert house.run().state() == "downloading"
    seen_s = house.task()["state_seen_s"]
    house.now += 30
    house.orchestrator.downloading("ep-1", PID, False, house.now)
    house.run()
    assert house.task()["state_seen_s"] == house.now
    assert seen_s < house.now


def test_radio_is_read_as_ever(house):
    """4/0 by a Read, between the observation and the slot."""
    device = software_device(house)
    device.answers[4, 0] = None
    house.run()
    house.campaign(plan=PLAN)
    seen = []
    answer = device.answer
    device.answer = lambda command: seen.append(type(command)) or answer(command)
    clock(house, 60)
    assert seen.count(Read) == 2
    assert house.task()["radio_class"] == "U"


@pytest.mark.parametrize(("separate", "frames"), [(True, [24]), (False, [])])
def test_a_notification_that_overtakes_the_answer_to_its_observe(house, separate, frames):
    """As a message of its own it is one; in the ACK it is whatever the resource holds (1.9)."""
    device = at_notify(house)
    house.tell(
        Observed(
            endpoint="ep-1",
            command=Observe(path=UPLINK, purpose="c1-0000000", accept=42),
            token=b"unasked1",
            observing=True,
            content_format=42,
            payload=encode(UpgradeReport(version=OLD)),
            separate=separate,
        )
    )
    house.run()
    assert told(device) == frames


def test_who_notifies_under_an_unknown_token_is_observed_anew(house):
    """It may be that of an Observe whose answer an earlier process did not live to see."""
    device = at_notify(house)
    before = device.data_tokens
    house.tell(Unmatched(endpoint="ep-1", owed=object()))
    house.run()
    assert device.data_tokens == before + 1
    assert house.desk.rejected == []


def test_the_observe_leaves_before_the_question(house):
    """A Register came while 20 was under way: its answer needs an observation."""
    device = at_notify(house)
    house.now += 40
    device.said.clear()
    device.done.clear()
    house.heard()
    house.commit()
    assert [command.path for command in waiting(house)] == [DOWNLINK]
    after = house.desk.registrations["ep-1"].evolved(location="another", registered_s=house.now)
    house.tell(Registered(endpoint="ep-1", before=None, after=after, owed=object()))
    house.commit()
    assert [command.path for command in waiting(house)] == [UPLINK, DOWNLINK]
