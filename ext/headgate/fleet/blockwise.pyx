"""The client's side of one block: the GET that asks for it, the checks on what comes back."""

from libc.string cimport memcmp, memcpy

from headgate.wire.block cimport (
    BLOCK_NUM_MAX,
    BLOCK_OK,
    BLOCK_SZX_MAX,
    BLOCK_VALUE_MAX,
    BlockValue,
    block_size,
    block_slice,
    block_write,
)
from headgate.wire.checks cimport ensure
from headgate.wire.coap cimport (
    BLOCK2,
    CONTENT,
    ETAG,
    GET,
    OPTION_READ,
    SIZE2,
    URI_PATH,
    OptionCursor,
    head_write,
    message_has,
    message_options,
    option_next,
    option_write,
    uint_parse,
)


cdef uint32_t block_request_write(uint8_t* out, const BlockRequest* request) noexcept nogil:
    ensure(request.path_length <= PATH_BYTES_MAX)
    cdef BlockValue block
    cdef uint8_t value[BLOCK_VALUE_MAX]
    cdef uint32_t length
    cdef uint32_t number = 0
    cdef uint32_t at = head_write(
        out, request.type, GET, request.message_id, request.token, request.token_length)
    if request.path_length > 0:
        memcpy(out + at, request.path, request.path_length)
        at += request.path_length
        number = URI_PATH
    if request.szx != SZX_UNKNOWN:
        ensure(request.offset % block_size(request.szx) == 0)
        block.num = request.offset >> (request.szx + 4)
        block.szx = request.szx
        block.more = False
        length = block_write(&block, value)
        at += option_write(out + at, BLOCK2 - number, value, length)
        number = BLOCK2
    if request.size2:
        # Value 0, hence no bytes: "tell me the size" (RFC 7959 section 4).
        at += option_write(out + at, SIZE2 - number, NULL, 0)
    ensure(at <= REQUEST_MAX)
    return at


# Compare ETag and Size2 with what the run knows. An answer without an ETag has the empty one, so that
# a server which drops it half-way is found out.
cdef Failure metadata_check(Body* body, const MessageView* reply) noexcept nogil:
    cdef OptionCursor cursor = message_options(reply)
    cdef const uint8_t* etag = NULL
    cdef uint32_t etag_length = 0
    while option_next(&cursor) == OPTION_READ and cursor.number <= SIZE2:
        if cursor.number == ETAG and 1 <= cursor.length <= 8:
            etag = cursor.value
            etag_length = cursor.length
        elif cursor.number == SIZE2 and cursor.length <= 4:
            if uint_parse(cursor.value, cursor.length) != body.length:
                return FAILED_SIZE2
    if body.etag_ignored:
        return NOT_FAILED
    if not body.etag_known:
        body.etag_known = True
        body.etag_length = <uint8_t>etag_length
        if etag_length > 0:
            memcpy(body.etag, etag, etag_length)
    elif etag_length != body.etag_length or memcmp(body.etag, etag, etag_length) != 0:
        return FAILED_ETAG
    return NOT_FAILED


cdef Failure block_reply_check(
    Body* body, const MessageView* reply, uint32_t offset, uint8_t* szx, Slice* part
) noexcept nogil:
    cdef BlockValue block
    cdef bint more
    cdef Failure failure
    if reply.code != CONTENT:
        return FAILED_CODE
    if reply.critical != 0:
        return FAILED_CRITICAL_OPTION
    if message_has(reply, BLOCK2):
        block = reply.block2
        if block.szx > BLOCK_SZX_MAX or (szx[0] != SZX_UNKNOWN and block.szx > szx[0]):
            return FAILED_SZX
        # A size whose NUM cannot reach the end of the body would strand the download.
        if body.length > 0 and (body.length - 1) >> (block.szx + 4) > BLOCK_NUM_MAX:
            return FAILED_SZX
        if block.num << (block.szx + 4) != offset:
            return FAILED_NUM
        more = block.more
        if block_slice(&block, body.length, part) != BLOCK_OK:
            return FAILED_NUM
        if more != block.more:
            return FAILED_MORE
        szx[0] = block.szx
    elif szx[0] == SZX_UNKNOWN:
        # No block was asked for: the answer may be the whole body in one message, and nothing less.
        if reply.payload_length != body.length:
            return FAILED_BLOCK2_MISSING
        part.offset = 0
        part.length = body.length
    else:
        return FAILED_BLOCK2_MISSING
    if reply.payload_length != part.length:
        return FAILED_LENGTH
    failure = metadata_check(body, reply)
    if failure != NOT_FAILED:
        return failure
    if part.length > 0 and memcmp(reply.payload, body.data + part.offset, part.length) != 0:
        return FAILED_PAYLOAD
    return NOT_FAILED
