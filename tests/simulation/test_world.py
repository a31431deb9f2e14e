"""The ground that the simulation stands on: its clock, its network, its edge; and who looks on."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagrams import read, request
from headgate.fleet.profile import Profile
from headgate.upgrade.failure import Failure
from headgate.wire.coap import Message
from headgate.wire.numbers import CONTENT, CONTENT_FORMAT, NON, OBSERVE
from headgate.wire.pcp import encode
from headgate.wire.pcp_messages import ExecuteAnswer, SegmentRequest, VersionAnswer
from simulation.clock import Alarm, Clock
from simulation.edge import Onlooker, SimulatedEdge, package_of
from simulation.hearing import Hearing
from simulation.network import FAIR, FOUL, Network, Weather
from simulation.watch import Watch


def test_things_happen_in_the_order_of_their_time():
    """Those of one time in the order in which they were asked for, the late ones at once."""
    clock, seen = Clock(100.0), []
    clock.at(103.0, lambda: seen.append((clock.now, "third")))
    clock.at(101.0, lambda: seen.append((clock.now, "first")))
    clock.at(101.0, lambda: clock.at(50.0, lambda: seen.append((clock.now, "late"))))
    clock.after(1.0, lambda: seen.append((clock.now, "second")))
    while clock.tick():
        pass
    assert seen == [(101.0, "first"), (101.0, "second"), (101.0, "late"), (103.0, "third")]
    assert not clock.tick()


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=1))
def test_an_alarm_wakes_for_the_last_timer_set(timers):
    """However often it is set, it wakes once, and on time."""
    clock, woken = Clock(0.0), []
    alarm = Alarm(clock, lambda: woken.append(clock.now))
    for due_s in timers:
        alarm.set(due_s)
    while clock.tick():
        pass
    assert woken == ([] if timers[-1] is None else [timers[-1]])


def test_an_alarm_may_be_set_while_it_wakes():
    """Each waking says when the next is."""
    clock, woken = Clock(0.0), []

    def wake() -> None:
        woken.append(clock.now)
        alarm.set(clock.now + 1 if clock.now < 3 else None)

    alarm = Alarm(clock, wake)
    alarm.set(1.0)
    while clock.tick():
        pass
    assert woken == [1.0, 2.0, 3.0]


def carried(weather: Weather, seed: int, count: int = 4000) -> list[int]:
    """Numbers sent one a second, in the order of their arrival."""
    clock, arrived = Clock(0.0), []
    network = Network(clock, random.Random(seed), weather)
    for number in range(count):
        clock.at(
            float(number),
            lambda number=number: network.carry(
                "way", number.to_bytes(2, "big"), lambda data: arrived.append(int.from_bytes(data, "big"))
            ),
        )
    while clock.tick():
        pass
    return arrived


def test_a_fair_network_does_nothing_but_delay():
    """All, once, in order."""
    assert carried(FAIR, seed=1) == list(range(4000))


def test_a_foul_network_loses_doubles_and_reorders():
    """About as often as its weather says; the same seed, the same fate."""
    arrived = carried(FOUL, seed=2)
    copies = Counter(arrived)
    assert 0.08 < 1 - len(copies) / 4000 < 0.12
    assert 0.03 < sum(1 for many in copies.values() if many == 2) / len(copies) < 0.07
    assert sum(1 for one, other in itertools.pairwise(arrived) if one > other) > 50
    assert carried(FOUL, seed=2) == arrived
    assert carried(FOUL, seed=3) != arrived


BODY = bytes(range(250)) * 6


@pytest.fixture
def edge():
    """One with a grant to one device."""
    package = package_of(BODY)
    edge = SimulatedEdge({package.etag: package}, Onlooker())
    edge.grant("device", package.etag)
    return edge, edge.uri("device", package.etag).removeprefix("coap://headgate.example/")


def test_the_edge_answers_packages_and_hands_over_the_rest(edge):
    """As the real one, since its responder is the real one."""
    edge, key = edge
    (reply,), _ = edge.answer(request(key, block2=(1, 5)), 10.0)
    assert read(reply).payload == BODY[512:1024]
    assert edge.answer(request("rd", code=2), 10.0) is None


def test_the_edge_tells_of_a_start_then_of_progress(edge):
    """Each block that goes further than any before; copies and new beginnings are no progress."""
    edge, key = edge
    told = [edge.answer(request(key, block2=(num, 5)), 10.0)[1] for num in (0, 0, 1, 0, 1, 2)]
    package = package_of(BODY).etag
    started, progressed = ("device", package, True), ("device", package, False)
    assert told == [started, None, progressed, None, None, progressed]


def test_the_onlooker_counts_beginnings_across_deaths():
    """A copy of a request is none, nor is a request repeated before more was asked for."""
    package, onlooker = package_of(BODY), Onlooker()
    message_id = 0
    for nums, beginnings in [((0,), 1), ((0, 1), 1), ((2, 1), 1), ((0, 1), 2), ((0,), 3)]:
        edge = SimulatedEdge({package.etag: package}, onlooker)
        edge.grant("device", package.etag)
        key = edge.uri("device", package.etag).rpartition("/")[2]
        for num in nums:
            message_id += 1
            for _ in range(2):
                edge.answer(request(key, block2=(num, 5), message_id=message_id), 10.0)
        assert onlooker.beginnings[("device", package.etag)] == beginnings


def test_the_edge_serves_nothing_before_the_grant_nor_after_the_withdrawal(edge):
    """What it does not know is handed over, to be refused; granting twice is granting once."""
    edge, key = edge
    package = package_of(BODY).etag
    edge.grant("device", package)
    edge.withdraw("device", package)
    edge.withdraw("device", package)
    assert edge.answer(request(key, block2=(0, 5)), 10.0) is None
    edge.grant("device", package)
    assert read(edge.answer(request(key, block2=(0, 5)), 10.0)[0][0]).code == "2.05"


class Looked:
    """A world with one device, as far as datagrams are watched."""

    def __init__(self) -> None:
        self.clock = Clock(0.0)
        self.firmware = SimpleNamespace(confirmed=False)
        device = SimpleNamespace(firmware=self.firmware)
        self.hosts = {"device": SimpleNamespace(device=device)}


@pytest.fixture
def looked(tmp_path):
    """It, and who watches it."""
    world = Looked()
    return world, Watch(world, tmp_path / "none.db")


def test_the_watch_knows_a_repetition_from_an_id_that_is_used_again(looked):
    """RFC 7252, 4.4: after EXCHANGE_LIFETIME, and not before; two ids may begin near each other."""
    world, watch = looked
    first, second, third = (request("3/0/3", message_id=7, token=token) for token in (b"a", b"b", b"c"))
    watch.to_device("device", first)
    watch.to_device("device", first)
    with pytest.raises(AssertionError, match=r"was used 0\.0 s ago"):
        watch.to_device("device", second)
    world.clock.after(248.0, lambda: None)
    world.clock.tick()
    watch.to_device("device", request("4/0", message_id=8))
    watch.to_device("device", third)


def test_the_watch_knows_an_older_command_that_is_repeated(looked):
    """One command is under way at most."""
    _, watch = looked
    watch.to_device("device", request("3/0/3", message_id=7))
    watch.to_device("device", request("4/0", message_id=8))
    with pytest.raises(AssertionError, match="another command is under way"):
        watch.to_device("device", request("3/0/3", message_id=7))


def test_the_watch_sees_an_execute_that_comes_too_late(looked):
    """It counts when it leaves: a network may keep it for long."""
    world, watch = looked
    watch.to_device("device", request("5/0/2", code=2, message_id=7))
    world.firmware.confirmed = True
    with pytest.raises(AssertionError, match="was heard to do so"):
        watch.to_device("device", request("5/0/2", code=2, message_id=7))


def test_hearing_knows_what_was_stored():
    """An answer counts when it came to a server that lived for a second more."""
    hearing, profile = Hearing(), Profile(endpoint="ep", fault="dies")
    content = [(OBSERVE, b"\1"), (CONTENT_FORMAT, b"*")]
    for answer, failure, often in (
        (VersionAnswer(version="V1.0"), Failure.VERSION_TIMEOUT, 3),
        (SegmentRequest(target_version="V2.0", segment_index=0), Failure.DOWNLOAD_START_TIMEOUT, 3),
        (ExecuteAnswer(), Failure.UPDATE_START_TIMEOUT, 1),
    ):
        datagram = Message(
            type=NON, code=CONTENT, message_id=1, token=b"t", options=content, payload=encode(answer)
        ).encode()
        for _ in range(often):
            assert not hearing.in_vain(profile, failure.value)
            hearing.said("ep", datagram)
        assert hearing.in_vain(profile, failure.value)
        hearing.heard("ep", datagram, 10.0)
        hearing.died(10.9)
        assert hearing.in_vain(profile, failure.value)
        hearing.heard("ep", datagram, 20.0)
        hearing.died(21.1)
        assert not hearing.in_vain(profile, failure.value)
    assert not hearing.in_vain(profile, Failure.ONLINE_TIMEOUT.value)
