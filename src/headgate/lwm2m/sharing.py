"""Equal values that many devices have, kept once: object links, formats, lifetimes. A fleet has few kinds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar, cast

SHARED_MAX = 4096  # different values of all kinds

V = TypeVar("V", bound=Hashable)


class Sharing:
    """Up to `shared_max` of them; past that the oldest are not shared with those to come.

    >>> sharing = Sharing(shared_max=1)
    >>> first = sharing.share((1, 0))
    >>> sharing.share(tuple([1, 0])) is first
    True
    """

    def __init__(self, *, shared_max: int) -> None:
        self._max = shared_max
        self._shared: dict[tuple[type, Any], Any] = {}

    def __len__(self) -> int:
        """Values shared at the moment."""
        return len(self._shared)

    def share(self, value: V) -> V:
        """The equal one that came first."""
        shared = self._shared
        kept = shared.setdefault((type(value), value), value)
        if len(shared) > self._max:
            del shared[next(iter(shared))]
        return cast(V, kept)
