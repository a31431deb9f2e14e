"""Packages: bodies ready to be served, with their identity."""

from cython cimport final
from libc.string cimport memcpy

from headgate.wire.block cimport BLOCK_BODY_MAX
from headgate.wire.coap cimport CONTENT_FORMAT, ETAG, option_uint_write, option_write

from headgate.errors import PackageTooLargeError


# -- Python face --

@final
cdef class Package:
    """A body ready to be served: its bytes, its identity, its Content-Format.

    `data` is any bytes-like object; its memory is held, not copied, and must not change. `check_code`
    is the versionCheckCode, 0..FFFF (0 is kept for "not used" and becomes FFFF). The ETag of every
    block is the PID: check code, then the first 6 bytes of SHA-256.

    >>> import hashlib
    >>> body = bytes(i & 0xFF for i in range(1300))
    >>> Package(body, sha256=hashlib.sha256(body).digest(), check_code=0x4EA0).etag.hex()
    '4ea021b62388bdd4'
    """

    def __cinit__(
        self, data not None, *, bytes sha256, unsigned int check_code, uint16_t content_format=42,
        bint discovery=False
    ):
        cdef const uint8_t[::1] view = data
        cdef uint32_t written
        if len(sha256) != 32:
            raise ValueError(f"SHA-256 has 32 bytes, not {len(sha256)}")
        if check_code > 0xFFFF:
            raise ValueError(f"a versionCheckCode has 16 bits, not {check_code:#x}")
        if view.shape[0] > BLOCK_BODY_MAX:
            raise PackageTooLargeError(f"{view.shape[0]} bytes are more than 2**20 blocks of 1024 bytes")
        self._buffer = view
        self.sha256 = sha256
        check_code = check_code or 0xFFFF
        # Of an empty body nothing is read, but an offset is added to it: no NULL, then.
        self.body.data = &view[0] if view.shape[0] else self.body.prefix
        self.body.length = <uint32_t>view.shape[0]
        self.body.content_format = content_format
        self.body.discovery = discovery
        self.body.etag[0] = <uint8_t>(check_code >> 8)
        self.body.etag[1] = <uint8_t>check_code
        memcpy(self.body.etag + 2, <const uint8_t*>sha256, ETAG_LENGTH - 2)
        written = option_write(self.body.prefix, ETAG, self.body.etag, ETAG_LENGTH)
        written += option_uint_write(self.body.prefix + written, CONTENT_FORMAT - ETAG, content_format)
        self.body.prefix_length = <uint8_t>written

    @property
    def etag(self):
        """The PID, 8 bytes."""
        return self.body.etag[:ETAG_LENGTH]

    @property
    def content_format(self):
        """Content-Format number, 42 (application/octet-stream) unless said otherwise."""
        return self.body.content_format

    def __len__(self):
        return self.body.length

    def __repr__(self):
        return f"<Package {self.etag.hex()} of {self.body.length} bytes>"

    # Whether both are the same bytes, served the same way.
    cdef bint same_as(self, Package other):
        return self.sha256 == other.sha256 and self.etag == other.etag and (
            self.body.content_format == other.body.content_format) and (
            self.body.discovery == other.body.discovery)
