"""Which content format to ask for or to write in: what is known of the device, then what it may know. 5.5.

No format is sure to work. Clients answer 4.06, 4.15, 4.02 or 5.00 to one, do not answer at all to another, or
send what cannot be read; so there is a chain of them, by the kind of question. What worked is remembered with
the registration and comes first the next time.
"""

from __future__ import annotations

from enum import StrEnum

from headgate.lwm2m.commands import Command, Discover, Observe, Read, Write
from headgate.lwm2m.objects import opaque, single
from headgate.lwm2m.registration import Formats, Registration
from headgate.wire.formats import ContentFormat
from headgate.wire.numbers import (
    BAD_OPTION,
    INTERNAL_SERVER_ERROR,
    NOT_ACCEPTABLE,
    UNSUPPORTED_CONTENT_FORMAT,
)

Chain = tuple[int | None, ...]
"""Content-Formats, the first to be tried first; None is to ask without Accept."""


class Kind(StrEnum):
    """What a question is about, as far as formats go. Their names are stored."""

    ONE = "one"
    """One value."""
    MANY = "many"
    """An object, an instance, a resource with instances."""
    BYTES = "bytes"
    """One value, of bytes."""
    WRITE = "write"
    """One value, to be written."""
    WRITE_BYTES = "write bytes"


TEXT, OPAQUE, TLV = int(ContentFormat.TEXT), int(ContentFormat.OPAQUE), int(ContentFormat.TLV)
JSON, CBOR = int(ContentFormat.SENML_JSON), int(ContentFormat.SENML_CBOR)
OLD_JSON, LWM2M_CBOR = int(ContentFormat.LWM2M_JSON), int(ContentFormat.LWM2M_CBOR)

# Text for one value, which all clients have: some start a download only when it was written so. Then whatever
# the client prefers; then TLV, which LwM2M 1.0 demands and most later clients have.
CHAINS: dict[Kind, Chain] = {
    Kind.ONE: (TEXT, None, TLV, JSON, CBOR),
    Kind.MANY: (TLV, None, JSON, CBOR, OLD_JSON),
    Kind.BYTES: (OPAQUE, None, TLV, CBOR, JSON),
    Kind.WRITE: (TEXT, TLV, JSON, CBOR),
    Kind.WRITE_BYTES: (OPAQUE, TLV, CBOR, JSON),
}
LISTED: Chain = (CBOR, TLV, LWM2M_CBOR, JSON)
"""What may come first for many values where a client of LwM2M 1.1 or later lists it, the shortest first."""

LINKS: Chain = (int(ContentFormat.LINK_FORMAT),)

ANOTHER_FORMAT_MAY_DO = {BAD_OPTION, NOT_ACCEPTABLE, UNSUPPORTED_CONTENT_FORMAT, INTERNAL_SERVER_ERROR}
"""Codes that may be about the format. 4.02: Accept is a critical option, and not known to all."""


def kind_of(command: Command) -> Kind | None:
    """What the command asks about; None where there is no choice of formats, or the caller has chosen."""
    path = command.path
    if isinstance(command, Write):
        if command.content_format is not None:
            return None
        return Kind.WRITE_BYTES if type(command.value) is bytes else Kind.WRITE
    if not isinstance(command, Read | Observe):
        return None
    if opaque(path):
        return Kind.BYTES
    return Kind.ONE if single(path) else Kind.MANY


def chain_of(command: Command, registration: Registration) -> Chain:
    """The formats to try for this command, one at least."""
    if isinstance(command, Discover):
        return LINKS
    kind = kind_of(command)
    if kind is None:
        return (command.content_format if isinstance(command, Write) else None,)
    first: Chain = tuple([each for known, each in registration.formats if known == kind])
    if isinstance(command, Observe) and command.accept is not None:
        first = (*first, command.accept)
    if kind is Kind.MANY and registration.version > (1, 0):
        listed = registration.objects.content_formats
        first = (*first, *[each for each in LISTED if each in listed])
    return tuple(dict.fromkeys((*first, *CHAINS[kind])))


def proven(command: Command, content_format: int | None, registration: Registration) -> bool:
    """Whether this format is known to work for such a command."""
    kind = kind_of(command)
    return kind is None or (kind.value, content_format) in registration.formats


def learned(formats: Formats, kind: Kind, content_format: int | None) -> Formats:
    """What is known of a device's formats when this one has worked."""
    return tuple(sorted(({**dict(formats), kind.value: content_format}).items()))
