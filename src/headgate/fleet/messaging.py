"""CoAP between one device and its server, over one of the device's sockets. RFC 7252 sections 4 and 5.

Client: CON requests and notifications, sent again until acknowledged; responses found by their token, piggy-
backed, separate or late. Server: each request is handed over once, and a copy of it gets the same answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headgate.errors import MessageFormatError
from headgate.wire.coap import Message
from headgate.wire.numbers import ACK, BAD_OPTION, CON, CONTENT, EMPTY, NON, REQUEST_LAST, RST

TOLD_MAX = 8  # notifications by NON whose Reset is understood
REMEMBERED_MAX = 32  # answers kept for copies of their requests
EXCHANGE_LIFETIME_S = 247.0
TOKEN_BYTES = 4

Options = Iterable[tuple[int, bytes]]

Ended = Callable[[Message | None, float], None]
"""What follows an exchange: its response or ACK, a Reset, or None where nothing came; and `now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a device waits for an ACK. RFC 7252 section 4.8."""

    ack_timeout_s: float = 2.0
    ack_random_factor: float = 1.5
    max_retransmit: int = 4


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request, and what the device does once it is on its way."""

    code: int
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""
    then: Callable[[float], None] | None = None
    delay_s: float = 0.0
    """Above 0: a separate response, an empty ACK having been sent at once."""


class Refusal:
    """An answer that is none: a Reset, or silence."""

    __slots__ = ("resets",)

    def __init__(self, *, resets: bool) -> None:
        self.resets = resets


RESET = Refusal(resets=True)
SILENCE = Refusal(resets=False)

Requested = Callable[[Message, float], Reply | Refusal]


class Exchange:
    """A CON of ours that waits for its ACK, or a request that waits for its response."""

    __slots__ = ("datagram", "due_s", "ended", "message_id", "timeout_s", "token", "tries_left")

    def __init__(
        self, message_id: int, token: bytes, datagram: bytes, due_s: float, tries_left: int, ended: Ended
    ) -> None:
        self.message_id = message_id
        self.token = token
        self.datagram = datagram
        self.due_s = due_s
        self.timeout_s = 0.0
        self.tries_left = tries_left
        self.ended = ended


class Messaging:
    """One socket's messages. What is to be sent gathers in `outbox`, which its reader empties."""

    def __init__(
        self, rng: random.Random, timing: Timing, requested: Requested | None = None, *, first_id: int | None
    ) -> None:
        self.outbox: list[bytes] = []
        self.retransmissions = 0
        self.repeated = 0
        """Copies of requests that were answered as before."""
        self._rng = rng
        self._timing = timing
        self._requested = requested
        self._message_id = rng.getrandbits(16) if first_id is None else first_id
        self._waiting: dict[int, Exchange] = {}  # by message id: not acknowledged
        self._asked: dict[bytes, Exchange] = {}  # by token: not answered
        self._answers: dict[int, tuple[float, bytes | None]] = {}  # by message id of the request
        self._told: dict[int, Ended] = {}  # by NON, lately
        self._separate: list[tuple[float, Message, Reply]] = []  # responses that take their time

    # -- what the device asks and tells --

    def token(self) -> bytes:
        """A token that nothing under way has."""
        return self._rng.randbytes(TOKEN_BYTES)

    def request(
        self,
        code: int,
        options: Options,
        payload: bytes = b"",
        *,
        now: float,
        ended: Ended,
        token: bytes | None = None,
    ) -> Exchange:
        """Send a CON request; `ended` is called once, with the response or with what came instead."""
        token = self.token() if token is None else token
        exchange = self._confirmable(code, token, options, payload, now, ended)
        self._asked[token] = exchange
        return exchange

    def notify(
        self,
        token: bytes,
        options: Options,
        payload: bytes,
        *,
        confirmable: bool,
        now: float,
        ended: Ended | None = None,
    ) -> None:
        """Send a notification; `ended` hears of its ACK, its Reset, or neither; of a NON only of a Reset."""
        if confirmable:
            self._confirmable(CONTENT, token, options, payload, now, ended or nothing_follows)
            return
        message_id = self._next_id()
        self._put(NON, CONTENT, message_id, token, options, payload)
        self._told[message_id] = ended or nothing_follows
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]

    def abandon(self, exchange: Exchange) -> None:
        """Send it no more, and wait for nothing."""
        self._waiting.pop(exchange.message_id, None)
        if self._asked.get(exchange.token) is exchange:
            del self._asked[exchange.token]

    @property
    def busy(self) -> bool:
        """Whether anything waits for the server."""
        return bool(self._waiting or self._asked or self._separate)

    # -- what drives it --

    def receive(self, datagram: bytes, now: float) -> None:
        """Take what the server sent. What is no CoAP message is dropped; a CON that is none is reset."""
        try:
            message = Message.parse(datagram)
        except MessageFormatError as error:
            if error.type == CON and error.message_id is not None:
                self._empty(RST, error.message_id)
            return
        if message.type >= ACK:
            self._acknowledged(message, now)
        elif message.code == EMPTY:
            if message.type == CON:
                self._empty(RST, message.message_id)
        elif message.code <= REQUEST_LAST:
            self._answer(message, now)
        else:
            self._respond(message, now)

    def next_timer(self) -> float | None:
        """When to call `expire`."""
        if not (self._waiting or self._asked or self._separate):
            return None
        due = [exchange.due_s for exchange in self._waiting.values()]
        due += [exchange.due_s for exchange in self._asked.values()]
        due += [due_s for due_s, _, _ in self._separate]
        return min(due)

    def expire(self, now: float) -> None:
        """Send again what was not acknowledged, give up what was sent often enough."""
        for exchange in list(self._waiting.values()):
            if exchange.due_s <= now and self._waiting.get(exchange.message_id) is exchange:
                if exchange.tries_left == 0:
                    self.abandon(exchange)
                    exchange.ended(None, now)
                    continue
                exchange.tries_left -= 1
                exchange.timeout_s *= 2
                exchange.due_s = now + exchange.timeout_s
                self.retransmissions += 1
                self.outbox.append(exchange.datagram)
        for exchange in list(self._asked.values()):
            # Acknowledged, and the response never came.
            if exchange.due_s <= now and self._asked.get(exchange.token) is exchange:
                self.abandon(exchange)
                exchange.ended(None, now)
        if self._separate:
            due = [each for each in self._separate if each[0] <= now]
            self._separate = [each for each in self._separate if each[0] > now]
            for _, request, reply in due:
                self._confirmable(
                    reply.code, request.token, reply.options, reply.payload, now, nothing_follows
                )
                if reply.then is not None:
                    reply.then(now)

    # -- how --

    def _next_id(self) -> int:
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def _put(
        self, type: int, code: int, message_id: int, token: bytes, options: Options, payload: bytes
    ) -> bytes:
        message = Message(
            type=type, code=code, message_id=message_id, token=token, options=options, payload=payload
        )
        datagram = message.encode()
        self.outbox.append(datagram)
        return datagram

    def _empty(self, type: int, message_id: int) -> None:
        self._put(type, EMPTY, message_id, b"", (), b"")

    def _confirmable(
        self, code: int, token: bytes, options: Options, payload: bytes, now: float, ended: Ended
    ) -> Exchange:
        message_id = self._next_id()
        datagram = self._put(CON, code, message_id, token, options, payload)
        timing = self._timing
        exchange = Exchange(message_id, token, datagram, 0.0, timing.max_retransmit, ended)
        exchange.timeout_s = timing.ack_timeout_s * self._rng.uniform(1.0, timing.ack_random_factor)
        exchange.due_s = now + exchange.timeout_s
        self._waiting[message_id] = exchange
        return exchange

    def _acknowledged(self, message: Message, now: float) -> None:
        """An ACK, with or without a response in it, or a Reset."""
        exchange = self._waiting.pop(message.message_id, None)
        if exchange is None:
            told = self._told.pop(message.message_id, None) if message.type == RST else None
            if told is not None:
                told(message, now)
            return
        asked = self._asked.get(exchange.token) is exchange
        if message.type == ACK and message.code == EMPTY and asked:
            # The response follows separately: no more copies, and MAX_TRANSMIT_WAIT at most.
            timing = self._timing
            waits = timing.ack_timeout_s * (2 ** (timing.max_retransmit + 1) - 1) * timing.ack_random_factor
            exchange.due_s = now + waits
            return
        if message.type == ACK and message.code != EMPTY and message.token != exchange.token:
            self._waiting[message.message_id] = exchange  # somebody else's answer
            return
        if asked:
            del self._asked[exchange.token]
        exchange.ended(message, now)

    def _respond(self, message: Message, now: float) -> None:
        """A separate response."""
        exchange = self._asked.pop(message.token, None)
        if message.type == CON:
            seen = self._answers.get(message.message_id)
            self._empty(ACK if exchange is not None or seen is not None else RST, message.message_id)
        if exchange is not None:
            self._waiting.pop(exchange.message_id, None)
            self._remember(message.message_id, None, now)
            exchange.ended(message, now)

    def _answer(self, message: Message, now: float) -> None:
        """A request: handled if it is new, else answered as before."""
        known = self._answers.get(message.message_id)
        if known is not None and known[0] > now:
            self.repeated += 1
            if known[1] is not None:
                self.outbox.append(known[1])
            return
        if self._requested is None:
            reply: Reply | Refusal = RESET
        elif message.critical:
            reply = Reply(BAD_OPTION)
        else:
            reply = self._requested(message, now)
        if isinstance(reply, Refusal):
            if reply.resets:
                self._empty(RST, message.message_id)
            self._remember(message.message_id, self.outbox[-1] if reply.resets else None, now)
            return
        if reply.delay_s > 0.0 and message.type == CON:
            self._empty(ACK, message.message_id)
            self._remember(message.message_id, self.outbox[-1], now)
            self._separate.append((now + reply.delay_s, message, reply))
            return
        type, message_id = (ACK, message.message_id) if message.type == CON else (NON, self._next_id())
        datagram = self._put(type, reply.code, message_id, message.token, reply.options, reply.payload)
        self._remember(message.message_id, datagram, now)
        if reply.then is not None:
            reply.then(now)

    def _remember(self, message_id: int, datagram: bytes | None, now: float) -> None:
        self._answers.pop(message_id, None)
        if len(self._answers) >= REMEMBERED_MAX:
            del self._answers[next(iter(self._answers))]  # the oldest
        self._answers[message_id] = (now + EXCHANGE_LIFETIME_S, datagram)


def nothing_follows(message: Message | None, now: float) -> None:
    """The end of an exchange that nobody waits for."""
