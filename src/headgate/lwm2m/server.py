"""An LwM2M server without any I/O: the Exchange below, endpoints and resources above.

    datagram -> Exchange -> registry      /rd, /dp                Registered Updated Deregistered Sent
                         -> queue         answers to commands     Answered Observed Refused WasReset
                         -> observations  notifications by token  Notified

    confirm -> what the device is owed -> the next command, if it is awake

Invariants (each file has its own besides)

1. An uplink gives at most one happening, and what it is owed leaves when the caller confirms that.
2. A device is known by its location, by tokens of ours, and last by its address; whatever proves one of these
   tells where it is now. What comes with a live token is never answered by a Reset.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

from headgate.engine.bounds import Bounds
from headgate.engine.endpoints import Remote
from headgate.engine.events import (
    Event,
    NotificationLost,
    NotificationReceived,
    NotificationUnmatched,
    RequestAcknowledged,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from headgate.engine.exchange import Exchange
from headgate.engine.retransmission import DEFAULT, Retransmission
from headgate.lwm2m.commands import Command
from headgate.lwm2m.devices import Device, Devices, Owed
from headgate.lwm2m.happenings import Happening, Heard, Notified, Registered, Unmatched
from headgate.lwm2m.kinds import Kinds
from headgate.lwm2m.observations import Observations
from headgate.lwm2m.parameters import Mistake, content_format_of
from headgate.lwm2m.presence import Presence
from headgate.lwm2m.queue import Queue
from headgate.lwm2m.registration import Registration
from headgate.lwm2m.registry import Registry
from headgate.lwm2m.settings import LwM2mSettings
from headgate.lwm2m.sharing import SHARED_MAX, Sharing
from headgate.wire.numbers import OBSERVE, SUCCESS_LAST
from headgate.wire.resources import Path

NO_HAPPENINGS: tuple[Happening, ...] = ()

# What `LwM2mServer.counts` counts, besides what the Exchange does.
COUNTED = (
    # Requests refused, by reason.
    "endpoint name missing",
    "endpoint name not usable",
    "lifetime is no number",
    "version is no number",
    "version not supported",
    "object links too long",
    "object links malformed",
    "alternate root not usable",
    "registrations full",
    "location not known",
    "path not known",
    "method not allowed",
    "send from unknown address",
    "send without content format",
    "send in another format",
    "send malformed",
    # What devices send otherwise.
    "notification from unknown address",
    "notification stale",
    "answer not readable",
    # Bounds of ours that were reached.
    "object links shortened",
    "observation forgotten early",
    "command held back",
)


class LwM2mServer:
    """All devices of one server."""

    def __init__(
        self, *, rng: random.Random, settings: LwM2mSettings | None = None, bounds: Bounds | None = None
    ) -> None:
        """`rng` draws tokens and locations: a `random.SystemRandom` where peers are not to be trusted."""
        settings = settings or LwM2mSettings()
        self._exchange = Exchange(rng=rng, bounds=bounds)
        self.counts = self._exchange.counts
        """How often each thing happened, here and in the Exchange."""
        self.counts.update(dict.fromkeys(COUNTED, 0))
        sharing = Sharing(shared_max=SHARED_MAX)
        kinds = Kinds(sharing, kinds_max=settings.shared_links_max, counts=self.counts)
        self._devices = Devices(kinds, grace_s=settings.grace_s)
        self._presence = Presence(awake_s=settings.awake_s)
        self._registry = Registry(self._exchange, self._devices, kinds, sharing, rng, settings)
        self._observations = Observations(self._exchange, observations_max=settings.observations_max)
        self._queue = Queue(
            self._exchange,
            self._devices,
            self._presence,
            self._observations,
            sharing=sharing,
            commands_max=settings.commands_max,
            counts=self.counts,
        )

    def __len__(self) -> int:
        """Registered devices."""
        return len(self._devices)

    # -- what drives it --

    def receive(self, remote: Remote, datagram: bytes, now: float) -> Sequence[Happening]:
        """What this datagram says, and whose it is."""
        events = self._exchange.receive(remote, datagram, now)
        return self._told(events, now) if events else NO_HAPPENINGS

    def next_timer(self) -> float | None:
        """When to call `expire`; None when nothing waits."""
        times = (self._exchange.next_timer(), self._devices.next_end())
        return min((due for due in times if due is not None), default=None)

    def expire(self, now: float) -> Sequence[Happening]:
        """Do what is due at `now`: retransmit, give up, end registrations."""
        return [*self._told(self._exchange.expire(now), now), *self._registry.expire(now)]

    def take(self) -> list[tuple[Remote, bytes]]:
        """The datagrams to send, in this order; to be called after every other call."""
        return self._exchange.take()

    # -- what the caller makes of it --

    def confirm(self, happening: Happening, now: float) -> None:
        """It is committed: send what the device deserves for it, then the next command for the device.

        To be called once for whatever `receive` told. What is no uplink is owed nothing.
        """
        owed = happening.owed
        if owed is None:
            return
        handle, owed.handle = owed.handle, None
        if handle is not None:
            if owed.code:
                self._exchange.respond(handle, owed.code, owed.options, now=now)
            else:
                self._exchange.acknowledge(handle)
        self._settle(owed, now)

    def reject(self, happening: Unmatched, now: float) -> None:
        """Answer it by a Reset, in place of `confirm`: the device stops to notify."""
        owed = happening.owed
        handle, owed.handle = owed.handle, None
        if handle is not None:
            self._exchange.reset(handle)
        self._settle(owed, now)

    def ask(self, endpoint: str, command: Command, *, now: float, profile: Retransmission = DEFAULT) -> None:
        """Queue a command; it leaves when the device is awake and those before it are answered.

        Equal commands are one. Raises CommandLimitError when too many wait for the device, and FormatError
        when the Content-Format of a Write cannot carry its value.
        """
        device = self._devices.make(endpoint)
        try:
            self._queue.ask(device, command, profile, now)
        finally:
            self._devices.let_go(device)

    def drop(self, endpoint: str, command: Command, now: float) -> None:
        """Let a command wait no more, nor be repeated where it is under way. An unknown one is no fault."""
        device = self._devices.find(endpoint)
        if device is not None:
            self._queue.drop(device, command, now)

    def remember(self, endpoint: str, path: Path, token: bytes, now: float) -> None:
        """Know an observation that an earlier process made. Registrations are restored before.

        Raises ExchangeLimitError when too many tokens are alive.
        """
        device = self._devices.make(endpoint)
        try:
            self._queue.remember(device, path, token, now)
        finally:
            self._devices.let_go(device)

    def forget(self, token: bytes, now: float) -> None:
        """Let an observation's token die. An unknown one is no fault."""
        self._queue.forget(token, now)

    def restore(self, registrations: Iterable[Registration], now: float) -> None:
        """Know the registrations that an earlier process knew. None of their devices has been heard yet."""
        self._registry.restore(registrations, now)

    def heard(self, endpoint: str, now: float) -> None:
        """The device is awake by other evidence: it asked for a block."""
        device = self._devices.find(endpoint)
        if device is not None:
            self._queue.reached(device, self._presence.heard(device, now), now)

    def listens(self, endpoint: str, awake_s: float | None) -> None:
        """How long this device listens after an uplink, as it is of a product that the caller knows.

        None: as long as all do. Kept as long as it is registered; of one that is not, nothing is kept.
        """
        device = self._devices.find(endpoint)
        if device is not None and device.registration is not None:
            device.awake_s = awake_s

    # -- what the caller may ask --

    def awake(self, endpoint: str, now: float) -> bool:
        """Whether a command that is asked for now would leave at once, or with the next confirmation."""
        device = self._devices.find(endpoint)
        return device is not None and self._presence.awake(device, now)

    def registration(self, endpoint: str) -> Registration | None:
        """The present one."""
        device = self._devices.find(endpoint)
        return device.registration if device is not None else None

    def explain(self, endpoint: str, now: float) -> str:
        """One sentence: where the device is, what waits for it, when to expect it."""
        device = self._devices.find(endpoint)
        return "not known" if device is None else self._presence.explain(device, now)

    def sizes(self) -> dict[str, int]:
        """What is kept at the moment, here and in the Exchange."""
        return {
            "registrations": len(self._devices),
            "devices known": self._devices.known,
            "observations": len(self._observations),
            **self._exchange.sizes(),
        }

    # -- events of the Exchange --

    def _told(self, events: Iterable[Event], now: float) -> list[Happening]:
        told = [self._happened(event, now) for event in events]
        return [happening for happening in told if happening is not None]

    def _happened(self, event: Event, now: float) -> Happening | None:
        if isinstance(event, NotificationReceived):
            return self._notified(event, now)
        if isinstance(event, RequestReceived):
            return self._requested(event, now)
        if isinstance(event, ResponseReceived):
            device = self._device(event.device)
            changed = self._moved(device, event.remote)
            return self._uplink(self._queue.answered(event, device, now), changed, now)
        if isinstance(event, RequestAcknowledged):
            self._queue.acknowledged(event, now)
        elif isinstance(event, RequestFailed):
            happening = self._queue.failed(event, now)
            if happening is not None and happening.owed is not None:
                return self._uplink(happening, None, now)
            return happening
        elif isinstance(event, NotificationUnmatched):
            return self._unmatched(event, now)
        elif isinstance(event, NotificationLost):
            device = self._device(event.device)
            heard = Heard(endpoint=device.endpoint, owed=Owed(device, None))
            return self._uplink(heard, self._moved(device, event.remote), now)
        return None

    def _requested(self, event: RequestReceived, now: float) -> Happening | None:
        said = self._registry.requested(event.message, event.remote, now)
        if isinstance(said, Mistake):
            self.counts[said.reason] += 1
            self._exchange.respond(event.handle, said.code, now=now)
            return None
        happening, owed = said
        owed.handle = event.handle
        if isinstance(happening, Registered):
            self._queue.registered_anew(owed.device, now)
        return self._uplink(happening, None, now)

    def _notified(self, event: NotificationReceived, now: float) -> Happening:
        observation = self._observations.find(event.token)
        assert observation is not None, "invariant 1 of the observations"
        device, message = observation.device, event.message
        stale = not observation.newest(event.observe, now)
        if stale:
            self.counts["notification stale"] += 1
        changed = self._moved(device, event.remote)
        happening = Notified(
            endpoint=device.endpoint,
            owed=Owed(device, event.handle),
            changed=changed,
            path=observation.path,
            token=event.token,
            content_format=content_format_of(message),
            payload=message.payload,
            stale=stale,
            ended=event.observe is None or message.code > SUCCESS_LAST,
        )
        return self._uplink(happening, None, now)

    def _unmatched(self, event: NotificationUnmatched, now: float) -> Happening | None:
        device = self._devices.at_remote(event.remote)
        if device is None:
            self.counts["notification from unknown address"] += 1
            self._exchange.reset(event.handle)
            return None
        owed = Owed(device, event.handle)
        # Without the Observe option it is an answer that nobody waits for any more: there is nothing to stop.
        notifies = any(number == OBSERVE for number, _ in event.message.options)
        happening = (Unmatched if notifies else Heard)(endpoint=device.endpoint, owed=owed)
        return self._uplink(happening, None, now)

    # -- helpers --

    def _uplink(self, happening: Happening, changed: Registration | None, now: float) -> Happening:
        """Note that the device is there, and that nothing leaves before this is confirmed."""
        owed = happening.owed
        owed.woke = self._presence.heard(owed.device, now)
        owed.device.owed = owed
        if changed is not None and happening.changed is None:
            happening = replace(happening, changed=changed)
        return happening

    def _settle(self, owed: Owed, now: float) -> None:
        """It is confirmed. A newer uplink may wait for that still."""
        device = owed.device
        if device.owed is owed:
            device.owed = None
            self._queue.reached(device, owed.woke, now)

    def _device(self, endpoint: Hashable) -> Device:
        """The device that the Exchange knows by this name; we may have forgotten it meanwhile."""
        assert isinstance(endpoint, str), "we name devices by their endpoints"
        return self._devices.find(endpoint) or Device(endpoint)

    def _moved(self, device: Device, remote: Remote) -> Registration | None:
        """The registration at its new address, if that is new. The Exchange knows it already."""
        registration = device.registration
        if registration is None or registration.remote == remote:
            return None
        registration = registration.evolved(remote=remote)
        self._devices.alter(device, registration)
        return registration
