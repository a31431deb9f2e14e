r"""Content-Formats and who reads and writes them.

    0      text            one value        112    SenML CBOR         any values
    42     opaque          one value        322    SenML-ETCH CBOR    any values
    60     CBOR            one value        11542  TLV                one object
    110    SenML JSON      any values       11543  JSON of LwM2M 1.0  any values
    320    SenML-ETCH JSON any values       11544  LwM2M CBOR         any values

1541 to 1544 are text, TLV, JSON and opaque of clients older than LwM2M 1.0. 40, link-format, has no values:
see `headgate.wire.links`.

    >>> decode(11542, bytes.fromhex("C80019") + bytes(25), Path(19, 0, 0))[19, 0, 0] == bytes(25)
    True
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from headgate.errors import FormatError
from headgate.wire import lwm2m_cbor, lwm2m_json, opaque, senml, single_cbor, text, tlv
from headgate.wire.records import Record
from headgate.wire.resources import RESOURCE_DEPTH, Path, Resources
from headgate.wire.values import DataType, TypeLookup, untyped


class ContentFormat(IntEnum):
    """The numbers of CoAP's registry that LwM2M uses. LwM2M 1.1 core, 7.4."""

    TEXT = 0
    LINK_FORMAT = 40
    OPAQUE = 42
    CBOR = 60
    SENML_JSON = 110
    SENML_CBOR = 112
    SENML_ETCH_JSON = 320
    SENML_ETCH_CBOR = 322
    OLD_TEXT = 1541
    OLD_TLV = 1542
    OLD_JSON = 1543
    OLD_OPAQUE = 1544
    TLV = 11542
    LWM2M_JSON = 11543
    LWM2M_CBOR = 11544


Decoder = Callable[[bytes, Path, TypeLookup], Resources]
Encoder = Callable[[Resources, Path, TypeLookup], bytes]

CODECS: dict[int, tuple[Decoder, Encoder]] = {
    ContentFormat.TEXT: (text.decode, text.encode),
    ContentFormat.OPAQUE: (opaque.decode, opaque.encode),
    ContentFormat.CBOR: (single_cbor.decode, single_cbor.encode),
    ContentFormat.SENML_JSON: (senml.decode_json, senml.encode_json),
    ContentFormat.SENML_CBOR: (senml.decode_cbor, senml.encode_cbor),
    ContentFormat.SENML_ETCH_JSON: (senml.decode_json, senml.encode_json),
    ContentFormat.SENML_ETCH_CBOR: (senml.decode_cbor, senml.encode_cbor),
    ContentFormat.TLV: (tlv.decode, tlv.encode),
    ContentFormat.LWM2M_JSON: (lwm2m_json.decode, lwm2m_json.encode),
    ContentFormat.LWM2M_CBOR: (lwm2m_cbor.decode, lwm2m_cbor.encode),
    ContentFormat.OLD_TEXT: (text.decode, text.encode),
    ContentFormat.OLD_TLV: (tlv.decode, tlv.encode),
    ContentFormat.OLD_JSON: (lwm2m_json.decode, lwm2m_json.encode),
    ContentFormat.OLD_OPAQUE: (opaque.decode, opaque.encode),
}


def decode(
    content_format: int | None, payload: bytes, base: Path, type_of: TypeLookup = untyped
) -> Resources:
    """The values of a payload that answers, or is written to, `base`. Raises FormatError, and nothing else.

    None is a message without the option: text for one resource, TLV for more, as in LwM2M 1.0.
    """
    if content_format is None:
        content_format = ContentFormat.TEXT if len(base) >= RESOURCE_DEPTH else ContentFormat.TLV
    return codec(content_format)[0](payload, base, type_of)


def encode(content_format: int, resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """The payload of `content_format` with all of `resources`, which lie at `base` or below.

    Raises FormatError where the format cannot carry them.
    """
    return codec(content_format)[1](resources, base, type_of)


def codec(content_format: int) -> tuple[Decoder, Encoder]:
    """The functions for a Content-Format."""
    try:
        return CODECS[content_format]
    except KeyError:
        raise FormatError(f"Content-Format {content_format} has no values of resources") from None


def records(content_format: int, payload: bytes, base: Path, type_of: TypeLookup = untyped) -> list[Record]:
    """The values of a payload with their times, all of them: a Send after a long sleep has many of one path.

    Raises FormatError. Formats without times have one value of each path, of now.
    """
    read = TIMED.get(content_format)
    if read is not None:
        return read(payload, base, type_of)
    found = decode(content_format, payload, base, type_of)
    return [Record(path=Path(*path), value=value) for path, value in found.items()]


TIMED: dict[int, Callable[[bytes, Path, TypeLookup], list[Record]]] = {
    ContentFormat.SENML_JSON: senml.records_json,
    ContentFormat.SENML_CBOR: senml.records_cbor,
    ContentFormat.LWM2M_JSON: lwm2m_json.records,
    ContentFormat.OLD_JSON: lwm2m_json.records,
}


def decode_paths(content_format: int, payload: bytes) -> list[Path]:
    """What a Read-Composite or Observe-Composite asks for. Raises FormatError."""
    if content_format in (ContentFormat.SENML_JSON, ContentFormat.SENML_ETCH_JSON):
        return senml.paths_json(payload)
    if content_format in (ContentFormat.SENML_CBOR, ContentFormat.SENML_ETCH_CBOR):
        return senml.paths_cbor(payload)
    raise FormatError(f"Content-Format {content_format} has no list of paths")


def encode_paths(content_format: int, paths: Iterable[Path]) -> bytes:
    """The payload of a Read-Composite or Observe-Composite for `paths`. Raises FormatError."""
    if content_format in (ContentFormat.SENML_JSON, ContentFormat.SENML_ETCH_JSON):
        return senml.encode_paths_json(paths)
    if content_format in (ContentFormat.SENML_CBOR, ContentFormat.SENML_ETCH_CBOR):
        return senml.encode_paths_cbor(paths)
    raise FormatError(f"Content-Format {content_format} has no list of paths")


def unwrap(
    content_format: int | None, payload: bytes, resource: Path, start: bytes = b"\xff\xfe"
) -> tuple[bytes, ...]:
    r"""The bytes that a client put into the opaque `resource`, whatever it wrapped them in. Never raises.

    For frames that begin with `start`, as those of PCP do. A payload that begins so is a frame itself. Else
    its Content-Format is believed; where that tells of no wrapping (none, text, opaque), TLV, SenML and
    base64 are tried, and believed if a frame was in them. What cannot be unwrapped is handed back as it is,
    for ordinary data has no form. Several instances of the resource are several frames, in order.

        >>> frame = bytes.fromhex("FFFE01134C9A0000")
        >>> unwrap(42, b"\xc8\x00\x08" + frame, Path(19, 0, 0)) == (frame,)
        True
        >>> unwrap(42, b"\x00", Path(19, 0, 0))
        (b'\x00',)
    """
    if payload.startswith(start):
        return (payload,)
    if content_format not in BARE:
        return frames(content_format, payload, resource) or (payload,)
    # In TLV and CBOR the frame lies as it is; in JSON and base64 its bytes cannot.
    for wrapping in BINARY_WRAPPINGS if start in payload else TEXT_WRAPPINGS:
        found = frames(wrapping, payload, resource)
        if found and all(frame.startswith(start) for frame in found):
            return found
    return (payload,)


BARE = {None, ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.OLD_TEXT, ContentFormat.OLD_OPAQUE}
BINARY_WRAPPINGS = (ContentFormat.TLV, ContentFormat.SENML_CBOR)
TEXT_WRAPPINGS = (ContentFormat.SENML_JSON, ContentFormat.TEXT)


def frames(content_format: int | None, payload: bytes, resource: Path) -> tuple[bytes, ...]:
    """The opaque values of a payload; none where it is not of this Content-Format."""
    try:
        found = decode(content_format, payload, resource, lambda object, resource: DataType.OPAQUE)
    except FormatError:
        return ()
    return tuple(value for value in found.values() if type(value) is bytes)
