"""CoAP messaging that remembers what RFC 7252 asks it to, for any number of peers, without any I/O.

An Exchange is driven by three things: a datagram (`receive`), a time that has come (`expire`), a wish of the
caller (`request`, `respond`, ...). What happened is returned as events; what is to be sent is taken by `take`
and leaves in that order. Time is `now`, in seconds of any one clock; chance is the caller's.

    receive -> messaging      CON NON ACK RST, copies, what is malformed       RFC 7252 section 4
                 |-- responses    requests of devices, their bodies (Block1)   section 5.2, RFC 7959
                 '-- requests     responses and notifications by token         section 5.3, RFC 7641
                       |-- tokens     which are alive                          section 5.3.1
                       '-- request    one request and its blocks               RFC 7959

Invariants (each file has its own besides)

1. A datagram costs a constant number of dictionary look-ups, and a timer O(log n) at most, however many
   exchanges are under way.
2. Nothing that a peer sends makes anything grow past `Bounds`. A bound that peers can reach makes room by
   dropping the oldest; one that only the caller can reach is told to the caller (ExchangeLimitError).
3. Every datagram received is counted, and every one dropped or refused is counted by its reason (`counts`).
4. An ACK that promises something to a device leaves when the caller says so: after its commit.
5. A device is known by the caller's name for it and by tokens, never by its address.

What is ours to choose, where RFC 7252 leaves it open: the token of a request has 8 random bytes, since in
NoSec it is all that tells whose a message is. NSTART is 1 per device; a request gives its turn away when it
is answered, acknowledged or has failed. Responses of ours are not counted: section 4.7 speaks of clients.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from headgate.engine.bounds import PAYLOAD_MAX, SZX_MAX, Bounds
from headgate.engine.counting import COUNTED
from headgate.engine.deduplication import Handle
from headgate.engine.endpoints import Device, Remote
from headgate.engine.events import Cause, Event
from headgate.engine.messaging import Messaging
from headgate.engine.peers import Peer
from headgate.engine.request import Request
from headgate.engine.requests import Requests
from headgate.engine.responses import Responses, Separate
from headgate.engine.retransmission import DEFAULT, Retransmission
from headgate.errors import MessageFormatError
from headgate.wire.coap import Message
from headgate.wire.numbers import ACK, CON, EMPTY, GET, NON, REQUEST_LAST, RST

BODY_MAX = 16 << 20  # bytes of a request that 2**20 blocks of the smallest size can carry

NO_EVENTS: tuple[Event, ...] = ()


class Exchange:
    r"""The CoAP endpoint that a server is, towards all its devices.

    >>> exchange = Exchange(rng=random.Random(1))
    >>> exchange.receive("a device", bytes.fromhex("40001234"), now=0.0)
    ()
    >>> exchange.take()
    [('a device', b'p\x00\x124')]
    """

    def __init__(self, *, rng: random.Random, bounds: Bounds | None = None) -> None:
        """`rng` draws tokens: a `random.SystemRandom` where peers are not to be trusted."""
        bounds = bounds or Bounds()
        self.counts = dict.fromkeys(COUNTED, 0)
        """How often each thing happened."""
        self._messaging = Messaging(rng, bounds, self.counts)
        self._requests = Requests(self._messaging, rng, bounds, self.counts)
        self._responses = Responses(self._messaging, bounds, self.counts)

    def sizes(self) -> dict[str, int]:
        """What is kept at the moment, table by table; each has its bound in `Bounds`."""
        messaging = self._messaging
        return {
            "tokens": len(self._requests.tokens),
            "devices": messaging.peers,
            "awaited": messaging.awaited,
            "separate": len(self._responses),
            "remembered": len(messaging.deduplication),
            "remembered bytes": messaging.deduplication.answer_bytes,
            "uploads": len(self._responses.uploads),
            "upload bytes": self._responses.uploads.body_bytes,
            "body bytes": self._requests.body_bytes,
            "timers": messaging.timers.entries,
        }

    # -- what drives it --

    def receive(self, remote: Remote, datagram: bytes, now: float) -> Sequence[Event]:
        """What this datagram says; answers that need nobody's consent are ready to `take`."""
        self.counts["received"] += 1
        try:
            message = Message.parse(datagram)
        except MessageFormatError as error:
            self._malformed(remote, error)
            return NO_EVENTS
        code = message.code
        if message.type >= ACK:
            return self._acknowledged(remote, message, now)
        if code == EMPTY:
            self._pinged(remote, message)
            return NO_EVENTS
        request, sender = None, remote
        if code > REQUEST_LAST:
            request = self._requests.tokens.alive(message.token)
            if request is not None and request.observes:
                sender = request.device
        messaging = self._messaging
        key = (sender, message.message_id)
        content = hash((code, message.options, message.payload))
        handle = messaging.deduplication.find(key, content, now)
        if handle is not None:
            messaging.repeated(handle, message, remote)
            return NO_EVENTS
        handle = Handle(key, remote, code, message.token, message.type == CON, content)
        messaging.deduplication.remember(handle, now)
        if code <= REQUEST_LAST:
            return self._responses.requested(message, remote, handle, now)
        return self._requests.responded(request, message, remote, handle, now)

    def next_timer(self) -> float | None:
        """When to call `expire`; None when nothing waits."""
        return self._messaging.timers.next()

    def expire(self, now: float) -> list[Event]:
        """Do what is due at `now`: retransmit, give up, let go."""
        events: list[Event] = []
        timers = self._messaging.timers
        while (item := timers.take_due(now)) is not None:
            if isinstance(item, Request):
                events += self._requests.due(item, now)
            elif isinstance(item, Separate):
                events += self._responses.due(item, now)
            elif isinstance(item, Peer):
                self._requests.turns.turn(item, now)
                self._messaging.drop_if_free(item, now)
        return events

    def take(self) -> list[tuple[Remote, bytes]]:
        """The datagrams to send, in this order; to be called after every other call."""
        outbox = self._messaging.outbox
        self._messaging.outbox = []
        return outbox

    # -- our requests --

    def request(
        self,
        device: Device,
        remote: Remote,
        code: int,
        options: Iterable[tuple[int, bytes]] = (),
        payload: bytes = b"",
        *,
        now: float,
        profile: Retransmission = DEFAULT,
        block_size: int = 512,
        acknowledge_now: bool | None = None,
        token: bytes | None = None,
    ) -> bytes:
        """Ask `device`, which is at `remote` now; returns the token that the events will name.

        A GET or FETCH with Observe 0 observes: its token is alive until `forget`. So is that of a request
        that failed; any other is forgotten with its response. A payload above `block_size` (16..1024) goes
        by Block1. `acknowledge_now` tells whether CON responses and notifications are acknowledged without
        the caller; unless said otherwise, those of requests that observe are not. `token` is one that
        `new_token` drew, and is not alive.
        Raises MessageFormatError, and ExchangeLimitError when too much waits for this device or in all.
        """
        request = self._new_request(device, code, options, payload, profile, block_size, token)
        if acknowledge_now is not None:
            request.acknowledge_now = acknowledge_now
        self._requests.request(request, remote, now)
        return request.token

    def new_token(self) -> bytes:
        """A token for a request to come: to be stored before that leaves."""
        return self._requests.tokens.draw()

    def remember(
        self,
        token: bytes,
        device: Device,
        code: int = GET,
        options: Iterable[tuple[int, bytes]] = (),
        payload: bytes = b"",
        *,
        profile: Retransmission = DEFAULT,
        acknowledge_now: bool = False,
    ) -> None:
        """Keep an observation alive that an earlier process made by this request, under this token."""
        request = self._new_request(device, code, options, payload, profile, 512, token)
        request.observing, request.acknowledge_now = True, acknowledge_now
        self._requests.remember(request)

    def cancel(self, token: bytes, remote: Remote, *, now: float) -> None:
        """End an observation by a GET with Observe 1, same token and path: RFC 7641 section 3.6.

        The response is told as that of any request, and the token then forgotten.
        Raises KeyError when the token is not alive, and ExchangeLimitError.
        """
        self._requests.cancel(token, remote, now)

    def repeat(self, token: bytes, *, now: float) -> None:
        """Send the message that is under way for a request again, now, if it is not acknowledged.

        For a device that has woken up: it may sleep again when the next retransmission is due.
        """
        self._requests.repeat(token, now)

    def give_up(self, token: bytes, *, now: float) -> None:
        """Send nothing more for a request and wait for it no longer; what still comes is told as late.

        As if it had failed, but nobody is told. Its token is alive until `forget`.
        """
        self._requests.give_up(token, now)

    def forget(self, token: bytes, *, now: float) -> None:
        """Let a token die: nothing is repeated or expected for it any more. A dead one is no fault."""
        self._requests.forget(token, now)

    def move(self, device: Device, remote: Remote) -> None:
        """Send whatever is under way for `device` to `remote` from now on, e.g. after its Update.

        What comes with a live token has moved it already.
        """
        self._requests.turns.moved(device, remote)

    # -- our answers --

    def respond(
        self,
        handle: Handle,
        code: int,
        options: Iterable[tuple[int, bytes]] = (),
        payload: bytes = b"",
        *,
        now: float,
        device: Device | None = None,
        profile: Retransmission = DEFAULT,
    ) -> None:
        """Answer a request: in its ACK, or in a CON of our own when it was acknowledged before.

        `device` is whose message ids a CON takes; the address itself where the device has no name.
        Raises MessageFormatError, and ExchangeLimitError when too many separate responses are under way.
        """
        if not handle.confirmable or handle.answer is None:
            check_payload(payload)
            self._responses.respond(handle, code, tuple(options), payload)
            return
        assert handle.code <= REQUEST_LAST, "a request has a response"
        assert not handle.responded, "a request has one response"
        self._send_separate(handle, code, options, payload, now, device, profile)
        handle.responded = True

    def notify(
        self,
        handle: Handle,
        code: int,
        options: Iterable[tuple[int, bytes]] = (),
        payload: bytes = b"",
        *,
        now: float,
        device: Device | None = None,
        profile: Retransmission = DEFAULT,
    ) -> None:
        """Notify whoever observes by this request: a CON with its token. Raises as `respond` does.

        While an earlier one is not acknowledged, the newest waits for its place: RFC 7641 section 4.5.
        """
        assert handle.responded, "an observer has been answered first"
        self._send_separate(handle, code, options, payload, now, device, profile)

    def acknowledge(self, handle: Handle) -> None:
        """Send the ACK of a CON, Empty; a NON needs none, and a second one is not sent."""
        self._messaging.acknowledge(handle)

    def reset(self, handle: Handle) -> None:
        """Answer by a Reset: an observer does not know what this is about. Not after an ACK."""
        self._messaging.reset(handle)

    # -- messages that are neither request nor response --

    def _malformed(self, remote: Remote, error: MessageFormatError) -> None:
        """RFC 7252 section 4.2: rejected by a Reset if it is a CON, in silence if not."""
        if error.type == CON and error.message_id is not None:
            self.counts["format error in CON"] += 1
            self._messaging.send_reset(remote, error.message_id)
        else:
            self.counts["format error"] += 1

    def _pinged(self, remote: Remote, message: Message) -> None:
        """RFC 7252 section 4.3: an Empty CON asks whether we are there; an Empty NON is no message."""
        if message.type == NON:
            self.counts["format error"] += 1
            return
        self.counts["pings"] += 1
        self._messaging.send_reset(remote, message.message_id)

    def _acknowledged(self, remote: Remote, message: Message, now: float) -> Sequence[Event]:
        """An ACK, Empty or with a response, or a Reset."""
        if EMPTY < message.code <= REQUEST_LAST:
            self.counts["format error"] += 1
            return NO_EVENTS
        if message.code != EMPTY:
            request = self._requests.tokens.alive(message.token)
            return self._requests.responded(request, message, remote, None, now)
        about = self._messaging.awaited_by((remote, message.message_id))
        if isinstance(about, Request):
            if message.type == RST:
                return self._requests.reset(about, remote, now)
            return self._requests.acknowledged(about, remote, now)
        if isinstance(about, Separate):
            if message.type == RST:
                return self._responses.failed(about, Cause.RESET)
            return self._responses.acknowledged(about, now)
        self.counts["reset unmatched" if message.type == RST else "acknowledgement unmatched"] += 1
        return NO_EVENTS

    # -- helpers --

    def _new_request(
        self,
        device: Device,
        code: int,
        options: Iterable[tuple[int, bytes]],
        payload: bytes,
        profile: Retransmission,
        block_size: int,
        token: bytes | None = None,
    ) -> Request:
        """A request whose messages are known to be well-formed, whenever they will be sent."""
        assert EMPTY < code <= REQUEST_LAST, "a request has a method"
        if len(payload) > BODY_MAX:
            raise ValueError(f"a body has at most {BODY_MAX} bytes, not {len(payload)}")
        if token is None:
            token = self._requests.tokens.draw()
        checked = Message(type=CON, code=code, message_id=0, token=token, options=options)
        request = Request(device, token, code, checked.options, payload, szx_of(block_size), profile)
        request.acknowledge_now = not request.observing
        return request

    def _send_separate(
        self,
        handle: Handle,
        code: int,
        options: Iterable[tuple[int, bytes]],
        payload: bytes,
        now: float,
        device: Device | None,
        profile: Retransmission,
    ) -> None:
        check_payload(payload)
        checked = Message(type=CON, code=code, message_id=0, token=handle.token, options=options)
        key = handle.remote if device is None else device
        self._responses.send(Separate(handle, key, code, checked.options, payload, profile), now)


def szx_of(block_size: int) -> int:
    """The size exponent of blocks of this size: RFC 7959 section 2.2."""
    szx = block_size.bit_length() - 5
    if not 0 <= szx <= SZX_MAX or block_size != 16 << szx:
        raise ValueError(f"a block has 16, 32, 64, 128, 256, 512 or 1024 bytes, not {block_size}")
    return szx


def check_payload(payload: bytes) -> None:
    """A response of ours is one datagram."""
    if len(payload) > PAYLOAD_MAX:
        raise ValueError(f"a response has at most {PAYLOAD_MAX} bytes of payload, not {len(payload)}")
