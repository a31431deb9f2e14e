"""Whose turn it is to be sent: NSTART is 1 for each device. RFC 7252 section 4.7.

Invariants

1. Of one device, at most one request is outstanding (SENT); the rest wait in the order they came, a later
   block of a request before them.
2. What waits has a peer, which is kept as long: `Messaging.drop_if_free`.
3. When nothing is outstanding, something waits only for a message id, and its peer has a timer for that.
"""

from __future__ import annotations

from collections import deque

from headgate.engine.endpoints import Device, Remote
from headgate.engine.messaging import Messaging
from headgate.engine.peers import Peer
from headgate.engine.request import Request, State
from headgate.errors import ExchangeLimitError


class Turns:
    """Sends requests when it is their turn."""

    def __init__(self, messaging: Messaging, waiting_max: int, counts: dict[str, int]) -> None:
        self._messaging = messaging
        self._waiting_max = waiting_max
        self._counts = counts

    def peer_at(self, device: Device, remote: Remote) -> Peer:
        """The peer of this device, which is at `remote` now. Raises ExchangeLimitError."""
        peer = self._messaging.peer(device, remote)
        self._messaging.move(peer, remote)
        return peer

    def peer_with_room(self, device: Device, remote: Remote) -> Peer:
        """The same, with room for one more request. Raises ExchangeLimitError."""
        peer = self.peer_at(device, remote)
        if peer.waiting is not None and len(peer.waiting) >= self._waiting_max:
            raise ExchangeLimitError(f"{len(peer.waiting)} requests wait for {device!r}: at most waiting_max")
        return peer

    def moved(self, device: Device, remote: Remote) -> None:
        """A message of this device came from `remote`."""
        peer = self._messaging.peer_known(device)
        if peer is not None:
            self._messaging.move(peer, remote)

    def enqueue(self, request: Request, peer: Peer, now: float) -> None:
        """Send it after all others."""
        if peer.idle:
            self._send(request, peer, now)
        else:
            request.state = State.QUEUED
            self._waiting(peer).append(request)

    def go_on(self, request: Request, peer: Peer, now: float) -> None:
        """Send it before all others that wait."""
        if peer.outstanding is None:
            self._send(request, peer, now)
        else:
            self._wait_first(request, peer)

    def turn(self, peer: Peer, now: float) -> None:
        """Send what waits for this peer, if it may be sent now."""
        waiting = peer.waiting
        while peer.outstanding is None and waiting and self._send(waiting.popleft(), peer, now):
            pass

    def turn_of(self, device: Device, now: float) -> None:
        """Send what waits for this device, if it may be sent now."""
        peer = self._messaging.peer_known(device)
        if peer is not None:
            self.turn(peer, now)

    def give_away(self, request: Request) -> None:
        """Let another request be outstanding."""
        peer = self._messaging.peer_known(request.device)
        if peer is not None and peer.outstanding is request:
            peer.outstanding = None

    def withdraw(self, request: Request) -> None:
        """Neither send it nor expect anything about the message last sent."""
        if request.state is State.QUEUED:
            peer = self._messaging.peer_known(request.device)
            assert peer is not None, "invariant 2"
            self._waiting(peer).remove(request)
        else:
            self._messaging.settle(request)
            self.give_away(request)
        request.state = State.WITHDRAWN

    def _send(self, request: Request, peer: Peer, now: float) -> bool:
        """Send it; when no message id is free, let it wait until one is, and return False."""
        assert peer.outstanding is None, "invariant 1"
        if not self._messaging.transmit(request, peer, peer.remote, now):
            self._counts["waited for a message id"] += 1
            self._wait_first(request, peer)
            self._messaging.timers.set(peer, peer.next_id_free_s)
            return False
        request.state = State.SENT
        peer.outstanding = request
        return True

    def _wait_first(self, request: Request, peer: Peer) -> None:
        request.state = State.QUEUED
        self._waiting(peer).appendleft(request)

    def _waiting(self, peer: Peer) -> deque[Request]:
        if peer.waiting is None:
            peer.waiting = deque()
        return peer.waiting
