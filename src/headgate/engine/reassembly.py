"""Bodies that devices send by Block1, put together again. RFC 7959 section 2.5.

Invariants

1. A body is known by endpoint, method, path and Request-Tag (RFC 9175 section 3). Block 0 begins it anew.
2. It grows only by the block that follows what is there, so it never has a gap.
3. Bodies are kept in the order in which they were last added to; the one untouched longest is dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from enum import Enum

from headgate.engine.bounds import Bounds
from headgate.wire.block import Block

DROP_PER_BLOCK = 4  # abandoned bodies that the arrival of one block may clear away


class Refusal(Enum):
    """Why a block is not taken, and the code that says so."""

    MALFORMED = 1
    """4.00: its payload is not as long as it says."""
    INCOMPLETE = 2
    """4.08: it does not follow what is there."""
    TOO_LARGE = 3
    """4.13: the body is larger than we keep."""


class Upload:
    """One body so far."""

    __slots__ = ("body", "last_offset", "until_s")

    def __init__(self) -> None:
        self.body = bytearray()
        self.last_offset = 0
        self.until_s = 0.0


class Uploads:
    """All bodies that are on their way to us."""

    def __init__(self, bounds: Bounds, counts: dict[str, int]) -> None:
        self._bounds = bounds
        self._counts = counts
        self._uploads: OrderedDict[Hashable, Upload] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Bodies kept."""
        return len(self._uploads)

    @property
    def body_bytes(self) -> int:
        """Bytes kept."""
        return self._bytes

    def take(
        self, key: Hashable, block: Block, payload: bytes, announced_bytes: int, now: float
    ) -> bytes | Refusal | None:
        """The body if this block ends it, None if more are to come; `announced_bytes` is Size1, or 0."""
        self._drop_abandoned(now)
        if len(payload) > block.size_bytes or (block.more and len(payload) < block.size_bytes):
            return Refusal.MALFORMED
        upload = self._upload(key, block, payload, now)
        if upload is None:
            return Refusal.INCOMPLETE
        largest = self._bounds.upload_bytes_max
        if len(upload.body) > largest or announced_bytes > largest:
            self._drop(key)
            return Refusal.TOO_LARGE
        if not block.more:
            return bytes(self._drop(key).body)
        upload.until_s = now + self._bounds.upload_s
        self._uploads.move_to_end(key)
        while len(self._uploads) > self._bounds.uploads_max or self._bytes > self._bounds.uploads_bytes_max:
            self._counts["upload dropped early"] += 1
            self._drop(next(iter(self._uploads)))
        return None

    def _upload(self, key: Hashable, block: Block, payload: bytes, now: float) -> Upload | None:
        """The upload with this block added; None when it does not follow."""
        upload = self._uploads.get(key)
        offset = block.offset_bytes
        if offset == 0:
            if upload is not None:
                self._drop(key)
            upload = self._uploads[key] = Upload()
        elif upload is None or upload.until_s <= now:
            return None
        if offset == upload.last_offset and upload.body[offset:] == payload:
            return upload  # asked again under another message id: our 2.31 was lost
        if offset != len(upload.body):
            return None
        upload.last_offset = offset
        upload.body += payload
        self._bytes += len(payload)
        return upload

    def _drop(self, key: Hashable) -> Upload:
        upload = self._uploads.pop(key)
        self._bytes -= len(upload.body)
        return upload

    def _drop_abandoned(self, now: float) -> None:
        for _ in range(min(DROP_PER_BLOCK, len(self._uploads))):
            key = next(iter(self._uploads))
            if self._uploads[key].until_s > now:
                break
            self._counts["upload abandoned"] += 1
            self._drop(key)
