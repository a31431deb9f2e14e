"""Packages cut into PCP segments, and grants of them. protocol: "PCP Introduction", message 21."""

from cython cimport final, no_gc_clear
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from headgate.engine.flight cimport TICK_SHIFT
from headgate.wire.coap cimport OPTION_READ, OPTIONS_END, OptionCursor, OptionResult, option_next
from headgate.wire.segment cimport (
    SEGMENT_COUNT_MAX, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, segment_check_code, segment_length,
)

from headgate.errors import PackageError, PackageTooLargeError


cdef void check_codes_fill(
    uint16_t* check_codes, const uint8_t* data, uint32_t length, uint32_t size, uint32_t count
) noexcept nogil:
    cdef uint32_t i
    for i in range(count):
        check_codes[i] = segment_check_code(<uint16_t>i, data + i * size, segment_length(i, size, length))


# -- Python face --

@final
cdef class Segments:
    """`package` in segments of `size` bytes (32..500), with the check code of every answer: 2 bytes each.

    Reads the package once, about 1 ns a byte, without the GIL. Raises PackageError for an empty package,
    PackageTooLargeError for one of more than 65535 segments.

    >>> import hashlib
    >>> from headgate.engine.package import Package
    >>> body = b"HELLO, IoT SOTA!"
    >>> Segments(Package(body, sha256=hashlib.sha256(body).digest(), check_code=0x1234), size=500).count
    1
    """

    def __cinit__(self, Package package not None, *, int size=SEGMENT_SIZE_MAX):
        cdef uint32_t length = package.body.length
        cdef uint32_t count
        if not SEGMENT_SIZE_MIN <= size <= SEGMENT_SIZE_MAX:
            raise ValueError(f"a segment has {SEGMENT_SIZE_MIN}..{SEGMENT_SIZE_MAX} bytes, not {size}")
        if length == 0:
            raise PackageError("an empty package has no segment that a device could ask for")
        count = (length + <uint32_t>size - 1) // <uint32_t>size
        if count > SEGMENT_COUNT_MAX:
            raise PackageTooLargeError(
                f"{length} bytes are {count} segments of {size} bytes, and a device is told of at most "
                f"{SEGMENT_COUNT_MAX}: the largest package has {SEGMENT_COUNT_MAX * SEGMENT_SIZE_MAX} bytes")
        self.package = package
        self.size = size
        self.count = <int>count
        self.check_codes = <uint16_t*>malloc(count * sizeof(uint16_t))
        if self.check_codes == NULL:
            raise MemoryError
        with nogil:
            check_codes_fill(self.check_codes, package.body.data, length, <uint32_t>size, count)

    def __dealloc__(self):
        free(self.check_codes)

    def check_code(self, unsigned int segment):
        """The check code of the whole answer with this segment."""
        if segment >= <unsigned int>self.count:
            raise IndexError(f"segment {segment} of {self.count}")
        return self.check_codes[segment]

    def _py_check_codes(self, uint32_t rounds):
        """Look up that many check codes, all over the package; returns them in one number. Test door."""
        cdef uint16_t folded = 0
        cdef uint32_t _round
        cdef uint32_t at = 0
        cdef uint32_t stride = <uint32_t>self.count * 5 // 13
        with nogil:
            for _round in range(rounds):
                # The next place depends on the code before: nothing else keeps the reads apart.
                folded ^= self.check_codes[at]
                at += stride + (folded & 1)
                if at >= <uint32_t>self.count:
                    at -= <uint32_t>self.count
        return folded

    def __len__(self):
        return self.count

    def __repr__(self):
        return f"<Segments of {self.size} bytes of {self.package!r}>"


@final
cdef class Offer:
    """`segments` as `version` (1..16 bytes, without the padding), to whoever is granted them.

    `downlink` are the options of the writes to 19/1/0, Uri-Path and Content-Format, as they are sent.
    `wait_s` is how long an answer that nobody acknowledged may be under way before a copy of its request is
    answered again: longer than the link's round trip.
    """

    def __cinit__(
        self, Segments segments not None, *, bytes version not None, bytes downlink not None,
        double wait_s=10.0
    ):
        if not 0 < len(version) <= VERSION_LENGTH or version.endswith(b"\0"):
            raise ValueError(f"a version has 1..{VERSION_LENGTH} bytes without padding, not {version!r}")
        if not 0 < len(downlink) <= DOWNLINK_OPTIONS_MAX or not options_whole(downlink):
            raise ValueError(f"not 1..{DOWNLINK_OPTIONS_MAX} bytes of whole options: {downlink.hex()}")
        if not 0 <= wait_s <= SEGMENT_WAIT_MAX_S:
            raise ValueError(f"wait_s is 0..{SEGMENT_WAIT_MAX_S}, not {wait_s}")
        self.segments = segments
        self.version = version
        self.state.data = segments.package.body.data
        self.state.length = segments.package.body.length
        self.state.check_codes = segments.check_codes
        self.state.size = <uint16_t>segments.size
        self.state.count = <uint16_t>segments.count
        self.state.wait_ticks = <uint32_t>(<uint64_t>(wait_s * 1e9) >> TICK_SHIFT)
        self.state.options_length = <uint8_t>len(downlink)
        memcpy(self.state.version, <const uint8_t*>version, len(version))
        memcpy(self.state.options, <const uint8_t*>downlink, len(downlink))

    def __repr__(self):
        return f"<Offer of {self.segments!r} as {self.version!r}>"


# no_gc_clear: giving the record back needs the ledger, so the collector must not take it away first.
@final
@no_gc_clear
cdef class SegmentGrant:
    """Lets one device have what `offer` offers.

    Takes a record of the ledger, and gives it back when nobody holds the grant any more. Raises
    GrantLimitError when the ledger is full.
    """

    def __cinit__(self, Ledger ledger not None, Offer offer not None):
        self.offer = offer
        self.state.offer = &offer.state
        self.state.record_index = ledger.allocate()
        self.state.record = &ledger.records[self.state.record_index]
        self._ledger = ledger

    def __dealloc__(self):
        if self._ledger is not None:
            self._ledger.give_back(self.state.record_index)

    @property
    def index(self):
        """Of its ledger record."""
        return self.state.record_index

    @property
    def progress(self):
        """What has been served, as a `headgate.model.Progress`."""
        return self._ledger.progress(self.state.record_index)

    def __repr__(self):
        return f"<SegmentGrant of {self.offer!r}>"


# Whether these bytes are options and nothing else.
cdef bint options_whole(bytes options):
    cdef OptionCursor cursor
    cdef OptionResult result = OPTION_READ
    cursor.at = options
    cursor.end = cursor.at + len(options)
    cursor.number = 0
    while result == OPTION_READ:
        result = option_next(&cursor)
    return result == OPTIONS_END
