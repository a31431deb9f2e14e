"""The Block option and the arithmetic of block-wise transfer. RFC 7959 section 2.2."""

cimport cython

from headgate.wire.checks cimport ensure

from headgate.errors import BlockError


cdef uint8_t block_szx(int size) except 255:
    cdef uint8_t szx
    for szx in range(BLOCK_SZX_MAX + 1):
        if block_size(szx) == <uint32_t>size:
            return szx
    raise ValueError(f"a block has 16, 32, 64, 128, 256, 512 or 1024 bytes, not {size}")


cdef BlockResult block_parse(const uint8_t* value, uint32_t length, BlockValue* block) noexcept nogil:
    ensure(length <= BLOCK_VALUE_MAX)
    cdef uint32_t number = 0
    cdef uint32_t i
    for i in range(length):
        number = number << 8 | value[i]
    block.num = number >> 4
    block.more = (number >> 3) & 1
    block.szx = number & 7
    return BLOCK_OK if block.szx <= BLOCK_SZX_MAX else BLOCK_RESERVED_SIZE


cdef uint32_t block_write(const BlockValue* block, uint8_t* out) noexcept nogil:
    ensure(block.num <= BLOCK_NUM_MAX and block.szx <= BLOCK_SZX_MAX)
    cdef uint32_t number = block.num << 4 | <uint32_t>(8 if block.more else 0) | block.szx
    if number == 0:
        return 0
    if number <= 0xFF:
        out[0] = <uint8_t>number
        return 1
    if number <= 0xFFFF:
        out[0] = <uint8_t>(number >> 8)
        out[1] = <uint8_t>number
        return 2
    out[0] = <uint8_t>(number >> 16)
    out[1] = <uint8_t>(number >> 8)
    out[2] = <uint8_t>number
    return 3


cdef BlockResult block_shrink(BlockValue* block, uint8_t szx) noexcept nogil:
    ensure(szx <= block.szx)
    # num has 20 bits and the shift at most 6, so the product fits 32 bits.
    cdef uint32_t num = block.num << (block.szx - szx)
    if num > BLOCK_NUM_MAX:
        return BLOCK_NOT_REPRESENTABLE
    block.num = num
    block.szx = szx
    return BLOCK_OK


cdef BlockResult block_slice(BlockValue* block, uint32_t body_length, Slice* out) noexcept nogil:
    ensure(block.num <= BLOCK_NUM_MAX and block.szx <= BLOCK_SZX_MAX)
    ensure(body_length <= BLOCK_BODY_MAX)
    cdef uint32_t offset = block.num << (block.szx + 4)      # below 2 ** 30: 20 + 10 bits
    cdef uint32_t size = block_size(block.szx)
    cdef uint32_t left
    if offset >= body_length and block.num > 0:
        return BLOCK_PAST_END
    left = body_length - offset
    out.offset = offset
    block.more = left > size
    out.length = size if block.more else left
    return BLOCK_OK


# -- Python face --

@cython.final
cdef class Block:
    """One Block1 or Block2 value: block `num` (from 0) of 2 ** (szx + 4) bytes, `more` to follow.

    RFC 7959 section 2.2. Equal by value, hashable.

    >>> Block.parse(bytes.fromhex("1D"))
    Block(num=1, more=True, szx=5)
    >>> Block(num=4096, more=True, szx=2).encode().hex()
    '01000a'
    """

    cdef BlockValue _block

    def __init__(self, long long num, bint more, long long szx):
        if not 0 <= num <= BLOCK_NUM_MAX:
            raise BlockError(f"NUM is at most {BLOCK_NUM_MAX} (20 bits), not {num}")
        if not 0 <= szx <= BLOCK_SZX_MAX:
            raise BlockError(f"SZX is at most {BLOCK_SZX_MAX} over UDP, not {szx}")
        self._block.num = <uint32_t>num
        self._block.more = more
        self._block.szx = <uint8_t>szx

    @staticmethod
    def parse(const uint8_t[::1] value not None):
        """The option that these 0..3 bytes carry; raises BlockError for more bytes or SZX 7."""
        cdef BlockValue block
        if value.shape[0] > BLOCK_VALUE_MAX:
            raise BlockError(f"a Block option has at most {BLOCK_VALUE_MAX} bytes, not {value.shape[0]}")
        if block_parse(&value[0] if value.shape[0] else NULL, <uint32_t>value.shape[0], &block) != BLOCK_OK:
            raise BlockError("SZX 7 is reserved over UDP (RFC 7959 section 2.2)")
        return Block(block.num, block.more, block.szx)

    @property
    def num(self):
        """Number of the block, counted from 0 in blocks of this size."""
        return self._block.num

    @property
    def more(self):
        """Whether more blocks follow."""
        return bool(self._block.more)

    @property
    def szx(self):
        """Size exponent, 0..6."""
        return self._block.szx

    @property
    def size_bytes(self):
        """Bytes in a full block, 16..1024."""
        return block_size(self._block.szx)

    @property
    def offset_bytes(self):
        """Where the block begins in the body."""
        return self._block.num << (self._block.szx + 4)

    def encode(self):
        """The shortest option value, 0..3 bytes."""
        cdef uint8_t out[BLOCK_VALUE_MAX]
        cdef uint32_t length = block_write(&self._block, out)
        return out[:length]

    def shrink(self, long long szx):
        """The same offset in blocks of `szx`, which is not larger than this one's.

        Raises BlockError when the offset has no NUM of 20 bits in that size.
        """
        cdef BlockValue block = self._block
        if szx < 0:
            raise BlockError(f"SZX is at least 0, not {szx}")
        if szx > block.szx:
            raise BlockError(f"blocks are never enlarged: asked for SZX {szx} from SZX {block.szx}")
        if block_shrink(&block, <uint8_t>szx) != BLOCK_OK:
            raise BlockError(f"offset {self.offset_bytes} needs a NUM above {BLOCK_NUM_MAX} at SZX {szx}")
        return Block(block.num, block.more, block.szx)

    def slice(self, long long body_length):
        """(offset, length, more): the part of a body of `body_length` bytes that this block names.

        Raises BlockError when the body ends at or before the block's first byte.
        """
        cdef BlockValue block = self._block
        cdef Slice part
        if not 0 <= body_length <= BLOCK_BODY_MAX:
            raise BlockError(f"a body has at most {BLOCK_BODY_MAX} bytes, not {body_length}")
        if block_slice(&block, <uint32_t>body_length, &part) != BLOCK_OK:
            raise BlockError(f"block at {self.offset_bytes} is past the end of {body_length} bytes")
        return part.offset, part.length, bool(block.more)

    def __repr__(self):
        return f"Block(num={self.num}, more={self.more}, szx={self.szx})"

    def __eq__(self, other):
        if not isinstance(other, Block):
            return NotImplemented
        return (self.num, self.more, self.szx) == (other.num, other.more, other.szx)

    def __hash__(self):
        return hash((self.num, self.more, self.szx))
