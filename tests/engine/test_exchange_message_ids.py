"""Message ids: 32 k per device, none used again within EXCHANGE_LIFETIME. RFC 7252 section 4.4."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engine.events import (
    Cause,
    RequestFailed,
    RequestReceived,
    ResponseFailed,
    ResponseReceived,
)
from headgate.engine.peers import MESSAGE_IDS, SEGMENT, SEGMENTS, Peer
from headgate.errors import ExchangeLimitError
from lockstep import Chance

LIFETIME_S = 247.0


def test_ids_count_up_from_chance(make_script):
    """Per device, and around the corner."""
    firsts = set()
    for seed in range(20):
        script = make_script(seed=seed)
        ids = []
        for _ in range(3):
            script.request("GET", "4/0").server("CON GET").device("ACK 2.05").tells(ResponseReceived)
            ids.append(script.said("message_id"))
        firsts.add(ids[0])
        assert [(each - ids[0]) % MESSAGE_IDS for each in ids] == [0, 1, 2]
    assert len(firsts) > 15


def test_ids_wrap():
    """32767 is followed by 0: what is above belongs to segments (ADR 0016)."""
    peer = Peer("device", "remote", 65535)
    assert [peer.take_message_id(0.0, 1.0) for _ in range(2)] == [32767, 0]


def test_all_ids_are_used_before_any_again():
    """32768 messages at once; then none, until the first segment is free."""
    peer = Peer("device", "remote", 12345)
    ids = Counter(peer.take_message_id(0.0, LIFETIME_S) for _ in range(MESSAGE_IDS))
    assert len(ids) == MESSAGE_IDS
    assert peer.take_message_id(LIFETIME_S - 0.001, LIFETIME_S) is None
    assert peer.next_id_free_s == LIFETIME_S
    assert peer.take_message_id(LIFETIME_S, LIFETIME_S) == 12345
    assert all(peer.take_message_id(LIFETIME_S, LIFETIME_S) is not None for _ in range(MESSAGE_IDS - 1))
    assert peer.take_message_id(LIFETIME_S, LIFETIME_S) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 3 * SEGMENT), st.floats(0.0, 60.0), st.sampled_from([247.0, 282.5])),
        min_size=1,
        max_size=40,
    )
)
def test_no_id_is_used_again_within_its_lifetime(bursts):
    """Whatever the pace; and never more than SEGMENTS numbers are kept."""
    peer, now = Peer("device", "remote", 7), 0.0
    bound_until = {}
    for count, pause, lifetime in bursts:
        now += pause
        for _ in range(count):
            message_id = peer.take_message_id(now, lifetime)
            if message_id is None:
                assert peer.next_id_free_s > now
                break
            assert bound_until.get(message_id, 0.0) <= now
            bound_until[message_id] = now + lifetime
        assert len(peer._segments or ()) <= SEGMENTS


def test_a_segment_is_bound_as_long_as_the_last_of_its_ids():
    """Profiles may change from one message to the next."""
    peer = Peer("device", "remote", 0)
    assert peer.take_message_id(0.0, 282.5) == 0
    for _ in range(MESSAGE_IDS - 1):
        peer.take_message_id(0.0, 247.0)
    assert peer.take_message_id(282.4, 247.0) is None
    assert peer.take_message_id(282.5, 247.0) == 0


def use_all_ids(script, used=0, pauses=()):
    """A request for each id but `used`; `pauses` are seconds before the request of this number."""
    for number in range(MESSAGE_IDS - used):
        script.now += dict(pauses).get(number, 0.0)
        script.exchange.request("device", script.address, 1, now=script.now)
        [(_, asked)] = script.exchange.take()
        [event] = script.exchange.receive(script.address, b"\x68\x45" + asked[2:12], script.now)
        assert type(event) is ResponseReceived


def test_request_waits_for_an_id(script):
    """When all are bound: until the first are free; counted. No event, for nothing is wrong."""
    # The first segment is free 347 s after the first id was taken, the others 397 s after.
    use_all_ids(script, pauses={1: 100.0, SEGMENT: 50.0})
    script.request("GET", "last").request("GET", "very last").quiet()
    script.counts(waited_for_a_message_id=1)
    script.clock(196.9).quiet().clock(0.2).server("CON GET", "last")
    script.device("ACK 2.05").tells(ResponseReceived).server("CON GET", "very last")


def test_idle_device_is_dropped(script):
    """When its last id is free; until then it is kept, for its ids are bound."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05").tells(ResponseReceived)
    assert script.exchange.sizes()["devices"] == 1
    script.clock(200.0).request("GET", "4/0").server("CON GET").device("ACK 2.05").tells(ResponseReceived)
    script.clock(100.0)
    assert script.exchange.sizes()["devices"] == 1
    script.clock(147.0)
    assert script.exchange.sizes()["devices"] == 0
    assert script.exchange.next_timer() is None


def test_two_devices_with_one_address_and_one_id(make_script):
    """An ACK has but an address and an id, so the second device takes the next id."""
    script = make_script(rng=Chance(1111, 500, 2222, 500, 3333, 500))
    for device in range(3):
        script.request("GET", "4/0", device=device).server("CON GET", message_id=500 + device)
    script.device("ACK 2.05").tells(ResponseReceived, device=2)
    script.device("RST", message_id=501).tells(RequestFailed, device=1)


def test_moving_to_an_address_where_the_id_is_awaited(make_script):
    """The ACK of the other device stays its own; a response with the token is known all the same."""
    script = make_script(rng=Chance(1111, 500, 2222, 500))
    script.request("GET", "4/0", device=1).server("CON GET", message_id=500)
    script.request("GET", "4/0", device=2, remote="b").server("CON GET", message_id=500, remote="b")
    script.exchange.move(2, script.address)
    script.device("ACK 2.05").tells(ResponseReceived, device=2)
    script.device("RST", message_id=500).tells(RequestFailed, device=1)


@pytest.mark.parametrize("device", ["named", None])
def test_separate_responses_take_ids_of_the_device(script, device):
    """Of the device that the caller names, or of the address."""
    script.request("GET", "4/0", device=device or script.address).server("CON GET").device("ACK 2.05")
    script.tells(ResponseReceived)
    last = script.said("message_id")
    script.device("CON POST", "rd").tells(RequestReceived).acknowledge().server("ACK")
    script.respond("2.01", device=device).server("CON 2.01", message_id=(last + 1) % MESSAGE_IDS)
    script.device("ACK")


def test_separate_response_without_an_id(script):
    """The caller is told: it may answer later."""
    use_all_ids(script)
    script.device("CON POST", "rd").tells(RequestReceived).acknowledge().server("ACK")
    with pytest.raises(ExchangeLimitError, match="message ids"):
        script.respond("2.01", device="device")
    script.clock(347.0).respond("2.01", device="device").server("CON 2.01").device("ACK")


def test_newer_notification_without_an_id(script):
    """The observer is lost, as with any other failure."""
    script.device("CON GET", "time", observe=0).tells(RequestReceived)
    handle = script.event.handle
    script.respond("2.05", observe=1).server("ACK 2.05")
    for _ in range(2):
        script.notify(handle, device="device")
    script.server("CON 2.05")
    use_all_ids(script, 1)
    script.until_due().tells(ResponseFailed, cause=Cause.LIMIT, handle=handle)
