"""How much an Exchange may keep. Every table it has is bounded by a field of this value."""

from __future__ import annotations

from dataclasses import dataclass

SZX_MAX = 6  # 1024 bytes; 7 is reserved over UDP: RFC 7959 section 2.2
PAYLOAD_MAX = 1024  # bytes of one message's payload that fit an MTU of 1280: RFC 7252 section 4.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The bounds of an Exchange, each with what happens when it is reached."""

    devices_max: int = 1 << 20
    """Devices that we sent a CON to within EXCHANGE_LIFETIME. More: ExchangeLimitError."""
    requests_max: int = 1 << 20
    """Live tokens: requests under way and observations. More: ExchangeLimitError."""
    waiting_max: int = 16
    """Requests of one device that wait for their turn (NSTART is 1). More: ExchangeLimitError."""
    separate_max: int = 1 << 16
    """Separate responses and notifications of ours that await their ACK. More: ExchangeLimitError."""
    remembered_max: int = 1 << 18
    """Messages remembered to recognise their duplicates. More: the oldest is forgotten and counted."""
    remembered_bytes_max: int = 64 << 20
    """Bytes of the answers stored with them. More: as above."""
    remembered_s: float = 300.0
    """How long they are remembered. 247 s covers the default transmission parameters (EXCHANGE_LIFETIME);
    560 s would cover devices that use an ACK_TIMEOUT of 15 s with 4 retransmissions."""
    uploads_max: int = 4096
    """Bodies that devices are sending by Block1. More: the one untouched longest is dropped and counted."""
    uploads_bytes_max: int = 16 << 20
    """Their bytes. More: as above."""
    upload_bytes_max: int = 64 << 10
    """One of them. More: 4.13 with Size1."""
    upload_szx_max: int = 6
    """Size exponent of their blocks, at most 6 over UDP. Larger: 4.13 with this SZX."""
    upload_s: float = 247.0
    """How long a body may wait for its next block."""
    bodies_bytes_max: int = 64 << 20
    """Bytes of bodies that we are fetching by Block2. More: the request fails."""
    body_bytes_max: int = 64 << 10
    """One of them. More: the request fails."""

    def __post_init__(self) -> None:
        """Raise ValueError where one bound makes another pointless."""
        if not 0 <= self.upload_szx_max <= SZX_MAX:
            raise ValueError(f"upload_szx_max is 0..{SZX_MAX}, not {self.upload_szx_max}")
        if self.upload_bytes_max > self.uploads_bytes_max:
            raise ValueError("upload_bytes_max is for one body, uploads_bytes_max for all")
        if self.body_bytes_max > self.bodies_bytes_max:
            raise ValueError("body_bytes_max is for one body, bodies_bytes_max for all")
        if self.remembered_max < 1 or self.remembered_s <= 0.0:
            raise ValueError("remembered_max and remembered_s are positive: RFC 7252 section 4.5 wants it")
