# What has been served of each granted download: one record of fixed size per grant, written by the
# responders (any thread), read by Python as a memoryview. An anonymous download has none and costs none.
#
# Invariants
#  1. A record never moves: readers and writers hold plain pointers into one mapping.
#  2. A record is zero when a grant receives it, and returns to the free list only after every
#     responder that might still write to it has left its batch (the catalog's invariant 3).
#  3. `run` is one word, start << 32 | end: bytes start..end of the body were served without a gap,
#     and both ends change together.
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    RECORD_SIZE = 64                  # bytes per granted download: one cache line
    LEDGER_RECORDS_MAX = 1 << 24      # 1 GiB of address space; memory only as records are used

cdef struct Record:
    uint64_t first_ns                 # CLOCK_MONOTONIC when the first block was served; 0 before
    uint64_t last_ns                  # and the last one
    uint64_t run                      # invariant 3
    uint64_t blocks                   # answers with a block, repeats included
    uint64_t bytes                    # their payload
    uint64_t repeats                  # those that lay inside `run` already
    uint64_t runs                     # how often the device began at an offset that was not the next one
    uint64_t position_length          # end of the block served last << 32 | body length, in bytes

# What a served block meant for its download.
cdef enum Mark:
    MARK_NONE = 0
    MARK_STARTED = 1                  # the first block of this grant
    MARK_COMPLETED = 2                # the block that ends the body, reached without a gap
    MARK_BOTH = 3                     # a body of one block

# Count the block `offset`..`offset + length` of a body of `body_length` bytes, served at `now_ns`.
# RFC 7959 lets a device ask any block at any time: a block that continues or overlaps the run extends
# it, one that lies inside is a repeat, one beyond it begins a new run (the device resumed there).
cdef Mark record_count(
    Record* record, uint32_t offset, uint32_t length, uint32_t body_length, uint64_t now_ns
) noexcept nogil

cdef class Ledger:
    cdef Record* records              # view into _memory
    cdef readonly uint32_t limit
    cdef uint32_t used                # records 0..used-1 have been given out at least once
    cdef object _memory               # owned: one anonymous private mapping
    cdef object _view
    cdef list _free                   # indices to be given out again

    # Invariant 2: the caller knows that no responder can write to the record any more.
    cdef void give_back(self, uint32_t index) noexcept
