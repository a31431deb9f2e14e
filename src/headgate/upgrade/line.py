"""A line of waiting: in order, and everyone may ask how many stand before him.

A sorted list. Finding a place takes O(log n) comparisons; entering and leaving moves 8 bytes for everyone
behind, by memmove. That the first leaves and another comes takes 1 us among 100 and 19 us among 100,000,
where a tree made in Python takes 4 and 11 us: lines are short, and a list is sorted at once after a restart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Key = tuple[float, str]
"""Since when, and who: the second decides between those who came at the same instant."""


class Line:
    """Keys in order, each once.

    >>> line = Line([(3.0, "c"), (1.0, "a")])
    >>> line.add((2.0, "b"))
    >>> line.first(), line.position((3.0, "c")), len(line)
    ((1.0, 'a'), 2, 3)
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = sorted(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def first(self) -> Key | None:
        """The key in front, None where nobody waits."""
        return self._keys[0] if self._keys else None

    def position(self, key: Key) -> int:
        """How many stand before this key, whether or not it is in the line."""
        return bisect_left(self._keys, key)

    def add(self, key: Key) -> None:
        """Take a key in, at its place. It must not be there already."""
        place = bisect_left(self._keys, key)
        assert not self._is_at(place, key), f"{key} stands in the line already"
        self._keys.insert(place, key)

    def remove(self, key: Key) -> None:
        """Take a key out. It must be there."""
        place = bisect_left(self._keys, key)
        assert self._is_at(place, key), f"{key} does not stand in the line"
        del self._keys[place]

    def _is_at(self, place: int, key: Key) -> bool:
        return place < len(self._keys) and self._keys[place] == key
