"""What a Register or Update says in its options and payload. LwM2M 1.1 core, 6.2.1 and 6.2.2.

    POST /rd?ep=866971030000001&lt=86400&lwm2m=1.0&b=UQ      with the object links as payload
    POST /rd/5a1ACIqhK2Q?lt=3600                             with links where they changed

What is not understood is passed over, since clients send such things and work: queries that nobody knows,
links that are no objects, a Content-Format of another kind. Refused is only what a registration cannot do
without, or cannot mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from headgate.engine.options import uint_of
from headgate.errors import FormatError
from headgate.lwm2m.objects import ASSUMED
from headgate.lwm2m.registration import LIFETIME_MAX_S
from headgate.lwm2m.sharing import Sharing
from headgate.wire.coap import Message
from headgate.wire.formats import ContentFormat
from headgate.wire.links import RegisteredObjects, parse_objects
from headgate.wire.numbers import (
    BAD_REQUEST,
    CONTENT_FORMAT,
    PRECONDITION_FAILED,
    REQUEST_ENTITY_TOO_LARGE,
    URI_QUERY,
)

ENDPOINT_LENGTH_MAX = 255  # characters; an IMEI has 15
SMS_LENGTH_MAX = 32
REMEMBERED_BYTES_MAX = 1024  # of object links that are not read anew for the next device of the kind
ROOT_DEPTH_MAX = 4  # segments of an alternate root
SEGMENT_LENGTH_MAX = 255  # bytes of a Uri-Path option: RFC 7252 section 5.10
CONTENT_FORMAT_LENGTH_MAX = 2
VERSIONS = ((1, 0), (1, 1), (1, 2))  # LwM2M as we speak it; later ones speak it too
NEWEST = VERSIONS[-1]

LIFETIME = re.compile(r"[0-9]{1,10}", re.ASCII)
VERSION = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})?", re.ASCII)
BINDINGS = "UTSNMH"  # in the order of LwM2M 1.2 core, 6.2.1; Q is told apart


class Mistake(NamedTuple):
    """Why a request is refused, by which code, and what it is counted as."""

    code: int
    reason: str


class Parameters(NamedTuple):
    """What was said; None where nothing was."""

    endpoint: str | None
    lifetime_s: int | None
    version: tuple[int, int] | None
    binding: str | None
    queue_mode: bool | None
    sms: str | None
    objects: RegisteredObjects | None


class ParameterReader:
    """Reads parameters. Short object links are read once for all devices of a kind: `links_max` kinds."""

    def __init__(self, sharing: Sharing, *, links_bytes_max: int, links_max: int) -> None:
        self._sharing = sharing
        self._links_bytes_max = links_bytes_max
        self._links_max = links_max
        self._links: dict[bytes, RegisteredObjects] = {}

    def read(self, message: Message) -> Parameters | Mistake:
        """The parameters of a Register or an Update. Objects are None without payload."""
        said = queries(message.options)
        endpoint = said.get("ep")
        if endpoint is not None and not is_endpoint(endpoint):
            return Mistake(BAD_REQUEST, "endpoint name not usable")
        lifetime_s = version = None
        if "lt" in said:
            lifetime_s = lifetime_of(said["lt"])
            if lifetime_s is None:
                return Mistake(BAD_REQUEST, "lifetime is no number")
            lifetime_s = self._sharing.share(lifetime_s)
        if "lwm2m" in said:
            found = VERSION.fullmatch(said["lwm2m"])
            if found is None:
                return Mistake(BAD_REQUEST, "version is no number")
            if int(found[1]) != NEWEST[0]:
                return Mistake(PRECONDITION_FAILED, "version not supported")
            version = VERSIONS[min(int(found[2]), NEWEST[1])]
        binding = queue_mode = None
        if "b" in said:
            letters = "".join([letter for letter in BINDINGS if letter in said["b"]])
            binding = self._sharing.share(letters or "U")
            queue_mode = "Q" in said["b"]
        if "Q" in said:
            queue_mode = True
        sms = said.get("sms")
        objects = self._objects(message)
        if isinstance(objects, Mistake):
            return objects
        return Parameters(
            endpoint=endpoint,
            lifetime_s=lifetime_s,
            version=version,
            binding=binding,
            queue_mode=queue_mode,
            sms=sms[:SMS_LENGTH_MAX] if sms and sms.isprintable() else None,
            objects=objects,
        )

    def _objects(self, message: Message) -> RegisteredObjects | Mistake | None:
        payload = message.payload
        if not payload:
            return None
        known = self._links.get(payload)
        if known is not None:
            return known
        if len(payload) > self._links_bytes_max:
            return Mistake(REQUEST_ENTITY_TOO_LARGE, "object links too long")
        try:
            objects = parse_objects(payload)
        except FormatError:
            if content_format_of(message) == ContentFormat.LINK_FORMAT:
                return Mistake(BAD_REQUEST, "object links malformed")
            return None
        if not is_root(objects.root):
            return Mistake(BAD_REQUEST, "alternate root not usable")
        if not objects.paths:
            objects = RegisteredObjects(
                paths=ASSUMED.paths, root=objects.root, content_formats=objects.content_formats
            )
        if len(payload) <= REMEMBERED_BYTES_MAX:
            self._links[payload] = objects
            if len(self._links) > self._links_max:
                del self._links[next(iter(self._links))]
        return objects


def queries(options: Iterable[tuple[int, bytes]]) -> dict[str, str]:
    """The Uri-Query options by name; of a name that comes twice the first, of a flag an empty value."""
    found: dict[str, str] = {}
    for number, value in options:
        if number == URI_QUERY:
            # Only the endpoint name may be other than ASCII, and is refused where it is not UTF-8.
            name, _, text = value.decode(errors="surrogateescape").partition("=")
            found.setdefault(name, text)
    return found


def is_endpoint(name: str) -> bool:
    """Whether it can be an endpoint name: not empty, printable, and of a length that can be kept."""
    return 0 < len(name) <= ENDPOINT_LENGTH_MAX and name.isprintable()


def is_root(root: tuple[str, ...]) -> bool:
    """Whether paths can be asked for below it."""
    return len(root) <= ROOT_DEPTH_MAX and all(len(each.encode()) <= SEGMENT_LENGTH_MAX for each in root)


def lifetime_of(text: str) -> int | None:
    """The lifetime in seconds; None where it is no number."""
    if LIFETIME.fullmatch(text) is None:
        return None
    return min(int(text) or LIFETIME_MAX_S, LIFETIME_MAX_S)


def content_format_of(message: Message) -> int | None:
    """The Content-Format option, None where there is none that could be one."""
    return uint_of(message.options, CONTENT_FORMAT, CONTENT_FORMAT_LENGTH_MAX)
