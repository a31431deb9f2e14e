# The handover ring: what a listener has for Python, in a bounded ring of bytes.
#
# One producer (the listener, on the loop or in its thread), one consumer (Python, holding the GIL).
# Records are 8-byte aligned and never wrap: one that would pass the end leaves a filler and starts anew.
#
# Invariants
#  1. tail - head <= capacity, both counting bytes ever written and read.
#  2. The producer alone moves `tail`, after the record is whole; the consumer alone moves `head`,
#     after it has copied the record out.
#  3. A record that finds no room is dropped and counted, never waited for.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    RING_CAPACITY_MIN = 1 << 14       # more than twice the longest record, so that an empty ring takes any
    RING_ALIGN = 8

cdef enum RecordKind:
    RING_FILLER = 0
    RING_DATAGRAM = 1                 # address, packet info, datagram
    RING_STARTED = 2                  # a grant's first block was served; `value` is its ledger record
    RING_COMPLETED = 3                # and its last one

cdef struct RingRecord:
    uint32_t size                     # bytes of the whole record, a multiple of RING_ALIGN
    uint8_t kind
    uint8_t address_length
    uint8_t control_length
    uint8_t padding
    uint32_t value                    # ledger record, or bytes of the datagram

cdef struct Ring:
    uint8_t* bytes                    # owned
    uint64_t capacity                 # a power of two
    uint64_t full                     # records dropped for want of room; written by the producer
    uint8_t padding[40]
    uint64_t tail                     # on its own cache line
    uint8_t padding2[56]
    uint64_t head                     # on its own cache line

# Copy one record in. Returns 0 when there was no room, 1 when it is in, 2 when it is in and the ring
# was empty before: then the consumer wants to be woken.
cdef int ring_push(
    Ring* ring, RecordKind kind, uint32_t value, const void* address, uint32_t address_length,
    const void* control, uint32_t control_length, const void* data, uint32_t data_length
) noexcept nogil

# The oldest record, or NULL; it stays in place until ring_pop.
cdef RingRecord* ring_peek(Ring* ring) noexcept nogil
cdef void ring_pop(Ring* ring, RingRecord* record) noexcept nogil
