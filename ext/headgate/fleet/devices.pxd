# Who wants which block, and which request is in the air for it.
#
# A device is a download, a slot is a request in flight. There are as many slots as may be in flight;
# a device without a slot waits in a ring. Invariants:
#   1. A device holds at most one slot, or waits in exactly one ring, or is done.
#   2. A slot stands in the outbox at most once, and exactly when `queued` is set.
#   3. `awaiting` means that a request of this slot was sent and its answer has not come; message_id
#      and generation are those of that request.
#   4. With `exact` matching, cells[...] names a slot exactly while that slot awaits an answer.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    DEVICES_MAX = 1000000
    NOBODY = 0xFFFFFFFF               # no device, no slot
    CELLS_MIN = 1 << 16               # a cell for every message id of one socket
    CELL_TRIES = 64                   # message ids tried before a request is put off
    GENERATION_BITS_MIN = 4           # a token tells apart this many bits of a slot's requests
    EXACT_PER_SOCKET_MAX = 16384      # in flight on one socket when only message ids tell them apart

cdef enum DeviceState:
    DEVICE_ACTIVE = 0
    DEVICE_FINISHED = 1
    DEVICE_FAILED = 2

cdef struct Device:
    uint32_t offset                   # bytes held so far: where the wanted block begins
    uint32_t socket                   # index of the socket, hence the port, that it asks from
    uint32_t path                     # index of its path
    uint32_t next                     # behind it in its ring, or NOBODY
    uint8_t szx                       # of the wanted block; SZX_UNKNOWN until the server has told
    uint8_t state                     # DeviceState
    uint8_t failure                   # blockwise.Failure
    bint moves                        # half-way it goes on from another port

cdef struct Slot:
    uint64_t sent_ns                  # when the first transmission left
    uint64_t deadline_ns              # when to send again, or give up
    uint32_t timeout_us               # between this transmission and the next; doubles
    uint32_t device                   # NOBODY: nothing left to do
    uint32_t generation               # counts this slot's requests; part of the token
    uint16_t message_id
    uint8_t transmissions             # of the present request
    uint8_t flags                     # SlotFlag

cdef enum SlotFlag:
    SLOT_QUEUED = 1                   # stands in the outbox
    SLOT_AWAITING = 2
    SLOT_ACKNOWLEDGED = 4             # the answer comes separately (RFC 7252 section 5.2.2)

# Devices waiting for a slot, first in, first out.
cdef struct Ring:
    uint32_t head                     # NOBODY when empty
    uint32_t tail                     # valid when not empty

cdef struct Devices:
    Device* devices                   # owned
    Slot* slots                       # owned
    Ring* rings                       # owned; device d waits in ring (its socket % ring_count)
    uint32_t* outbox                  # owned; slots to send, a circle of outbox_mask + 1
    uint32_t* cells                   # owned; socket and message id to slot, cell_mask + 1 of them
    uint32_t device_count
    uint32_t slot_count
    uint32_t ring_count
    uint32_t outbox_mask
    uint32_t outbox_head              # counts slots taken; the place is head & mask
    uint32_t outbox_tail              # counts slots put
    uint32_t cell_mask
    uint32_t waiting                  # devices in rings
    uint32_t active                   # devices neither finished nor failed
    # A token is (generation << slot_bits | slot) ^ token_salt, cut to token_length bytes.
    uint32_t slot_bits
    uint32_t token_length             # 0..8
    uint64_t token_mask
    uint64_t token_salt
    bint exact                        # tokens are too short to name a slot: message ids must

# Memory for `device_count` devices, all zero, and `slot_count` slots, all idle. False when there is
# no memory; devices_free is due either way.
cdef bint devices_make(
    Devices* all, uint32_t device_count, uint32_t slot_count, uint32_t ring_count, uint32_t token_length,
    uint64_t token_salt
) noexcept nogil
cdef void devices_free(Devices* all) noexcept nogil

# Put an active device behind the others of its ring.
cdef void device_wait(Devices* all, uint32_t device) noexcept nogil

# The next device for a slot that last served ring `ring`; when that is empty, of another ring.
# NOBODY when none waits.
cdef uint32_t device_take(Devices* all, uint32_t ring) noexcept nogil

# Slots to send.
cdef inline uint32_t outbox_count(const Devices* all) noexcept nogil:
    return all.outbox_tail - all.outbox_head

cdef inline void outbox_put(Devices* all, uint32_t slot) noexcept nogil:
    if not all.slots[slot].flags & SLOT_QUEUED:
        all.slots[slot].flags |= SLOT_QUEUED
        all.outbox[all.outbox_tail & all.outbox_mask] = slot
        all.outbox_tail += 1

cdef inline uint32_t outbox_take(Devices* all) noexcept nogil:
    cdef uint32_t slot = all.outbox[all.outbox_head & all.outbox_mask]
    all.outbox_head += 1
    all.slots[slot].flags &= <uint8_t>~SLOT_QUEUED
    return slot

# The slot's request, sent on `socket` if at all, is over: deaf to its answers, ready for the next.
cdef void slot_close(Devices* all, uint32_t slot, uint32_t socket) noexcept nogil

# Name the slot's request: take the next free message id of the socket, whose counter is `next_id`,
# and await its answer. False when `exact` and CELL_TRIES ids are all in the air: nothing is awaited.
cdef bint slot_name(Devices* all, uint32_t slot, uint32_t socket, uint16_t* next_id) noexcept nogil

# The slot's token, in memory order in the low bytes.
cdef uint64_t slot_token(const Devices* all, uint32_t slot) noexcept nogil

# The slot awaiting an answer on this socket with this message id, or NOBODY. Certain when `exact`;
# otherwise a slot may be missed, never confused.
cdef uint32_t slot_by_message_id(const Devices* all, uint32_t socket, uint16_t message_id) noexcept nogil

# The slot awaiting an answer on this socket with this token, or NOBODY. Not for `exact`.
cdef uint32_t slot_by_token(
    const Devices* all, uint32_t socket, const uint8_t* token, uint32_t token_length
) noexcept nogil
