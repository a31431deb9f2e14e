"""One device: where it is, what it is to be sent, which message ids are free. RFC 7252 sections 4.4, 4.7."""

from __future__ import annotations

from collections import deque

from headgate.engine.endpoints import Device, Remote
from headgate.engine.request import Request
from headgate.engine.timers import Timed

MESSAGE_IDS = 1 << 15  # the lower half: the upper one is for segments, `ext/headgate/engine/flight.pxd`
SEGMENT = 1 << 12  # message ids that become free together
SEGMENTS = MESSAGE_IDS // SEGMENT


class Peer(Timed):
    """What we keep of one device that we send CONs to.

    Message ids count up from a random number. They become free in segments of SEGMENT ids: one deadline per
    segment, the latest of its ids, so that a device costs at most SEGMENTS numbers however much it is sent.
    """

    __slots__ = (
        "_first_id",
        "_ids_used",
        "_segments",
        "busy_until_s",
        "device",
        "outstanding",
        "remote",
        "waiting",
    )

    def __init__(self, device: Device, remote: Remote, first_id: int) -> None:
        super().__init__()
        self.device = device
        self.remote = remote
        """The newest address: whatever is sent next goes there."""
        self.busy_until_s = 0.0
        """When the last of its message ids becomes free."""
        self.outstanding: Request | None = None
        """NSTART is 1: the request that neither failed nor had its ACK or response yet."""
        self.waiting: deque[Request] | None = None
        self._first_id = first_id
        self._ids_used = 0
        self._segments: deque[float] | None = None

    @property
    def idle(self) -> bool:
        """Whether it has neither a request outstanding nor one waiting."""
        return self.outstanding is None and not self.waiting

    @property
    def next_id_free_s(self) -> float:
        """When the next message id may be taken, if `take_message_id` gave none."""
        return self._segments[0] if self._segments else 0.0

    def take_message_id(self, now: float, lifetime_s: float) -> int | None:
        """An id that is not used again for `lifetime_s`; None when all of them are bound."""
        used = self._ids_used
        segments = self._segments
        if segments is not None and len(segments) == SEGMENTS and used % SEGMENT == 0:
            if segments[0] > now:
                return None
            segments.popleft()
        self._ids_used = used + 1
        self.busy_until_s = max(self.busy_until_s, now + lifetime_s)
        if self._ids_used % SEGMENT == 0:
            if segments is None:
                segments = self._segments = deque()
            segments.append(self.busy_until_s)
        return (self._first_id + used) % MESSAGE_IDS
