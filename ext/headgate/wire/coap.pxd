# The CoAP message: header, token, options, payload. RFC 7252 section 3; tokens over 8 bytes RFC 8974.
#
#      0                   1                   2                   3
#     |Ver| T |  TKL  |      Code     |          Message ID           |
#     |   token (0..12 bytes; TKL 13: one length byte first) ...
#     |   options ...                 |1 1 1 1 1 1 1 1|    payload ...
#
# A MessageView holds views into the datagram: they live exactly as long as its bytes do.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from headgate.wire.block cimport BlockValue

cdef enum:
    MESSAGE_VERSION = 1
    MESSAGE_HEADER = 4                # bytes before the token
    TOKEN_LENGTH_MAX = 64             # our cap on RFC 8974 tokens; a longer one is a format error
    HEAD_SIZE_MAX = 4 + 1 + 64        # most bytes that head_write can write
    OPTION_NUMBER_MAX = 65535
    OPTION_LENGTH_MAX = 269 + 65535   # most bytes of a value that an option head can announce
    OPTION_HEAD_MAX = 5               # most bytes before an option's value
    PAYLOAD_MARKER = 0xFF

cdef enum MessageType:
    CON = 0
    NON = 1
    ACK = 2
    RST = 3

# Codes as they stand in the header: class << 5 | detail.
cdef enum Code:
    EMPTY = 0x00
    GET = 0x01
    PUT = 0x03
    REQUEST_LAST = 0x1F               # codes 0.01 .. 0.31 are requests
    VALID = 0x43                      # 2.03
    CHANGED = 0x44                    # 2.04
    CONTENT = 0x45                    # 2.05
    BAD_REQUEST = 0x80                # 4.00
    BAD_OPTION = 0x82                 # 4.02
    NOT_FOUND = 0x84                  # 4.04
    METHOD_NOT_ALLOWED = 0x85         # 4.05
    NOT_ACCEPTABLE = 0x86             # 4.06
    PRECONDITION_FAILED = 0x8C        # 4.12
    ENTITY_TOO_LARGE = 0x8D           # 4.13
    PROXYING_NOT_SUPPORTED = 0xA5     # 5.05

cdef enum OptionNumber:
    IF_MATCH = 1
    URI_HOST = 3
    ETAG = 4
    IF_NONE_MATCH = 5
    OBSERVE = 6
    URI_PORT = 7
    URI_PATH = 11
    CONTENT_FORMAT = 12
    URI_QUERY = 15
    ACCEPT = 17
    BLOCK2 = 23
    BLOCK1 = 27
    SIZE2 = 28
    PROXY_URI = 35
    PROXY_SCHEME = 39

# What message_parse found. All but PARSED are format errors: RFC 7252 section 4.2 and 4.3 want a
# Reset for a CON and silence for the rest; SHORT and WRONG_VERSION always want silence (section 3).
cdef enum ParseResult:
    PARSED = 0
    SHORT = 1                         # fewer than 4 bytes
    WRONG_VERSION = 2
    BAD_TOKEN = 3                     # TKL 15, over TOKEN_LENGTH_MAX, or past the end
    BAD_OPTION_FORMAT = 4             # nibble 15, past the end, or a number above 65535
    BAD_PAYLOAD = 5                   # a payload marker with nothing after it
    BAD_EMPTY = 6                     # code 0.00, or type RST, with more than 4 bytes
    BAD_CLASS = 7                     # code class 1, 6 or 7
    PARSE_RESULT_COUNT = 8

# A byte cursor over the options. Not past `end`, ever.
cdef struct OptionCursor:
    const uint8_t* at                 # next unread byte
    const uint8_t* end                # one past the datagram
    uint32_t number                   # number of the option last read
    const uint8_t* value              # its value, a view
    uint32_t length                   # bytes of its value

cdef enum OptionResult:
    OPTION_READ = 0
    OPTIONS_END = 1                   # `at` is `end`: no payload
    OPTIONS_PAYLOAD = 2               # `at` is behind the payload marker, perhaps at `end`
    OPTION_MALFORMED = 3

cdef struct MessageView:
    uint8_t type                      # MessageType
    uint8_t code
    uint16_t message_id
    uint8_t token_length              # 0..TOKEN_LENGTH_MAX
    uint32_t critical                 # first critical option we cannot process, 0 when there is none
    const uint8_t* data               # the datagram's first byte
    const uint8_t* token
    const uint8_t* options            # first option byte
    const uint8_t* end                # one past the datagram
    const uint8_t* payload            # NULL when there is none
    uint32_t payload_length
    uint64_t seen                     # bit n: option n (below 64) is there, well-formed
    const uint8_t* path               # value of the first Uri-Path option
    uint32_t path_length              # bytes of that first value
    uint32_t path_count               # number of Uri-Path options
    BlockValue block2                      # valid when seen; szx 7 is left to the caller to refuse
    BlockValue block1
    uint32_t accept                   # Content-Format number wanted

# Bytes of the whole datagram.
cdef inline uint32_t message_length(const MessageView* message) noexcept nogil:
    return <uint32_t>(message.end - message.data)

# Whether option `number` (below 64) is there, well-formed at least once.
cdef inline bint message_has(const MessageView* message, uint32_t number) noexcept nogil:
    return (message.seen >> number) & 1

# Read the next option. On OPTION_MALFORMED the cursor is of no further use.
cdef inline OptionResult option_next(OptionCursor* cursor) noexcept nogil:
    cdef uint32_t delta, length
    cdef const uint8_t* at = cursor.at
    if at == cursor.end:
        return OPTIONS_END
    delta = at[0] >> 4
    length = at[0] & 15
    at += 1
    if delta >= 13:
        if delta == 13:
            if at == cursor.end:
                return OPTION_MALFORMED
            delta = 13 + <uint32_t>at[0]
            at += 1
        elif delta == 14:
            if cursor.end - at < 2:
                return OPTION_MALFORMED
            delta = 269 + (<uint32_t>at[0] << 8 | at[1])
            at += 2
        elif length == 15:
            cursor.at = at
            return OPTIONS_PAYLOAD
        else:
            return OPTION_MALFORMED
    if length >= 13:
        if length == 13:
            if at == cursor.end:
                return OPTION_MALFORMED
            length = 13 + <uint32_t>at[0]
            at += 1
        elif length == 14:
            if cursor.end - at < 2:
                return OPTION_MALFORMED
            length = 269 + (<uint32_t>at[0] << 8 | at[1])
            at += 2
        else:
            return OPTION_MALFORMED
    cursor.number += delta
    if length > <uint32_t>(cursor.end - at) or cursor.number > OPTION_NUMBER_MAX:
        return OPTION_MALFORMED
    cursor.value = at
    cursor.length = length
    cursor.at = at + length
    return OPTION_READ

# A cursor at the first option of a parsed message.
cdef inline OptionCursor message_options(const MessageView* message) noexcept nogil:
    cdef OptionCursor cursor
    cursor.at = message.options
    cursor.end = message.end
    cursor.number = 0
    cursor.value = NULL
    cursor.length = 0
    return cursor

# Read a uint option of at most 4 bytes; leading zeros are tolerated (RFC 7252 section 3.2).
cdef inline uint32_t uint_parse(const uint8_t* value, uint32_t length) noexcept nogil:
    cdef uint32_t number = 0
    cdef uint32_t i
    for i in range(length):
        number = number << 8 | value[i]
    return number

# Parse a datagram of `length` bytes. On any result but SHORT and WRONG_VERSION, type, code and
# message_id are set; token and token_length too unless BAD_TOKEN (token_length is then 0).
# Options of wrong length, and repetitions of options that may stand once, count as unknown
# (RFC 7252 sections 5.4.3 and 5.4.5): elective ones are skipped, critical ones set `critical`.
cdef ParseResult message_parse(const uint8_t* data, uint32_t length, MessageView* message) noexcept nogil

# Write header and token to `out` (room for HEAD_SIZE_MAX bytes); returns the bytes written.
cdef uint32_t head_write(
    uint8_t* out, uint8_t type, uint8_t code, uint16_t message_id,
    const uint8_t* token, uint32_t token_length
) noexcept nogil

# Write an option whose number is `delta` above the one before it; room for OPTION_HEAD_MAX + length
# bytes. Returns the bytes written. `delta` <= OPTION_NUMBER_MAX, `length` <= OPTION_LENGTH_MAX.
cdef uint32_t option_write(
    uint8_t* out, uint32_t delta, const uint8_t* value, uint32_t length
) noexcept nogil

# The same for a uint option in its shortest form (at most 4 bytes).
cdef uint32_t option_uint_write(uint8_t* out, uint32_t delta, uint32_t number) noexcept nogil
