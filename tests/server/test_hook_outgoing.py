"""What is due when, under a virtual clock: order per device, pauses, and the last attempt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.server.hooks.outgoing import PATIENCE, Notice, Outgoing, Patience

DAY_S = 86_400.0


def notice(number: int, device: str = "a", *, since_s: float = 0.0, attempts: int = 0) -> Notice:
    """One of these devices' events."""
    return Notice(
        number=number,
        event_id=str(number),
        event="task.ended",
        key=(device, ""),
        body=b"",
        since_s=since_s,
        attempts=attempts,
    )


def outgoing(**how: float) -> Outgoing:
    """One with these bounds, and chance of a seed."""
    return Outgoing(Patience(**how), random.Random(1))


def taken(line: Outgoing, now: float) -> list[Notice]:
    """All that is due."""
    found = []
    while (each := line.take(now)) is not None:
        found.append(each)
    return found


def test_one_of_a_device_at_a_time_and_a_few_in_all():
    """The second of a device waits for the first to be taken."""
    line = outgoing(concurrency=2)
    for number, device in enumerate("aabcc"):
        line.add(notice(number, device))
    first = taken(line, 0.0)
    assert [each.number for each in first] == [0, 2]
    assert line.next_s() is None
    line.delivered(first[0])
    assert [each.number for each in taken(line, 0.0)] == [1]
    assert len(line) == 4


def test_a_failure_holds_its_device_and_no_other():
    """Until its pause is over: between half of it and all."""
    line = outgoing(backoff_s=10.0)
    for number, device in enumerate("aab"):
        line.add(notice(number, device))
    failing, other = taken(line, 100.0)
    line.failed(failing, 100.0)
    line.delivered(other)
    assert taken(line, 104.9) == []
    assert 105.0 <= line.next_s() <= 110.0
    assert [each.number for each in taken(line, 110.0)] == [0]


def test_pauses_double_up_to_their_cap():
    """The twentieth is not longer than the cap, nor the thousandth."""
    patience, rng = Patience(backoff_s=5.0, backoff_max_s=900.0), random.Random(1)
    for failures, full_s in ((1, 5.0), (2, 10.0), (5, 80.0), (9, 900.0), (20, 900.0), (1000, 900.0)):
        for _ in range(20):
            assert full_s / 2 <= patience.pause_s(failures, rng) <= full_s


def test_a_receiver_that_is_down_is_asked_by_one_at_a_time():
    """Each time by another event; when it is there again, all are due at once."""
    line = outgoing(concurrency=8, backoff_s=10.0, backoff_max_s=100.0)
    for number in range(100):
        line.add(notice(number, str(number)))
    now = 1000.0
    for each in taken(line, now):
        line.failed(each, now)
    assert line.down
    assert taken(line, now) == []
    asked = []
    for _ in range(50):
        now = line.next_s()
        (probe,) = taken(line, now)
        asked.append(probe.number)
        line.failed(probe, now)
        assert now < line.next_s() <= now + 100.0
    assert asked == list(range(8, 58))
    now = line.next_s()
    (probe,) = taken(line, now)
    line.delivered(probe)
    assert not line.down
    assert len(taken(line, now)) == 8
    assert line.under_way == 8


def test_three_days_of_silence_give_up_nothing_that_was_not_tried():
    """Of 1,000 events few are tried meanwhile; all are there when the receiver is."""
    line = outgoing()
    for number in range(1000):
        line.add(notice(number, str(number)))
    now, dead = 0.0, 0
    while now < 2.9 * DAY_S:
        for each in taken(line, now):
            dead += line.failed(each, now)
        now = line.next_s()
    assert dead == 0
    delivered = 0
    while len(line):
        for each in taken(line, now):
            line.delivered(each)
            delivered += 1
    assert delivered == 1000


@pytest.mark.parametrize(("how", "now"), [({"attempts_max": 3}, 0.0), ({"dead_after_s": 60.0}, 60.0)])
def test_the_last_attempt_lets_the_next_one_pass(how, now):
    """By their number, or by the event's age."""
    line = outgoing(**how)
    line.add(notice(1, attempts=2))
    line.add(notice(2))
    (each,) = taken(line, now)
    assert line.failed(each, now)
    assert [each.number for each in taken(line, now)] == [2]
    assert len(line) == 1


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 3)), max_size=60), st.data())
def test_whatever_fails_each_device_is_told_in_order(script, data):
    """And everything is delivered once or given up once; attempts at a time are bounded."""
    line = outgoing(concurrency=3, backoff_s=1.0, backoff_max_s=4.0, attempts_max=4)
    now, over, under_way = 0.0, [], []
    for number, (device, fails, ends) in enumerate(script):
        line.add(notice(number, device))
        under_way += taken(line, now)
        assert len(under_way) == line.under_way <= 3
        assert len({each.key for each in under_way}) == len(under_way)
        for _ in range(min(ends, len(under_way))):
            each = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            if not fails:
                line.delivered(each)
                over.append(each)
            elif line.failed(each, now):
                over.append(each)
        now += 0.5
    while len(line):
        under_way += taken(line, now)
        for each in under_way:
            line.delivered(each)
            over.append(each)
        under_way = []
        now = max(now, line.next_s() or now)
    assert sorted(each.number for each in over) == list(range(len(script)))
    for device in "abcd":
        numbers = [each.number for each in over if each.key[0] == device]
        assert numbers == sorted(numbers)
    assert line.failures < PATIENCE
