"""The message layer: CONs of ours on their way, message ids, and what peers owe us. RFC 7252 section 4.

Invariants

1. A message id is not used again towards a device within EXCHANGE_LIFETIME of its use: see `Peer`.
2. `awaited` has a transmission under (remote, message id) from its first datagram until it is settled. A
   transmission that failed stays there: its ACK or Reset may still come.
3. A peer with anything outstanding or waiting is kept; an idle one is dropped when none of its message ids
   is bound any longer, and may then begin anew at random.
"""

from __future__ import annotations

import random

from headgate.engine.bounds import Bounds
from headgate.engine.deduplication import Deduplication, Handle
from headgate.engine.endpoints import Device, MessageKey, Remote
from headgate.engine.peers import Peer
from headgate.engine.retransmission import Transmission
from headgate.engine.timers import NEVER, Timers
from headgate.errors import ExchangeLimitError
from headgate.wire.coap import Message
from headgate.wire.numbers import ACK, EMPTY, RST


class Messaging:
    """Sends messages, repeats CONs, and knows which ACK or Reset belongs to which."""

    def __init__(self, rng: random.Random, bounds: Bounds, counts: dict[str, int]) -> None:
        self.timers = Timers()
        self.outbox: list[tuple[Remote, bytes]] = []
        self.deduplication = Deduplication(bounds, counts)
        self.counts = counts
        self._rng = rng
        self._bounds = bounds
        self._awaited: dict[MessageKey, Transmission] = {}
        self._peers: dict[Device, Peer] = {}

    @property
    def peers(self) -> int:
        """Devices with message ids that are bound."""
        return len(self._peers)

    @property
    def awaited(self) -> int:
        """CONs of ours whose ACK or Reset may still come."""
        return len(self._awaited)

    # -- peers --

    def peer(self, device: Device, remote: Remote) -> Peer:
        """The peer of this name, which begins at `remote` if it is new. Raises ExchangeLimitError."""
        peer = self._peers.get(device)
        if peer is None:
            if len(self._peers) >= self._bounds.devices_max:
                raise ExchangeLimitError(f"{len(self._peers)} devices have been sent to: raise devices_max")
            peer = self._peers[device] = Peer(device, remote, self._rng.getrandbits(16))
        return peer

    def peer_known(self, device: Device) -> Peer | None:
        """The peer of this name, if it is kept."""
        return self._peers.get(device)

    def move(self, peer: Peer, remote: Remote) -> None:
        """Send to `remote` from now on: retransmissions too, and their ACK is awaited from there."""
        if peer.remote != remote:
            peer.remote = remote
            request = peer.outstanding
            if request is not None and (remote, request.message_id) not in self._awaited:
                self._forget_awaited(request)
                request.remote = remote
                self._awaited[remote, request.message_id] = request

    def drop_if_free(self, peer: Peer, now: float) -> None:
        """Drop an idle peer whose message ids are all free; else look again when they are."""
        if peer.idle and peer.busy_until_s <= now:
            del self._peers[peer.device]
        elif peer.due_s == NEVER:
            self.timers.set(peer, max(peer.busy_until_s, now + 1.0))

    # -- our CONs --

    def transmit(self, transmission: Transmission, peer: Peer, remote: Remote, now: float) -> bool:
        """Send what it composes as a CON under a new message id; False when the peer has none free."""
        transmission.remote = remote
        if not self._prepare(transmission, peer, now):
            return False
        profile = transmission.profile
        spread_s = profile.ack_timeout_s * (profile.ack_random_factor - 1.0)
        transmission.timeout_s = profile.ack_timeout_s + spread_s * self._rng.random()
        transmission.retransmissions_left = profile.max_retransmit
        self.outbox.append((transmission.remote, transmission.datagram))
        self.timers.set(transmission, now + transmission.timeout_s)
        return True

    def replace(self, transmission: Transmission, peer: Peer, now: float) -> bool:
        """Let its retransmissions carry what it composes now, under an id of their own; False as above."""
        self._forget_awaited(transmission)
        return self._prepare(transmission, peer, now)

    def retransmit(self, transmission: Transmission, now: float) -> bool:
        """Send again what is due and wait twice as long; False when that was the last time."""
        if transmission.retransmissions_left == 0:
            return False
        transmission.retransmissions_left -= 1
        transmission.timeout_s *= 2.0
        self.counts["retransmitted"] += 1
        self.outbox.append((transmission.remote, transmission.datagram))
        self.timers.set(transmission, now + transmission.timeout_s)
        return True

    def repeat(self, transmission: Transmission, now: float) -> None:
        """Send it again before its timeout, which passes all the same, but leaves time for an answer."""
        self.counts["retransmitted"] += 1
        self.outbox.append((transmission.remote, transmission.datagram))
        self.timers.set(transmission, max(transmission.due_s, now + transmission.profile.ack_timeout_s))

    def awaited_by(self, key: MessageKey) -> Transmission | None:
        """The transmission that an ACK or Reset with this endpoint and message id is about."""
        return self._awaited.get(key)

    def settle(self, transmission: Transmission) -> None:
        """Neither repeat it nor expect anything about it."""
        self.timers.cancel(transmission)
        self._forget_awaited(transmission)

    # -- answers --

    def acknowledge(self, handle: Handle) -> None:
        """Answer a CON by an Empty ACK, once."""
        if handle.confirmable and handle.answer is None:
            self._answer_empty(handle, ACK)

    def reset(self, handle: Handle) -> None:
        """Answer a CON or NON by a Reset, unless it has been answered."""
        if handle.answer is None:
            self._answer_empty(handle, RST)

    def answer(self, handle: Handle, message: Message) -> None:
        """Answer a message, and its copies, by `message`."""
        datagram = message.encode()
        self.outbox.append((handle.remote, datagram))
        self.deduplication.store(handle, datagram)

    def repeated(self, handle: Handle, message: Message, remote: Remote) -> None:
        """A copy of a message came: answer it as the first, where it came from."""
        handle.remote = remote
        if handle.answer is None:
            self.counts["repeated while handled"] += 1
            handle.token = message.token
            return
        self.counts["repeated"] += 1
        if not handle.confirmable:
            return
        if handle.token != message.token:
            # Some devices draw a new token for a retransmission, and want it back.
            handle.token = message.token
            self._answer_token(handle)
        self.outbox.append((remote, handle.answer))

    def send_reset(self, remote: Remote, message_id: int) -> None:
        """Answer what cannot be processed and need not be remembered."""
        datagram = Message(type=RST, code=EMPTY, message_id=message_id).encode()
        self.outbox.append((remote, datagram))

    def _answer_empty(self, handle: Handle, type: int) -> None:
        datagram = Message(type=type, code=EMPTY, message_id=handle.message_id).encode()
        self.outbox.append((handle.remote, datagram))
        self.deduplication.store(handle, datagram)

    def _answer_token(self, handle: Handle) -> None:
        """Let the stored answer carry the handle's token, if it carries one."""
        assert handle.answer is not None
        answer = Message.parse(handle.answer)
        if answer.code != EMPTY:
            self.deduplication.store(handle, with_token(answer, handle.token).encode())

    def _prepare(self, transmission: Transmission, peer: Peer, now: float) -> bool:
        lifetime_s = transmission.profile.exchange_lifetime_s
        message_id = peer.take_message_id(now, lifetime_s)
        # Two devices may have had one address within EXCHANGE_LIFETIME, and the same id.
        while message_id is not None and (transmission.remote, message_id) in self._awaited:
            message_id = peer.take_message_id(now, lifetime_s)
        if peer.due_s == NEVER:
            self.timers.set(peer, peer.busy_until_s)
        if message_id is None:
            return False
        transmission.message_id = message_id
        transmission.datagram = transmission.compose(message_id).encode()
        self._awaited[transmission.remote, message_id] = transmission
        return True

    def _forget_awaited(self, transmission: Transmission) -> None:
        key = (transmission.remote, transmission.message_id)
        if self._awaited.get(key) is transmission:
            del self._awaited[key]


def with_token(message: Message, token: bytes) -> Message:
    """The same message with another token."""
    return Message(
        type=message.type,
        code=message.code,
        message_id=message.message_id,
        token=token,
        options=message.options,
        payload=message.payload,
    )
