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
4. The formats of a command's chain are tried in turn: once each when the device answers; round and round when
   it does not, for then nobody knows whether it was the format.
"""

from __future__ import annotations

from headgate.engine.events import Cause, RequestAcknowledged, RequestFailed, ResponseReceived
from headgate.engine.exchange import Exchange
from headgate.engine.retransmission import Retransmission
from headgate.errors import CommandLimitError, ExchangeLimitError
from headgate.lwm2m.commands import CancelObservation, Command, Observe, Read, Write
from headgate.lwm2m.devices import Device, Devices, Owed
from headgate.lwm2m.formats import ANOTHER_FORMAT_MAY_DO, Chain, chain_of, kind_of, learned, proven
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
from headgate.wire.numbers import SUCCESS_LAST

TOKENS_MAX = 3  # of one command: its answer may come long after it left again
LOST = {Cause.TIMEOUT, Cause.NO_RESPONSE, Cause.LIMIT}
"""Why a command goes on waiting."""


class Asked:
    """A command, from `ask` until its answer."""

    __slots__ = (
        "acknowledged",
        "chain",
        "command",
        "device",
        "dropped",
        "profile",
        "sent_s",
        "tokens",
        "turn",
        "wanted",
    )

    def __init__(self, command: Command, device: Device, profile: Retransmission) -> None:
        self.command = command
        self.device = device
        self.profile = profile
        self.wanted = True
        """Whether it is in the queue."""
        self.dropped = False
        """Whether it is not, because it was dropped."""
        self.chain: Chain = ()
        """The content formats that may do; empty until it leaves."""
        self.turn = 0
        """Whose turn it is among them; it goes round."""
        self.tokens: list[bytes] = []
        self.acknowledged = False
        """Whether an Empty ACK came for the newest of them."""
        self.sent_s = 0.0

    @property
    def content_format(self) -> int | None:
        """The one whose turn it is."""
        return self.chain[self.turn % len(self.chain)] if self.chain else None


class Queue:
    """The commands of all devices."""

    def __init__(
        self,
        exchange: Exchange,
        devices: Devices,
        presence: Presence,
        observations: Observations,
        *,
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
        self._formats: dict[tuple[tuple[str, int | None], ...], tuple[tuple[str, int | None], ...]] = {}

    # -- what the caller wants --

    def ask(self, device: Device, command: Command, profile: Retransmission, now: float) -> None:
        """Queue it, and let it leave if it may. Raises CommandLimitError, FormatError."""
        if device.queue is None:
            device.queue = {}
        asked = device.queue.get(command)
        if asked is not None:
            asked.profile = profile
        else:
            if len(device.queue) >= self._commands_max:
                raise CommandLimitError(
                    f"{len(device.queue)} commands wait for {device.endpoint}: at most commands_max"
                )
            if isinstance(command, Write) and command.content_format is not None:
                compose(command, (), command.content_format)  # raises what would otherwise come too late
            device.queue[command] = Asked(command, device, profile)
        self.leave(device, now)

    def drop(self, device: Device, command: Command, now: float) -> None:
        """Take it out of the queue. The tokens of an Observe live on: the device may have taken it."""
        asked = device.queue.get(command) if device.queue else None
        if asked is None:
            return
        asked.dropped = True
        self._take_out(asked)
        if not isinstance(command, Observe | CancelObservation):
            self._forget_tokens(asked, now)
        self.leave(device, now)
        self._devices.let_go(device)

    def forget(self, token: bytes, now: float) -> None:
        """Let an observation's token die, and with it the command that asks to end it."""
        asked = self._asked.pop(token, None)
        if asked is not None and token in asked.tokens:
            asked.tokens.remove(token)
            if asked.wanted and not asked.tokens and isinstance(asked.command, CancelObservation):
                self._take_out(asked)
        self._observations.forget(token, now)

    # -- what leaves --

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
        device.under_way, asked.acknowledged, asked.sent_s = asked, False, now

    def _send(self, asked: Asked, registration: Registration, now: float) -> None:
        command, device = asked.command, asked.device
        if isinstance(command, CancelObservation):
            self._observations.remember(device, command.path, command.token, now)
            self._exchange.cancel(command.token, registration.remote, now=now)
            token = command.token
        else:
            if not asked.chain:
                asked.chain = chain_of(command, registration)
            request = compose(command, registration.objects.root, asked.content_format)
            token = self._exchange.request(
                device.endpoint,
                registration.remote,
                request.code,
                request.options,
                request.payload,
                now=now,
                profile=asked.profile,
                acknowledge_now=False,
            )
            if isinstance(command, Observe):
                self._observations.add(device, command.path, token, now)
        self._asked[token] = asked
        if token not in asked.tokens:
            asked.tokens.append(token)
            if len(asked.tokens) > TOKENS_MAX:
                self._forget_token(asked, asked.tokens[0], now)

    def registered_anew(self, device: Device, now: float) -> None:
        """A device that registers has forgotten what it acknowledged: such a command leaves again."""
        asked = device.under_way
        if asked is not None and asked.acknowledged:
            self._forget_token(asked, asked.tokens[-1], now)
            device.under_way = None

    # -- what comes --

    def acknowledged(self, event: RequestAcknowledged, now: float) -> None:
        """An Empty ACK: it has the command, and answers later."""
        asked = self._asked.get(event.token)
        if asked is None:
            return
        device = asked.device
        self._presence.heard(device, now)
        if asked.wanted and asked.tokens[-1] == event.token and device.under_way in (None, asked):
            device.under_way, asked.acknowledged = asked, True

    def answered(self, event: ResponseReceived, device: Device, now: float) -> Happening:
        """A response, to the command or to an earlier sending of it."""
        asked = self._asked.pop(event.token, None)
        owed = Owed(device, event.handle)
        message = event.message
        if asked is None:
            return Heard(endpoint=device.endpoint, owed=owed)
        if event.token in asked.tokens:
            asked.tokens.remove(event.token)
        if device.under_way is asked:
            device.under_way = None
        command = asked.command
        if message.code > SUCCESS_LAST:
            return self._refused(asked, event.token, message.code, owed, now)
        if isinstance(command, Observe):
            return self._observed(asked, command, event, owed, now)
        if isinstance(command, CancelObservation):
            self._observations.forget(event.token, now)
        if not asked.wanted:
            return Heard(endpoint=device.endpoint, owed=owed)
        resources = None
        if isinstance(command, Read):
            resources = values(content_format_of(message), message.payload, command.path)
            if resources is None and self._another_format(asked):
                self._counts["answer not readable"] += 1
                return Heard(endpoint=device.endpoint, owed=owed)
        changed = None
        if resources is not None or isinstance(command, Write):
            changed = self._learn(asked)
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
        device = asked.device
        if event.cause in LOST:
            return self._lost(asked, event, now)
        latest = device.under_way is asked
        if latest:
            device.under_way = None
        self._forget_token(asked, event.token, now)
        owed = Owed(device, None)
        if not asked.wanted:
            return Heard(endpoint=device.endpoint, owed=owed)
        if event.cause is Cause.RESET:
            self._done(asked, now)
            return WasReset(endpoint=device.endpoint, owed=owed, command=asked.command)
        if self._another_format(asked):
            return Heard(endpoint=device.endpoint, owed=owed)
        self._done(asked, now)
        return Refused(endpoint=device.endpoint, owed=owed, command=asked.command, code=event.cause.value)

    # -- what it means --

    def _lost(self, asked: Asked, event: RequestFailed, now: float) -> Happening | None:
        device, command = asked.device, asked.command
        if not asked.wanted or device.under_way is not asked or asked.tokens[-1] != event.token:
            return None  # an earlier sending of it, or one that nobody waits for
        device.under_way = None
        if event.cause is not Cause.LIMIT:
            self._presence.lost(device)
        registration = device.registration
        if registration is not None and not proven(command, asked.content_format, registration):
            asked.turn += 1
            if not registration.queue_mode and asked.turn < len(asked.chain):
                # It does not sleep, so it may be the format that it keeps silent about.
                device.silent = False
        happening = Unanswered(endpoint=device.endpoint, command=command)
        self.leave(device, now)
        return happening

    def _refused(self, asked: Asked, token: bytes, code: int, owed: Owed, now: float) -> Happening:
        device, command = asked.device, asked.command
        if isinstance(command, Observe | CancelObservation):
            self._observations.forget(token, now)
        if not asked.wanted or (code in ANOTHER_FORMAT_MAY_DO and self._another_format(asked)):
            return Heard(endpoint=device.endpoint, owed=owed)
        self._done(asked, now)
        return Refused(
            endpoint=device.endpoint, owed=owed, command=command, code=f"{code >> 5}.{code & 31:02}"
        )

    def _observed(
        self, asked: Asked, command: Observe, event: ResponseReceived, owed: Owed, now: float
    ) -> Happening:
        device, message = asked.device, event.message
        observation = self._observations.find(event.token)
        assert observation is not None, "invariant 1 of the observations"
        observation.newest(event.observe, now)
        resources = values(content_format_of(message), message.payload, command.path)
        if asked.dropped:
            return Heard(endpoint=device.endpoint, owed=owed)
        if asked.wanted and not readable(command.path, resources) and self._another_format(asked):
            self._counts["answer not readable"] += 1
            self._observations.forget(event.token, now)
            return Heard(endpoint=device.endpoint, owed=owed)
        changed = self._learn(asked) if resources is not None else None
        self._done(asked, now)
        return Observed(
            endpoint=device.endpoint,
            owed=owed,
            changed=changed,
            command=command,
            token=event.token,
            observing=event.observe is not None,
            content_format=content_format_of(message),
            payload=message.payload,
            resources=resources,
        )

    def _another_format(self, asked: Asked) -> bool:
        """Whether there is one left to try, when the last was answered in vain."""
        if len(asked.chain) <= 1:
            return False
        content_format = asked.content_format
        asked.turn %= len(asked.chain)
        asked.chain = tuple([each for each in asked.chain if each != content_format])
        return True

    def _learn(self, asked: Asked) -> Registration | None:
        """The registration with the format that has worked, where that is news."""
        kind, registration = kind_of(asked.command), asked.device.registration
        if kind is None or registration is None or not asked.chain:
            return None
        formats = learned(registration.formats, kind, asked.content_format)
        if formats == registration.formats:
            return None
        registration = registration.evolved(formats=self._formats.setdefault(formats, formats))
        self._devices.alter(asked.device, registration)
        return registration

    # -- letting go --

    def _take_out(self, asked: Asked) -> None:
        """It waits no more."""
        device = asked.device
        asked.wanted = False
        if device.under_way is asked:
            device.under_way = None
        if device.queue is not None:
            device.queue.pop(asked.command, None)
            if not device.queue:
                device.queue = None

    def _done(self, asked: Asked, now: float) -> None:
        """It was answered; other tokens of an Observe live on, since the device may have taken them later."""
        self._take_out(asked)
        if not isinstance(asked.command, Observe):
            self._forget_tokens(asked, now)
        self._devices.let_go(asked.device)

    def _forget_tokens(self, asked: Asked, now: float) -> None:
        for token in tuple(asked.tokens):
            self._forget_token(asked, token, now)

    def _forget_token(self, asked: Asked, token: bytes, now: float) -> None:
        self._asked.pop(token, None)
        if token in asked.tokens:
            asked.tokens.remove(token)
        if isinstance(asked.command, Observe | CancelObservation):
            self._observations.forget(token, now)
        else:
            self._exchange.forget(token, now=now)
