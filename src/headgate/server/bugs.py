"""Bugs that datagrams have met: told with all that is needed to mend them, and not for every copy."""

from __future__ import annotations

import traceback

from headgate.server.logs import logger

TOLD_EVERY_S = 60.0  # by the line that raised: who sends the datagram again must not fill the disk

log = logger()


class Bugs:
    """Those of one process. What is remembered is bounded by the lines of code that raise."""

    def __init__(self) -> None:
        self._told_s: dict[tuple[str, int | None], float] = {}

    def met(self, error: Exception, address: bytes, datagram: bytes, now: float) -> None:
        """A datagram from this address met a bug, and was dropped."""
        (raised,) = traceback.extract_tb(error.__traceback__, limit=-1)
        place = (raised.filename, raised.lineno)
        if now < self._told_s.get(place, float("-inf")) + TOLD_EVERY_S:
            return
        self._told_s[place] = now
        log.error(
            "a datagram met a bug and was dropped; please report it",
            address=address.hex(),
            datagram=datagram.hex(),
            exc_info=error,
        )
