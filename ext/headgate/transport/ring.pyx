"""The handover ring: bounded, single producer, single consumer, no locks."""

from libc.string cimport memcpy

from headgate.engine.atomic cimport fence_sequential, load_acquire, load_relaxed, store_relaxed, store_release
from headgate.wire.checks cimport ensure


cdef inline uint32_t aligned(uint32_t size) noexcept nogil:
    return (size + RING_ALIGN - 1) & ~<uint32_t>(RING_ALIGN - 1)


cdef int ring_push(
    Ring* ring, RecordKind kind, uint32_t value, const void* address, uint32_t address_length,
    const void* control, uint32_t control_length, const void* data, uint32_t data_length
) noexcept nogil:
    cdef uint32_t size = aligned(
        <uint32_t>sizeof(RingRecord) + address_length + control_length + data_length)
    cdef uint64_t tail = load_relaxed(&ring.tail)
    cdef uint64_t head = load_acquire(&ring.head)
    cdef uint64_t at = tail & (ring.capacity - 1)
    cdef uint64_t filler = ring.capacity - at if at + size > ring.capacity else 0
    cdef RingRecord* record
    cdef uint8_t* out
    ensure(address_length < 256 and control_length < 256)
    if tail + filler + size - head > ring.capacity:
        store_relaxed(&ring.full, load_relaxed(&ring.full) + 1)
        return 0
    if filler:
        record = <RingRecord*>(ring.bytes + at)
        record.size = <uint32_t>filler
        record.kind = RING_FILLER
        at = 0
    record = <RingRecord*>(ring.bytes + at)
    record.size = size
    record.kind = <uint8_t>kind
    record.address_length = <uint8_t>address_length
    record.control_length = <uint8_t>control_length
    record.value = value
    out = ring.bytes + at + sizeof(RingRecord)
    if address_length:
        memcpy(out, address, address_length)
    if control_length:
        memcpy(out + address_length, control, control_length)
    if data_length:
        memcpy(out + address_length + control_length, data, data_length)
    store_release(&ring.tail, tail + filler + size)
    # Either the consumer sees the new tail, or this sees that it had read everything before.
    fence_sequential()
    return 2 if load_acquire(&ring.head) == tail else 1


cdef RingRecord* ring_peek(Ring* ring) noexcept nogil:
    cdef RingRecord* record
    cdef uint64_t head = load_relaxed(&ring.head)
    fence_sequential()
    while head != load_acquire(&ring.tail):
        record = <RingRecord*>(ring.bytes + (head & (ring.capacity - 1)))
        if record.kind != RING_FILLER:
            return record
        head += record.size
        store_release(&ring.head, head)
    return NULL


cdef void ring_pop(Ring* ring, RingRecord* record) noexcept nogil:
    store_release(&ring.head, load_relaxed(&ring.head) + record.size)
