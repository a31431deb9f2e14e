"""A line of waiting: in order, and everyone may ask how many stand before him.

A treap: a tree that is ordered by key from left to right and by random priority from top to bottom, which
keeps it shallow whatever the order of arrival. Each node counts its subtree. All operations take O(log n).
The priorities come from a generator of the line's own with a fixed seed: the same history, the same tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

Key = tuple[float, str]
"""Since when, and who: the second decides between those who came at the same instant."""


class _Node:
    __slots__ = ("count", "key", "left", "priority", "right")

    def __init__(self, key: Key, priority: float) -> None:
        self.key = key
        self.priority = priority
        self.count = 1
        self.left: _Node | None = None
        self.right: _Node | None = None


class Line:
    """Keys in order, each once.

    >>> line = Line()
    >>> for key in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
    ...     line.add(key)
    >>> line.first(), line.position((3.0, "c")), len(line)
    ((1.0, 'a'), 2, 3)
    """

    __slots__ = ("_priorities", "_root")

    def __init__(self) -> None:
        self._root: _Node | None = None
        self._priorities = Random(1)

    def __len__(self) -> int:
        return _count(self._root)

    def __iter__(self) -> Iterator[Key]:
        path: list[_Node] = []
        node = self._root
        while path or node is not None:
            while node is not None:
                path.append(node)
                node = node.left
            node = path.pop()
            yield node.key
            node = node.right

    def first(self) -> Key | None:
        """The key in front, None where nobody waits."""
        node = self._root
        if node is None:
            return None
        while node.left is not None:
            node = node.left
        return node.key

    def position(self, key: Key) -> int:
        """How many stand before this key, whether or not it is in the line."""
        before = 0
        node = self._root
        while node is not None:
            if node.key < key:
                before += _count(node.left) + 1
                node = node.right
            else:
                node = node.left
        return before

    def add(self, key: Key) -> None:
        """Take a key in, at its place. It must not be there already."""
        before, after = _split(self._root, key)
        self._root = _merge(_merge(before, _Node(key, self._priorities.random())), after)

    def remove(self, key: Key) -> None:
        """Take a key out. It must be there."""
        self._root = _without(self._root, key)


def _count(node: _Node | None) -> int:
    return 0 if node is None else node.count


def _recount(node: _Node) -> _Node:
    node.count = _count(node.left) + 1 + _count(node.right)
    return node


def _split(node: _Node | None, key: Key) -> tuple[_Node | None, _Node | None]:
    """What stands before the key, and what after it."""
    if node is None:
        return None, None
    assert node.key != key, f"{key} stands in the line already"
    if node.key < key:
        node.right, after = _split(node.right, key)
        return _recount(node), after
    before, node.left = _split(node.left, key)
    return before, _recount(node)


def _merge(before: _Node | None, after: _Node | None) -> _Node | None:
    """One tree of two, all of the first standing before all of the second."""
    if before is None:
        return after
    if after is None:
        return before
    if before.priority > after.priority:
        before.right = _merge(before.right, after)
        return _recount(before)
    after.left = _merge(before, after.left)
    return _recount(after)


def _without(node: _Node | None, key: Key) -> _Node | None:
    assert node is not None, f"{key} does not stand in the line"
    if node.key == key:
        return _merge(node.left, node.right)
    if key < node.key:
        node.left = _without(node.left, key)
    else:
        node.right = _without(node.right, key)
    return _recount(node)
