"""One command, from `ask` until its answer: the formats it may be put in, the tokens it left under."""

from __future__ import annotations

from headgate.engine.exchange import Exchange
from headgate.engine.retransmission import Retransmission
from headgate.errors import ExchangeLimitError, FormatError
from headgate.lwm2m.commands import Command, Observe, Write
from headgate.lwm2m.devices import Device
from headgate.lwm2m.formats import Chain, chain_of
from headgate.lwm2m.observations import Observations
from headgate.lwm2m.operations import compose
from headgate.lwm2m.registration import Registration


class Asked:
    """The command and what became of it so far.

    Its chain begins with the format to use next. A format that the device refused is taken out of it; one
    that it was silent about goes to the end, for then nobody knows whether it was the format.
    """

    __slots__ = (
        "acknowledged",
        "chain",
        "command",
        "device",
        "dropped",
        "losses",
        "profile",
        "tokens",
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
        self.losses = 0
        """How often it was not answered."""
        self.tokens: dict[bytes, int | None] = {}
        """The tokens that it left under, in that order, and the format under each."""
        self.acknowledged = False
        """Whether an Empty ACK came for the newest of them."""

    def begin(self, registration: Registration) -> None:
        """Choose the formats, unless that is done."""
        if not self.chain:
            command, chain = self.command, chain_of(self.command, registration)
            if isinstance(command, Write):
                chain = tuple([each for each in chain if carries(command, each)])
            self.chain = chain

    def leave(
        self, exchange: Exchange, observations: Observations, registration: Registration, now: float
    ) -> bytes:
        """Send it in the first format; returns the token that it has there. Raises ExchangeLimitError.

        An Observe leaves first under the token that was drawn for it. An earlier process may have sent it
        under that: the device then goes on with that observation (RFC 7641 section 4.1).
        """
        command, content_format = self.command, self.chain[0]
        drawn = command.token if isinstance(command, Observe) and not self.tokens else None
        known = drawn is not None and observations.find(drawn) is not None
        if drawn is not None and known:
            observations.forget(drawn, now)
        request = compose(command, registration.objects.root, content_format)
        try:
            token = exchange.request(
                self.device.endpoint,
                registration.remote,
                request.code,
                request.options,
                request.payload,
                now=now,
                profile=self.profile,
                acknowledge_now=False,
                token=drawn,
            )
        except ExchangeLimitError:
            if drawn is not None and known:
                observations.remember(self.device, command.path, drawn)
            raise
        self.tokens[token] = content_format
        return token

    def newest(self, token: bytes) -> bool:
        """Whether it left under this token last."""
        return next(reversed(self.tokens), None) == token

    def go_round(self) -> None:
        """Use the next format, and this one when the others have been used."""
        self.chain = (*self.chain[1:], *self.chain[:1])

    def without(self, content_format: int | None) -> bool:
        """Use this format no more; returns whether another is left."""
        if len(self.chain) <= 1:
            return False
        self.chain = tuple([each for each in self.chain if each != content_format])
        return True


def carries(command: Write, content_format: int | None) -> bool:
    """Whether the value can be written in this format."""
    try:
        compose(command, (), content_format)
    except FormatError:
        return False
    return True
