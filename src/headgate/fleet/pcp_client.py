"""The other side of PCP: a device that is upgraded in segments, in the two generations that are about.

What they do alike: they know a package by its version and its check code, ask for one segment after another,
and take only the one that they wait for. A frame that is damaged, or not PCP, is data that nobody wants.

                              OLDER                              NEWER
    20 is accepted by         21, or 22 if it has everything     00, and 21
    no answer                 23 with 06, then 21 or 22 again    21, 22 or 24 again, every 2 to 4 s
    19 after 20               what runs                          the target version
    a power cut               back to segment 0                  on with the segment that it waited for
    24                        once, after its reboot             until any 24 comes
    80 to 21                  stops it, if it is a byte alone    is ignored

Sans-IO: frames go in and come out, time is handed in. Whoever owns the client carries the frames, reboots the
device when `reboots` says so, and tells the client that it is `registered` again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from headgate.wire.pcp import HEADER_SIZE, encode, identify
from headgate.wire.pcp_messages import (
    DownloadAnswer,
    DownloadReport,
    ExecuteAnswer,
    ExecuteRequest,
    FromDevice,
    MessageCode,
    NotificationAnswer,
    ResultCode,
    SegmentAnswer,
    SegmentRequest,
    Sender,
    UpgradeAnswer,
    UpgradeReport,
    VersionAnswer,
    VersionNotification,
    VersionQuery,
)

Frames = list[bytes]


class Generation(Enum):
    """Which of the two columns."""

    OLDER = "older"
    NEWER = "newer"


class Phase(Enum):
    """Where the device stands."""

    IDLE = "idle"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    INSTALLING = "installing"
    REPORTING = "reporting"


class Installs(Enum):
    """What an installation comes to, where it is begun."""

    TARGET = "the target version runs, and 24 tells"
    REVERTS = "the old version runs, and 24 tells of success"
    HANGS = "the old version runs on, and nothing is told"
    DIES = "nothing is ever heard again"


@dataclass(frozen=True, slots=True, kw_only=True)
class PcpProfile:
    """What kind of PCP device one is. The results are those of a healthy one unless said otherwise."""

    generation: Generation = Generation.NEWER
    repeat_s: float = 2.0
    """NEWER: after which a question is repeated."""
    patience_s: float = 60.0
    """OLDER: after which it says 23 with 06."""
    install_s: float = 20.0
    copies: int = 1
    """How many datagrams carry one request: some modules queue them and send all at once."""
    welcomes: int = ResultCode.OK
    """What 20 is answered by."""
    downloads: int = ResultCode.OK
    """What 22 reports when all segments are there."""
    executes: int = ResultCode.OK
    """What 23 is answered by."""
    upgrades: int = ResultCode.OK
    """What 24 reports."""
    queries: int = ResultCode.OK
    """What 19 is answered by."""
    deaf_to: frozenset[int] = frozenset()
    """Messages, by their code, that it does not react to."""
    stalls: int | None = None
    """After this many segments it asks for no more."""
    installs: Installs = Installs.TARGET


@dataclass(slots=True)
class Download:
    """What is kept of a package."""

    target_version: str
    version_check_code: int
    segment_size: int
    segment_count: int
    segments: list[bytes] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every segment is there."""
        return len(self.segments) == self.segment_count


class PcpClient:
    """One device. `version` is what runs, `image` what it was made of: None before the first upgrade."""

    def __init__(self, profile: PcpProfile, *, version: str) -> None:
        self.profile = profile
        self.version = version
        self.image: bytes | None = None
        self.phase = Phase.IDLE
        self.download: Download | None = None
        self.reboots = False
        """The device shall reboot, and call `registered` when it is back."""
        self.dead = False
        """The device shall be switched off for good."""
        self.requests: list[int] = []
        """Segment indexes in the order in which they were asked for, repetitions and copies among them."""
        self._older = profile.generation is Generation.OLDER
        self._told: str | None = None  # the target version, since 20
        self._report: UpgradeReport | None = None
        self._timer_s: float | None = None

    @property
    def active(self) -> bool:
        """Whether the device has to stay awake."""
        return self.phase is not Phase.IDLE

    @property
    def finishing(self) -> bool:
        """Whether all that is left is to tell how the upgrade ended."""
        failed = self.phase is Phase.DOWNLOADED and self.profile.downloads != ResultCode.OK
        return failed or self.phase is Phase.REPORTING

    # -- what comes --

    def handle(self, frame: bytes, now: float) -> Frames:
        """A frame was written to 19/1/0; what is notified by 19/0/0 for it."""
        if self._stopped_by(frame):
            self._forget()
            return []
        if len(frame) > 3 and frame[3] in self.profile.deaf_to:
            return []
        match identify(frame, Sender.PLATFORM).message:
            case VersionQuery():
                named = self.version if self._older or self._told is None else self._told
                return said(VersionAnswer(result=self.profile.queries, version=named))
            case VersionNotification() as notification:
                return self._notified(notification, now)
            case SegmentAnswer(result=ResultCode.OK) as answer:
                return self._taken(answer, now)
            case DownloadAnswer():
                return self._reported(now)
            case ExecuteRequest():
                return self._executed(now)
            case UpgradeAnswer() if self.phase is Phase.REPORTING:
                self._forget()
        return []

    def _stopped_by(self, frame: bytes) -> bool:
        """OLDER reads a lone 80 as the end; with an index behind it, it is a segment of no data."""
        alone = len(frame) == HEADER_SIZE + 1 and frame[3] == MessageCode.SEGMENT
        return self._older and alone and frame[HEADER_SIZE] == ResultCode.NO_SUCH_TASK

    def _notified(self, notification: VersionNotification, now: float) -> Frames:
        if notification.target_version == self.version:
            return said(NotificationAnswer(result=ResultCode.ALREADY_NEWEST))
        if self.profile.welcomes != ResultCode.OK:
            return said(NotificationAnswer(result=self.profile.welcomes))
        self._told = notification.target_version
        have = self.download
        known = have is not None and (have.target_version, have.version_check_code) == (
            notification.target_version,
            notification.version_check_code,
        )
        if not known:
            self.download = Download(
                notification.target_version,
                notification.version_check_code,
                notification.segment_size,
                notification.segment_count,
            )
        if self.phase is Phase.INSTALLING:
            return []
        welcome = [] if self._older else said(NotificationAnswer())
        if known and self.phase is Phase.DOWNLOADING and not self._older:
            return welcome  # its timer asks again
        return welcome + self._ask(now)

    def _taken(self, answer: SegmentAnswer, now: float) -> Frames:
        have = self.download
        if self.phase is not Phase.DOWNLOADING or have is None or answer.segment_index != len(have.segments):
            return []
        have.segments.append(answer.segment)
        return self._ask(now)

    def _reported(self, now: float) -> Frames:
        """22 was answered: a failed download is over; a good one repeats itself until 23 comes."""
        if self.phase is Phase.DOWNLOADED and self.profile.downloads != ResultCode.OK:
            self._forget()
        return []

    def _executed(self, now: float) -> Frames:
        declines = self.profile.executes != ResultCode.OK
        again = declines and self.phase is Phase.IDLE and self.download is not None and self.download.complete
        if self.phase is not Phase.DOWNLOADED and not again:
            return []
        if not declines:
            self.phase = Phase.INSTALLING
            self._timer_s = now + self.profile.install_s
        else:
            self.phase, self._timer_s = Phase.IDLE, None  # the segments stay, for the next 20
        return said(ExecuteAnswer(result=self.profile.executes))

    # -- what is asked --

    def _ask(self, now: float) -> Frames:
        """For the first segment that is missing, or report that none is."""
        have = self.download
        assert have is not None
        if have.complete:
            self.phase = Phase.DOWNLOADED
            return self._say(DownloadReport(result=self.profile.downloads), now)
        self.phase = Phase.DOWNLOADING
        index = len(have.segments)
        if self.profile.stalls is not None and index >= self.profile.stalls:
            self._timer_s = None
            return []
        self.requests.extend([index] * self.profile.copies)
        return self._say(SegmentRequest(target_version=have.target_version, segment_index=index), now)

    def _say(self, message: FromDevice, now: float) -> Frames:
        self._timer_s = now + (self.profile.patience_s if self._older else self.profile.repeat_s)
        return said(message) * self.profile.copies

    def next_timer(self) -> float | None:
        """When `expire` has something to do."""
        return self._timer_s

    def expire(self, now: float) -> Frames:
        """The time has come: what is repeated, or the end of the installation."""
        if self._timer_s is None or now < self._timer_s:
            return []
        self._timer_s = None
        match self.phase:
            case Phase.INSTALLING:
                self._installed()
            case Phase.DOWNLOADING | Phase.DOWNLOADED:
                tired = said(ExecuteAnswer(result=ResultCode.DOWNLOAD_TIMEOUT)) if self._older else []
                return tired + self._ask(now)
            case Phase.REPORTING:
                return self._tell(now)
        return []

    def _installed(self) -> None:
        have, installs = self.download, self.profile.installs
        assert have is not None
        if installs is Installs.DIES:
            self.dead = True
            return
        if installs is Installs.HANGS:
            self._forget()
            return
        if self.profile.upgrades == ResultCode.OK and installs is Installs.TARGET:
            self.version = have.target_version
            self.image = b"".join(have.segments)
        self._report = UpgradeReport(result=self.profile.upgrades, version=self.version)
        self.reboots = True

    # -- reboots and power cuts --

    def lost_power(self) -> None:
        """What was in memory only is gone. An installation that was cut begins anew with 23."""
        self._timer_s = None
        if self.phase is Phase.INSTALLING and self._report is None:
            self.phase = Phase.DOWNLOADED
        if self._older and self.phase is Phase.DOWNLOADING and self.download is not None:
            self.download.segments.clear()

    def registered(self, now: float) -> Frames:
        """The device is up, and its 19/0/0 is observed."""
        self.reboots = False
        if self._report is not None:
            self.phase = Phase.REPORTING
            return self._tell(now)
        if self.phase in (Phase.DOWNLOADING, Phase.DOWNLOADED):
            return self._ask(now)
        return []

    def _tell(self, now: float) -> Frames:
        assert self._report is not None
        frames = self._say(self._report, now)
        if self._older:
            self._forget()
        return frames

    def _forget(self) -> None:
        self.phase = Phase.IDLE
        self.download = None
        self._report = None
        self._timer_s = None


def said(message: FromDevice) -> Frames:
    """One frame."""
    return [encode(message)]
