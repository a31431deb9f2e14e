"""The Block option: RFC 7959 section 2.2, and the arithmetic of sections 2.3 and 2.4."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import BlockError
from headgate.wire.block import Block
from reference import block as reference
from vectors import load

PUBLISHED = load("block.json")
NUM_MAX = 2**20 - 1
GIB = 2**30

nums = st.integers(0, NUM_MAX) | st.integers(0, 20)
szxs = st.integers(0, 6)
blocks = st.builds(reference.Block, nums, st.booleans(), szxs)
body_lengths = st.integers(0, GIB) | st.integers(0, 3000)


def ours(block: reference.Block) -> Block:
    """The compiled value of a reference one."""
    return Block(block.num, block.more, block.szx)


def theirs(block: Block) -> reference.Block:
    """The reference value of a compiled one."""
    return reference.Block(block.num, block.more, block.szx)


def outcome(function, *arguments):
    """What it returns, or `refused`: the two sides name their refusals differently."""
    try:
        return function(*arguments)
    except (BlockError, reference.RefusedError):
        return "refused"


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["meaning"])
def test_published_value(vector):
    """NUM, M and SZX of every published value, both ways."""
    block = Block(vector["num"], vector["more"], vector["szx"])
    assert Block.parse(bytes.fromhex(vector["hex"])) == block
    assert block.encode().hex().upper() == vector["hex"]


@pytest.mark.parametrize("szx", range(7))
def test_size_is_a_power_of_two_from_16_to_1024(szx):
    """Section 2.2: the size is 2 ** (SZX + 4)."""
    block = Block(3, True, szx)
    assert block.size_bytes == 16 << szx
    assert block.offset_bytes == 3 * block.size_bytes
    assert (block.num, block.more, block.szx) == (3, True, szx)


def test_last_num_of_the_largest_size_ends_one_gib():
    """NUM 2**20 - 1 at SZX 6 is the last KiB of 1 GiB: nothing overflows at the top."""
    block = Block(NUM_MAX, False, 6)
    assert block.offset_bytes == GIB - 1024
    assert block.slice(GIB) == (GIB - 1024, 1024, False)
    assert block.slice(GIB - 1023) == (GIB - 1024, 1, False)
    with pytest.raises(BlockError, match="past the end"):
        block.slice(GIB - 1024)


@pytest.mark.parametrize("value", ["07", "0F", "000007", "FFFFFF"])
def test_szx_7_is_refused(value):
    """Section 2.2: 7 is reserved (over UDP; RFC 8323 gives it to TCP)."""
    with pytest.raises(BlockError, match="SZX 7"):
        Block.parse(bytes.fromhex(value))


@pytest.mark.parametrize("value", ["00000006", "000000FFFFF6"])
def test_more_than_three_bytes_are_refused(value):
    """Section 2.1, table 1: a Block option has 0 to 3 bytes, whatever they hold."""
    with pytest.raises(BlockError, match="at most 3 bytes"):
        Block.parse(bytes.fromhex(value))


@pytest.mark.parametrize(
    ("value", "shortest"), [("00", ""), ("000000", ""), ("000D", "0D"), ("00000D", "0D"), ("000104", "0104")]
)
def test_leading_zeros_are_tolerated(value, shortest):
    """RFC 7252 section 3.2: a sender uses the shortest form, a recipient takes leading zeros."""
    assert Block.parse(bytes.fromhex(value)).encode().hex().upper() == shortest


@pytest.mark.parametrize("num", [-1, NUM_MAX + 1, 2**32, 2**62])
def test_num_has_20_bits(num):
    """Section 2.2: NUM is at most 2**20 - 1. However large the mistake, it is a BlockError."""
    with pytest.raises(BlockError, match="NUM is at most"):
        Block(num, False, 0)


@pytest.mark.parametrize("szx", [-1, 7, 255, 256, 2**32])
def test_szx_is_at_most_6(szx):
    """256 would be 0 in a byte: it must not pass as one."""
    with pytest.raises(BlockError, match="SZX is at most"):
        Block(0, False, szx)


@given(value=st.binary(max_size=5))
def test_parse_agrees_with_the_reference(value):
    """Every byte string is the same block to both, or refused by both."""
    parsed = outcome(Block.parse, value)
    assert (parsed if parsed == "refused" else theirs(parsed)) == outcome(reference.parse, value)


@given(block=blocks)
def test_encode_agrees_with_the_reference_and_parses_back(block):
    """The shortest form, and no other."""
    assert ours(block).encode() == reference.encode(block)
    assert Block.parse(ours(block).encode()) == ours(block)


@pytest.mark.parametrize(
    ("num", "szx", "wanted", "becomes"),
    [
        (1, 6, 4, 4),  # section 2.3's late negotiation: after 0/1/6, the next byte is 4/0/4
        (0, 6, 0, 0),
        (7, 3, 3, 7),
        (2**14 - 1, 6, 0, 2**20 - 64),  # the last NUM whose offset 16-byte blocks can name
        (2**19 - 1, 1, 0, 2**20 - 2),
    ],
)
def test_shrinking_keeps_the_offset(num, szx, wanted, becomes):
    """Section 2.3: smaller blocks are counted in their own size, so NUM is scaled."""
    block = Block(num, True, szx)
    assert block.shrink(wanted) == Block(becomes, True, wanted)
    assert block.shrink(wanted).offset_bytes == block.offset_bytes


@pytest.mark.parametrize(("num", "szx", "wanted"), [(2**14, 6, 0), (2**19, 1, 0), (NUM_MAX, 6, 5)])
def test_an_offset_too_far_for_the_size_cannot_shrink(num, szx, wanted):
    """20 bits of NUM end at 16 MiB in 16-byte blocks: the offset is then not representable."""
    block = Block(num, False, szx)
    with pytest.raises(BlockError, match="needs a NUM above"):
        block.shrink(wanted)
    assert block == Block(num, False, szx)


@pytest.mark.parametrize("wanted", [3, 6, 7, 256])
def test_blocks_are_never_enlarged(wanted):
    """Section 2.3: a size is only ever reduced."""
    with pytest.raises(BlockError, match="never enlarged"):
        Block(8, False, 2).shrink(wanted)


@given(block=blocks, szx=szxs)
@example(block=reference.Block(NUM_MAX, True, 6), szx=0)
def test_shrink_agrees_with_the_reference(block, szx):
    """Every offset in every size, representable or not."""
    shrunk = outcome(ours(block).shrink, szx)
    assert (shrunk if shrunk == "refused" else theirs(shrunk)) == outcome(reference.shrink, block, szx)


@pytest.mark.parametrize(
    ("num", "body_length", "part"),
    [
        (0, 1300, (0, 512, True)),
        (1, 1300, (512, 512, True)),
        (2, 1300, (1024, 276, False)),
        (0, 512, (0, 512, False)),  # exactly one block: full, and nothing follows
        (0, 513, (0, 512, True)),
        (1, 513, (512, 1, False)),
        (1, 1024, (512, 512, False)),
        (0, 1, (0, 1, False)),
        (0, 0, (0, 0, False)),  # the one block of an empty body
    ],
)
def test_slice_of_a_body(num, body_length, part):
    """Section 2.2: full blocks while M is set, the rest in the last one. Blocks of 512 bytes."""
    assert Block(num, False, 5).slice(body_length) == part


@pytest.mark.parametrize(("num", "body_length"), [(3, 1300), (1, 512), (2, 1024), (1, 0), (NUM_MAX, 512)])
def test_a_block_past_the_end_is_refused(num, body_length):
    """A block that begins exactly at the end names no byte of the body."""
    with pytest.raises(BlockError, match="past the end"):
        Block(num, False, 5).slice(body_length)


def test_more_of_the_asking_block_is_ignored():
    """Section 2.3: M has no meaning in a request's Block2; the body decides."""
    assert Block(0, True, 5).slice(10) == (0, 10, False)
    assert Block(0, False, 5).slice(1000) == (0, 512, True)


@pytest.mark.parametrize("body_length", [-1, GIB + 1, 2**32, 2**40])
def test_a_body_has_at_most_one_gib(body_length):
    """2**20 blocks of 1024 bytes: no block names a byte beyond."""
    with pytest.raises(BlockError, match="at most 1073741824 bytes"):
        Block(0, False, 6).slice(body_length)


@given(block=blocks, body_length=body_lengths)
def test_slice_agrees_with_the_reference(block, body_length):
    """Any block of any body."""
    assert outcome(ours(block).slice, body_length) == outcome(reference.slice_of, block, body_length)


@given(block=blocks, beyond=st.integers(-2, 2))
def test_slice_agrees_at_the_exact_end(block, beyond):
    """Bodies that end within two bytes of where the block begins or ends."""
    size = reference.SIZES[block.szx]
    for edge in (block.num * size, (block.num + 1) * size):
        body_length = min(max(0, edge + beyond), GIB)
        assert outcome(ours(block).slice, body_length) == outcome(reference.slice_of, block, body_length)


@given(body_length=st.integers(0, 5000), szx=szxs)
def test_the_blocks_of_a_body_are_the_body(body_length, szx):
    """From block 0 while M is set: every byte once, in order."""
    body = bytes(i % 251 for i in range(body_length))
    gathered = b""
    for num in range(body_length + 1):
        offset, length, more = Block(num, False, szx).slice(body_length)
        gathered += body[offset : offset + length]
        if not more:
            break
    assert gathered == body


@given(one=blocks, other=blocks)
def test_blocks_are_equal_by_value(one, other):
    """Equal blocks are equal, and so are their hashes; another type is never equal."""
    assert (ours(one) == ours(other)) == (one == other)
    assert hash(ours(one)) == hash(ours(one))
    assert ours(one) != one


def test_repr_can_be_read():
    """For test output and logs."""
    assert repr(Block(4096, True, 2)) == "Block(num=4096, more=True, szx=2)"


def test_a_block_does_not_change():
    """A value: shrink and slice return, they do not alter."""
    block = Block(1, False, 6)
    block.shrink(2)
    block.slice(5000)
    assert block == Block(1, False, 6)
    with pytest.raises(AttributeError):
        block.num = 2
