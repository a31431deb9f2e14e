"""One device behind a network that loses, doubles, delays and reorders, and moves it to other addresses.

The model knows everything: what was sent, which copies arrived, what the device has done. After each step
the Exchange must have said of it what can be known from the datagrams that arrived, and nothing else.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from headgate.engine.events import (
    NotificationReceived,
    RequestAcknowledged,
    RequestFailed,
    ResponseReceived,
)
from headgate.engine.exchange import Exchange
from headgate.engine.retransmission import DEFAULT, NB_CLASS_2
from reference import coap
from reference.coap import Message

CON, NON, ACK, RST = range(4)
LATENCY_MAX_S = 100.0  # no datagram is on its way for longer: RFC 7252 section 4.8.2
DEVICE_SPAN_S = 45.0  # from the first to the last transmission of a CON of the device
OBSERVATION = b"observed"


@dataclass(frozen=True)
class Flying:
    """A datagram on its way; `address` is the device's side of it."""

    to_server: bool
    address: str
    datagram: bytes
    sent_s: float


class Device:
    """A device by the book: does each command once, and answers its copies as the first."""

    def __init__(self) -> None:
        self.done: Counter[bytes] = Counter()
        self.answers: dict[int, bytes] = {}
        self.unacknowledged: dict[int, tuple[float, bytes]] = {}
        self.reset = 0
        self._next_id = 0x2000

    def say(self, type: int, token: bytes, payload: bytes, now: float, observe: bool = False) -> bytes:
        """A response or notification of its own, to be repeated if it is a CON."""
        self._next_id += 1
        options = ((6, b"\x01"),) if observe else ()
        message = Message(
            type=type, code=0x45, message_id=self._next_id, token=token, options=options, payload=payload
        )
        datagram = coap.encode(message)
        if type == CON:
            self.unacknowledged[self._next_id] = (now, datagram)
        return datagram

    def hear(self, datagram: bytes, separate: bool, now: float) -> list[bytes]:
        """What it answers at once."""
        message = coap.parse(datagram)
        if message.type in (ACK, RST):
            self.reset += message.type == RST
            self.unacknowledged.pop(message.message_id, None)
            return []
        if message.message_id in self.answers:
            return [self.answers[message.message_id]]
        self.done[message.payload] += 1
        said = []
        if separate:
            answer = Message(type=ACK, code=0, message_id=message.message_id)
            said.append(self.say(CON, message.token, b"re:" + message.payload, now))
        else:
            answer = Message(
                type=ACK,
                code=0x45,
                message_id=message.message_id,
                token=message.token,
                payload=b"re:" + message.payload,
            )
        self.answers[message.message_id] = coap.encode(answer)
        return [self.answers[message.message_id], *said]


class Network(RuleBasedStateMachine):
    """Steps that hypothesis takes in any order."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed):
        """An observation exists already."""
        self.exchange = Exchange(rng=random.Random(seed))
        self.exchange.remember(OBSERVATION, "device")
        self.device = Device()
        self.now = 0.0
        self.address = "a0"
        self.known_address = "a0"
        self.flying: list[Flying] = []
        self.commands: dict[bytes, bytes] = {}
        self.outstanding: bytes | None = None
        self.sent_ids: dict[int, bytes] = {}
        self.responded: set[bytes] = set()
        self.failed: set[bytes] = set()
        self.forgotten: set[bytes] = set()
        self.notified: list[bytes] = []
        self.handles = []
        self.said_by_device: set[bytes] = set()
        self.arrived: set[bytes] = set()
        self.acknowledged: set[bytes] = set()

    # -- the caller --

    @rule(profile=st.sampled_from([DEFAULT, NB_CLASS_2]))
    def command(self, profile):
        """The caller commands something that was never commanded before."""
        if len(self.commands) - len(self.responded | self.failed | self.forgotten) > 8:
            return
        payload = b"command %d" % len(self.commands)
        token = self.exchange.request(
            "device", self.known_address, 3, ((11, b"1"),), payload, now=self.now, profile=profile
        )
        self.commands[token] = payload
        self.collect()

    @precondition(lambda self: self.handles)
    @rule(which=st.integers(0, 100))
    def commit(self, which):
        """The caller has committed what a notification said, sooner or later."""
        handle = self.handles.pop(which % len(self.handles))
        self.exchange.acknowledge(handle)
        self.acknowledged.add(handle.message_id)
        self.collect()

    @precondition(lambda self: self.failed - self.forgotten)
    @rule(which=st.integers(0, 100))
    def forget(self, which):
        """A step has ended: its token dies."""
        tokens = sorted(self.failed - self.forgotten)
        token = tokens[which % len(tokens)]
        self.exchange.forget(token, now=self.now)
        self.forgotten.add(token)
        self.collect()

    # -- the device --

    @rule(confirmable=st.booleans())
    def report(self, confirmable):
        """The device notifies."""
        payload = b"report %d" % len(self.said_by_device)
        self.said_by_device.add(payload)
        datagram = self.device.say(CON if confirmable else NON, OBSERVATION, payload, self.now, observe=True)
        self.fly(datagram)

    @precondition(lambda self: self.device.unacknowledged)
    @rule(which=st.integers(0, 100))
    def repeat(self, which):
        """The device retransmits."""
        began, datagram = list(self.device.unacknowledged.values())[which % len(self.device.unacknowledged)]
        if self.now - began <= DEVICE_SPAN_S:
            self.fly(datagram)

    @rule()
    def move(self):
        """The device wakes up under another address; what was on its way to the old one is lost."""
        self.address = f"a{int(self.address[1:]) + 1}"

    # -- the network --

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 100), separate=st.booleans())
    def deliver(self, which, separate):
        """Any datagram arrives, in any order."""
        self.arrive(self.flying.pop(which % len(self.flying)), separate)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 100), separate=st.booleans())
    def deliver_a_copy(self, which, separate):
        """And is still on its way."""
        self.arrive(self.flying[which % len(self.flying)], separate)

    @precondition(lambda self: self.flying)
    @rule(which=st.integers(0, 100))
    def lose(self, which):
        """A datagram is lost."""
        self.flying.pop(which % len(self.flying))

    @rule(seconds=st.floats(0.1, 60.0))
    def wait(self, seconds):
        """Time passes; timers fire when they are due."""
        until = self.now + seconds
        while (due := self.exchange.next_timer()) is not None and due <= until:
            self.now = due
            self.tell(self.exchange.expire(self.now), None)
            self.collect()
        self.now = until
        self.flying = [each for each in self.flying if self.now - each.sent_s < LATENCY_MAX_S]

    # -- what must hold --

    @invariant()
    def nothing_is_done_twice(self):
        """No command, however often it was sent."""
        assert all(count == 1 for count in self.device.done.values())

    @invariant()
    def no_live_token_is_reset(self):
        """Nor anything else, unless the caller says so, which this one does not."""
        assert self.device.reset == 0

    def teardown(self):
        """When nothing more is lost, everything ends: answered or failed."""
        if not hasattr(self, "exchange"):
            return
        for _ in range(len(self.commands) + 1):
            self.wait(300.0)
        open_tokens = set(self.commands) - self.responded - self.forgotten
        assert open_tokens <= self.failed
        sizes = self.exchange.sizes()
        assert sizes["tokens"] == len(open_tokens) + 1
        assert sizes["separate"] == sizes["body bytes"] == 0
        for token in open_tokens:
            self.exchange.forget(token, now=self.now)
        self.wait(300.0)
        assert self.exchange.sizes()["awaited"] == 0
        assert self.exchange.sizes()["devices"] == 0

    def fly(self, datagram):
        """The device sends."""
        self.flying.append(Flying(True, self.address, datagram, self.now))

    def arrive(self, flying, separate):
        """At the server, or at the device if it is still there."""
        if flying.to_server:
            self.tell(self.exchange.receive(flying.address, flying.datagram, self.now), flying)
            self.collect()
        elif flying.address == self.address:
            for datagram in self.device.hear(flying.datagram, separate, self.now):
                self.fly(datagram)

    def tell(self, events, flying):
        """Each event is compared with what the datagram that arrived must mean."""
        expected = self.meaning(flying) if flying is not None else []
        told = []
        for event in events:
            match event:
                case ResponseReceived(token=token, message=message, late=late):
                    told.append(("response", token))
                    assert token not in self.responded
                    assert message.payload == b"re:" + self.commands[token]
                    assert late == (token in self.failed)
                    self.responded.add(token)
                    self.settled(token)
                case RequestAcknowledged(token=token, late=late):
                    assert late == (token in self.failed)
                    self.settled(token)
                case RequestFailed(token=token):
                    assert flying is None
                    assert token not in self.failed | self.responded
                    self.failed.add(token)
                    self.settled(token)
                case NotificationReceived(token=token, message=message, handle=handle, remote=remote):
                    told.append(("notification", message.payload))
                    assert token == OBSERVATION
                    assert remote == flying.address
                    assert (handle is None) == (message.type == NON)
                    self.notified.append(message.payload)
                    if handle is not None:
                        self.handles.append(handle)
            if flying is not None:
                self.known_address = flying.address
                self.exchange.move("device", flying.address)
        assert told == expected

    def meaning(self, flying):
        """What a datagram of the device means to a server that knows which copies came before."""
        message = coap.parse(flying.datagram)
        if message.code == 0:
            return []
        if message.token == OBSERVATION:
            if message.payload in self.arrived:
                return []
            self.arrived.add(message.payload)
            return [("notification", message.payload)]
        if message.token in self.responded | self.forgotten:
            return []
        return [("response", message.token)]

    def settled(self, token):
        """Its turn is over."""
        if self.outstanding == token:
            self.outstanding = None

    def collect(self):
        """What the server sends: requests one at a time, acknowledgements of what was committed."""
        for remote, datagram in self.exchange.take():
            message = coap.parse(datagram)
            if message.type == CON:
                if message.message_id not in self.sent_ids:
                    assert self.outstanding is None
                    self.outstanding = message.token
                    self.sent_ids[message.message_id] = datagram
                assert self.sent_ids[message.message_id] == datagram
                assert remote == self.known_address
            elif message.type == ACK and message.message_id in self.ids_of_reports():
                assert message.message_id in self.acknowledged
            self.flying.append(Flying(False, remote, datagram, self.now))

    def ids_of_reports(self):
        """Message ids of notifications whose handles the caller still has."""
        return {handle.message_id for handle in self.handles}


TestNetwork = Network.TestCase
TestNetwork.settings = settings(stateful_step_count=40, deadline=None)
