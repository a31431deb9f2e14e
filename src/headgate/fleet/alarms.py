"""The few things that a device waits for by itself, by name: its next report, the end of its installation."""

from __future__ import annotations

from collections.abc import Callable

Action = Callable[[float], None]


class Alarms:
    """Named alarms, one deadline each. A device has less than ten, so looking through all is quickest."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set: dict[str, tuple[float, Action]] = {}

    def set(self, name: str, due_s: float, action: Action) -> None:
        """Let `action` be done at `due_s`; an alarm of that name that was set before is forgotten."""
        self._set[name] = (due_s, action)

    def cancel(self, name: str) -> None:
        """Forget an alarm; one that is not set is no mistake."""
        self._set.pop(name, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._set.clear()

    def next(self) -> float | None:
        """When the first is due; None when there is none."""
        return min([due_s for due_s, _ in self._set.values()], default=None) if self._set else None

    def expire(self, now: float) -> None:
        """Do what is due, in the order of its time. An action may set and cancel others."""
        while self._set:
            name, (due_s, action) = min(self._set.items(), key=lambda each: each[1][0])
            if due_s > now:
                return
            del self._set[name]
            action(now)
