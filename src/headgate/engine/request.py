"""One request of ours: what it says next, and what a response means for it. RFC 7252, RFC 7641, RFC 7959.

Knows bodies and blocks, but neither peers nor time: `requests` and `turns` move it from state to state.

      .-------- more blocks --------.
      |                             |
      v                             |
    QUEUED ----> SENT ----> ACKNOWLEDGED ----> ANSWERED
      ^            |          |    ^             |  ^
      |            '--> FAILED <---'             |  | notifications
      '---------------- cancel ------------------'--'

    from                        when                                    to              by
    QUEUED                      its turn, a message id is free          SENT            Turns
    SENT                        Empty ACK                               ACKNOWLEDGED    acknowledged
    SENT                        no ACK, all retransmissions in vain     FAILED          due
    ACKNOWLEDGED                no response within EXCHANGE_LIFETIME    FAILED          due
    FAILED                      Empty ACK, late                         ACKNOWLEDGED    acknowledged
    SENT ACKNOWLEDGED FAILED    Reset, or a response of no use          FAILED          reset, responded
    SENT ACKNOWLEDGED FAILED    a response, and more blocks to come     QUEUED          responded
    SENT ACKNOWLEDGED FAILED    the response, whole                     ANSWERED        responded
    ANSWERED                    a notification                          ANSWERED        responded
    any but ANSWERED            the caller gives it up                  FAILED          give_up
    any, of an observation      the caller cancels it                   QUEUED          cancel
    any                         the caller forgets it                   gone            forget

A request that does not observe is gone when it is ANSWERED. FAILED has been told, but whatever still comes is
taken as if it had not: a step of an upgrade may have more patience than a CON.

Every message of one request has a token of its own (`wire_token`), for a late answer to one block must not
be taken for that of the next; the caller knows the first (`token`).
"""

from __future__ import annotations

from enum import Enum

from headgate.engine.endpoints import Device
from headgate.engine.events import Cause
from headgate.engine.options import Options, block_of, observe_of, uint, value_of, without
from headgate.engine.retransmission import Retransmission, Transmission
from headgate.errors import BlockError
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.numbers import (
    BLOCK1,
    BLOCK2,
    CON,
    CONTINUE,
    ETAG,
    FETCH,
    GET,
    OBSERVE,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    SIZE1,
    SIZE2,
    SUCCESS_LAST,
)

FIRST_MESSAGE_ONLY = {OBSERVE, BLOCK1, BLOCK2, SIZE1, SIZE2}
RESTARTS_MAX = 1  # times that a body is sent or fetched anew from its beginning


class State(Enum):
    """Where a request is: see the drawing at the head."""

    QUEUED = 1
    SENT = 2
    ACKNOWLEDGED = 3
    FAILED = 4
    ANSWERED = 5
    WITHDRAWN = 6
    """Nothing of it is under way: it is about to be answered, sent anew or forgotten."""


class Step(Enum):
    """What a response means for its request."""

    DONE = 1
    """`Request.response` is whole."""
    AGAIN = 2
    """There is more to send or to fetch, as `compose` will say it."""


class Request(Transmission):
    """One request, from `Exchange.request` until its token is forgotten."""

    __slots__ = (
        "acknowledge_now",
        "body",
        "cancelling",
        "code",
        "device",
        "etag",
        "failed",
        "fetch",
        "fetching",
        "first",
        "observe",
        "observing",
        "offset",
        "options",
        "parent",
        "payload",
        "response",
        "restarts",
        "state",
        "szx",
        "token",
        "wire_token",
    )

    def __init__(
        self,
        device: Device,
        token: bytes,
        code: int,
        options: Options,
        payload: bytes,
        szx: int,
        profile: Retransmission,
    ) -> None:
        super().__init__(profile)
        self.device = device
        self.token = token
        self.wire_token = token
        self.code = code
        self.options = options
        self.payload = payload
        self.state = State.QUEUED
        self.failed = False
        """Whether the caller has been told that it failed."""
        self.acknowledge_now = False
        """Whether its CON responses and notifications are acknowledged without the caller."""
        self.observing = code in (GET, FETCH) and observe_of(options) == 0
        self.cancelling = False
        """Whether it asks to end the observation that had its token."""
        self.observe: int | None = None
        """The Observe option of the first message that answers it."""
        self.response: Message | None = None

        self.szx = szx
        """Size exponent of the blocks that we send."""
        self.offset = 0
        """Bytes of the payload that the device has."""
        self.restarts = 0

        self.fetching: Block | None = None
        """The block of the response to ask for."""
        self.first: Message | None = None
        """The response with the block that `body` begins with."""
        self.body: bytearray | None = None
        self.etag: bytes | None = None

        self.parent: Request | None = None
        """The observation whose notification this request fetches."""
        self.fetch: Request | None = None
        """The request that fetches the rest of a notification of this observation."""

    @property
    def observes(self) -> bool:
        """Whether it has an observation, or is about to end one."""
        return self.observing or self.cancelling

    @property
    def body_sent(self) -> bool:
        """Whether the message last composed ends the request: no block of its body is to follow."""
        return self.fetching is None and self.offset + (16 << self.szx) >= len(self.payload)

    def compose(self, message_id: int) -> Message:
        """The request, its next block, or the request for the next block of the response."""
        options, payload = self.options, self.payload
        if self.fetching is not None:
            options = (*without(options, FIRST_MESSAGE_ONLY), (BLOCK2, self.fetching.encode()))
            payload = payload if self.code == FETCH else b""
        elif len(payload) > 16 << self.szx:
            block = Block(self.offset >> (self.szx + 4), not self.body_sent, self.szx)
            options = (*options, (BLOCK1, block.encode()))
            if self.offset == 0:
                options = (*options, (SIZE1, uint(len(payload))))
            payload = payload[self.offset : self.offset + block.size_bytes]
        return Message(
            type=CON,
            code=self.code,
            message_id=message_id,
            token=self.wire_token,
            options=options,
            payload=payload,
        )

    def take(self, message: Message, body_bytes_max: int) -> Step | Cause:
        """What this response to the message last composed means."""
        try:
            step = None if self.fetching is not None else self._take_block1(message)
            return self._take_block2(message, body_bytes_max) if step is None else step
        except BlockError:
            return Cause.BAD_BLOCK

    def begin_again(self) -> None:
        """Forget what was sent and fetched so far."""
        self.offset = 0
        self.fetching = self.first = self.body = self.etag = self.response = None
        self.restarts = 0

    def _take_block1(self, message: Message) -> Step | Cause | None:
        """RFC 7959 sections 2.5 and 2.9; None when the request has been sent whole."""
        code = message.code
        block = block_of(message, BLOCK1)
        if code == REQUEST_ENTITY_TOO_LARGE and block is not None and block.szx < self.szx:
            # The device wants smaller blocks than the first. The size only falls, so this ends.
            if len(self.payload) <= block.size_bytes:
                return None
            self.szx, self.offset = block.szx, 0
            return Step.AGAIN
        if len(self.payload) <= 16 << self.szx:
            return None
        if code == REQUEST_ENTITY_INCOMPLETE and self.restarts < RESTARTS_MAX:
            self.restarts += 1
            self.offset = 0
            return Step.AGAIN
        if self.body_sent or code > SUCCESS_LAST:
            return Cause.BAD_BLOCK if code == CONTINUE else None
        if block is None or block.num != self.offset >> (self.szx + 4):
            return Cause.BAD_BLOCK  # a success that takes part of the body for the whole
        self.offset += 16 << self.szx
        self.szx = min(self.szx, block.szx)
        return Step.AGAIN

    def _take_block2(self, message: Message, body_bytes_max: int) -> Step | Cause:
        """RFC 7959 section 2.4."""
        block = block_of(message, BLOCK2)
        if self.fetching is None:
            self.observe = observe_of(message.options)
            if block is None or not block.more or self._picks_block():
                return self._done(message)
        elif message.code > SUCCESS_LAST:
            return self._done(message)
        elif block is None:
            # A body that shrank to one block need not say so; in the middle there is no such excuse.
            return self._done(message) if self.fetching.num == 0 else Cause.BAD_BLOCK
        etag = value_of(message.options, ETAG)
        if self.first is not None:
            changed = etag is not None and self.etag is not None and etag != self.etag
            if changed or block.num == 0:
                # Another body, or a device that starts over by itself.
                if self.restarts == RESTARTS_MAX:
                    return Cause.BODY_CHANGED if changed else Cause.BAD_BLOCK
                self.restarts += 1
                self.first = None
                if block.num != 0:
                    self.fetching = Block(0, False, block.szx)
                    return Step.AGAIN
        if self.first is None or self.body is None:
            self.first, self.etag, self.body = message, etag, bytearray()
        if block.offset_bytes != len(self.body) or len(message.payload) > block.size_bytes:
            return Cause.BAD_BLOCK
        self.body += message.payload
        if len(self.body) > body_bytes_max:
            return Cause.BODY_TOO_LARGE
        if not block.more:
            return self._done(self.first)
        if len(message.payload) < block.size_bytes:
            return Cause.BAD_BLOCK
        self.fetching = Block(block.num + 1, False, block.szx)
        return Step.AGAIN

    def _done(self, message: Message) -> Step:
        if self.fetching is not None:
            message = Message(
                type=message.type,
                code=message.code,
                message_id=message.message_id,
                token=self.token,
                options=without(message.options, (BLOCK2, SIZE2)),
                payload=bytes(self.body or b"") if message is self.first else message.payload,
            )
        self.response = message
        return Step.DONE

    def _picks_block(self) -> bool:
        """Whether the caller asked for one block out of the middle, and wants no other."""
        value = value_of(self.options, BLOCK2)
        return value is not None and Block.parse(value).num > 0
