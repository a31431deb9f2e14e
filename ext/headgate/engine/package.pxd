# A package as it is served: the bytes, and everything of an answer that does not depend on the request.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    ETAG_LENGTH = 8                   # the PID: versionCheckCode, then 6 bytes of SHA-256
    PREFIX_LENGTH_MAX = 12            # ETag (1 + 8) and Content-Format (1 + 0..2)

# A body as it is served. Immutable once an entry points to it; owned by a Package object.
cdef struct Body:
    const uint8_t* data               # the package's bytes, never NULL; read by the kernel only
    uint32_t length
    uint16_t content_format
    bint discovery                    # a link list: answers stay within 3 times the request
    uint8_t etag[ETAG_LENGTH]
    uint8_t prefix[PREFIX_LENGTH_MAX]  # the ETag and Content-Format options, ready to be sent
    uint8_t prefix_length

cdef class Package:
    cdef Body body
    cdef object _buffer               # memoryview that keeps the bytes alive and unresizable
    cdef readonly bytes sha256        # of the bytes, for identity beyond the 8 bytes of the ETag

    cdef bint same_as(self, Package other)
