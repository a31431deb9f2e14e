"""Plain values that several rooms speak of. Ground floor: imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the edge has served of one granted download. Times are CLOCK_MONOTONIC, 0 before the first block.

    The bytes `start_bytes`..`offset_bytes` were served without a gap; a device that resumes in the
    middle begins a new run there. `position_bytes` is the end of the block served last: it falls back
    when a device starts over. `length_bytes` is 0 until a block was served.
    """

    started_monotonic_s: float
    served_monotonic_s: float
    start_bytes: int
    offset_bytes: int
    position_bytes: int
    length_bytes: int
    blocks: int
    bytes: int
    repeats: int
    runs: int

    @property
    def served_to_end(self) -> bool:
        """Whether the run reached the end of the body. Only the device knows whether it kept the bytes."""
        return self.blocks > 0 and self.offset_bytes == self.length_bytes
