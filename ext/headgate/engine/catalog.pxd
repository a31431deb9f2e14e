# The catalog: path -> package, or path -> package and ledger record (a grant); token -> segment grant.
#
# Paths and tokens are two key spaces of one table: what is found under a token is not found under a path
# of the same bytes. Below, "path" is either.
#
# One writer (Python, holding the GIL) and any number of readers, which take no lock and never wait.
#
#     reader:  catalog_enter -> catalog_find (any number of times) -> use what was found -> catalog_leave
#     writer:  link the new, unlink the old, advance the epoch; free the old once nobody can hold it
#
# Invariants
#  1. A slot's entry pointer goes EMPTY -> entry -> (another entry of the same path)* -> TOMBSTONE. A slot
#     never takes a second path, so a reader that passes it is never led astray.
#  2. A table is at most half full (tombstones count), so every probe ends at an EMPTY slot.
#  3. Whatever is unlinked (entry, table, package reference, ledger record) is retired with the epoch
#     that followed the unlinking, and freed only when every reader is idle or entered at that epoch or
#     later. A reader that entered earlier may still be sending from it.
#  4. A path maps to one package until the writer is told to replace it. A token leads to its last grant.
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from headgate.engine.ledger cimport Ledger, Record
from headgate.engine.package cimport Body, Package
from headgate.engine.segments cimport SegmentGrant, SegmentState

cdef enum:
    CATALOG_READERS_MAX = 64          # listeners at once
    PATH_LENGTH_MAX = 255             # bytes of a joined path; LwM2M Package URIs end there too
    CACHE_LINE = 64

cdef enum Space:
    PATHS = 0
    TOKENS = 1 << 8                   # added to a token's length wherever it is hashed or compared

cdef struct Entry:
    uint64_t hash
    const Body* body                  # of a path; NULL for a token
    SegmentState* segments            # of a token; NULL for a path
    Record* record                    # ledger record of a grant by path, NULL for all else
    uint32_t record_index
    PyObject* owner                   # owned reference, Package or SegmentGrant: keeps those above alive
    uint16_t path_length              # with its Space
    uint8_t path[PATH_LENGTH_MAX + 1]  # joined by '/', no leading one; allocated to its length

cdef struct Slot:
    uint64_t hash
    uint64_t entry                    # Entry*, EMPTY or TOMBSTONE; atomic

cdef struct Table:
    uint64_t mask                     # slots - 1, slots being a power of two
    Slot slots[1]                     # allocated to its size

# A reader's place: the epoch at which it entered, 0 while it holds nothing. A cache line each.
cdef struct Reader:
    uint64_t epoch
    uint64_t taken
    uint8_t padding[CACHE_LINE - 16]

cdef struct CatalogState:
    uint64_t table                    # Table*; atomic
    uint64_t epoch                    # atomic, from 1 upwards
    uint64_t seed                     # of path_hash
    uint8_t padding[CACHE_LINE - 24]  # readers write often: not to the line that all of them read
    Reader readers[CATALOG_READERS_MAX]

# What was unlinked and waits until no reader can hold it (invariant 3).
cdef struct Retired:
    uint64_t epoch
    void* memory                      # entry or table
    PyObject* owner                   # reference to drop, or NULL
    int64_t record_index              # ledger record to give back, or -1
    Retired* next

# Between enter and leave nothing that catalog_find returned is freed.
cdef void catalog_enter(CatalogState* catalog, Reader* reader) noexcept nogil
cdef void catalog_leave(Reader* reader) noexcept nogil

# The entry of a joined path of `length` bytes, or NULL.
cdef const Entry* catalog_find(CatalogState* catalog, const uint8_t* path, uint32_t length) noexcept nogil

# The grant that a token of SEGMENT_TOKEN_LENGTH bytes leads to, or NULL. `flip` is what to change in its
# first byte before looking: 0, or WRITE_TOKEN_BIT.
cdef SegmentState* catalog_segments(CatalogState* catalog, const uint8_t* token, uint8_t flip) noexcept nogil

cdef class Catalog:
    cdef CatalogState* state
    cdef readonly Ledger ledger
    cdef Retired* oldest
    cdef Retired* newest
    cdef Py_ssize_t live              # entries
    cdef Py_ssize_t filled            # slots that are not EMPTY
    cdef Py_ssize_t waiting           # from oldest to newest

    cdef Reader* take_reader(self) except NULL
    cdef void give_reader(self, Reader* reader) noexcept
    cdef int insert(self, bytes path, Package package, int64_t record_index, bint replace) except -1
    cdef int link(
        self, bytes path, Space space, object owner, const Entry* old, int64_t record_index=*
    ) except -1
    cdef bint _unlink(self, const Entry* entry) except -1
    cdef const Entry* _token_entry(self, bytes token) except? NULL
    cdef int retire(self, void* memory, PyObject* owner, int64_t record_index) except -1
    cdef int grow(self) except -1
    cdef Slot* _slot_of(self, const Entry* entry) noexcept
    cdef int _retire_entry(self, Entry* entry) except -1
    cdef void _free_oldest(self) noexcept
