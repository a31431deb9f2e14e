"""The commands of a device: kept until they are answered, sent one at a time while it is awake.

    ask ---> waiting ---> under way ---> answered: Answered, Observed, Refused, WasReset
                ^  ^          |
                |  '----------+  another content format may do: Heard
                '-------------'  no answer, or none of use to us: Unanswered

Invariants

1. At most one command of a device is under way; it is the first of its queue.
2. Nothing leaves while an uplink of the device waits to be confirmed, nor while the device sleeps.
3. A token in `_asked` is alive in the Exchange. A command has several when it left several times, at most
   TOKENS_MAX: the answer to any of them answers it.
4. The token of a command that was dropped lives on for a while, so that its answer is heard: GIVEN_UP_MAX of
   them at most, for EXCHANGE_LIFETIME. That of an Observe is an observation's and lives as such.
"""

from __future__ import annotations

from collections import deque

from headgate.engine.events import Cause, RequestAcknowledged, RequestFailed, ResponseReceived
from headgate.engine.exchange import Exchange
from headgate.engine.retransmission import Retransmission
from headgate.errors import CommandLimitError, ExchangeLimitError
from headgate.lwm2m.asked import Asked
from headgate.lwm2m.commands import CancelObservation, Command, Observe, Read, Write
from headgate.lwm2m.devices import Device, Devices, Owed
from headgate.lwm2m.formats import ANOTHER_FORMAT_MAY_DO, CHAINS, kind_of, learned, proven
from headgate.lwm2m.happenings import (
    Answered,
    Happening,
    Heard,
    Observed,
    Refused,
    Unanswered,
    WasReset,
)
from headgate.lwm2m.observations import Observations
from headgate.lwm2m.operations import compose, readable, values
from headgate.lwm2m.parameters import content_format_of
from headgate.lwm2m.presence import Presence
from headgate.lwm2m.registration import Registration
from headgate.lwm2m.sharing import Sharing
from headgate.wire.numbers import SUCCESS_LAST
from headgate.wire.resources import Path

TOKENS_MAX = 3  # of one command: its answer may come long after it left again
GIVEN_UP_MAX = 4096
LET_GO_PER_DROP = 4  # tokens given up long ago that one more of them may clear away
LOST = {Cause.TIMEOUT, Cause.NO_RESPONSE, Cause.LIMIT}
"""Why a command goes on waiting."""


class Queue:
    """The commands of all devices."""

    def __init__(
        self,
        exchange: Exchange,
        devices: Devices,
        presence: Presence,
        observations: Observations,
        *,
        sharing: Sharing,
        commands_max: int,
        counts: dict[str, int],
    ) -> None:
        self._exchange = exchange
        self._devices = devices
        self._presence = presence
        self._observations = observations
        self._commands_max = commands_max
        self._counts = counts
        self._asked: dict[bytes, Asked] = {}
        self._given_up: deque[tuple[float, bytes]] = deque()
        self._sharing = sharing

    # -- what the caller wants --

    def ask(self, device: Device, command: Command, profile: Retransmission, now: float) -> None:
        """Queue it, and let it leave if it may. Raises CommandLimitError, FormatError."""
        asked = device.queue.get(command) if device.queue else None
        if asked is not None:
            asked.profile = profile
        else:
            if len(device.queue or ()) >= self._commands_max:
                raise CommandLimitError(
                    f"{self._commands_max} commands wait for {device.endpoint}: at most commands_max"
                )
            if isinstance(command, Write):
                kind = kind_of(command)  # what cannot be written is told to who asks, not found out later
                compose(command, (), command.content_format if kind is None else CHAINS[kind][0])
            if device.queue is None:
                device.queue = {}
            device.queue[command] = Asked(command, device, profile)
        self.leave(device, now)

    def drop(self, device: Device, command: Command, now: float) -> None:
        """Take it out of the queue. The tokens of an Observe live on: the device may have taken it."""
        asked = device.queue.get(command) if device.queue else None
        if asked is None:
            return
        asked.dropped = True
        self._take_out(asked)
        for token in asked.tokens:
            self._exchange.give_up(token, now=now)
            if not isinstance(command, Observe | CancelObservation):
                self._given_up.append((now + asked.profile.exchange_lifetime_s, token))
        self._let_go_given_up(now)
        if device.registration is None:
            self.gone(device, now)
        self.leave(device, now)
        self._devices.let_go(device)

    def gone(self, device: Device, now: float) -> None:
        """It is not registered any more. What it was asked to observe in vain nobody else would forget."""
        for token in tuple(device.tokens or ()):
            observation, asked = self._observations.find(token), self._asked.get(token)
            if observation is not None and not observation.told and (asked is None or not asked.wanted):
                self.forget(token, now)

    def remember(self, device: Device, path: Path, token: bytes, now: float) -> None:
        """Know an observation that another process, or a registration before this one, made."""
        if self._observations.find(token) is None:
            self._observations.remember(device, path, token)
            self._bound_observations(device, now)

    def forget(self, token: bytes, now: float) -> None:
        """Let an observation's token die, and with it the command that asks to end it."""
        observation = self._observations.find(token)
        if observation is None:
            return
        device = observation.device
        for asked in tuple((device.queue or {}).values()):
            if isinstance(asked.command, CancelObservation) and asked.command.token == token:
                self._take_out(asked)
        observer = self._asked.pop(token, None)
        if observer is not None:
            if device.under_way is observer and observer.newest(token):
                device.under_way = None
            observer.tokens.pop(token, None)
        self._observations.forget(token, now)
        self.leave(device, now)
        self._devices.let_go(device)

    # -- what leaves --

    def reached(self, device: Device, woke: bool, now: float) -> None:
        """The device can be sent to; `woke`: it could not before, so what is under way may have missed it."""
        if woke and device.under_way is not None and self._presence.awake(device, now):
            self._exchange.repeat(next(reversed(device.under_way.tokens)), now=now)
        self.leave(device, now)

    def leave(self, device: Device, now: float) -> None:
        """Send the first command, if nothing is under way and the device can be reached."""
        if not device.queue or device.owed is not None or device.under_way is not None:
            return
        if not self._presence.awake(device, now):
            return
        asked = next(iter(device.queue.values()))
        assert device.registration is not None, "it is awake"
        try:
            self._send(asked, device.registration, now)
        except ExchangeLimitError:
            self._counts["command held back"] += 1
            return
        device.under_way, asked.acknowledged = asked, False
        if isinstance(asked.command, Observe):
            self._bound_observations(device, now)
        if len(asked.tokens) > TOKENS_MAX:
            self._forget_token(asked, next(iter(asked.tokens)), now)

    def _send(self, asked: Asked, registration: Registration, now: float) -> None:
        command, device = asked.command, asked.device
        if isinstance(command, CancelObservation):
            token = command.token
            if self._observations.find(token) is None:
                self._observations.remember(device, command.path, token)
            self._exchange.cancel(token, registration.remote, now=now)
            asked.tokens[token] = None
        else:
            asked.begin(registration)
            token = asked.leave(self._exchange, self._observations, registration, now)
            if isinstance(command, Observe):
                self._observations.add(device, command.path, token)
        self._asked[token] = asked

    def registered_anew(self, device: Device, now: float) -> None:
        """A device that registers has forgotten what it acknowledged: such a command leaves again."""
        asked = device.under_way
        if asked is not None and asked.acknowledged:
            self._exchange.give_up(next(reversed(asked.tokens)), now=now)
            device.under_way = None

    # -- what comes --

    def acknowledged(self, event: RequestAcknowledged, now: float) -> None:
        """An Empty ACK: the device has the command, and answers later."""
        asked = self._asked.get(event.token)
        if asked is None:
            return
        device = asked.device
        self._presence.heard(device, now)
        if asked.wanted and asked.newest(event.token) and device.under_way in (None, asked):
            device.under_way, asked.acknowledged = asked, True

    def answered(self, event: ResponseReceived, device: Device, now: float) -> Happening:
        """A response, to the command or to an earlier sending of it."""
        asked = self._asked.pop(event.token, None)
        owed, message = Owed(device, event.handle), event.message
        if asked is None:
            return Heard(endpoint=device.endpoint, owed=owed)
        newest = asked.newest(event.token)
        content_format = asked.tokens.pop(event.token, None)
        if newest and device.under_way is asked:
            device.under_way = None
        command = asked.command
        if message.code > SUCCESS_LAST:
            return self._refused(asked, event, content_format, owed, now)
        if isinstance(command, Observe):
            return self._observed(asked, command, event, content_format, owed, now)
        if isinstance(command, CancelObservation):
            self._observations.forget(event.token, now)
        if not asked.wanted:
            return Heard(endpoint=device.endpoint, owed=owed)
        resources = None
        if isinstance(command, Read):
            resources = values(content_format_of(message), message.payload, command.path)
            if resources is None:
                self._counts["answer not readable"] += 1
                if self._another_format(asked, content_format):
                    return Heard(endpoint=device.endpoint, owed=owed)
        useful = resources is not None or isinstance(command, Write)
        changed = self._learn(asked, content_format) if useful else None
        self._done(asked, now)
        return Answered(
            endpoint=device.endpoint,
            owed=owed,
            changed=changed,
            command=command,
            resources=resources,
            payload=message.payload,
        )

    def failed(self, event: RequestFailed, now: float) -> Happening | None:
        """No usable response; None where nobody waits for one."""
        asked = self._asked.get(event.token)
        if asked is None:
            return None
        if event.cause in LOST:
            return self._lost(asked, event, now)
        device = asked.device
        content_format = asked.tokens.get(event.token)
        newest = asked.newest(event.token)
        if newest and device.under_way is asked:
            device.under_way = None
        self._forget_token(asked, event.token, now)
        owed = Owed(device, None)
        if not asked.wanted:
            return Heard(endpoint=device.endpoint, owed=owed)
        if event.cause is not Cause.RESET and self._another_format(asked, content_format):
            return Heard(endpoint=device.endpoint, owed=owed)
        self._done(asked, now)
        if event.cause is Cause.RESET:
            return WasReset(endpoint=device.endpoint, owed=owed, command=asked.command)
        return Refused(endpoint=device.endpoint, owed=owed, command=asked.command, code=event.cause.value)

    # -- what it means --

    def _lost(self, asked: Asked, event: RequestFailed, now: float) -> Happening | None:
        device, command, registration = asked.device, asked.command, asked.device.registration
        if device.under_way is not asked or not asked.newest(event.token):
            return None  # an earlier sending of it, or one that nobody waits for
        device.under_way = None
        asked.losses += 1
        if event.cause is not Cause.LIMIT:
            self._presence.lost(device)
        if registration is not None and not proven(command, asked.tokens[event.token], registration):
            asked.go_round()
            if not registration.queue_mode and asked.losses < len(asked.chain):
                # It does not sleep, so it may be the format that it keeps silent about.
                device.silent = False
                self.leave(device, now)
        return Unanswered(endpoint=device.endpoint, command=command)

    def _refused(
        self, asked: Asked, event: ResponseReceived, content_format: int | None, owed: Owed, now: float
    ) -> Happening:
        device, command, code = asked.device, asked.command, event.message.code
        if isinstance(command, Observe | CancelObservation):
            self._observations.forget(event.token, now)
        if not asked.wanted:
            return Heard(endpoint=device.endpoint, owed=owed)
        if code in ANOTHER_FORMAT_MAY_DO and self._another_format(asked, content_format):
            return Heard(endpoint=device.endpoint, owed=owed)
        self._done(asked, now)
        return Refused(
            endpoint=device.endpoint, owed=owed, command=command, code=f"{code >> 5}.{code & 31:02}"
        )

    def _observed(
        self,
        asked: Asked,
        command: Observe,
        event: ResponseReceived,
        content_format: int | None,
        owed: Owed,
        now: float,
    ) -> Happening:
        device, message = asked.device, event.message
        observation = self._observations.find(event.token)
        assert observation is not None, "invariant 1 of the observations"
        observation.newest(event.observe, now)
        if asked.dropped:
            return Heard(endpoint=device.endpoint, owed=owed)
        answered_in = content_format_of(message)
        resources = values(answered_in, message.payload, command.path)
        if not readable(command.path, resources):
            self._counts["answer not readable"] += 1
            if asked.wanted and self._another_format(asked, content_format):
                self._observations.forget(event.token, now)
                return Heard(endpoint=device.endpoint, owed=owed)
        changed = self._learn(asked, content_format) if resources is not None else None
        self._done(asked, now)
        observation.told = True
        return Observed(
            endpoint=device.endpoint,
            owed=owed,
            changed=changed,
            command=command,
            token=event.token,
            observing=event.observe is not None,
            content_format=answered_in,
            payload=message.payload,
            resources=resources,
            separate=event.handle is not None,
        )

    def _another_format(self, asked: Asked, content_format: int | None) -> bool:
        """Whether there is one left to try, now that this was answered in vain."""
        return kind_of(asked.command) is not None and asked.without(content_format)

    def _learn(self, asked: Asked, content_format: int | None) -> Registration | None:
        """The registration with the format that has worked, where that is news."""
        kind, registration = kind_of(asked.command), asked.device.registration
        if kind is None or registration is None:
            return None
        formats = learned(registration.formats, kind, content_format)
        if formats == registration.formats:
            return None
        registration = registration.evolved(formats=self._sharing.share(formats))
        self._devices.alter(asked.device, registration)
        return registration

    # -- letting go --

    def _take_out(self, asked: Asked) -> None:
        """It waits no more."""
        device = asked.device
        asked.wanted = False
        if device.under_way is asked:
            device.under_way = None
        if device.queue is not None and device.queue.get(asked.command) is asked:
            del device.queue[asked.command]
            if not device.queue:
                device.queue = None

    def _done(self, asked: Asked, now: float) -> None:
        """It was answered; other tokens of an Observe live on, since the device may have taken them later."""
        self._take_out(asked)
        if not isinstance(asked.command, Observe):
            for token in tuple(asked.tokens):
                self._forget_token(asked, token, now)
        self._devices.let_go(asked.device)

    def _forget_token(self, asked: Asked, token: bytes, now: float) -> None:
        self._asked.pop(token, None)
        asked.tokens.pop(token, None)
        if isinstance(asked.command, Observe | CancelObservation):
            self._observations.forget(token, now)
        else:
            self._exchange.forget(token, now=now)

    def _bound_observations(self, device: Device, now: float) -> None:
        token = self._observations.excess(device)
        if token is not None:
            self._counts["observation forgotten early"] += 1
            self.forget(token, now)

    def _let_go_given_up(self, now: float) -> None:
        given_up = self._given_up
        for _ in range(LET_GO_PER_DROP):
            if not given_up or (given_up[0][0] > now and len(given_up) <= GIVEN_UP_MAX):
                break
            _, token = given_up.popleft()
            self._asked.pop(token, None)
            self._exchange.forget(token, now=now)
