"""What an answer does to the fleet: which request it belongs to, and where its device goes from there."""

from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcmp, memcpy

from headgate.fleet.blockwise cimport (
    FAILED_CODE,
    FAILED_FORMAT,
    FAILED_RESET,
    NOT_FAILED,
    SZX_UNKNOWN,
    block_reply_check,
)
from headgate.fleet.chance cimport chance_below
from headgate.fleet.devices cimport (
    DEVICE_ACTIVE,
    DEVICE_FAILED,
    DEVICE_FINISHED,
    NOBODY,
    SLOT_ACKNOWLEDGED,
    SLOT_AWAITING,
    Device,
    Slot,
    device_take,
    device_wait,
    outbox_put,
    slot_by_message_id,
    slot_by_token,
    slot_close,
    slot_token,
)
from headgate.fleet.latency cimport latency_add
from headgate.fleet.sockets cimport MSG_DONTWAIT, send
from headgate.wire.block cimport BLOCK_SZX_MAX, Slice, block_size
from headgate.wire.checks cimport ensure
from headgate.wire.coap cimport (
    ACK,
    BAD_TOKEN,
    CON,
    EMPTY,
    MESSAGE_HEADER,
    PARSED,
    RST,
    SHORT,
    WRONG_VERSION,
    MessageView,
    ParseResult,
    head_write,
    message_parse,
)


# -- advancing devices --

# The slot's request is over. Its device goes behind those that wait, and the slot to the first of
# them; when none waits, the device keeps its slot.
cdef void slot_advance(Run* run, uint32_t slot) noexcept nogil:
    cdef uint32_t device = run.all.slots[slot].device
    cdef uint32_t ring
    if run.all.waiting == 0:
        if run.all.devices[device].state != DEVICE_ACTIVE:
            run.all.slots[slot].device = NOBODY
            return
    else:
        ring = run.all.devices[device].socket % run.all.ring_count
        if run.all.devices[device].state == DEVICE_ACTIVE:
            device_wait(&run.all, device)
        run.all.slots[slot].device = device_take(&run.all, ring)
    outbox_put(&run.all, slot)


cdef void device_fail(Run* run, uint32_t slot, Failure failure) noexcept nogil:
    cdef Device* device = &run.all.devices[run.all.slots[slot].device]
    ensure(failure != NOT_FAILED)
    ensure(device.state == DEVICE_ACTIVE)
    slot_close(&run.all, slot, device.socket)
    device.state = DEVICE_FAILED
    device.failure = <uint8_t>failure
    run.failures[<int>failure] += 1
    run.all.active -= 1
    slot_advance(run, slot)


# The slot's device has got `length` bytes at its offset, in blocks of `szx`.
cdef void block_accept(Run* run, uint32_t slot, uint32_t length, uint8_t szx) noexcept nogil:
    cdef Slot* taken = &run.all.slots[slot]
    cdef Device* device = &run.all.devices[taken.device]
    if taken.transmissions == 1:
        # A repeated request does not tell which copy was answered (Karn's rule).
        latency_add(&run.latency, run.now_ns - taken.sent_ns)
    slot_close(&run.all, slot, device.socket)
    run.blocks += 1
    run.bytes += length
    device.offset += length
    device.szx = szx
    if device.offset >= run.body.length:
        run.finished += 1
        if run.repeat:
            device.offset = 0
        else:
            device.state = DEVICE_FINISHED
            run.all.active -= 1
    elif device.moves and device.offset >= run.body.length // 2:
        # Another of our sockets is a new source port, as after a NAT forgot the mapping.
        device.moves = False
        device.socket = (device.socket + 1 + chance_below(&run.chance, run.port_count - 1)) % run.port_count
        run.moved += 1
    slot_advance(run, slot)


# -- receiving --

# An Empty message: ACK for a response we took, RST for one that nobody waits for.
cdef void empty_send(Run* run, uint32_t port, uint8_t type, uint16_t message_id) noexcept nogil:
    cdef uint8_t head[MESSAGE_HEADER]
    head_write(head, type, EMPTY, message_id, NULL, 0)
    # Lost when the kernel has no room: the server repeats its CON, and so shall we our answer.
    send(run.ports[port].fd, head, MESSAGE_HEADER, MSG_DONTWAIT)


cdef inline bint token_matches(
    const Run* run, uint32_t slot, const uint8_t* token, uint32_t token_length
) noexcept nogil:
    cdef uint64_t sent = slot_token(&run.all, slot)
    return token_length == run.all.token_length and memcmp(&sent, token, token_length) == 0


# The slot that a response answers, or NOBODY. RFC 7252 section 5.3.2: by token and endpoint, and an
# ACK by message id as well. Tokens too short to tell requests apart leave the message id, which only
# an ACK repeats: other responses then need a port with nothing else in flight.
cdef uint32_t response_slot(const Run* run, uint32_t port, const MessageView* reply) noexcept nogil:
    cdef uint32_t slot
    if not run.all.exact:
        slot = slot_by_token(&run.all, port, reply.token, reply.token_length)
        if slot != NOBODY and reply.type == ACK and run.all.slots[slot].message_id != reply.message_id:
            return NOBODY
        return slot
    if reply.type == ACK:
        slot = slot_by_message_id(&run.all, port, reply.message_id)
    elif run.exclusive:
        # The token says too little, but this port has one device, hence one request.
        slot = run.ports[port].slot
        if slot != NOBODY and (not run.all.slots[slot].flags & SLOT_AWAITING
                               or run.all.devices[run.all.slots[slot].device].socket != port):
            return NOBODY
    else:
        return NOBODY
    if slot == NOBODY or not token_matches(run, slot, reply.token, reply.token_length):
        return NOBODY
    return slot


# Code 0.00: an ACK that promises a separate response, a Reset, or a ping.
cdef void empty_handle(Run* run, uint32_t port, const MessageView* reply) noexcept nogil:
    cdef uint32_t slot
    cdef Slot* answered
    if reply.type == CON:
        empty_send(run, port, RST, reply.message_id)
        return
    slot = slot_by_message_id(&run.all, port, reply.message_id)
    if slot == NOBODY:
        run.stale += 1
    elif reply.type == RST:
        device_fail(run, slot, FAILED_RESET)
    elif reply.type == ACK:
        answered = &run.all.slots[slot]
        answered.flags |= SLOT_ACKNOWLEDGED
        # No more retransmissions; as patient as if all of them were still to come.
        answered.deadline_ns = run.now_ns + (
            <uint64_t>run.ack_timeout_us * 3 // 2 * 1000 << run.retransmit_max + 1)


cdef void response_handle(Run* run, uint32_t port, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef MessageView reply
    cdef ParseResult result = message_parse(data, length, &reply)
    cdef uint32_t slot
    cdef Device* device
    cdef Failure failure
    cdef Slice part
    cdef uint8_t szx
    if result == SHORT or result == WRONG_VERSION or result == BAD_TOKEN:
        run.malformed += 1
        return
    if reply.code == EMPTY and result == PARSED:
        empty_handle(run, port, &reply)
        return
    slot = response_slot(run, port, &reply)
    if slot == NOBODY:
        run.stale += 1
        if reply.type == CON:
            empty_send(run, port, RST, reply.message_id)
        return
    if reply.type == CON:
        empty_send(run, port, ACK, reply.message_id)
    if result != PARSED:
        device_fail(run, slot, FAILED_FORMAT)
        return
    device = &run.all.devices[run.all.slots[slot].device]
    szx = device.szx
    failure = block_reply_check(&run.body, &reply, device.offset, &szx, &part)
    if failure != NOT_FAILED:
        if failure == FAILED_CODE:
            run.last_code = reply.code
        device_fail(run, slot, failure)
        return
    if run.images != NULL and part.length > 0:
        memcpy(run.images + <size_t>run.all.slots[slot].device * run.body.length + part.offset,
               reply.payload, part.length)
    block_accept(run, slot, part.length, szx)


cdef void echo_handle(Run* run, uint32_t port, const uint8_t* data, uint32_t length) noexcept nogil:
    cdef uint32_t slot
    cdef uint32_t size
    cdef Device* device
    if length < MESSAGE_HEADER + run.all.token_length or data[0] & 15 != run.all.token_length:
        run.malformed += 1
        return
    if run.all.exact:
        slot = slot_by_message_id(&run.all, port, <uint16_t>(data[2] << 8 | data[3]))
        if slot != NOBODY and not token_matches(run, slot, data + MESSAGE_HEADER, run.all.token_length):
            slot = NOBODY
    else:
        slot = slot_by_token(&run.all, port, data + MESSAGE_HEADER, run.all.token_length)
    if slot == NOBODY:
        run.stale += 1
        return
    device = &run.all.devices[run.all.slots[slot].device]
    if device.szx == SZX_UNKNOWN:
        device.szx = BLOCK_SZX_MAX
    size = block_size(device.szx)
    block_accept(run, slot, min(size, run.body.length - device.offset), device.szx)
