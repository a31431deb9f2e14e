# PCP message 21: a device asks for a segment of its package; the platform answers with its bytes.
#
#     request  FFFE 01 15  check code  0012   version, 16 bytes, padded by 00   segment, 2 bytes
#     answer   FFFE 01 15  check code  3 + n  result 00   segment, 2 bytes      n bytes of the package
#
# Numbers are big-endian. The check code is taken over the whole frame, with zeros in its own place. An
# answer names neither device nor version: it depends on the package, the segment size and the number alone.
# Source: "PCP Introduction", message 21 and "PCP Message Identification".
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    SEGMENT_SIZE_MIN = 32             # bytes of a full segment, as a product may choose it
    SEGMENT_SIZE_MAX = 500
    SEGMENT_COUNT_MAX = 65535         # the total is told to the device in 16 bits
    VERSION_LENGTH = 16               # bytes of a version, padded by zeros
    SEGMENT_REQUEST_LENGTH = 26       # bytes of the whole frame
    SEGMENT_HEAD_LENGTH = 11          # bytes of an answer before the package's

cdef struct SegmentRequest:
    const uint8_t* version            # VERSION_LENGTH bytes, a view into the frame
    uint16_t segment                  # counted from 0

# Read a payload of `length` bytes as a segment request. False when it is anything else, a damaged one
# included; `request` is then unset. The reserved half of the version byte is not looked at.
cdef bint segment_request_parse(
    const uint8_t* frame, uint32_t length, SegmentRequest* request
) noexcept nogil

# Bytes of segment `segment` of a body: `size`, or less for the last one. The segment is in the body.
cdef inline uint32_t segment_length(uint32_t segment, uint32_t size, uint32_t body_length) noexcept nogil:
    cdef uint32_t rest = body_length - segment * size
    return size if rest > size else rest

# Write the head of the answer with `length` bytes of the package to `out` (SEGMENT_HEAD_LENGTH bytes).
cdef void segment_head_write(
    uint8_t* out, uint16_t segment, uint32_t length, uint16_t check_code
) noexcept nogil

# The check code of that answer, whose bytes of the package are `data`.
cdef uint16_t segment_check_code(uint16_t segment, const uint8_t* data, uint32_t length) noexcept nogil
