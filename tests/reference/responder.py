"""The package responder the slow way: RFC 7252 section 5, RFC 7959 section 2, and our table of answers.

A datagram goes through one list of questions, and the first that objects makes the answer. The standards do
not say which objection comes first when several apply; ours come in the order of `OBJECTIONS`. Nothing is
remembered from one datagram to the next, and nothing here is shared with the responder it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from reference import block as blocks
from reference import coap
from reference.block import Block

IF_MATCH, ETAG, IF_NONE_MATCH, URI_PATH, CONTENT_FORMAT, ACCEPT = 1, 4, 5, 11, 12, 17
BLOCK2, BLOCK1, SIZE2, PROXY_URI, PROXY_SCHEME = 23, 27, 28, 35, 39
GET, IPATCH = 1, 7
PATH_LIMIT = 255
AMPLIFICATION_LIMIT = 3  # RFC 9175 section 2.4
# All that a 2.05 may have beside token and payload: header and length of a long token 5, ETag 9,
# Content-Format 3, Block2 4, Size2 5, marker 1. A link list is cut as if it always had them.
CONTENT_HEAD = 27


@dataclass(frozen=True, kw_only=True)
class Package:
    """What is served under a path. `discovery`: a link list, given to peers that have proved nothing."""

    body: bytes
    etag: bytes
    content_format: int = 42
    discovery: bool = False


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Block sizes in bytes, and whether somebody takes what is no package request."""

    smallest_block: int = 16
    largest_block: int = 1024
    default_block: int = 512
    handover: bool = False


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request with all that its answer depends on."""

    message: coap.Message
    datagram_length: int
    package: Package | None
    policy: Policy

    def values(self, number: int) -> list[bytes]:
        """Values of an option, without those that count as unknown (RFC 7252 sections 5.4.3 and 5.4.5)."""
        row = coap.OPTIONS[number]
        every = [value for option, value in self.message.options if option == number]
        fitting = [value for value in every if row.shortest <= len(value) <= row.longest]
        return fitting if row.repeatable else fitting[:1]

    def has(self, number: int) -> bool:
        """Whether an option is there."""
        return self.values(number) != []


@dataclass
class ObjectionError(Exception):
    """Why there is no 2.05, and the answer instead."""

    outcome: str
    reply: bytes | None


def respond(
    packages: Mapping[bytes, Package], datagram: bytes, *, truncated: bool = False, policy: Policy
) -> tuple[str, bytes | None]:
    """(outcome, reply) for one datagram."""
    try:
        message = coap.parse(datagram)
    except coap.RefusedError as error:
        return refused(datagram, error)
    if message.code == 0 or message.code > 31:
        return not_a_request(message, truncated=truncated, policy=policy)
    if message.type not in (coap.CON, coap.NON):
        return "format", None  # table 1 of RFC 7252: a request is Confirmable or Non-confirmable
    if truncated:
        return "4.13", answer(message, "4.13")
    asked = Asked(
        message=message,
        datagram_length=len(datagram),
        package=packages.get(path_of(message) or b""),
        policy=policy,
    )
    if asked.package is None and policy.handover:
        return "handed over", None
    try:
        for objection in OBJECTIONS:
            objection(asked)
        return content(asked)
    except ObjectionError as error:
        return error.outcome, error.reply


# -- What is no request --


def refused(datagram: bytes, error: coap.RefusedError) -> tuple[str, bytes | None]:
    """A format error: RFC 7252 sections 3, 4.2 and 4.3."""
    if error.reply == "reset":
        return "format error", reset(error.message_id)
    if len(datagram) < 4:
        return "short", None
    return ("version" if error.type is None else "format"), None


def not_a_request(message: coap.Message, *, truncated: bool, policy: Policy) -> tuple[str, bytes | None]:
    """An Empty message or a response: sections 4.2 and 4.3."""
    if truncated:
        return "truncated", None
    if message.code == 0 and message.type == coap.CON:
        return "ping", reset(message.message_id)
    if message.code == 0 and message.type == coap.NON:
        return "format", None  # an Empty message is never Non-confirmable
    if policy.handover:
        return "handed over", None
    if message.type == coap.CON:
        return "unexpected response", reset(message.message_id)
    return "unmatched", None


# -- What stands in the way of a request --


def path_of(message: coap.Message) -> bytes | None:
    """The Uri-Path options joined by "/"; None without them. One that is too long is none (5.4.3)."""
    segments = [value for number, value in message.options if number == URI_PATH and len(value) <= 255]
    return b"/".join(segments) if segments else None


def proxying(asked: Asked) -> None:
    """RFC 7252 section 5.7.2: 5.05 from an endpoint that is no forward-proxy."""
    if asked.has(PROXY_URI) or asked.has(PROXY_SCHEME):
        object_with(asked, "5.05")


def unknown_critical_option(asked: Asked) -> None:
    """Section 5.4.1: 4.02 to a CON; a NON is rejected."""
    if coap.critical(asked.message):
        if asked.message.type == coap.NON:
            raise ObjectionError("bad option", reset(asked.message.message_id))
        object_with(asked, "4.02")


def unknown_method(asked: Asked) -> None:
    """Section 5.8: 4.05 for a method that nobody knows, whatever the path."""
    if asked.message.code > IPATCH:
        object_with(asked, "4.05")


def unknown_path(asked: Asked) -> None:
    """4.04."""
    if asked.package is None:
        object_with(asked, "4.04")


def method_not_allowed(asked: Asked) -> None:
    """A package can be got, and nothing else."""
    if asked.message.code != GET:
        object_with(asked, "4.05")


def not_acceptable(asked: Asked) -> None:
    """Section 5.10.4."""
    assert asked.package is not None
    if any(int.from_bytes(value, "big") != asked.package.content_format for value in asked.values(ACCEPT)):
        object_with(asked, "4.06")


def precondition_failed(asked: Asked) -> None:
    """Section 5.10.8: an empty If-Match asks for any representation, If-None-Match for none."""
    assert asked.package is not None
    wanted = asked.values(IF_MATCH)
    if asked.has(IF_NONE_MATCH) or (wanted and b"" not in wanted and asked.package.etag not in wanted):
        object_with(asked, "4.12")


def block1_in_a_get(asked: Asked) -> None:
    """A GET has no body that could come in blocks."""
    if asked.has(BLOCK1):
        object_with(asked, "4.00", "Block1 in a GET")


OBJECTIONS: tuple[Callable[[Asked], None], ...] = (
    proxying,
    unknown_critical_option,
    unknown_method,
    unknown_path,
    method_not_allowed,
    not_acceptable,
    precondition_failed,
    block1_in_a_get,
)


# -- A block --


def block_asked(asked: Asked) -> Block:
    """The block that the request names or leaves to us, in a size that we send."""
    assert asked.package is not None
    policy = asked.policy
    if asked.has(BLOCK2):
        wanted = blocks.fields(asked.values(BLOCK2)[0])
        if wanted.szx not in blocks.SIZES:
            object_with(asked, "4.00", "SZX 7 is reserved")
        if blocks.SIZES[wanted.szx] < policy.smallest_block and not asked.package.discovery:
            object_with(asked, "4.00", "block size too small")
    else:
        wanted = Block(0, False, szx_of(min(policy.default_block, policy.largest_block)))
    sizes = [size for size in blocks.SIZES.values() if size <= policy.largest_block]
    if asked.package.discovery:
        room = AMPLIFICATION_LIMIT * asked.datagram_length - CONTENT_HEAD - len(asked.message.token)
        sizes = [size for size in sizes if size <= max(room, 16)]
    if blocks.SIZES[wanted.szx] > max(sizes):
        try:
            wanted = blocks.shrink(wanted, szx_of(max(sizes)))
        except blocks.RefusedError:
            object_with(asked, "4.00", "NUM too high")
    return wanted


def content(asked: Asked) -> tuple[str, bytes | None]:
    """2.05 with the block, or 2.03 for the first one when the peer has it (RFC 7252 section 5.10.6.2)."""
    package = asked.package
    assert package is not None
    wanted = block_asked(asked)
    try:
        offset, length, more = blocks.slice_of(wanted, len(package.body))
    except blocks.RefusedError:
        object_with(asked, "4.00", "past the end")
    if wanted.num == 0 and package.etag in asked.values(ETAG):
        return "2.03", answer(asked.message, "2.03", ((ETAG, package.etag),))
    options = [(ETAG, package.etag), (CONTENT_FORMAT, uint(package.content_format))]
    if asked.has(BLOCK2) or more:
        options.append((BLOCK2, blocks.encode(Block(wanted.num, more, wanted.szx))))
    if wanted.num == 0 or asked.has(SIZE2):
        options.append((SIZE2, uint(len(package.body))))
    payload = package.body[offset : offset + length]
    return "2.05", answer(asked.message, "2.05", tuple(options), payload)


# -- Replies --


def answer(
    request: coap.Message, code: str, options: tuple[tuple[int, bytes], ...] = (), payload: bytes = b""
) -> bytes:
    """Piggybacked on the ACK of a CON; a NON for a NON, under the request's own message id."""
    class_, detail = map(int, code.split("."))
    return coap.encode(
        coap.Message(
            type=coap.ACK if request.type == coap.CON else coap.NON,
            code=32 * class_ + detail,
            message_id=request.message_id,
            token=request.token,
            options=options,
            payload=payload,
        )
    )


def reset(message_id: int | None) -> bytes:
    """Section 4.2: an Empty message under the rejected one's message id."""
    assert message_id is not None
    return coap.encode(coap.Message(type=coap.RST, code=0, message_id=message_id))


def object_with(asked: Asked, code: str, diagnostic: str = "") -> NoReturn:
    """Raise the objection. Its diagnostic (section 5.5.2) is left out where the answer would amplify."""
    reply = answer(asked.message, code, payload=diagnostic.encode())
    if len(reply) > AMPLIFICATION_LIMIT * asked.datagram_length:
        reply = answer(asked.message, code)
    raise ObjectionError(code, reply)


def uint(number: int) -> bytes:
    """A uint option in its shortest form (section 3.2); zero is the empty string."""
    return next(number.to_bytes(length, "big") for length in range(5) if number < 256**length)


def szx_of(size: int) -> int:
    """The exponent of a block size in bytes."""
    return next(szx for szx, bytes_ in blocks.SIZES.items() if bytes_ == size)
