"""A device that is upgraded over its data container: PCP in 19/0/0 and 19/1/0. Protocol 1.9 and 1.10.

What the client says while nobody observes 19/0/0 is lost, as a module loses it; a client that was told of a
Register waits for the observation first.
"""

from __future__ import annotations

from hashlib import sha256

from headgate.fleet.container import ORDINARY, Host
from headgate.fleet.pcp_client import PcpClient, PcpProfile, Phase
from headgate.fleet.pcp_progress import PcpProgress

ALARM = "pcp"


class PcpContainer:
    """Carries the frames of a `PcpClient`, and gives it time and power."""

    def __init__(self, host: Host, profile: PcpProfile) -> None:
        self._host = host
        self.client = PcpClient(profile, version=host.profile.version)
        self._progress = PcpProgress(self.client, host.log)
        self._booted = False  # and not observed since
        self._cuts = list(host.profile.power_cuts)

    @property
    def active(self) -> bool:
        """Whether the device has to stay awake for it."""
        return self.client.active

    @property
    def version(self) -> str:
        """What runs."""
        return self.client.version

    def written(self, data: bytes, now: float) -> None:
        """A frame, or data of an application that we do not know."""
        self._progress.came(data)
        frames = self.client.handle(data, now)
        if self._loses_power():
            self._progress.look()
            self._host.power_cut(now)
            return
        self._tell(frames, now)

    def observed(self, now: float) -> None:
        """The server observes 19/0/0: what waited for that since the boot is told, once that is answered."""
        if self._booted:
            self._booted = False
            self._host.alarms.set(ALARM, now, self._up)

    def booted(self, now: float) -> None:
        """The device was switched on, or is up again after a reboot or a power cut."""
        self.client.lost_power()
        self._progress.lost_power()
        self._booted = True

    def registered(self, now: float) -> None:
        """The server took a Register: it is to observe 19/0/0."""

    def ordinary(self) -> bytes:
        """The reading of a meter."""
        return ORDINARY

    def _loses_power(self) -> bool:
        have = self.client.download
        if not self._cuts or have is None or self.client.phase is not Phase.DOWNLOADING:
            return False
        if len(have.segments) < self._cuts[0]:
            return False
        del self._cuts[0]
        return True

    def _up(self, now: float) -> None:
        self._tell(self.client.registered(now), now)

    def _due(self, now: float) -> None:
        frames = self.client.expire(now)
        if self.client.dead:
            self._host.leave(now, goodbye=False)
            return
        if self.client.reboots:
            self._keep(now)
            self._host.reboot(now)
            return
        self._tell(frames, now)

    def _tell(self, frames: list[bytes], now: float) -> None:
        self._keep(now)
        ended = self._progress.told if self.client.phase is Phase.INSTALLING else None
        for frame in frames:
            self._host.tell(frame, now, ended)

    def _keep(self, now: float) -> None:
        """The log, and the next alarm."""
        client, log = self.client, self._host.log
        self._progress.look()
        if client.image is not None:
            log.digest = sha256(client.image).hexdigest()
        if client.finishing or not client.active:
            log.ended(now)
        else:
            log.began(now)
        due_s = client.next_timer()
        if due_s is None:
            self._host.alarms.cancel(ALARM)
        else:
            self._host.alarms.set(ALARM, due_s, self._due)
