"""How a CON is repeated until it is acknowledged. RFC 7252 sections 4.2 and 4.8."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from headgate.engine.endpoints import Remote
from headgate.engine.timers import Timed
from headgate.wire.coap import Message

MAX_LATENCY_S = 100.0  # RFC 7252 section 4.8.2: how long a datagram may be on its way


@dataclass(frozen=True, slots=True, kw_only=True)
class Retransmission:
    """The transmission parameters towards one kind of device, and the times that follow from them.

    The first timeout is drawn from [ack_timeout_s, ack_timeout_s * ack_random_factor] and doubles with
    each of max_retransmit retransmissions; when the last one has passed too, the message has failed.

    >>> DEFAULT.max_transmit_span_s, DEFAULT.max_transmit_wait_s, DEFAULT.exchange_lifetime_s
    (45.0, 93.0, 247.0)
    """

    ack_timeout_s: float
    max_retransmit: int
    ack_random_factor: float = 1.5

    @property
    def max_transmit_span_s(self) -> float:
        """From the first transmission to the last."""
        return float(self.ack_timeout_s * (2**self.max_retransmit - 1) * self.ack_random_factor)

    @property
    def max_transmit_wait_s(self) -> float:
        """From the first transmission until we give up."""
        return float(self.ack_timeout_s * (2 ** (self.max_retransmit + 1) - 1) * self.ack_random_factor)

    @property
    def exchange_lifetime_s(self) -> float:
        """From the first transmission until the message id may be used again.

        PROCESSING_DELAY is ACK_TIMEOUT, as the section has it.
        """
        return self.max_transmit_span_s + 2 * MAX_LATENCY_S + self.ack_timeout_s


# No standard names values for NB-IoT. These keep MAX_TRANSMIT_WAIT below the 180 s that a step of an upgrade
# may take, and wait the longer the deeper the coverage: a deep one repeats each datagram by itself, and a
# retransmission that crosses the answer costs it more than patience.
DEFAULT = Retransmission(ack_timeout_s=2.0, max_retransmit=4)
NB_CLASS_0 = Retransmission(ack_timeout_s=5.0, max_retransmit=3)
NB_CLASS_1 = Retransmission(ack_timeout_s=10.0, max_retransmit=2)
NB_CLASS_2 = Retransmission(ack_timeout_s=15.0, max_retransmit=2)
NB_CLASS_U = NB_CLASS_2
"""Coverage not known: as the deepest."""


class Transmission(Timed):
    """A CON of ours, from its first datagram until it is settled."""

    __slots__ = ("datagram", "message_id", "profile", "remote", "retransmissions_left", "timeout_s")

    def __init__(self, profile: Retransmission) -> None:
        super().__init__()
        self.profile = profile
        self.remote: Remote = None
        self.message_id = -1
        self.datagram = b""
        self.timeout_s = 0.0
        self.retransmissions_left = 0

    @abstractmethod
    def compose(self, message_id: int) -> Message:
        """The message to send, under this id."""
