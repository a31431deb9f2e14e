"""The ledger: byte progress of granted downloads, measured where the blocks are served."""

import mmap

from cython cimport final, no_gc_clear
from libc.string cimport memset

from headgate.engine.atomic cimport exchange_if, fetch_add, load_acquire, load_relaxed, store_relaxed
from headgate.wire.checks cimport ensure

from headgate.errors import GrantLimitError
from headgate.model import Progress

if sizeof(Record) != RECORD_SIZE:
    raise AssertionError("a record is one cache line")


cdef Mark record_count(
    Record* record, uint32_t offset, uint32_t length, uint32_t body_length, uint64_t now_ns
) noexcept nogil:
    ensure(offset + length <= body_length)
    cdef uint32_t end = offset + length
    cdef uint64_t run = load_acquire(&record.run)
    cdef bint first = fetch_add(&record.blocks, 1) == 0
    cdef bint completed = False
    cdef uint64_t next_run
    cdef uint32_t run_end
    if first:
        store_relaxed(&record.first_ns, now_ns)
    while True:
        run_end = <uint32_t>run
        if end <= run_end and offset >= run >> 32 and not first:
            fetch_add(&record.repeats, 1)
            break
        if offset <= run_end and offset >= run >> 32 and not first:
            next_run = (run >> 32) << 32 | end
        else:
            next_run = <uint64_t>offset << 32 | end
        if exchange_if(&record.run, &run, next_run):
            completed = end == body_length
            if first or next_run >> 32 != run >> 32:
                fetch_add(&record.runs, 1)
            break
    fetch_add(&record.bytes, length)
    store_relaxed(&record.position_length, <uint64_t>end << 32 | body_length)
    store_relaxed(&record.last_ns, now_ns)
    return <Mark>((MARK_STARTED if first else 0) | (MARK_COMPLETED if completed else 0))


# -- Python face --

# no_gc_clear: a catalog may give records back after the collector has come by here.
@final
@no_gc_clear
cdef class Ledger:
    """Room for `limit` granted downloads, 64 bytes each; address space only, until a record is used.

    >>> ledger = Ledger(8)
    >>> index = ledger.allocate()
    >>> ledger.progress(index).blocks
    0
    """

    def __cinit__(self, uint32_t limit):
        cdef unsigned char[::1] memory
        if not 0 < limit <= LEDGER_RECORDS_MAX:
            raise ValueError(f"a ledger has 1..{LEDGER_RECORDS_MAX} records, not {limit}")
        self._memory = mmap.mmap(-1, <size_t>limit * RECORD_SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory = self._memory
        self.records = <Record*>&memory[0]
        self._view = memory           # keeps the mapping from being closed under the pointer
        self.limit = limit
        self.used = 0
        self._free = []

    def words(self):
        """The records as unsigned 64-bit words, shape (limit, 8), read-only, in the order of the C struct."""
        return memoryview(self._memory).cast("B").cast("Q", (self.limit, RECORD_SIZE // 8)).toreadonly()

    def allocate(self):
        """Index of a zeroed record. Raises GrantLimitError when all are in use."""
        cdef uint32_t index
        if self._free:
            index = self._free.pop()
            memset(&self.records[index], 0, RECORD_SIZE)
            return index
        if self.used == self.limit:
            raise GrantLimitError(
                f"all {self.limit} ledger records are in use: withdraw grants or raise the limit")
        self.used += 1
        return self.used - 1

    cdef void give_back(self, uint32_t index) noexcept:
        ensure(index < self.used)
        self._free.append(index)

    def progress(self, uint32_t index):
        """What record `index` holds, as a `headgate.model.Progress`."""
        cdef Record* record
        cdef uint64_t run, position_length
        if index >= self.used:
            raise IndexError(f"record {index} was never given out")
        record = &self.records[index]
        run = load_acquire(&record.run)
        position_length = load_relaxed(&record.position_length)
        return Progress(
            started_monotonic_s=load_relaxed(&record.first_ns) / 1e9,
            served_monotonic_s=load_relaxed(&record.last_ns) / 1e9,
            start_bytes=run >> 32,
            offset_bytes=run & 0xFFFFFFFF,
            position_bytes=position_length >> 32,
            length_bytes=position_length & 0xFFFFFFFF,
            blocks=load_relaxed(&record.blocks),
            bytes=load_relaxed(&record.bytes),
            repeats=load_relaxed(&record.repeats),
            runs=load_relaxed(&record.runs),
        )

    def served_between(self, uint64_t from_ns, uint64_t until_ns):
        """Indices of the records whose last block left at from_ns <= t < until_ns (CLOCK_MONOTONIC).

        One pass over the records that were ever used, 64 bytes each.
        """
        cdef list found = []
        cdef uint32_t index
        cdef uint64_t last_ns
        for index in range(self.used):
            last_ns = load_relaxed(&self.records[index].last_ns)
            if from_ns <= last_ns < until_ns and last_ns > 0:
                found.append(index)
        return found

    def count(self, uint32_t index, uint32_t offset, uint32_t length, uint32_t body_length, uint64_t now_ns):
        """Count one served block as a responder does; returns 0, or STARTED 1 | COMPLETED 2. Test door."""
        if index >= self.used or <uint64_t>offset + length > body_length:
            raise IndexError("no such record or block")
        return <int>record_count(&self.records[index], offset, length, body_length, now_ns)
