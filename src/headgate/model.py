"""Plain values that several rooms speak of. Ground floor: imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import repeat
from operator import call
from typing import Any, TypeVar

V = TypeVar("V")


def maker(kind: type[V]) -> Callable[[Iterable[Any]], V]:
    """Makes values of a frozen dataclass with slots from those of all its fields, in their order.

    By filling the slots, which takes half of the time of an __init__ that is given every field: a restart
    makes 100,000 of a kind. Nothing is checked: neither their number, nor what __post_init__ would.

        >>> @dataclass(frozen=True, slots=True, kw_only=True)
        ... class Range:
        ...     first: int
        ...     last: int
        >>> maker(Range)((1, 2))
        Range(first=1, last=2)
    """
    setters = tuple(getattr(kind, field.name).__set__ for field in fields(kind))  # type: ignore[arg-type]

    def made(values: Iterable[Any]) -> V:
        value = object.__new__(kind)
        any(map(call, setters, repeat(value), values))  # a loop in C: every put returns None
        return value

    return made


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counters of one edge since its start, over all its listeners."""

    received: int
    """Datagrams received."""
    blocks: int
    """2.05 answers."""
    payload_bytes: int
    """Bytes of packages, in them and in PCP segments."""
    last_blocks: int
    """2.05 answers and segments that ended their body: downloads served to the end, whoever asked."""
    answered: dict[str, int]
    """Replies by code, "2.05" to "5.05", "segment" and its acknowledgements, and Resets by cause."""
    dropped: dict[str, int]
    """Datagrams that deserve no answer, by cause, responses to the writes of segments among them."""
    handed_over: int
    """Datagrams for whoever takes what is not a package request."""
    ring_full: int
    """Of those and of marks, what found the handover ring full."""
    batches: int
    """Receive calls that brought something."""
    sent: int
    """Datagrams that left: one for each of `answered`, two for a segment that a CON asked for."""
    send_failed: int
    send_blocked: int
    receive_errors: int
    receive_buffer_bytes: int
    """SO_RCVBUF as the kernel granted it."""
    packages: int
    """Public paths."""
    grants: int
    events_lost: int
    """Events that a slow reader of `Edge.events` did not get."""
