"""Commands as CoAP requests, and what their answers say. LwM2M 1.1 transport, 6.4.

    Read       GET path, Accept            Execute             POST path
    Discover   GET path, Accept 40         Observe             GET path, Observe 0, Accept
    Write      PUT path, Content-Format    CancelObservation   GET path, Observe 1

The last is sent by the Exchange, which has the request that it ends.
"""

from __future__ import annotations

from typing import NamedTuple

from headgate.engine.options import Options, uint
from headgate.errors import FormatError
from headgate.lwm2m.commands import Command, Discover, Execute, Observe, Read, Write
from headgate.lwm2m.objects import opaque, type_of
from headgate.wire.formats import ContentFormat, decode, encode
from headgate.wire.numbers import ACCEPT, CONTENT_FORMAT, GET, OBSERVE, POST, PUT, URI_PATH
from headgate.wire.resources import RESOURCE_DEPTH, Path, Resources

OBSERVE_REGISTER = (OBSERVE, b"")


class Composed(NamedTuple):
    """A request for the Exchange."""

    code: int
    options: Options
    payload: bytes = b""


def compose(command: Command, root: tuple[str, ...], content_format: int | None) -> Composed:
    """The request that says it in this format. Raises FormatError where that cannot carry the value."""
    path = path_options(command.path, root)
    if isinstance(command, Write):
        assert content_format is not None
        payload = encode(content_format, Resources({command.path: command.value}), command.path, type_of)
        return Composed(PUT, (*path, (CONTENT_FORMAT, uint(content_format))), payload)
    if isinstance(command, Execute):
        # Without arguments there is no payload, not even an empty text: clients refuse it.
        options = ((CONTENT_FORMAT, b""),) if command.arguments else ()
        return Composed(POST, (*path, *options), command.arguments)
    assert isinstance(command, Read | Discover | Observe)
    accept = () if content_format is None else ((ACCEPT, uint(content_format)),)
    observe = (OBSERVE_REGISTER,) if isinstance(command, Observe) else ()
    return Composed(GET, (*observe, *path, *accept))


def path_options(path: Path, root: tuple[str, ...]) -> Options:
    """Its Uri-Path options, below the alternate root."""
    return (
        *[(URI_PATH, segment.encode()) for segment in root],
        *[(URI_PATH, b"%d" % each) for each in path],
    )


def values(content_format: int | None, payload: bytes, path: Path) -> Resources | None:
    """What a payload says of `path`; None where it cannot be read.

    Its Content-Format is believed first. Clients leave it out or send that of another format, so TLV and text
    are tried too where it may be one of them.
    """
    for each in (content_format, *MISTAKEN.get(content_format, ())):
        if each == ContentFormat.TEXT and len(path) < RESOURCE_DEPTH:
            continue
        try:
            return decode(each, payload, path, type_of)
        except FormatError:
            continue
    return None


TLV, TEXT = ContentFormat.TLV, ContentFormat.TEXT
MISTAKEN: dict[int | None, tuple[int, ...]] = {
    None: (TLV,),
    ContentFormat.TEXT: (TLV,),
    ContentFormat.OLD_TEXT: (TLV,),
    ContentFormat.OPAQUE: (TLV, TEXT),
    ContentFormat.OLD_OPAQUE: (TLV, TEXT),
}
"""What a payload may be instead of what its Content-Format says."""


def readable(path: Path, resources: Resources | None) -> bool:
    """Whether an answer is of use: bytes are, whatever they were wrapped in."""
    return resources is not None or opaque(path)
