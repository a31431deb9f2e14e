"""One command, from `ask` until its answer: the formats it may be put in, the tokens it left under."""

from __future__ import annotations

from headgate.engine.retransmission import Retransmission
from headgate.errors import FormatError
from headgate.lwm2m.commands import Command, Write
from headgate.lwm2m.devices import Device
from headgate.lwm2m.formats import Chain, chain_of
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
