"""PCP over LwM2M: what is said, as commands, and what was heard, as events. Protocol 1.8 and 1.9.

Observe 19/0/0, Accept 42              SubscribeData
Write 19/1/0, Content-Format 42        a frame: QueryVersion NotifyVersion ExecuteUpgrade, and ANSWERS
a notification of 19/0/0               frames of the device, bare or wrapped, or its ordinary data
"""

from __future__ import annotations

from collections import Counter

from headgate.lwm2m.commands import Observe, Write
from headgate.lwm2m.happenings import Notified, Observed
from headgate.upgrade.events import Effect, Event
from headgate.upgrade.object19 import (
    ANSWERS,
    AnswerSegment,
    DataObserved,
    ExecuteUpgrade,
    NotifyVersion,
    QueryVersion,
    SubscriptionRefused,
    event_of,
    message_of,
)
from headgate.upgrade.task import Plan
from headgate.wire.formats import ContentFormat
from headgate.wire.pcp import DOWNLINK, UPLINK, count, encode, identify_uplink
from headgate.wire.pcp_messages import ResultCode, Sender

QUESTIONS: frozenset[type[Effect]] = frozenset({QueryVersion, NotifyVersion, ExecuteUpgrade})
"""Effects that are frames, and are answered by others."""
SAID = QUESTIONS | ANSWERS
"""Effects that are frames."""
Body = bytes | memoryview
"""Of a package."""
AS_TO_A_READ = "2.05"


def subscribing(purpose: str, token: bytes | None = None) -> Observe:
    """The Observe of 19/0/0."""
    return Observe(path=UPLINK, purpose=purpose, accept=int(ContentFormat.OPAQUE), token=token)


def saying(effect: Effect, purpose: str, plan: Plan | None = None, body: Body | None = None) -> Write | None:
    """The Write that carries an effect's frame; None for a segment while its package is not at hand."""
    if body is None and needs_body(effect):
        return None
    message = message_of(effect, plan, body or b"")
    assert message is not None, f"{effect} is no frame"
    return Write(
        path=DOWNLINK, purpose=purpose, value=encode(message), content_format=int(ContentFormat.OPAQUE)
    )


def needs_body(effect: Effect) -> bool:
    """Whether the frame carries bytes of the package."""
    return isinstance(effect, AnswerSegment) and effect.result == ResultCode.OK


def subscribed(happening: Observed) -> Event:
    """What the answer to the Observe is. Its payload is whatever the resource holds, and no message."""
    return DataObserved() if happening.observing else SubscriptionRefused(code=AS_TO_A_READ)


def heard(happening: Notified | Observed, counts: Counter[str]) -> list[Event]:
    """What the frames of a notification say, in their order; nothing for ordinary data.

    None of them is stale: that a newer one came before it is the network's doing, and each was said once.
    """
    events = []
    for found in identify_uplink(happening.content_format, happening.payload):
        count(found, counts)
        message = found.message
        if message is not None:
            assert message.sender is Sender.DEVICE
            events.append(event_of(message))  # type: ignore[arg-type]
    return events
