"""Requests of devices, and our answers. RFC 7252 section 5.2, RFC 7641 section 4, RFC 7959 section 2.5."""

from __future__ import annotations

from collections.abc import Sequence

from headgate.engine.bounds import Bounds
from headgate.engine.deduplication import Handle
from headgate.engine.endpoints import Device, Remote
from headgate.engine.events import Cause, Event, RequestReceived, ResponseFailed
from headgate.engine.messaging import Messaging
from headgate.engine.options import Options, uint, uint_of, without
from headgate.engine.reassembly import Refusal, Uploads
from headgate.engine.retransmission import Retransmission, Transmission
from headgate.errors import BlockError, ExchangeLimitError
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.numbers import (
    ACK,
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK1,
    CON,
    CONTINUE,
    METHOD_NOT_ALLOWED,
    NON,
    PROXY_SCHEME,
    PROXY_URI,
    PROXYING_NOT_SUPPORTED,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
    REQUEST_KNOWN_LAST,
    REQUEST_LAST,
    REQUEST_TAG,
    SIZE1,
    URI_PATH,
)

SIZE_LENGTH_MAX = 4  # bytes of a Size1 option: RFC 7959 section 4

NO_EVENTS: tuple[Event, ...] = ()


class Separate(Transmission):
    """A separate response or a notification of ours on its way."""

    __slots__ = ("code", "device", "handle", "newer", "options", "payload")

    def __init__(
        self,
        handle: Handle,
        device: Device,
        code: int,
        options: Options,
        payload: bytes,
        profile: Retransmission,
    ) -> None:
        super().__init__(profile)
        self.handle = handle
        self.device = device
        self.code = code
        self.options = options
        self.payload = payload
        self.newer: Separate | None = None
        """The notification that takes the place of this one: RFC 7641 section 4.5.2."""

    def compose(self, message_id: int) -> Message:
        """The response, with the request's token."""
        return Message(
            type=CON,
            code=self.code,
            message_id=message_id,
            token=self.handle.token,
            options=self.options,
            payload=self.payload,
        )


class Responses:
    """All requests of devices that we answer."""

    def __init__(self, messaging: Messaging, bounds: Bounds, counts: dict[str, int]) -> None:
        self.uploads = Uploads(bounds, counts)
        self._messaging = messaging
        self._bounds = bounds
        self._counts = counts
        self._separate = 0

    def __len__(self) -> int:
        """Separate responses and notifications on their way."""
        return self._separate

    # -- what devices ask --

    def requested(self, message: Message, remote: Remote, handle: Handle, now: float) -> Sequence[Event]:
        """A request that was not seen before."""
        if message.critical and handle.confirmable:
            self._refuse(handle, BAD_OPTION)
            return NO_EVENTS
        if message.critical:
            # RFC 7252 section 5.4.1: rejected, in silence.
            self._counts["bad option in NON request"] += 1
            return NO_EVENTS
        block1 = None
        for number, value in message.options:
            if number == BLOCK1:
                block1 = value
            elif number in (PROXY_URI, PROXY_SCHEME):
                self._refuse(handle, PROXYING_NOT_SUPPORTED)
                return NO_EVENTS
        if message.code > REQUEST_KNOWN_LAST:
            self._refuse(handle, METHOD_NOT_ALLOWED)
            return NO_EVENTS
        if block1 is not None:
            whole = self._take_block(message, block1, handle, now)
            if whole is None:
                return NO_EVENTS
            message = whole
        self._counts["requests"] += 1
        return (RequestReceived(remote=remote, message=message, handle=handle),)

    def _take_block(self, message: Message, value: bytes, handle: Handle, now: float) -> Message | None:
        """The request with its whole body, if this block ends it; else the block is answered here."""
        try:
            block = Block.parse(value)
        except BlockError:
            self._refuse(handle, BAD_REQUEST)
            return None
        handle.block1 = block
        if block.szx > self._bounds.upload_szx_max:
            handle.block1 = Block(0, block.more, self._bounds.upload_szx_max)
            self._refuse(handle, REQUEST_ENTITY_TOO_LARGE)
            return None
        key = (
            handle.remote,
            message.code,
            tuple([option for option in message.options if option[0] in (URI_PATH, REQUEST_TAG)]),
        )
        announced = uint_of(message.options, SIZE1, SIZE_LENGTH_MAX) or 0
        taken = self.uploads.take(key, block, message.payload, announced, now)
        if taken is None:
            self.respond(handle, CONTINUE)
        elif taken is Refusal.TOO_LARGE:
            self._refuse(handle, REQUEST_ENTITY_TOO_LARGE, ((SIZE1, uint(self._bounds.upload_bytes_max)),))
        elif taken is Refusal.INCOMPLETE:
            self._refuse(handle, REQUEST_ENTITY_INCOMPLETE)
        elif taken is Refusal.MALFORMED:
            self._refuse(handle, BAD_REQUEST)
        else:
            return Message(
                type=message.type,
                code=message.code,
                message_id=message.message_id,
                token=message.token,
                options=without(message.options, (BLOCK1, SIZE1)),
                payload=taken,
            )
        return None

    def _refuse(self, handle: Handle, code: int, options: Options = ()) -> None:
        self._counts[f"refused by {code >> 5}.{code & 31:02}"] += 1
        self.respond(handle, code, options)

    # -- what we answer --

    def respond(self, handle: Handle, code: int, options: Options = (), payload: bytes = b"") -> None:
        """Answer a CON that is not acknowledged yet in its ACK, a NON by a NON."""
        assert handle.code <= REQUEST_LAST, "a request has a response"
        assert not handle.responded, "a request has one response"
        if handle.block1 is not None:
            options = (*options, (BLOCK1, handle.block1.encode()))
        # A NON takes the id of its request (docs/adr/0005): ids of our own would mean a record per peer.
        response = Message(
            type=ACK if handle.confirmable else NON,
            code=code,
            message_id=handle.message_id,
            token=handle.token,
            options=options,
            payload=payload,
        )
        self._messaging.answer(handle, response)
        handle.responded = True

    def send(self, separate: Separate, now: float) -> None:
        """Send a separate response or a notification. Raises ExchangeLimitError."""
        older = separate.handle.separate
        if older is not None:
            older.newer = separate
            return
        if self._separate >= self._bounds.separate_max:
            raise ExchangeLimitError(f"{self._separate} separate responses are under way: raise separate_max")
        peer = self._messaging.peer(separate.device, separate.handle.remote)
        if not self._messaging.transmit(separate, peer, separate.handle.remote, now):
            raise ExchangeLimitError(f"all message ids towards {separate.device!r} are bound")
        separate.handle.separate = separate
        self._separate += 1

    # -- what becomes of it --

    def acknowledged(self, separate: Separate, now: float) -> Sequence[Event]:
        """The device has it: send the newer one, if there is."""
        self._settle(separate)
        if separate.newer is not None:
            try:
                self.send(separate.newer, now)
            except ExchangeLimitError:
                return (ResponseFailed(handle=separate.handle, cause=Cause.LIMIT),)
        return NO_EVENTS

    def failed(self, separate: Separate, cause: Cause) -> Sequence[Event]:
        """The device does not want it, or is not there: nor does it get a newer one."""
        self._settle(separate)
        return (ResponseFailed(handle=separate.handle, cause=cause),)

    def due(self, separate: Separate, now: float) -> Sequence[Event]:
        """Its timeout has passed: repeat it, or the newer one in its place and with its patience."""
        newer = separate.newer
        if newer is not None:
            separate.code, separate.options, separate.payload = newer.code, newer.options, newer.payload
            separate.newer = None
            peer = self._messaging.peer_known(separate.device)
            if peer is None or not self._messaging.replace(separate, peer, now):
                return self.failed(separate, Cause.LIMIT)
        if self._messaging.retransmit(separate, now):
            return NO_EVENTS
        return self.failed(separate, Cause.TIMEOUT)

    def _settle(self, separate: Separate) -> None:
        self._messaging.settle(separate)
        separate.handle.separate = None
        self._separate -= 1
