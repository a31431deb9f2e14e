"""CoAP messages: RFC 7252 section 3, extended token lengths of RFC 8974 (capped at 64 bytes)."""

cimport cython
from libc.string cimport memcpy

from headgate.wire.block cimport block_parse
from headgate.wire.checks cimport ensure

from headgate.errors import MessageFormatError


cdef ParseResult message_parse(const uint8_t* data, uint32_t length, MessageView* message) noexcept nogil:
    cdef uint32_t token_length, code_class
    cdef const uint8_t* at
    message.token = NULL
    message.token_length = 0
    if length < MESSAGE_HEADER:
        return SHORT
    if data[0] >> 6 != MESSAGE_VERSION:
        return WRONG_VERSION
    message.type = (data[0] >> 4) & 3
    message.code = data[1]
    message.message_id = <uint16_t>(<uint32_t>data[2] << 8 | data[3])
    message.data = data
    message.end = data + length
    message.payload = NULL
    message.payload_length = 0
    message.critical = 0
    message.seen = 0
    message.path = NULL
    message.path_length = 0
    message.path_count = 0

    token_length = data[0] & 15
    at = data + MESSAGE_HEADER
    if token_length > 12:
        # RFC 8974 section 2.1: 13 means one more length byte. 14 starts at 269, above our cap.
        if token_length > 13 or length == MESSAGE_HEADER:
            return BAD_TOKEN
        token_length = 13 + <uint32_t>at[0]
        at += 1
    if token_length > TOKEN_LENGTH_MAX or token_length > <uint32_t>(message.end - at):
        return BAD_TOKEN
    message.token = at
    message.token_length = <uint8_t>token_length
    message.options = at + token_length

    # RFC 7252 section 4.1 and 4.2: an Empty message is 4 bytes, and a Reset is always Empty.
    if (message.code == EMPTY or message.type == RST) and (length != MESSAGE_HEADER or message.code != EMPTY):
        return BAD_EMPTY
    code_class = message.code >> 5
    if code_class == 1 or code_class >= 6:
        return BAD_CLASS
    return options_parse(message)


# Walk the options once: every one is bounds-checked, those the edge acts upon are kept.
cdef ParseResult options_parse(MessageView* message) noexcept nogil:
    cdef OptionCursor cursor = message_options(message)
    cdef OptionResult result
    cdef uint32_t number
    cdef bint known
    while True:
        result = option_next(&cursor)
        if result != OPTION_READ:
            break
        number = cursor.number
        if number == URI_PATH:
            known = cursor.length <= 255
            if known:
                if message.path_count == 0:
                    message.path = cursor.value
                    message.path_length = cursor.length
                message.path_count += 1
        elif number == BLOCK2:
            known = cursor.length <= 3 and not message_has(message, BLOCK2)
            if known:
                block_parse(cursor.value, cursor.length, &message.block2)
        elif number == ETAG:
            known = 1 <= cursor.length <= 8
        elif number == SIZE2:
            known = cursor.length <= 4
        elif number == URI_HOST:
            known = 1 <= cursor.length <= 255 and not message_has(message, URI_HOST)
        elif number == URI_PORT:
            known = cursor.length <= 2 and not message_has(message, URI_PORT)
        elif number == ACCEPT:
            known = cursor.length <= 2 and not message_has(message, ACCEPT)
            if known:
                message.accept = uint_parse(cursor.value, cursor.length)
        elif number == URI_QUERY:
            known = cursor.length <= 255
        elif number == BLOCK1:
            known = cursor.length <= 3 and not message_has(message, BLOCK1)
            if known:
                block_parse(cursor.value, cursor.length, &message.block1)
        elif number == IF_MATCH:
            known = cursor.length <= 8
        elif number == IF_NONE_MATCH:
            known = cursor.length == 0 and not message_has(message, IF_NONE_MATCH)
        elif number == PROXY_URI:
            known = 1 <= cursor.length <= 1034 and not message_has(message, PROXY_URI)
        elif number == PROXY_SCHEME:
            known = 1 <= cursor.length <= 255 and not message_has(message, PROXY_SCHEME)
        else:
            known = False
        if known:
            message.seen |= <uint64_t>1 << number
        elif number & 1 and message.critical == 0:
            message.critical = number
    if result == OPTION_MALFORMED:
        return BAD_OPTION_FORMAT
    ensure(cursor.at <= message.end)
    if result == OPTIONS_PAYLOAD:
        if cursor.at == message.end:
            return BAD_PAYLOAD
        message.payload = cursor.at
        message.payload_length = <uint32_t>(message.end - cursor.at)
    return PARSED


cdef uint32_t head_write(
    uint8_t* out, uint8_t type, uint8_t code, uint16_t message_id,
    const uint8_t* token, uint32_t token_length
) noexcept nogil:
    ensure(type <= RST and token_length <= TOKEN_LENGTH_MAX)
    cdef uint32_t at = MESSAGE_HEADER
    cdef uint32_t nibble = token_length
    if token_length > 12:
        nibble = 13
        out[at] = <uint8_t>(token_length - 13)
        at += 1
    out[0] = <uint8_t>(MESSAGE_VERSION << 6 | type << 4 | nibble)
    out[1] = code
    out[2] = <uint8_t>(message_id >> 8)
    out[3] = <uint8_t>message_id
    if token_length > 0:
        memcpy(out + at, token, token_length)
    return at + token_length


# Write one extended nibble (RFC 7252 section 3.1); returns the nibble, moves `at` past the extra bytes.
cdef inline uint32_t nibble_write(uint8_t** at, uint32_t number) noexcept nogil:
    if number < 13:
        return number
    if number < 269:
        at[0][0] = <uint8_t>(number - 13)
        at[0] += 1
        return 13
    at[0][0] = <uint8_t>((number - 269) >> 8)
    at[0][1] = <uint8_t>(number - 269)
    at[0] += 2
    return 14


cdef uint32_t option_write(
    uint8_t* out, uint32_t delta, const uint8_t* value, uint32_t length
) noexcept nogil:
    ensure(delta <= OPTION_NUMBER_MAX and length <= OPTION_LENGTH_MAX)
    cdef uint8_t* at = out + 1
    cdef uint32_t high = nibble_write(&at, delta)
    cdef uint32_t low = nibble_write(&at, length)
    out[0] = <uint8_t>(high << 4 | low)
    if length > 0:
        memcpy(at, value, length)
    return <uint32_t>(at - out) + length


cdef uint32_t option_uint_write(uint8_t* out, uint32_t delta, uint32_t number) noexcept nogil:
    cdef uint8_t value[4]
    cdef uint32_t length = 0
    cdef int shift
    for shift in range(24, -1, -8):
        if number >> shift:
            value[length] = <uint8_t>(number >> shift)
            length += 1
    return option_write(out, delta, value, length)


# -- Python face --

cdef tuple REASONS = (
    "",
    "fewer than 4 bytes",
    "version is not 1",
    f"token length is reserved, above {TOKEN_LENGTH_MAX}, or past the end",
    "an option has a reserved nibble, passes the end, or has a number above 65535",
    "a payload marker with no payload",
    "an Empty or Reset message with more than a header",
    "code class 1, 6 or 7 is reserved",
)


@cython.final
cdef class Message:
    """One CoAP message as values: RFC 7252 section 3. For everything that is not the hot path.

    `type` is 0..3 (CON NON ACK RST), `code` the header byte (class << 5 | detail), `options` pairs
    of (number, value) in any order; equal numbers keep their order. Equal by value. A value that
    could not be parsed back is refused with MessageFormatError.

    >>> ping = Message(type=0, code=0, message_id=0x1234)
    >>> ping.encode().hex()
    '40001234'
    >>> Message.parse(bytes.fromhex("44017D3401020304B170")).options
    ((11, b'p'),)
    """

    cdef readonly int type
    cdef readonly int code
    cdef readonly int message_id
    cdef readonly bytes token
    cdef readonly tuple options
    cdef readonly bytes payload
    cdef readonly int critical

    def __init__(
        self, *, long long type, long long code, long long message_id,
        bytes token not None=b"", options=(), bytes payload not None=b""
    ):
        cdef tuple pairs = tuple([option_checked(number, value) for number, value in options])
        if not 0 <= type <= RST:
            raise MessageFormatError(f"type is 0..3, not {type}")
        if not 0 <= code <= 0xFF:
            raise MessageFormatError(f"code is one byte, not {code}")
        if not 0 <= message_id <= 0xFFFF:
            raise MessageFormatError(f"message id has 16 bits, not {message_id}")
        if len(token) > TOKEN_LENGTH_MAX:
            raise MessageFormatError(f"a token has at most {TOKEN_LENGTH_MAX} bytes, not {len(token)}")
        if code == EMPTY and (token or pairs or payload):
            raise MessageFormatError("an Empty message has no token, options or payload")
        if type == RST and code != EMPTY:
            raise MessageFormatError("a Reset is always an Empty message")
        if code >> 5 in (1, 6, 7):
            raise MessageFormatError(f"code class {code >> 5} is reserved")
        self.type = <int>type
        self.code = <int>code
        self.message_id = <int>message_id
        self.token = token
        self.options = pairs
        self.payload = payload

    @staticmethod
    def parse(const uint8_t[::1] data not None):
        """The message in this datagram; options come sorted by number, as the wire has them.

        Raises MessageFormatError, which keeps type, message id and token where they were read.
        `critical` is the number of the first critical option that Headgate cannot process (unknown,
        of wrong length, or standing twice), or 0.
        """
        cdef MessageView message
        cdef OptionCursor cursor
        cdef uint32_t length = <uint32_t>data.shape[0]
        cdef ParseResult result = message_parse(&data[0] if length else NULL, length, &message)
        cdef Message parsed
        cdef list options = []
        if result == SHORT or result == WRONG_VERSION:
            raise MessageFormatError(REASONS[<int>result])
        if result != PARSED:
            raise MessageFormatError(
                REASONS[<int>result],
                type=message.type,
                message_id=message.message_id,
                token=None if result == BAD_TOKEN else message.token[:message.token_length],
            )
        cursor = message_options(&message)
        while option_next(&cursor) == OPTION_READ:
            options.append((cursor.number, cursor.value[:cursor.length]))
        parsed = Message.__new__(Message)
        parsed.type = message.type
        parsed.code = message.code
        parsed.message_id = message.message_id
        parsed.token = message.token[:message.token_length]
        parsed.options = tuple(options)
        parsed.payload = message.payload[:message.payload_length] if message.payload_length else b""
        parsed.critical = <int>message.critical
        return parsed

    def encode(self):
        """The datagram: options sorted by number, in their shortest form."""
        cdef uint32_t delta
        cdef uint32_t before = 0
        cdef uint32_t number
        cdef bytes value
        cdef bytearray out = bytearray(HEAD_SIZE_MAX)
        cdef bytearray option
        cdef bytes token = self.token
        del out[head_write(out, <uint8_t>self.type, <uint8_t>self.code, <uint16_t>self.message_id,
                           token, <uint32_t>len(token)):]
        for number, value in sorted(self.options, key=option_number):
            delta = number - before
            option = bytearray(OPTION_HEAD_MAX + len(value))
            del option[option_write(option, delta, value, <uint32_t>len(value)):]
            out += option
            before = number
        if self.payload:
            out.append(PAYLOAD_MARKER)
            out += self.payload
        return bytes(out)

    def __repr__(self):
        return (
            f"Message(type={self.type}, code={self.code}, message_id={self.message_id}, "
            f"token={self.token!r}, options={self.options!r}, payload={self.payload!r})"
        )

    def __eq__(self, other):
        if not isinstance(other, Message):
            return NotImplemented
        return (self.type, self.code, self.message_id, self.token, self.options, self.payload) == (
            other.type, other.code, other.message_id, other.token, other.options, other.payload)

    def __hash__(self):
        return hash((self.type, self.code, self.message_id, self.token, self.options, self.payload))


cdef tuple option_checked(long long number, value):
    """One (number, value) pair as it is kept. An int is no value: `bytes` would make zeros of it."""
    cdef bytes octets = value if type(value) is bytes else bytes(memoryview(value))
    if not 0 <= number <= OPTION_NUMBER_MAX:
        raise MessageFormatError(f"an option number has 16 bits, not {number}")
    if len(octets) > OPTION_LENGTH_MAX:
        raise MessageFormatError(f"an option has at most {OPTION_LENGTH_MAX} bytes, not {len(octets)}")
    return number, octets


def option_number(option):
    """Sort key of one (number, value) pair: sorting by it keeps the order of equal numbers."""
    return option[0]


def _py_message_view(const uint8_t[::1] data not None):
    """Test door."""
    cdef MessageView message
    if data.shape[0] == 0 or message_parse(&data[0], <uint32_t>data.shape[0], &message) != PARSED:
        return None
    return {
        "seen": {number for number in range(64) if message_has(&message, number)},
        "path": message.path[:message.path_length] if message.path_count else None,
        "path_count": message.path_count,
        "block1": (message.block1.num, bool(message.block1.more), message.block1.szx)
        if message_has(&message, BLOCK1) else None,
        "block2": (message.block2.num, bool(message.block2.more), message.block2.szx)
        if message_has(&message, BLOCK2) else None,
        "accept": message.accept if message_has(&message, ACCEPT) else None,
    }


def _py_parse_many(list datagrams not None, uint32_t rounds):
    """Parse each of 1..64 datagrams `rounds` times; returns how many were refused. Test door."""
    cdef MessageView message
    cdef const uint8_t* views[64]
    cdef uint32_t lengths[64]
    cdef uint32_t i, _round
    cdef uint32_t count = <uint32_t>len(datagrams)
    cdef uint64_t refused = 0
    cdef bytes datagram
    if not 0 < count <= 64:
        raise ValueError(f"1..64 datagrams, not {count}")
    for i in range(count):
        datagram = datagrams[i]
        views[i] = datagram
        lengths[i] = <uint32_t>len(datagram)
    with nogil:
        for _round in range(rounds):
            for i in range(count):
                refused += message_parse(views[i], lengths[i], &message) != PARSED
    return refused


def _py_option_uint_write(uint32_t delta, uint32_t number):
    """Test door."""
    cdef uint8_t out[OPTION_HEAD_MAX + 4]
    cdef uint32_t length = option_uint_write(out, delta, number)
    return out[:length]
