"""PCP message 21, both ways: the segment request of a device, the head of the platform's answer."""

from headgate.wire.checks cimport ensure
from headgate.wire.crc cimport check_code_update

cdef enum:
    START_HIGH = 0xFF
    START_LOW = 0xFE
    PROTOCOL_VERSION = 1              # the low half of its byte; the high one is reserved
    MESSAGE_CODE = 21
    CHECK_CODE_AT = 4                 # bytes before the check code
    DATA_AT = 8                       # bytes before the data zone


cdef inline uint16_t word_read(const uint8_t* at) noexcept nogil:
    return <uint16_t>(<uint32_t>at[0] << 8 | at[1])


cdef inline void word_write(uint8_t* at, uint32_t number) noexcept nogil:
    at[0] = <uint8_t>(number >> 8)
    at[1] = <uint8_t>number


cdef bint segment_request_parse(
    const uint8_t* frame, uint32_t length, SegmentRequest* request
) noexcept nogil:
    cdef uint8_t start[DATA_AT]
    cdef int i
    if length != SEGMENT_REQUEST_LENGTH or frame[0] != START_HIGH or frame[1] != START_LOW:
        return False
    if frame[2] & 0x0F != PROTOCOL_VERSION or frame[3] != MESSAGE_CODE:
        return False
    if word_read(frame + 6) != SEGMENT_REQUEST_LENGTH - DATA_AT:
        return False
    for i in range(DATA_AT):
        start[i] = frame[i]
    word_write(start + CHECK_CODE_AT, 0)
    if check_code_update(
            check_code_update(0, start, DATA_AT), frame + DATA_AT, SEGMENT_REQUEST_LENGTH - DATA_AT
    ) != word_read(frame + CHECK_CODE_AT):
        return False
    request.version = frame + DATA_AT
    request.segment = word_read(frame + DATA_AT + VERSION_LENGTH)
    return True


cdef void segment_head_write(
    uint8_t* out, uint16_t segment, uint32_t length, uint16_t check_code
) noexcept nogil:
    ensure(length <= SEGMENT_SIZE_MAX)
    out[0] = START_HIGH
    out[1] = START_LOW
    out[2] = PROTOCOL_VERSION
    out[3] = MESSAGE_CODE
    word_write(out + CHECK_CODE_AT, check_code)
    word_write(out + 6, SEGMENT_HEAD_LENGTH - DATA_AT + length)
    out[8] = 0                        # result: here it is
    word_write(out + 9, segment)


cdef uint16_t segment_check_code(uint16_t segment, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint8_t head[SEGMENT_HEAD_LENGTH]
    segment_head_write(head, segment, length, 0)
    return check_code_update(check_code_update(0, head, SEGMENT_HEAD_LENGTH), data, length)


# -- Python face --

def _py_segment_request(const uint8_t[::1] frame not None):
    """(version, segment) of a segment request, or None. Test door.

    >>> _py_segment_request(bytes.fromhex("FFFE01155618001256312E300000000000000000000000000000"))
    (b'V1.0', 0)
    """
    cdef SegmentRequest request
    cdef uint32_t length = <uint32_t>frame.shape[0]
    if not segment_request_parse(&frame[0] if length else NULL, length, &request):
        return None
    return request.version[:VERSION_LENGTH].rstrip(b"\0"), request.segment


def _py_segment_answer(uint16_t segment, bytes data not None):
    """The whole answer, 1..500 bytes of a package in it. Test door.

    >>> _py_segment_answer(0, b"HELLO, IoT SOTA!").hex().upper()
    'FFFE0115E107001300000048454C4C4F2C20496F5420534F544121'
    """
    cdef uint8_t head[SEGMENT_HEAD_LENGTH]
    cdef uint32_t length = <uint32_t>len(data)
    if not 0 < len(data) <= SEGMENT_SIZE_MAX:
        raise ValueError(f"a segment has 1..{SEGMENT_SIZE_MAX} bytes, not {len(data)}")
    segment_head_write(head, segment, length, segment_check_code(segment, data, length))
    return head[:SEGMENT_HEAD_LENGTH] + data
