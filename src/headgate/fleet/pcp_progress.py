"""What the log of a PCP device says of its downloads and of 23, read off its client from outside.

began anew                by its own choice: a first download, the next one, or the older generation after
a power cut; forced: another package or a lost task in the middle of one
went on after a cut       with the segment that it waits for
23 after it was confirmed the server had acknowledged the answer 00, and the installation was not lost
"""

from __future__ import annotations

from headgate.fleet.outcome import Outcome
from headgate.fleet.pcp_client import Download, PcpClient, Phase
from headgate.wire.coap import Message
from headgate.wire.numbers import RST
from headgate.wire.pcp_messages import MessageCode

CODE = slice(3, 4)  # of a frame: its message code
NOTIFICATION = bytes([MessageCode.NOTIFICATION])
EXECUTE = bytes([MessageCode.EXECUTE])


class PcpProgress:
    """Looks at the client after each of its steps; nothing here changes what it does."""

    def __init__(self, client: PcpClient, log: Outcome) -> None:
        self._client = client
        self._log = log
        self._seen = 0  # of the client's requests
        self._download: Download | None = None  # the one that was asked for last
        self._taken = 0  # of its segments
        self._interrupted = False
        self._confirmed = False

    # -- downloads --

    def look(self) -> None:
        """Take in what was asked for, and taken, since the last look."""
        asked, self._seen = self._client.requests[self._seen :], len(self._client.requests)
        have = self._client.download
        if have is None:
            return
        if have is not self._download:
            if asked:
                self._begins(have)
        elif asked and self._interrupted:
            self._goes_on(have, asked[0])
        self._log.segments += max(0, len(have.segments) - self._taken)
        self._taken = len(have.segments)

    def _begins(self, have: Download) -> None:
        forced = self._download is not None and not self._download.complete
        self._log.forced_restarts += forced
        self._log.starts_at_zero += not forced
        self._download, self._taken, self._interrupted = have, 0, False

    def _goes_on(self, have: Download, index: int) -> None:
        self._interrupted = False
        if index == 0:
            self._log.starts_at_zero += 1
        else:
            self._log.resumed_at.append(index * have.segment_size)

    def lost_power(self) -> None:
        """To be called when the client has been told; a look before that sees all that it had asked for."""
        self._interrupted = self._client.phase is Phase.DOWNLOADING
        if self._client.phase is Phase.DOWNLOADED:
            self._confirmed = False  # whatever was installed is to be begun again

    # -- 20 and 23 --

    def came(self, frame: bytes) -> None:
        """The server wrote this; to be called before the client hears of it."""
        if frame[CODE] == NOTIFICATION:
            self._confirmed = False
        elif frame[CODE] == EXECUTE:
            self._log.executes += 1
            self._log.executes_after_answer += self._client.phase is Phase.INSTALLING
            self._log.executes_after_confirmed += self._confirmed

    def told(self, message: Message | None, now: float) -> None:
        """What ended the notification of an answer to 23: its acknowledgement confirms it."""
        if message is not None and message.type != RST and self._client.phase is Phase.INSTALLING:
            self._confirmed = True
