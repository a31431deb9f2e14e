"""Both generations of PCP devices, alone and against the software negotiation. Protocol 1.10."""

from __future__ import annotations

import random

import pytest

from headgate.fleet.pcp_client import Generation, PcpClient, PcpProfile, Phase
from headgate.upgrade import TABLES, advance
from headgate.upgrade.events import (
    Activated,
    DeadlinePassed,
    DeviceHeard,
    DeviceRegistered,
    Effect,
    RadioReported,
    ReadRadio,
    SlotGranted,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object19 import DataObserved, QuestionDelivered, SubscribeData, event_of, message_of
from headgate.upgrade.software_choices import outside
from headgate.upgrade.task import State, Task
from headgate.wire.pcp import encode, frame, identify
from headgate.wire.pcp_messages import (
    DownloadAnswer,
    DownloadReport,
    ExecuteAnswer,
    ExecuteRequest,
    MessageCode,
    NotificationAnswer,
    SegmentAnswer,
    SegmentRequest,
    UpgradeAnswer,
    UpgradeReport,
    VersionAnswer,
    VersionNotification,
    VersionQuery,
)
from negotiations import NOON_S, OLD, SOFTWARE_PLAN, TARGET, check_step, radio

BODY = bytes(index & 0xFF for index in range(1300))
NOTIFICATION = VersionNotification(
    target_version=TARGET, segment_size=500, segment_count=3, version_check_code=0x4EA0
)
generations = pytest.mark.parametrize("generation", Generation)


def client(generation=Generation.NEWER, **changes):
    """A device at V1.0."""
    return PcpClient(PcpProfile(generation=generation, **changes), version=OLD)


def says(frames):
    """What frames of a device say."""
    return [identify(each).message for each in frames]


def told(device, message, now=0.0):
    """What the device answers to a message."""
    return says(device.handle(encode(message), now))


def asks(index):
    """21."""
    return SegmentRequest(target_version=TARGET, segment_index=index)


def segment(index):
    """Its answer."""
    return SegmentAnswer(segment_index=index, segment=BODY[index * 500 : index * 500 + 500])


def downloading(generation, segments=0, **changes):
    """A device that waits for that segment."""
    device = client(generation, **changes)
    told(device, NOTIFICATION)
    for index in range(segments):
        told(device, segment(index))
    return device


# -- each by itself --


def test_how_20_is_accepted():
    """The newer answers 00 and asks; the older only asks."""
    assert told(client(), NOTIFICATION) == [NotificationAnswer(), asks(0)]
    assert told(client(Generation.OLDER), NOTIFICATION) == [asks(0)]


@generations
def test_the_whole_way(generation):
    """20 to 24, image and version."""
    device = downloading(generation)
    assert told(device, segment(0)) == [asks(1)]
    assert told(device, segment(1)) == [asks(2)]
    assert told(device, segment(2)) == [DownloadReport()]
    assert told(device, DownloadAnswer()) == []
    assert told(device, ExecuteRequest(), 10.0) == [ExecuteAnswer()]
    assert device.expire(device.next_timer()) == []
    assert device.reboots
    device.lost_power()
    assert says(device.registered(50.0)) == [UpgradeReport(version=TARGET)]
    assert (device.version, device.image) == (TARGET, BODY)
    assert told(device, UpgradeAnswer()) == []
    assert (device.phase, device.next_timer()) == (Phase.IDLE, None)


@generations
def test_a_device_with_everything_says_22_at_once(generation):
    """The same version and check code."""
    device = downloading(generation, segments=3)
    assert told(device, NOTIFICATION)[-1] == DownloadReport()


@generations
@pytest.mark.parametrize("changes", [{"version_check_code": 1}, {"target_version": "V1.2"}])
def test_another_package_begins_at_0(generation, changes):
    """Another code, or another version: everything is forgotten."""
    device = downloading(generation, segments=2)
    fields = {name: getattr(NOTIFICATION, name) for name in NOTIFICATION.__slots__} | changes
    assert told(device, VersionNotification(**fields))[-1].segment_index == 0


def test_what_wakes_a_download():
    """20 again: the older asks at once, the newer when its timer says so."""
    assert told(downloading(Generation.OLDER, segments=1), NOTIFICATION) == [asks(1)]
    device = downloading(Generation.NEWER, segments=1)
    assert told(device, NOTIFICATION) == [NotificationAnswer()]
    assert says(device.expire(2.0)) == [asks(1)]


def test_the_newer_repeats_itself():
    """Every question, every 2 s (trap 19)."""
    device = downloading(Generation.NEWER, segments=2)
    assert device.next_timer() == 2.0
    assert device.expire(1.9) == []
    assert says(device.expire(2.0)) == says(device.expire(4.0)) == [asks(2)]
    told(device, segment(2), 5.0)
    assert told(device, DownloadAnswer(), 5.0) == []
    assert says(device.expire(7.0)) == [DownloadReport()]


def test_the_older_is_tired():
    """23 with 06, unasked, and its question again (section 1.10)."""
    device = downloading(Generation.OLDER)
    assert says(device.expire(60.0)) == [ExecuteAnswer(result=6), asks(0)]
    for index in range(3):
        told(device, segment(index), 60.0)
    assert says(device.expire(120.0)) == [ExecuteAnswer(result=6), DownloadReport()]


def test_what_19_names():
    """From 20 on the newer names the target version (trap 33)."""
    for generation, version in ((Generation.OLDER, OLD), (Generation.NEWER, TARGET)):
        device = client(generation)
        assert told(device, VersionQuery()) == [VersionAnswer(version=OLD)]
        told(device, NOTIFICATION)
        assert told(device, VersionQuery()) == [VersionAnswer(version=version)]


def test_a_power_cut():
    """The newer goes on, the older begins again."""
    for generation, index in ((Generation.OLDER, 0), (Generation.NEWER, 2)):
        device = downloading(generation, segments=2)
        device.lost_power()
        assert device.next_timer() is None
        assert says(device.registered(9.0)) == [asks(index)]


@generations
def test_a_power_cut_while_it_installs(generation):
    """The old version runs, and 23 is waited for again."""
    device = downloading(generation, segments=3)
    told(device, ExecuteRequest())
    device.lost_power()
    assert says(device.registered(9.0)) == [DownloadReport()]
    assert told(device, ExecuteRequest(), 9.0) == [ExecuteAnswer()]


def test_24_once_or_until_it_is_answered():
    """The older says it once (trap 36)."""
    for generation, again in ((Generation.OLDER, []), (Generation.NEWER, [UpgradeReport(version=TARGET)])):
        device = downloading(generation, segments=3)
        told(device, ExecuteRequest())
        device.expire(20.0)
        assert says(device.registered(30.0)) == [UpgradeReport(version=TARGET)]
        assert says(device.expire(1000.0)) == again


def test_80_to_a_segment_request():
    """Alone it stops the older; with an index it is ignored by both (trap 32)."""
    for generation in Generation:
        device = downloading(generation)
        assert told(device, SegmentAnswer(segment_index=0, result=0x80)) == []
        assert device.phase is Phase.DOWNLOADING
    device = downloading(Generation.OLDER)
    assert device.handle(frame(MessageCode.SEGMENT, b"\x80"), 0.0) == []
    assert device.phase is Phase.IDLE


@generations
@pytest.mark.parametrize(
    "answer", [segment(1), segment(2), SegmentAnswer(segment_index=0, result=0x81), UpgradeAnswer()]
)
def test_what_is_not_waited_for_is_ignored(generation, answer):
    """Another segment, an error, an answer to nothing."""
    device = downloading(generation)
    assert told(device, answer) == []
    assert device.download.segments == []


@generations
def test_damaged_frames_are_nothing(generation):
    """The check code says so."""
    device = downloading(generation)
    damaged = bytearray(encode(segment(0)))
    damaged[100] ^= 1
    assert device.handle(bytes(damaged), 0.0) == []
    assert device.handle(b"21.5", 0.0) == []


@pytest.mark.parametrize("copies", [1, 5])
def test_copies_of_a_request(copies):
    """Modules that are polled send all that gathered (trap 35)."""
    device = downloading(Generation.NEWER, copies=copies)
    assert told(device, segment(0)) == [asks(1)] * copies
    assert told(device, segment(1)) == [asks(2)] * copies


# -- against the negotiation --


class Table:
    """A device and its task with a network between them: frames and Registers, lost and doubled by chance."""

    def __init__(self, profile: PcpProfile, *, seed: int, loss: float = 0.0, cuts: int = 0) -> None:
        self.random = random.Random(seed)
        self.loss, self.cuts = loss, cuts
        self.now = NOON_S
        self.device = PcpClient(profile, version=OLD)
        self.task = Task.created(id="1", endpoint="ep", plan=SOFTWARE_PLAN, now=self.now)
        self.down: list[bytes] = []
        self.up_s: float | None = None
        self.heard_s = self.now + 60

    def happens(self, event) -> None:
        """One event, and what it asks for."""
        before = self.task
        self.task, effects = advance(before, event, self.now)
        check_step_of(before, event, self.now, self.task, effects)
        if before.state.terminal:
            effects = outside(event, known=True)
        for effect in effects:
            self.done(effect)

    def done(self, effect: Effect) -> None:
        """Questions of LwM2M are answered; frames leave, the same one once until it is there."""
        message = message_of(effect, SOFTWARE_PLAN, BODY)
        if message is not None:
            if (leaving := encode(message)) not in self.down:
                self.down.append(leaving)
        elif isinstance(effect, SubscribeData):
            self.happens(DataObserved())
        elif isinstance(effect, ReadRadio):
            self.happens(RadioReported(radio=radio()))
            self.happens(SlotGranted(awake=True))

    def lost(self) -> bool:
        """By chance."""
        return self.random.random() < self.loss

    def uplink(self, frames) -> None:
        """What the device says."""
        for each in frames:
            if not self.lost():
                message = identify(each).message
                assert message is not None
                for _ in range(1 + self.lost()):
                    self.happens(event_of(message))

    def goes_down(self) -> None:
        """A reboot, or a power cut: 30 s, and a Register."""
        self.device.lost_power()
        self.up_s = self.now + 30

    def run(self, *, until_s: float) -> None:
        """Seconds of half a second."""
        while self.now < NOON_S + until_s:
            self.now += 0.5
            if self.task.deadline_s is not None and self.now >= self.task.deadline_s:
                self.happens(DeadlinePassed())
            if self.up_s is not None:
                if self.now < self.up_s:
                    self.down = [each for each in self.down if asks_for_answer(each)]
                    continue
                self.up_s = None
                self.happens(DeviceRegistered())
                self.uplink(self.device.registered(self.now))
            if self.now >= self.heard_s:
                self.heard_s += 60
                self.happens(DeviceHeard())
            leaving, self.down = self.down, []
            for each in leaving:
                if not self.lost():
                    if asks_for_answer(each):
                        self.happens(QuestionDelivered())
                    self.uplink(self.device.handle(each, self.now))
                elif asks_for_answer(each):
                    self.down.append(each)  # CoAP repeats it
            self.uplink(self.device.expire(self.now))
            if self.device.reboots:
                self.goes_down()
            elif self.cuts and self.device.active and self.random.random() < 0.05:
                self.cuts -= 1
                self.goes_down()


def asks_for_answer(frame: bytes) -> bool:
    """Whether it is a question of the platform: kept until it is there, unlike an answer."""
    return frame[3] in (MessageCode.VERSION, MessageCode.NOTIFICATION, MessageCode.EXECUTE)


def check_step_of(before, event, now, after, effects) -> None:
    """The invariants, at each step."""
    check_step(TABLES[before.plan.kind], before, event, now, after, effects)


def upgraded(profile, **how):
    """A table, run for three hours."""
    table = Table(profile, **how)
    table.happens(Activated())
    table.happens(DeviceHeard())
    table.run(until_s=10800)
    return table


@generations
@pytest.mark.parametrize("copies", [1, 5])
def test_a_device_is_upgraded(generation, copies):
    """No loss: success, the very bytes, and nothing asked twice that was answered."""
    table = upgraded(PcpProfile(generation=generation, copies=copies), seed=1)
    assert table.task.state is State.SUCCESS
    assert (table.device.version, table.device.image) == (TARGET, BODY)
    assert table.device.requests == [index for index in range(3) for _ in range(copies)]
    assert table.device.phase is Phase.IDLE


@generations
@pytest.mark.parametrize("seed", range(20))
def test_a_bad_network_with_power_cuts(generation, seed):
    """Whatever became of the task, the device has the old image or the new one, and is left in peace."""
    profile = PcpProfile(generation=generation, repeat_s=4.0, copies=1 + seed % 3)
    table = upgraded(profile, seed=seed, loss=0.15, cuts=seed % 4)
    print(f"seed {seed}: {table.task.state} {table.task.failure} {table.task.detail}")
    assert table.task.state.terminal
    assert table.device.image in (None, BODY)
    assert (table.device.image is None) == (table.device.version == OLD)
    if table.task.state is State.SUCCESS:
        assert table.device.image == BODY
    if table.task.state is State.FAILED:  # by a clock, never by a word that the device did not say
        assert not table.task.failure.by_device, table.task.detail


def test_loss_alone_changes_no_end():
    """Without power cuts every one of them succeeds: repetitions are there to be of use."""
    ended = [
        upgraded(PcpProfile(generation=generation, repeat_s=4.0), seed=seed, loss=0.15).task.state
        for seed in range(20)
        for generation in Generation
    ]
    assert ended == [State.SUCCESS] * 40


@generations
@pytest.mark.parametrize(
    ("changes", "failure", "detail"),
    [
        ({"welcomes": 5}, Failure.STORAGE, "PCP 20: 05"),
        ({"downloads": 7}, Failure.INTEGRITY, "PCP 22: 07"),
        ({"executes": 4}, Failure.UPDATE_FAILED, "PCP 23: 04"),
        ({"upgrades": 8}, Failure.PACKAGE_TYPE, "PCP 24: 08"),
    ],
)
def test_what_a_device_says_is_what_the_task_ends_by(generation, changes, failure, detail):
    """One code in each message."""
    table = upgraded(PcpProfile(generation=generation, **changes), seed=1)
    assert (table.task.state, table.task.failure) == (State.FAILED, failure)
    assert str(table.task.detail).startswith(detail)
    assert table.device.version == OLD
