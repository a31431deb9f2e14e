"""Whose turn it is: one report is made at a time, whoever asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headgate.web.problems import Problem

AGAIN_S = "5"


class Turn:
    """One API's."""

    def __init__(self) -> None:
        self._busy = False

    @contextmanager
    def taken(self) -> Iterator[None]:
        """It is ours as long as the context lasts. Problem 503 where it is somebody else's."""
        if self._busy:
            raise Problem(503, "another report is being made", headers={"Retry-After": AGAIN_S})
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
