"""What an Exchange tells its caller.

`device` is what the caller named the device by when it asked; `remote` where the message came from, which
may be another address than the one asked. Retransmissions and what waits for its turn follow it there;
whether later requests are for that address too is for the caller to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headgate.engine.deduplication import Handle
from headgate.engine.endpoints import Device, Remote
from headgate.wire.coap import Message


class Cause(StrEnum):
    """Why nothing came of a message of ours."""

    TIMEOUT = "not acknowledged after all retransmissions"
    NO_RESPONSE = "acknowledged, but no response came"
    RESET = "answered by a Reset"
    BAD_OPTION = "the response has a critical option that we do not know"
    BAD_BLOCK = "the response's block is not the one asked for"
    BODY_CHANGED = "the body changed twice while its blocks were fetched"
    BODY_TOO_LARGE = "the response's body is larger than we keep"
    REFUSED = "the device refused to send a later block"
    LIMIT = "a bound of the exchange is reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReceived:
    """A device asks. Answer with `respond`, or `acknowledge` first and `respond` later.

    A body that came by Block1 is whole: `message` is the last block's, with the body as payload.
    """

    remote: Remote
    message: Message
    handle: Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAcknowledged:
    """The device has the request and will respond later: an Empty ACK came."""

    token: bytes
    device: Device
    remote: Remote
    late: bool
    """Whether the request had been reported as failed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReceived:
    """The response to a request, its body whole. Its token is forgotten, unless it observes.

    A notification that overtakes the response to an Observe request looks the same and is taken for it.
    """

    token: bytes
    device: Device
    remote: Remote
    message: Message
    observe: int | None
    """Order of the notification (24 bits): there when the observation is established."""
    handle: Handle | None
    """To `acknowledge`; None when there is nothing to acknowledge any more."""
    late: bool
    """Whether the request had been reported as failed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationReceived:
    """A message with the token of an observation, whatever its order: RFC 7641 section 3.2.

    A block-wise one is acknowledged when its first block comes, since the device may not answer GETs for
    the rest before that, and told when its body is whole.
    """

    token: bytes
    device: Device
    remote: Remote
    message: Message
    observe: int | None
    """Order of the notification (24 bits); None when the device says that it ends the observation."""
    handle: Handle | None
    """To `acknowledge`; None when there is nothing to acknowledge any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationUnmatched:
    """A notification or response with a token that is not alive. `acknowledge`, `reset` or ignore it."""

    remote: Remote
    message: Message
    handle: Handle


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationLost:
    """The rest of a block-wise notification could not be had. The observation goes on."""

    token: bytes
    device: Device
    remote: Remote
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed:
    """No usable response. The token stays alive: what still comes is told as late, until `forget`."""

    token: bytes
    device: Device
    remote: Remote
    cause: Cause
    late: bool
    """Whether the request had been reported as failed before, for another cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFailed:
    """A separate response or notification of ours was not acknowledged, or was answered by a Reset.

    For an observer, either means that it does not observe any more: RFC 7641 section 4.5.
    """

    handle: Handle
    cause: Cause


Event = (
    RequestReceived
    | RequestAcknowledged
    | ResponseReceived
    | NotificationReceived
    | NotificationUnmatched
    | NotificationLost
    | RequestFailed
    | ResponseFailed
)
