# The client's side of one block: the GET that asks for it, the checks on what comes back.
# RFC 7959 sections 2.4 and 4, RFC 7252 section 5.4.1. Pure: no socket, no clock, no state.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from headgate.wire.block cimport Slice
from headgate.wire.coap cimport MessageView

cdef enum:
    SZX_UNKNOWN = 7                   # no size named yet: the server's answer decides
    PATH_BYTES_MAX = 1024             # bytes of the Uri-Path options of one path
    REQUEST_MAX = 1152                # head and token 12, path, Block2 5, Size2 2

# Why a download ended, in the order of counts.DownloadFailure. Numbered, for each device keeps one.
cdef enum Failure:
    NOT_FAILED = 0
    FAILED_TIMEOUT = 1
    FAILED_RESET = 2
    FAILED_FORMAT = 3
    FAILED_CRITICAL_OPTION = 4
    FAILED_CODE = 5
    FAILED_BLOCK2_MISSING = 6
    FAILED_SZX = 7
    FAILED_NUM = 8
    FAILED_MORE = 9
    FAILED_LENGTH = 10
    FAILED_ETAG = 11
    FAILED_SIZE2 = 12
    FAILED_PAYLOAD = 13
    FAILURE_COUNT = 14

# What every answer of a run must agree with.
cdef struct Body:
    const uint8_t* data               # the expected bytes; the downloader holds the buffer
    uint32_t length                   # at most BLOCK_BODY_MAX
    uint8_t etag[8]
    uint8_t etag_length               # 0: answers carry no ETag
    bint etag_ignored                 # some servers give each transfer an ETag of its own
    bint etag_known                   # given by the caller, or taken from the first answer

# One GET. `token` holds the token's bytes in memory order.
cdef struct BlockRequest:
    uint8_t type                      # CON or NON
    uint16_t message_id
    const uint8_t* token
    uint32_t token_length             # 0..8
    const uint8_t* path               # Uri-Path options as written by option_write from option 0
    uint32_t path_length              # 0: no Uri-Path at all
    uint32_t offset                   # where the block begins in the body; a multiple of its size
    uint8_t szx                       # SZX_UNKNOWN: no Block2 option; `offset` is then 0
    bint size2                        # ask for the body's length with every block, as Zephyr does

# Write a GET to `out` (room for REQUEST_MAX bytes); returns the bytes written.
cdef uint32_t block_request_write(uint8_t* out, const BlockRequest* request) noexcept nogil

# Check the answer to the block at `offset` of size `szx` (SZX_UNKNOWN: the first answer names it).
# NOT_FAILED: `part` is the part of the body that the payload holds and `szx` the size to go on with,
# never larger than before. On the first answer body.etag is taken over when it was not known.
cdef Failure block_reply_check(
    Body* body, const MessageView* reply, uint32_t offset, uint8_t* szx, Slice* part
) noexcept nogil
