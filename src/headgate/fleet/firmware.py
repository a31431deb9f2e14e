"""Object 5 of a device: the update machine. LwM2M 1.1 core, E.6; docs/traps.md for what devices make of it.

    0 Idle --URI--> 1 Downloading --complete--> 2 Downloaded --Execute--> 3 Updating --reboot--> 0 Result 1
         <--failure, Result 2..9--                                               failed: 2 or 0, Result 8

With `acts_on_ack` an arrow is followed when the notification of the State before it was acknowledged.
"""

from __future__ import annotations

from typing import Protocol

from headgate.fleet.alarms import Alarms
from headgate.fleet.download import INVALID_URI, Download, Flash, kept, package_version, uri_parts
from headgate.fleet.messaging import Ended, Messaging, Reply
from headgate.fleet.objects import STATE, Values
from headgate.fleet.outcome import Outcome
from headgate.fleet.profile import Profile, Resume, Update
from headgate.wire.coap import Message
from headgate.wire.numbers import BAD_REQUEST, CHANGED, METHOD_NOT_ALLOWED, RST
from headgate.wire.resources import Path

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)
URI_MAX = 255


# Update Results that the machine itself comes to: 5/0/5.
INITIAL = 0
SUCCEEDED = 1
FAILED = 8
UNSUPPORTED_PROTOCOL = 9
CANCELLED = 10


class Host(Protocol):
    """What the machine needs of its device."""

    profile: Profile
    log: Outcome
    alarms: Alarms

    def notify(self, path: Path, now: float, ended: Ended | None = None, *, as_before: bool = False) -> bool:
        """Tell who observes `path`; False where nobody does, and nothing ends.

        `as_before`: who observed it before the boot, where the device keeps that.
        """

    def download_messaging(self, host: str, port: int) -> Messaging:
        """The socket that the download uses."""

    def reboot(self, now: float) -> None:
        """Go down, and come up again with the version that the machine holds."""

    def power_cut(self, now: float) -> None:
        """Lose power for a while."""

    def leave(self, now: float, *, goodbye: bool) -> None:
        """Never be heard again."""


class Firmware:
    """The update machine of one device; it outlives reboots."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.profile = host.profile
        self.log = host.log
        self.alarms = host.alarms
        self.version = self._version_before = host.profile.version
        self.state = IDLE
        self.result = INITIAL
        self.uri = ""
        self._flash = Flash()
        self._download: Download | None = None
        self._cuts = list(host.profile.power_cuts)
        self._effective = IDLE  # the State that was acknowledged, where that counts
        self._told = False  # whether anybody was notified of the State
        self._outcome: tuple[int, int] | None = None  # State and Result that the update left, until told
        self._answered = False  # Execute of this package, by 2.04
        self._confirmed = False  # and the server has heard of it

    @property
    def active(self) -> bool:
        """Whether the device has to stay awake for it."""
        return (self._download is not None and not self._download.stalled) or (
            self.state == UPDATING and self.profile.misbehaviour.update is not Update.HANGS
        )

    @property
    def is_new(self) -> bool:
        """Whether the version that runs came with the package last written."""
        return self.version != self._version_before

    @property
    def confirmed(self) -> bool:
        """Whether the server has heard that Execute of this package was taken."""
        return self._confirmed

    def values(self) -> Values:
        """Object 5 as it is read."""
        values: Values = {(5, 0, 1): self.uri, (5, 0, 3): self.state, (5, 0, 5): self.result}
        if self.state in (DOWNLOADED, UPDATING):
            values[5, 0, 7] = self._package_version()
        if self.profile.delivery_at_8:
            values[5, 0, 8] = 0
        else:
            values[5, 0, 8, 0] = 0
            values[5, 0, 9] = 0
        return values

    def _package_version(self) -> str:
        return package_version(self._flash.head) or self.profile.target_version

    # -- what the server asks --

    def write_uri(self, uri: str, now: float) -> Reply:
        """PUT 5/0/1."""
        if not uri:
            return self._cleared(INITIAL)
        allowed = (IDLE,) if self.profile.uri_only_idle else (IDLE, DOWNLOADED)
        if self.state not in allowed:
            return Reply(METHOD_NOT_ALLOWED if self.state == UPDATING else BAD_REQUEST)
        if len(uri.encode()) > URI_MAX:
            return Reply(BAD_REQUEST)

        def begin(now: float) -> None:
            self._flash = kept(self._flash, uri, self.profile.resume)
            self.uri = uri
            self.result = INITIAL
            self._version_before = self.version
            self._answered = self._confirmed = False
            self._outcome = None
            if not self.profile.misbehaviour.never_starts:
                self._enter(DOWNLOADING, now, self._fetch)

        self.log.uris.append(uri)
        self.log.began(now)
        return Reply(CHANGED, then=begin)

    def cancel(self) -> Reply:
        """POST 5/0/10."""
        return Reply(METHOD_NOT_ALLOWED) if self.state == IDLE else self._cleared(CANCELLED)

    def _cleared(self, result: int) -> Reply:
        """The package is forgotten; not while it is being installed."""
        if self.state == UPDATING:
            return Reply(METHOD_NOT_ALLOWED)

        def clear(now: float) -> None:
            before = self.state
            self._stop()
            self._flash = Flash()
            self.uri = ""
            self.state = self._effective = IDLE
            self.result = self._known(result)
            self.log.ended(now)
            if before != IDLE:
                self._host.notify(STATE, now)

        self.log.uris.append("")
        return Reply(CHANGED, then=clear)

    def execute(self, arguments: bytes) -> Reply:
        """POST 5/0/2."""
        self.log.executes += 1
        self.log.executes_after_answer += self._answered
        self.log.executes_after_confirmed += self._confirmed
        if arguments:
            return Reply(BAD_REQUEST)
        # Who tells to update has heard of State 2, though the acknowledgement may be lost.
        if self.state != DOWNLOADED or not (self._effective == DOWNLOADED or self._told):
            return Reply(METHOD_NOT_ALLOWED)
        self._answered = True
        return Reply(CHANGED, then=self._begin_update)

    # -- the way through the States --

    def _enter(self, state: int, now: float, then: Ended | None) -> None:
        """Be in `state` and tell it; `then` follows at once, or when that was acknowledged."""
        self.state = state

        def told(message: Message | None, now: float) -> None:
            acknowledged = message is not None and message.type != RST
            if self.state == state == UPDATING and acknowledged:
                self._confirmed = True
            if self.profile.acts_on_ack and self.state == state:
                if acknowledged:
                    self._effective = state
                    if then is not None:
                        then(message, now)
                else:
                    self.download_failed(FAILED, now)

        self._told = self._host.notify(STATE, now, told)
        if not self.profile.acts_on_ack:
            self._effective = state
            if then is not None:
                then(None, now)

    def _fetch(self, message: Message | None, now: float) -> None:
        """Begin the download, or go on with it."""
        if self._download is not None:
            return
        parts = uri_parts(self.uri, query_in_path=self.profile.query_in_path)
        if parts is None:
            other_scheme = "://" in self.uri and not self.uri.startswith("coap")
            self.download_failed(UNSUPPORTED_PROTOCOL if other_scheme else INVALID_URI, now)
            return
        gives_up = self.profile.misbehaviour.gives_up
        if gives_up is not None and gives_up[0] == 0:
            self.download_failed(gives_up[1], now)
            return
        host, port, path = parts
        self._download = Download(self, self._host.download_messaging(host, port), self._flash, path)
        self._download.begin(now)

    def block_taken(self, blocks: int, now: float, *, complete: bool) -> bool:
        """What befalls a download after so many blocks; False where it does not go on."""
        wrong = self.profile.misbehaviour
        if wrong.gives_up is not None and (blocks >= wrong.gives_up[0] or complete):
            self.download_failed(wrong.gives_up[1], now)
        elif wrong.deregisters is not None and (blocks >= wrong.deregisters or complete):
            self._stop()
            self._host.leave(now, goodbye=True)
        elif wrong.stalls is not None and (blocks >= wrong.stalls or complete):
            assert self._download is not None
            self._download.stalled = True
        elif not complete and self._cuts and blocks >= self._cuts[0]:
            del self._cuts[0]
            self._host.power_cut(now)
        else:
            return True
        return False

    def download_complete(self, now: float) -> None:
        """State 2."""
        self._download = None
        self._enter(DOWNLOADED, now, None)

    def download_failed(self, result: int, now: float) -> None:
        """State 0 and the Update Result."""
        self._stop()
        self.state = self._effective = IDLE
        self.result = self.log.result = self._known(result)
        self._host.notify(STATE, now)

    def _begin_update(self, now: float) -> None:
        self._enter(UPDATING, now, self._install)

    def _install(self, message: Message | None, now: float) -> None:
        if self.profile.misbehaviour.update is not Update.HANGS:
            self.alarms.set("install", now + self.profile.install_s, self._installed)

    def _installed(self, now: float) -> None:
        match self.profile.misbehaviour.update:
            case Update.DIES:
                self._host.leave(now, goodbye=False)
                return
            case Update.FAILS:
                state = DOWNLOADED if self.profile.failed_in_downloaded else IDLE
                self._outcome = (state, self._known(FAILED))
            case Update.REVERTS:
                self._outcome = (IDLE, INITIAL)
            case _:
                self.version = self._package_version()
                self._flash = Flash()
                self._outcome = (IDLE, SUCCEEDED)
        self._host.reboot(now)

    def _known(self, result: int) -> int:
        """The Update Result, or 8 where the device does not know it."""
        known = self.profile.results
        return result if known is None or result in known else FAILED

    def _stop(self) -> None:
        if self._download is not None:
            self._download.stop()
            self._download = None

    # -- reboots and power cuts --

    def lost_power(self) -> None:
        """What was in memory only is gone."""
        self._download = None

    def booted(self, now: float) -> None:
        """What the machine finds in its flash."""
        if self._outcome is None and self.state == UPDATING:
            self._outcome = (IDLE, INITIAL)  # power went while installing: the old version runs
        if self._outcome is not None:
            self.state = self._effective = IDLE
            self.result = INITIAL
            if self.profile.zero_result_s == 0.0:
                self._show()
        elif self.state == DOWNLOADING and self.profile.resume is not Resume.OFFSET:
            self._flash = Flash(self.uri)
            if self.profile.resume is Resume.FORGET:
                self.state = self._effective = IDLE

    def registered(self, now: float) -> None:
        """The server knows the device again: tell the outcome, or go on with the download."""
        if self._outcome is not None:
            self._confirmed = self._answered
            if self.profile.zero_result_s:
                self.alarms.set("result", now + self.profile.zero_result_s, self._tell)
            else:
                self._tell(now)
        elif self.state == self._effective == DOWNLOADING:
            self._fetch(None, now)

    def _show(self) -> None:
        assert self._outcome is not None
        self.state, self.result = self._outcome
        self._effective = self.state
        self.log.result = self.result

    def _tell(self, now: float) -> None:
        if self._outcome is not None:
            self._show()
            self._outcome = None
            self._host.notify(STATE, now, as_before=True)
