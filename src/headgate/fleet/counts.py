"""What a fleet of downloading devices counts: plain values, read while the download runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DownloadFailure(StrEnum):
    """Why a device gave up its download. In the order of the native `Failure`."""

    TIMEOUT = "timeout"
    """No answer to the last retransmission (RFC 7252 section 4.2)."""
    RESET = "reset"
    """The request was answered with a Reset."""
    FORMAT = "format"
    """The answer is not a well-formed message (RFC 7252 section 3)."""
    CRITICAL_OPTION = "critical option"
    """The answer has a critical option that a client of block-wise transfer does not know."""
    CODE = "code"
    """The answer is not 2.05."""
    BLOCK2_MISSING = "Block2 missing"
    """The answer names no block, though one was asked for or the payload is not the whole body."""
    SZX = "szx"
    """The block is larger than asked for, of the reserved size, or too small for the body's length."""
    NUM = "num"
    """The block begins elsewhere than asked for."""
    MORE = "more"
    """The M flag denies that more follows, or promises more where the body ends."""
    LENGTH = "length"
    """The payload is shorter or longer than the block."""
    ETAG = "etag"
    """The ETag is not that of the first answer, or not the expected one."""
    SIZE2 = "size2"
    """Size2 is not the length of the body."""
    PAYLOAD = "payload"
    """A byte of the payload differs from the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloaderStats:
    """Counts since the downloader was made. Taken during a run, they may be a batch apart."""

    blocks: int
    """Blocks accepted."""
    bytes: int
    """Payload bytes accepted."""
    requests: int
    """GETs sent, retransmissions and injected losses included, injected duplicates not."""
    retransmissions: int
    stale: int
    """Answers to a request that is over: late, duplicated, or never asked for."""
    malformed: int
    """Datagrams that no request could be found for, because they are no CoAP messages."""
    lost: int
    """Datagrams dropped on purpose, requests and answers together."""
    finished: int
    """Downloads complete; with `repeat` one device counts once per download."""
    failed: int
    """Devices that gave up."""
    active: int
    """Devices neither finished nor failed."""
    moved: int
    """Devices that went on from another port."""
    failures: dict[DownloadFailure, int]
    """Devices that gave up, by reason; reasons that did not occur are left out."""
    elapsed_s: float
    """Time spent in `run`."""
