# The Block option: which part of a body a message carries. RFC 7959 section 2.2.
#
#     value = NUM << 4 | M << 3 | SZX, in 0..3 bytes, big-endian, leading zero bytes dropped
from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    BLOCK_NUM_MAX = (1 << 20) - 1     # NUM has 20 bits
    BLOCK_SZX_MAX = 6                 # 1024 bytes; 7 is reserved over UDP
    BLOCK_VALUE_MAX = 3               # bytes of the longest option value
    BLOCK_BODY_MAX = 1 << 30          # bytes: (BLOCK_NUM_MAX + 1) blocks of 1024

cdef enum BlockResult:
    BLOCK_OK = 0
    BLOCK_RESERVED_SIZE = 1           # SZX 7: 4.00 in a request over UDP
    BLOCK_PAST_END = 2                # the body ends at or before the block's first byte
    BLOCK_NOT_REPRESENTABLE = 3       # the offset needs a NUM above BLOCK_NUM_MAX

cdef struct BlockValue:
    uint32_t num                      # counted from 0, in blocks of this szx
    uint8_t szx                       # a block holds 2 ** (szx + 4) bytes
    bint more                         # M: more blocks follow

# Part of a body: `length` bytes beginning `offset` bytes into it.
cdef struct Slice:
    uint32_t offset
    uint32_t length

# Bytes in a full block of this szx, 16..1024.
cdef inline uint32_t block_size(uint8_t szx) noexcept nogil:
    return <uint32_t>1 << (szx + 4)

# The szx of blocks of `size` bytes. Raises ValueError where no block has that size.
cdef uint8_t block_szx(int size) except 255

# Read an option value of `length` <= BLOCK_VALUE_MAX bytes; leading zeros are tolerated.
# Returns BLOCK_OK or BLOCK_RESERVED_SIZE (block is then set all the same, szx being 7).
cdef BlockResult block_parse(const uint8_t* value, uint32_t length, BlockValue* block) noexcept nogil

# Write the shortest form of `block` to `out` (room for BLOCK_VALUE_MAX bytes); returns its length.
cdef uint32_t block_write(const BlockValue* block, uint8_t* out) noexcept nogil

# Ask for the same offset in smaller blocks: set num and szx so that num * size is unchanged.
# `szx` <= block.szx. Returns BLOCK_OK, or BLOCK_NOT_REPRESENTABLE (block is then unchanged).
cdef BlockResult block_shrink(BlockValue* block, uint8_t szx) noexcept nogil

# Find the bytes that `block` names in a body of `body_length` <= BLOCK_BODY_MAX bytes, and set
# block.more. Returns BLOCK_OK, or BLOCK_PAST_END when the body ends at or before the block begins;
# block 0 of an empty body is BLOCK_OK with length 0.
cdef BlockResult block_slice(BlockValue* block, uint32_t body_length, Slice* out) noexcept nogil
