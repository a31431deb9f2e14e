"""One answer under way to a device, under a message id that is not used twice. RFC 7252 sections 4.4, 4.7."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.engine.flight import _py_flight_land as land
from headgate.engine.flight import _py_flight_take as take
from headgate.engine.peers import MESSAGE_IDS, Peer

TICK_NS = 1 << 24
WAIT_TICKS = 600
AHEAD_MAX = 1 << 14
LIFETIME_S = 247.0  # EXCHANGE_LIFETIME, RFC 7252 section 4.8.2
NOW_NS = 5_000 * TICK_NS


def test_copies_draw_one_answer():
    """Four or five come within a millisecond, others every two seconds (traps T19, T35)."""
    word, message_id = take(0, 7, WAIT_TICKS, NOW_NS)
    assert message_id is not None
    for later_s in (0.0, 0.001, 2.0, 4.0, 8.0, 10.0):
        assert take(word, 7, WAIT_TICKS, NOW_NS + int(later_s * 1e9)) == (word, None)


def test_a_copy_is_answered_again_after_the_acknowledgement():
    """The device has had the answer and asks all the same: it lost it since (section 1.10)."""
    word, message_id = take(0, 7, WAIT_TICKS, NOW_NS)
    word, landed = land(word, message_id)
    assert landed
    assert take(word, 7, WAIT_TICKS, NOW_NS)[1] == message_id + 1


def test_a_copy_is_answered_again_after_the_time():
    """An answer or its acknowledgement was lost; nothing is repeated by us until the device asks."""
    word, _ = take(0, 7, WAIT_TICKS, NOW_NS)
    assert take(word, 7, WAIT_TICKS, NOW_NS + (WAIT_TICKS - 1) * TICK_NS)[1] is None
    assert take(word, 7, WAIT_TICKS, NOW_NS + WAIT_TICKS * TICK_NS)[1] is not None


def test_another_segment_is_answered_at_once():
    """A device has one request outstanding: the one before is over, acknowledged or not."""
    word, first = take(0, 7, WAIT_TICKS, NOW_NS)
    word, second = take(word, 8, WAIT_TICKS, NOW_NS)
    assert (second, land(word, first)) == (first + 1, (word, False))


def test_an_old_acknowledgement_does_not_end_a_new_flight():
    """Late, or repeated by the network."""
    word, first = take(0, 7, WAIT_TICKS, NOW_NS)
    word, _ = take(land(word, first)[0], 7, WAIT_TICKS, NOW_NS)
    assert land(word, first) == (word, False)
    assert take(word, 7, WAIT_TICKS, NOW_NS)[1] is None


def test_a_separate_response_ends_the_flight():
    """It has a message id of its own, so it cannot say which write it means."""
    word, _ = take(0, 7, WAIT_TICKS, NOW_NS)
    word, landed = land(word, None)
    assert landed
    assert land(word, None) == (word, False)


def test_nothing_lands_that_never_left():
    """The first word is zero."""
    for message_id in (None, 0, 0x8000):
        assert land(0, message_id) == (0, False)


def test_ids_keep_out_of_the_other_half():
    """Those of the exchange are below, so that an Empty ACK, which has no token, is never another's."""
    word = 0
    ids = set()
    for segment in range(300):
        word, message_id = take(word, segment, WAIT_TICKS, NOW_NS)
        ids.add(message_id)
    assert len(ids) == 300
    assert min(ids) >= MESSAGE_IDS
    peer = Peer("device", "remote", 0xFFFF)
    assert all(peer.take_message_id(0.0, 1.0) < MESSAGE_IDS for _ in range(MESSAGE_IDS))


def test_a_burst_uses_the_ids_ahead_of_the_clock_and_no_more():
    """Then one a tick: what is faster waits for the device to ask again."""
    word, answered = 0, 0
    for number in range(2 * AHEAD_MAX):
        word, message_id = take(word, number & 0xFFFF, WAIT_TICKS, NOW_NS)
        answered += message_id is not None
    assert answered == AHEAD_MAX + 1
    assert take(word, 1, WAIT_TICKS, NOW_NS)[1] is None
    word, message_id = take(word, 1, WAIT_TICKS, NOW_NS + TICK_NS)
    assert message_id is not None
    assert take(word, 2, WAIT_TICKS, NOW_NS + TICK_NS)[1] is None


@given(
    st.integers(0, 1 << 62),
    st.lists(st.tuples(st.integers(1, 9_000), st.floats(0.0, 300.0)), min_size=1, max_size=12),
)
def test_no_id_is_used_again_within_its_lifetime(start_ns, bursts):
    """Whatever the pace."""
    word, now_ns = 0, start_ns
    used_ns: dict[int, int] = {}
    for count, pause_s in bursts:
        now_ns += int(pause_s * 1e9)
        for number in range(count):
            word, message_id = take(word, number, 0, now_ns)
            if message_id is None:
                break
            assert now_ns - used_ns.get(message_id, -(1 << 62)) >= LIFETIME_S * 1e9
            used_ns[message_id] = now_ns


@given(st.integers(0, 1 << 62), st.integers(0, 200), st.integers(1, 500))
def test_a_new_grant_does_not_use_the_ids_of_the_one_before(start_ns, segments, pause_ticks):
    """To a device that asks no faster than once a tick, as over the air: a new token, the same device."""
    used = set()
    old = 0
    for number in range(segments):
        old, message_id = take(old, number, WAIT_TICKS, start_ns + number * pause_ticks * TICK_NS)
        used.add(message_id)
    new = 0
    for number in range(50):
        now_ns = start_ns + (segments + number) * pause_ticks * TICK_NS
        new, message_id = take(new, number, WAIT_TICKS, now_ns)
        if (segments + number) * pause_ticks < MESSAGE_IDS:
            assert message_id not in used


@given(st.integers(TICK_NS, 1 << 40), st.integers(0, 1 << 24))
def test_a_thread_with_an_older_clock_reading_is_not_confused(now_ns, behind_ns):
    """Each batch reads the clock once, so another thread's may be newer: no time has passed, then."""
    word, first = take(0, 1, WAIT_TICKS, now_ns + behind_ns)
    assert take(word, 1, WAIT_TICKS, now_ns)[1] is None
    assert take(word, 2, WAIT_TICKS, now_ns)[1] == 0x8000 | (first + 1) & 0x7FFF
