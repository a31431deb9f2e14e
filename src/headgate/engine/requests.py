"""Our requests: which response is whose, and the observations. RFC 7252 section 5.3, RFC 7641 section 3.

Invariants

1. What carries a live token (`tokens.py`) is never answered by a Reset, from whichever address it comes,
   unless RFC 7252 section 5.4.1 wants one for an unknown critical option.
2. What comes with a live token tells where its device is: whatever is sent next goes there.
3. A request that fetches a notification is known to its observation (`fetch`), and by its wire token only.
4. `_body_bytes` is the length of all bodies of these requests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from headgate.engine.bounds import Bounds
from headgate.engine.deduplication import Handle
from headgate.engine.endpoints import Remote
from headgate.engine.events import (
    Cause,
    Event,
    NotificationLost,
    NotificationReceived,
    NotificationUnmatched,
    RequestAcknowledged,
    RequestFailed,
    ResponseReceived,
)
from headgate.engine.messaging import Messaging
from headgate.engine.options import observe_of, value_of, without
from headgate.engine.request import Request, State, Step
from headgate.engine.tokens import Tokens
from headgate.engine.turns import Turns
from headgate.errors import ExchangeLimitError
from headgate.wire.coap import Message
from headgate.wire.numbers import BLOCK2, OBSERVE, SUCCESS_LAST

DEREGISTER = b"\x01"
UNANSWERED = {State.SENT, State.ACKNOWLEDGED, State.FAILED}

NO_EVENTS: tuple[Event, ...] = ()


class Requests:
    """All requests of ours, to all devices."""

    def __init__(
        self,
        messaging: Messaging,
        rng: random.Random,
        bounds: Bounds,
        counts: dict[str, int],
    ) -> None:
        self._messaging = messaging
        self._bounds = bounds
        self.turns = Turns(messaging, bounds.waiting_max, counts)
        self._counts = counts
        self.tokens = Tokens(rng, bounds.requests_max)
        self._body_bytes = 0

    @property
    def body_bytes(self) -> int:
        """Bytes of bodies that are being fetched."""
        return self._body_bytes

    # -- what the caller wants --

    def request(self, request: Request, remote: Remote, now: float) -> None:
        """Send it, or let it wait for its turn. Raises ExchangeLimitError."""
        self.tokens.check_room()
        peer = self.turns.peer_with_room(request.device, remote)
        self.tokens.add(request)
        self.turns.enqueue(request, peer, now)

    def remember(self, request: Request) -> None:
        """Keep the token of an observation that was made before. Raises ExchangeLimitError."""
        self.tokens.check_room()
        request.state = State.ANSWERED
        self.tokens.add(request)

    def cancel(self, token: bytes, remote: Remote, now: float) -> None:
        """Ask the device to end an observation: RFC 7641 section 3.6. Raises KeyError, ExchangeLimitError."""
        request = self.tokens.alive(token)
        if request is None:
            raise KeyError(token)
        assert request.observes, "only an observation is cancelled"
        peer = self.turns.peer_with_room(request.device, remote)
        self._withdraw(request)
        request.begin_again()
        request.options = (*without(request.options, (OBSERVE,)), (OBSERVE, DEREGISTER))
        request.observing, request.cancelling, request.failed = False, True, False
        self.turns.enqueue(request, peer, now)
        self.turns.turn(peer, now)

    def repeat(self, token: bytes, now: float) -> None:
        """Send again what is not acknowledged yet, if anything."""
        request = self.tokens.alive(token)
        if request is not None and request.state is State.SENT:
            self._messaging.repeat(request, now)

    def give_up(self, token: bytes, now: float) -> None:
        """Neither send it any more nor wait for it; what still comes is told as late."""
        request = self.tokens.alive(token)
        if request is None or request.state is State.ANSWERED:
            return
        self.turns.withdraw(request)
        request.state, request.failed = State.FAILED, True
        self.turns.turn_of(request.device, now)

    def forget(self, token: bytes, now: float) -> None:
        """Give a request or an observation up: nothing more is sent or expected."""
        request = self.tokens.alive(token)
        if request is None or request.parent is not None or request.token != token:
            return
        self._release(request)
        self.turns.turn_of(request.device, now)

    # -- what the device says --

    def responded(
        self, request: Request | None, message: Message, remote: Remote, handle: Handle | None, now: float
    ) -> Sequence[Event]:
        """A response or notification for it; `handle` is None when it is piggybacked in an ACK."""
        if message.critical:
            return self._refused(request, message, remote, handle, now)
        if request is None:
            if handle is None:
                self._counts["response unmatched"] += 1
                return NO_EVENTS
            self._counts["notification unmatched"] += 1
            return (NotificationUnmatched(remote=remote, message=message, handle=handle),)
        if handle is not None and self._notifies(request, message):
            return self._notified(request, message, remote, handle, now)
        if self._responds(request, message, handle):
            return self._answered(request, message, remote, handle, now)
        if handle is not None and request.observing and message.token == request.token:
            # Newer than the response whose blocks are being fetched, so that begins anew with this one.
            self._withdraw(request)
            request.begin_again()
            return self._answered(request, message, remote, handle, now)
        self._counts["response repeated"] += 1
        if handle is not None:
            self._messaging.acknowledge(handle)
        return NO_EVENTS

    def acknowledged(self, request: Request, remote: Remote, now: float) -> Sequence[Event]:
        """An Empty ACK for the message last sent: the response comes later."""
        late = request.failed
        if request.state is State.SENT:
            self._messaging.timers.set(request, now + request.profile.exchange_lifetime_s)
        elif request.state is not State.FAILED:
            self._counts["acknowledgement repeated"] += 1
            return NO_EVENTS
        request.state = State.ACKNOWLEDGED
        self.turns.give_away(request)
        self.turns.turn_of(request.device, now)
        if request.parent is not None or not request.body_sent:
            return NO_EVENTS
        return (RequestAcknowledged(token=request.token, device=request.device, remote=remote, late=late),)

    def reset(self, request: Request, remote: Remote, now: float) -> Sequence[Event]:
        """A Reset for the message last sent."""
        self.turns.withdraw(request)
        return self._failed(request, remote, Cause.RESET, now)

    def due(self, request: Request, now: float) -> Sequence[Event]:
        """Its timeout has passed."""
        if request.state is State.ACKNOWLEDGED:
            return self._failed(request, request.remote, Cause.NO_RESPONSE, now)
        if self._messaging.retransmit(request, now):
            return NO_EVENTS
        self.turns.give_away(request)
        return self._failed(request, request.remote, Cause.TIMEOUT, now)

    # -- responses --

    def _notifies(self, request: Request, message: Message) -> bool:
        """Whether a CON or NON with the token of this request is a notification, not its response."""
        if request.state is State.ANSWERED:
            return True
        return (
            request.cancelling and message.token == request.token and observe_of(message.options) is not None
        )

    def _responds(self, request: Request, message: Message, handle: Handle | None) -> bool:
        """Whether the message answers the one that was sent last: RFC 7252 section 5.3.2."""
        return (
            message.token == request.wire_token
            and request.state in UNANSWERED
            and (handle is not None or message.message_id == request.message_id)
        )

    def _answered(
        self, request: Request, message: Message, remote: Remote, handle: Handle | None, now: float
    ) -> Sequence[Event]:
        late = request.failed
        self.turns.moved(request.device, remote)
        self.turns.withdraw(request)
        step = self._take(request, message)
        if handle is not None and (
            step is not Step.DONE or request.acknowledge_now or not handle.confirmable
        ):
            self._messaging.acknowledge(handle)
            handle = None
        if step is Step.AGAIN:
            step = self._again(request, remote, now)
            if step is Step.AGAIN:
                return NO_EVENTS
        if isinstance(step, Cause):
            return self._failed(request, remote, step, now)
        assert request.response is not None
        if request.parent is not None:
            return self._fetched(request, request.parent, request.response, remote, now)
        event = ResponseReceived(
            token=request.token,
            device=request.device,
            remote=remote,
            message=request.response,
            observe=request.observe,
            handle=handle,
            late=late,
        )
        if request.observing:
            self._withdraw(request)
            request.begin_again()
            request.state = State.ANSWERED
        else:
            self._release(request)
        self.turns.turn_of(request.device, now)
        return (event,)

    def _take(self, request: Request, message: Message) -> Step | Cause:
        """What the response means, with the bytes of its body counted."""
        before = len(request.body or b"")
        step = request.take(message, self._bounds.body_bytes_max)
        self._body_bytes += len(request.body or b"") - before
        if step is Step.AGAIN and self._body_bytes > self._bounds.bodies_bytes_max:
            return Cause.LIMIT
        return step

    def _again(self, request: Request, remote: Remote, now: float) -> Step | Cause:
        """Send the next message of this request to where the last one came from, before what waits."""
        try:
            peer = self.turns.peer_at(request.device, remote)
        except ExchangeLimitError:
            return Cause.LIMIT
        self.tokens.renew(request)
        self.turns.go_on(request, peer, now)
        return Step.AGAIN

    def _refused(
        self, request: Request | None, message: Message, remote: Remote, handle: Handle | None, now: float
    ) -> Sequence[Event]:
        """RFC 7252 section 5.4.1: a response with a critical option that we do not know is rejected."""
        self._counts["bad option in response"] += 1
        if handle is not None:
            self._messaging.reset(handle)
        if request is None:
            return NO_EVENTS
        if self._responds(request, message, handle):
            self.turns.withdraw(request)
            return self._failed(request, remote, Cause.BAD_OPTION, now)
        if handle is None or request.state is not State.ANSWERED:
            return NO_EVENTS
        # The Reset has ended the observation.
        return (
            RequestFailed(
                token=request.token,
                device=request.device,
                remote=remote,
                cause=Cause.BAD_OPTION,
                late=False,
            ),
        )

    def _failed(self, request: Request, remote: Remote, cause: Cause, now: float) -> Sequence[Event]:
        """Say so once for each cause; what may still come is awaited, and its body goes on then."""
        late, request.failed = request.failed, True
        request.state = State.FAILED
        if cause not in (Cause.TIMEOUT, Cause.NO_RESPONSE):
            self._drop_body(request)
            request.begin_again()
        event: Event
        if request.parent is None:
            event = RequestFailed(
                token=request.token, device=request.device, remote=remote, cause=cause, late=late
            )
        else:
            event = self._lost(request.parent, remote, cause)
            self._drop_fetch(request.parent)
        self.turns.turn_of(request.device, now)
        return (event,)

    # -- notifications --

    def _notified(
        self, request: Request, message: Message, remote: Remote, handle: Handle, now: float
    ) -> Sequence[Event]:
        self._counts["notifications"] += 1
        self.turns.moved(request.device, remote)
        if request.fetch is not None:
            # RFC 7959 section 3.4: what is being fetched is not the newest state any more.
            self._counts["notification superseded"] += 1
            self._drop_fetch(request)
            self.turns.turn_of(request.device, now)
        if value_of(message.options, BLOCK2) is not None:
            fetched = self._fetch(request, message, remote, handle, now)
            if fetched is not None:
                return fetched
        given: Handle | None = handle
        if request.acknowledge_now or not handle.confirmable:
            self._messaging.acknowledge(handle)
            given = None
        return (
            NotificationReceived(
                token=request.token,
                device=request.device,
                remote=remote,
                message=message,
                observe=observe_of(message.options),
                handle=given,
            ),
        )

    def _fetch(
        self, request: Request, message: Message, remote: Remote, handle: Handle, now: float
    ) -> Sequence[Event] | None:
        """Fetch the rest of a notification by plain requests: RFC 7959 section 2.6. None when it is whole."""
        fetch = Request(
            request.device,
            request.token,
            request.code,
            without(request.options, (OBSERVE,)),
            request.payload,
            request.szx,
            request.profile,
        )
        fetch.parent, fetch.acknowledge_now = request, True
        step = self._take(fetch, message)
        if step is Step.DONE:
            return None
        self._messaging.acknowledge(handle)
        if step is Step.AGAIN:
            request.fetch = fetch
            step = self._again(fetch, remote, now)
        if isinstance(step, Cause):
            self._drop_body(fetch)
            request.fetch = None
            return (self._lost(request, remote, step),)
        return NO_EVENTS

    def _fetched(
        self, fetch: Request, request: Request, response: Message, remote: Remote, now: float
    ) -> Sequence[Event]:
        """The rest of a notification has come."""
        event: Event
        if response.code > SUCCESS_LAST:
            event = self._lost(request, remote, Cause.REFUSED)
        else:
            event = NotificationReceived(
                token=request.token,
                device=request.device,
                remote=remote,
                message=response,
                observe=fetch.observe,
                handle=None,
            )
        self._drop_fetch(request)
        self.turns.turn_of(request.device, now)
        return (event,)

    def _lost(self, request: Request, remote: Remote, cause: Cause) -> NotificationLost:
        return NotificationLost(token=request.token, device=request.device, remote=remote, cause=cause)

    # -- letting go --

    def _withdraw(self, request: Request) -> None:
        """Stop whatever is under way for this request; its own token stays alive."""
        if request.fetch is not None:
            self._drop_fetch(request)
        self.turns.withdraw(request)
        self.tokens.drop_wire(request)
        self._drop_body(request)

    def _release(self, request: Request) -> None:
        self._withdraw(request)
        self.tokens.drop(request)

    def _drop_fetch(self, request: Request) -> None:
        fetch = request.fetch
        assert fetch is not None
        request.fetch = None
        self._withdraw(fetch)

    def _drop_body(self, request: Request) -> None:
        self._body_bytes -= len(request.body or b"")
        request.body = None
