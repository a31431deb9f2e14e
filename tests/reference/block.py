"""The Block option and its arithmetic the slow way: RFC 7959 sections 2.2 and 2.3."""

from __future__ import annotations

from typing import NamedTuple

NUM_LIMIT = 2**20  # NUM has at most 20 bits
SIZES = {0: 16, 1: 32, 2: 64, 3: 128, 4: 256, 5: 512, 6: 1024}  # SZX 7 is reserved over UDP


class Block(NamedTuple):
    """NUM, M and SZX."""

    num: int
    more: bool
    szx: int


class RefusedError(Exception):
    """Not a Block option, or not a part of this body."""


def fields(value: bytes) -> Block:
    """NUM in all bits but four, then M, then SZX in three bits, 7 included."""
    bits = "".join(f"{byte:08b}" for byte in value).rjust(8, "0")
    return Block(int(bits[:-4], 2), bits[-4] == "1", int(bits[-3:], 2))


def parse(value: bytes) -> Block:
    """The option that these bytes carry."""
    if len(value) > 3:
        raise RefusedError("more than three bytes")
    block = fields(value)
    if block.szx not in SIZES:
        raise RefusedError("SZX 7")
    return block


def encode(block: Block) -> bytes:
    """The shortest of the forms that stand for this block; zero is the empty string."""
    number = 16 * block.num + 8 * block.more + block.szx
    return next(number.to_bytes(length, "big") for length in range(4) if number < 256**length)


def shrink(block: Block, szx: int) -> Block:
    """The block of the smaller size that begins at the same offset (section 2.3: late negotiation)."""
    if SIZES[szx] > SIZES[block.szx]:
        raise RefusedError("a larger size")
    offset = block.num * SIZES[block.szx]
    num, remainder = divmod(offset, SIZES[szx])
    assert remainder == 0
    if num >= NUM_LIMIT:
        raise RefusedError("no NUM for this offset")
    return Block(num, block.more, szx)


def slice_of(block: Block, body_length: int) -> tuple[int, int, bool]:
    """(offset, length, more) of the block in a body cut into pieces of its size.

    An empty body has one block, and it is empty.
    """
    beginnings = range(0, body_length, SIZES[block.szx]) or range(1)
    if block.num >= len(beginnings):
        raise RefusedError("the body has no such block")
    offset = beginnings[block.num]
    following = [*beginnings[block.num + 1 : block.num + 2], body_length]
    return offset, following[0] - offset, len(following) == 2
