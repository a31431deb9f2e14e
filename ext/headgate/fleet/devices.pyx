"""Who wants which block, and which request is in the air for it: devices, slots, rings, outbox."""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from headgate.wire.checks cimport ensure


cdef extern from *:
    """
    #include <endian.h>
    """
    uint64_t htole64(uint64_t number) noexcept nogil
    uint64_t le64toh(uint64_t number) noexcept nogil


cdef uint32_t power_of_two(uint32_t least) noexcept nogil:
    cdef uint32_t power = 1
    while power < least:
        power *= 2
    return power


cdef bint devices_make(
    Devices* all, uint32_t device_count, uint32_t slot_count, uint32_t ring_count, uint32_t token_length,
    uint64_t token_salt
) noexcept nogil:
    ensure(1 <= slot_count <= device_count <= DEVICES_MAX and token_length <= 8)
    cdef uint32_t i
    memset(all, 0, sizeof(Devices))
    all.device_count = device_count
    all.slot_count = slot_count
    all.ring_count = ring_count
    all.active = device_count
    all.outbox_mask = power_of_two(slot_count) - 1
    all.cell_mask = CELLS_MIN - 1
    while (<uint32_t>1 << all.slot_bits) < slot_count:
        all.slot_bits += 1
    all.token_length = token_length
    all.token_mask = ~<uint64_t>0 if token_length == 8 else (<uint64_t>1 << 8 * token_length) - 1
    all.token_salt = token_salt
    all.exact = 8 * token_length < all.slot_bits + GENERATION_BITS_MIN
    if all.exact and slot_count > CELLS_MIN // 4:
        all.cell_mask = power_of_two(4 * slot_count) - 1

    all.devices = <Device*>calloc(device_count, sizeof(Device))
    all.slots = <Slot*>calloc(slot_count, sizeof(Slot))
    all.rings = <Ring*>calloc(ring_count, sizeof(Ring))
    all.outbox = <uint32_t*>calloc(<size_t>all.outbox_mask + 1, sizeof(uint32_t))
    all.cells = <uint32_t*>calloc(<size_t>all.cell_mask + 1, sizeof(uint32_t))
    if (all.devices == NULL or all.slots == NULL or all.rings == NULL or all.outbox == NULL
            or all.cells == NULL):
        return False
    for i in range(slot_count):
        all.slots[i].device = NOBODY
    for i in range(ring_count):
        all.rings[i].head = NOBODY
    memset(all.cells, 0xFF, (<size_t>all.cell_mask + 1) * sizeof(uint32_t))
    return True


cdef void devices_free(Devices* all) noexcept nogil:
    free(all.devices)
    free(all.slots)
    free(all.rings)
    free(all.outbox)
    free(all.cells)
    memset(all, 0, sizeof(Devices))


cdef void device_wait(Devices* all, uint32_t device) noexcept nogil:
    ensure(device < all.device_count and all.devices[device].state == DEVICE_ACTIVE)
    cdef Ring* ring = &all.rings[all.devices[device].socket % all.ring_count]
    all.devices[device].next = NOBODY
    if ring.head == NOBODY:
        ring.head = device
    else:
        all.devices[ring.tail].next = device
    ring.tail = device
    all.waiting += 1


cdef uint32_t device_take(Devices* all, uint32_t ring) noexcept nogil:
    cdef uint32_t device
    if all.waiting == 0:
        return NOBODY
    # Bounded: some ring has a device. A slot looks further only when its ring has run dry, and stays
    # with the ring it finds, so that this costs nothing per block.
    while all.rings[ring].head == NOBODY:
        ring = ring + 1 if ring + 1 < all.ring_count else 0
    device = all.rings[ring].head
    all.rings[ring].head = all.devices[device].next
    all.waiting -= 1
    return device


# A message id has its own cell per socket; sockets are spread by a multiplicative hash.
cdef inline uint32_t* cell_of(const Devices* all, uint32_t socket, uint16_t message_id) noexcept nogil:
    return &all.cells[(message_id + socket * <uint32_t>0x9E3779B1) & all.cell_mask]


cdef void slot_close(Devices* all, uint32_t slot, uint32_t socket) noexcept nogil:
    cdef Slot* closed = &all.slots[slot]
    cdef uint32_t* cell
    if all.exact and closed.flags & SLOT_AWAITING:
        cell = cell_of(all, socket, closed.message_id)
        ensure(cell[0] == slot)
        cell[0] = NOBODY
    closed.flags &= SLOT_QUEUED
    closed.transmissions = 0
    closed.generation += 1


cdef bint slot_name(Devices* all, uint32_t slot, uint32_t socket, uint16_t* next_id) noexcept nogil:
    cdef Slot* named = &all.slots[slot]
    cdef uint32_t* cell = cell_of(all, socket, named.message_id)
    cdef int tries = CELL_TRIES if all.exact else 1
    if all.exact and named.flags & SLOT_AWAITING:
        ensure(cell[0] == slot)
        cell[0] = NOBODY
    named.flags &= <uint8_t>~SLOT_AWAITING
    while tries > 0:
        tries -= 1
        named.message_id = next_id[0]
        next_id[0] += 1
        cell = cell_of(all, socket, named.message_id)
        if not all.exact or cell[0] == NOBODY:
            cell[0] = slot
            named.flags |= SLOT_AWAITING
            return True
    return False


cdef inline uint64_t token_number(const Devices* all, uint32_t slot) noexcept nogil:
    return (<uint64_t>all.slots[slot].generation << all.slot_bits | slot) & all.token_mask


cdef uint64_t slot_token(const Devices* all, uint32_t slot) noexcept nogil:
    return htole64(token_number(all, slot) ^ all.token_salt)


cdef uint32_t slot_by_message_id(const Devices* all, uint32_t socket, uint16_t message_id) noexcept nogil:
    cdef uint32_t slot = cell_of(all, socket, message_id)[0]
    if (slot == NOBODY or not all.slots[slot].flags & SLOT_AWAITING
            or all.slots[slot].message_id != message_id
            or all.devices[all.slots[slot].device].socket != socket):
        return NOBODY
    return slot


cdef uint32_t slot_by_token(
    const Devices* all, uint32_t socket, const uint8_t* token, uint32_t token_length
) noexcept nogil:
    ensure(not all.exact)
    cdef uint64_t number = 0
    cdef uint32_t slot
    if token_length != all.token_length:
        return NOBODY
    memcpy(&number, token, token_length)
    number = (le64toh(number) ^ all.token_salt) & all.token_mask
    slot = <uint32_t>number & ((<uint32_t>1 << all.slot_bits) - 1)
    if (slot >= all.slot_count or not all.slots[slot].flags & SLOT_AWAITING
            or token_number(all, slot) != number
            or all.devices[all.slots[slot].device].socket != socket):
        return NOBODY
    return slot


# -- Python face --

# Two slots to a cache line, and a million devices in 32 MB.
if sizeof(Slot) != 32 or sizeof(Device) > 32:
    raise AssertionError(f"a slot has {sizeof(Slot)} bytes, a device {sizeof(Device)}")
