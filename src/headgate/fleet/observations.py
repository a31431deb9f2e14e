"""Who observes what of a device. RFC 7641; LwM2M 1.1 core, 6.4.

One observation for each path: a second Observe replaces the first, token and all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headgate.fleet.alarms import Action, Alarms
from headgate.fleet.messaging import Ended, Messaging
from headgate.fleet.profile import Notify, Profile
from headgate.fleet.registration import uint
from headgate.wire.coap import Message
from headgate.wire.numbers import CONTENT_FORMAT, OBSERVE, RST
from headgate.wire.resources import Path

NUMBERS = 1 << 24  # of the Observe option


@dataclass(slots=True)
class Observation:
    """One observed path."""

    token: bytes
    accept: int | None
    number: int = 1
    told_s: float = 0.0


class Observations:
    """The observations of one boot."""

    def __init__(self, profile: Profile, alarms: Alarms) -> None:
        self._profile = profile
        self._alarms = alarms
        self._by_path: dict[Path, Observation] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._by_path

    def add(self, path: Path, token: bytes, accept: int | None, now: float) -> int:
        """Begin to tell of `path`; the number for the Observe option of the answer."""
        before = self._by_path.get(path)
        number = before.number + 1 if before is not None else 1
        self._by_path[path] = Observation(token, accept, number % NUMBERS, now)
        return number % NUMBERS

    def restore(self, path: Path, observation: Observation) -> None:
        """Go on with an observation from before the boot, until another replaces it."""
        self._by_path[path] = observation

    def remove(self, path: Path) -> None:
        """Tell no more of it."""
        self._by_path.pop(path, None)

    def get(self, path: Path) -> Observation | None:
        """The observation of `path`: what a device keeps in its flash."""
        return self._by_path.get(path)

    def notify(
        self,
        path: Path,
        messaging: Messaging,
        payload_of: Callable[[int | None], tuple[int | None, bytes]],
        now: float,
        ended: Ended | None,
        again: Action,
        kept: Observation | None = None,
    ) -> bool:
        """Tell the value that `payload_of` gives for the format wanted. False where nobody hears of it.

        Where pmin is not over yet, `again` is called when it is. It is told to `kept`, an observation from
        before the boot, where there is one.
        """
        observation = kept or self._by_path.get(path)
        if observation is None or self._profile.notify is Notify.NEVER:
            return False
        wait_s = observation.told_s + self._profile.pmin_s - now
        if wait_s > 0.0:
            self._alarms.set(f"pmin {path}", now + wait_s, again)
            return True
        observation.told_s = now
        observation.number = (observation.number + 1) % NUMBERS
        content_format, payload = payload_of(observation.accept)
        options = [(OBSERVE, uint(observation.number))]
        if content_format is not None:
            options.append((CONTENT_FORMAT, uint(content_format)))

        confirmable = self._profile.notify is Notify.CONFIRMABLE

        def ends(message: Message | None, now: float) -> None:
            """Who resets a notification, or is never there, observes no more. RFC 7641 section 4.5."""
            if (message is None or message.type == RST) and self._by_path.get(path) is observation:
                self.remove(path)
            if ended is not None and confirmable:
                ended(message, now)

        messaging.notify(
            observation.token,
            options,
            payload,
            confirmable=confirmable,
            now=now,
            ended=ends,
        )
        return True
