"""How a package is cut into PCP segments. "PCP Introduction", segmentation.

Segment k covers the bytes from k times the segment size on; the last one is short, never padded.
"""

from __future__ import annotations

from headgate.errors import FormatError

SEGMENT_SIZE_MIN = 32
SEGMENT_SIZE_MAX = 500
SEGMENT_SIZE_DEFAULT = 500
SEGMENT_COUNT_MAX = 0xFFFF


def segment_count_of(size_bytes: int, segment_size_bytes: int) -> int:
    """How many segments a package has.

    Raises FormatError for an empty package, a segment size outside 32 to 500, or more than 65535 segments.

    >>> segment_count_of(1300, 500), segment_count_of(16, 500)
    (3, 1)
    """
    if not SEGMENT_SIZE_MIN <= segment_size_bytes <= SEGMENT_SIZE_MAX:
        wanted = f"{SEGMENT_SIZE_MIN} to {SEGMENT_SIZE_MAX} bytes"
        raise FormatError(f"a segment has {wanted}, not {segment_size_bytes}")
    if size_bytes <= 0:
        raise FormatError("an empty package has no segments")
    count = -(-size_bytes // segment_size_bytes)
    if count > SEGMENT_COUNT_MAX:
        least = -(-size_bytes // SEGMENT_COUNT_MAX)
        raise FormatError(
            f"{size_bytes} bytes in segments of {segment_size_bytes} are {count} segments, and"
            f" {SEGMENT_COUNT_MAX} are the most: take {least} bytes or more"
            if least <= SEGMENT_SIZE_MAX
            else f"{size_bytes} bytes are more than {SEGMENT_COUNT_MAX} segments of {SEGMENT_SIZE_MAX} bytes"
        )
    return count
