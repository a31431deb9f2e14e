"""The three verbs of a listener: receive a batch, answer it, send the replies."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from headgate.engine.atomic cimport load_acquire, store_release
from headgate.engine.catalog cimport catalog_enter, catalog_leave
from headgate.engine.ledger cimport MARK_COMPLETED, MARK_NONE, MARK_STARTED
from headgate.engine.reply cimport (
    ACKNOWLEDGEMENT_LENGTH, ANSWERED_CONTENT, ANSWERED_SEGMENT, DROPPED_MULTICAST, HANDED_OVER,
    OUTCOME_REPLIES, Outcome, Reply,
)
from headgate.engine.responder cimport ResponderPolicy, respond
from headgate.transport.ring cimport RING_COMPLETED, RING_DATAGRAM, RING_STARTED, RecordKind, ring_push
from headgate.transport.socket cimport (
    CONTROL_SIZE, EAGAIN, EBADF, EINTR, ENOTSOCK, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, MSG_WAITFORONE,
    POLLOUT, iovec, msghdr, packet_info_turn, poll, pollfd, recvmmsg, sendmmsg,
)
from headgate.wire.checks cimport ensure

cdef extern from "unistd.h" nogil:
    ssize_t write(int fd, const void* data, size_t length)

cdef enum:
    WRITABLE_POLL_MS = 100            # how often a thread with a full socket looks whether to stop


cdef uint64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


# -- receive --

# Make the first `used` receive slots ready again: the kernel writes into these fields.
cdef void rx_reset(ListenerState* listener, uint32_t used) noexcept nogil:
    cdef uint32_t i
    for i in range(used):
        listener.rx[i].msg_hdr.msg_namelen = ADDRESS_SIZE
        listener.rx[i].msg_hdr.msg_flags = 0
        if listener.packet_info:
            listener.rx[i].msg_hdr.msg_controllen = CONTROL_SIZE


# One batch into rx. Returns the datagrams received, 0 when there are none, -1 when the socket is unusable.
# Errors that belong to a peer (ICMP) are counted and passed over, at most BATCH in a row.
cdef int batch_receive(ListenerState* listener, int flags) noexcept nogil:
    cdef int received, _attempt
    for _attempt in range(BATCH):
        received = recvmmsg(listener.fd, listener.rx, BATCH, flags, NULL)
        if received >= 0:
            return received
        if errno == EAGAIN:
            return 0
        if errno == EBADF or errno == ENOTSOCK:
            listener.error = errno
            return -1
        if errno == EINTR:
            if load_acquire(&listener.stopping):
                return 0
            continue
        count(&listener.counts.receive_errors, 1)
    return 0


# -- answer --

# Copy something into the handover ring, and wake its consumer when it had nothing.
cdef void hand_over(
    ListenerState* listener, RecordKind kind, uint32_t value, const msghdr* message, uint32_t control_length,
    const uint8_t* control, const uint8_t* data, uint32_t length
) noexcept nogil:
    cdef uint64_t one = 1
    cdef int pushed
    if message == NULL:
        pushed = ring_push(listener.ring, kind, value, NULL, 0, NULL, 0, NULL, 0)
    else:
        pushed = ring_push(
            listener.ring, kind, value, message.msg_name, message.msg_namelen,
            control, control_length, data, length)
    if pushed == 2:
        store_release(&listener.woken, 1)
        if listener.wake_fd >= 0:
            write(listener.wake_fd, &one, sizeof(one))


# Put a datagram to who sent rx[i] into slot `slot` of tx: `head`, then `payload` if it has a length.
cdef inline void tx_fill(
    ListenerState* listener, uint32_t slot, uint32_t i, uint32_t control_length, uint8_t* head,
    uint32_t head_length, const uint8_t* payload, uint32_t payload_length
) noexcept nogil:
    cdef msghdr* answer = &listener.tx[slot].msg_hdr
    cdef iovec* parts = &listener.tx_parts[2 * slot]
    ensure(slot < REPLIES_MAX)
    answer.msg_name = listener.addresses[i]
    answer.msg_namelen = listener.rx[i].msg_hdr.msg_namelen
    answer.msg_control = listener.tx_control[i]
    answer.msg_controllen = control_length
    answer.msg_iovlen = 2 if payload_length else 1
    parts[0].iov_base = head
    parts[0].iov_len = head_length
    parts[1].iov_base = <void*>payload
    parts[1].iov_len = payload_length


# Answer datagram `i` of the batch, replies taking the slots of tx from `slot` on. Returns how many: 0 to 2.
cdef inline uint32_t datagram_answer(
    ListenerState* listener, const ResponderPolicy* policy, uint32_t i, uint32_t slot, uint64_t now
) noexcept nogil:
    cdef msghdr* asked = &listener.rx[i].msg_hdr
    cdef uint32_t length = listener.rx[i].msg_len
    cdef int control_length = 0
    cdef Reply reply
    cdef Outcome outcome
    if listener.packet_info:
        control_length = packet_info_turn(asked, listener.tx_control[i])
        if control_length < 0:
            count(&listener.counts.outcomes[<int>DROPPED_MULTICAST], 1)
            return 0
    outcome = respond(
        policy, listener.datagrams[i], length, (asked.msg_flags & MSG_TRUNC) != 0, now,
        listener.heads[i], &reply)
    count(&listener.counts.outcomes[<int>outcome], 1)
    if outcome >= OUTCOME_REPLIES:
        if outcome == HANDED_OVER:
            hand_over(listener, RING_DATAGRAM, length, asked, control_length,
                      listener.tx_control[i], listener.datagrams[i], length)
        return 0
    if outcome == ANSWERED_CONTENT or outcome == ANSWERED_SEGMENT:
        count(&listener.counts.payload_bytes, reply.payload_length)
        if reply.last:
            count(&listener.counts.last_blocks, 1)
        if reply.mark != MARK_NONE:
            if reply.mark & MARK_STARTED:
                hand_over(listener, RING_STARTED, reply.record_index, NULL, 0, NULL, NULL, 0)
            if reply.mark & MARK_COMPLETED:
                hand_over(listener, RING_COMPLETED, reply.record_index, NULL, 0, NULL, NULL, 0)
    if reply.acknowledgement_length == 0:
        tx_fill(listener, slot, i, control_length, listener.heads[i], reply.head_length,
                reply.payload, reply.payload_length)
        return 1
    memcpy(listener.acknowledgements[i], reply.acknowledgement, ACKNOWLEDGEMENT_LENGTH)
    tx_fill(listener, slot, i, control_length, listener.acknowledgements[i], ACKNOWLEDGEMENT_LENGTH, NULL, 0)
    tx_fill(listener, slot + 1, i, control_length, listener.heads[i], reply.head_length,
            reply.payload, reply.payload_length)
    return 2


# -- send --

cdef bint listener_flush(ListenerState* listener) noexcept nogil:
    cdef int sent
    ensure(listener.pending_at <= listener.pending_end <= REPLIES_MAX)
    while listener.pending_at < listener.pending_end:
        sent = sendmmsg(
            listener.fd, &listener.tx[listener.pending_at], listener.pending_end - listener.pending_at,
            MSG_DONTWAIT | MSG_NOSIGNAL)
        if sent > 0:
            listener.pending_at += <uint32_t>sent
            count(&listener.counts.sent, <uint64_t>sent)
        elif errno == EAGAIN:
            count(&listener.counts.send_blocked, 1)
            return False
        elif errno != EINTR:
            # The error is the first reply's own (no route, no buffer): its peer asks again.
            listener.pending_at += 1
            count(&listener.counts.send_failed, 1)
    if listener.pending_end > 0:
        listener.pending_at = 0
        listener.pending_end = 0
        catalog_leave(listener.reader)
    return True


# -- the loop around the three verbs --

cdef DrainResult listener_drain(
    ListenerState* listener, const ResponderPolicy* policy, uint32_t batches, int receive_flags
) noexcept nogil:
    cdef int received
    cdef uint32_t i, slot, _batch
    cdef uint64_t now
    for _batch in range(batches):
        received = batch_receive(listener, receive_flags)
        if received < 0:
            return DRAIN_FAILED
        if received == 0:
            return DRAIN_IDLE
        count(&listener.counts.batches, 1)
        now = now_ns()
        slot = 0
        catalog_enter(policy.catalog, listener.reader)
        for i in range(<uint32_t>received):
            # A socket that was shut down brings empty datagrams from nobody.
            if listener.rx[i].msg_hdr.msg_namelen > 0:
                slot += datagram_answer(listener, policy, i, slot, now)
        rx_reset(listener, <uint32_t>received)
        if slot == 0:
            catalog_leave(listener.reader)
        else:
            listener.pending_end = slot
            if not listener_flush(listener):
                return DRAIN_BLOCKED
        if received < BATCH:
            # Likely all there was; if not, the loop is woken again at once.
            return DRAIN_IDLE
    return DRAIN_MORE


# Until `stopping`: wait in the kernel for the next batch, answer it.
cdef DrainResult listener_run(ListenerState* listener, const ResponderPolicy* policy) noexcept nogil:
    cdef pollfd writable
    cdef DrainResult result = DRAIN_BLOCKED if listener.pending_end > 0 else DRAIN_IDLE
    writable.fd = listener.fd
    writable.events = POLLOUT
    while result != DRAIN_FAILED:
        if result == DRAIN_BLOCKED:
            poll(&writable, 1, WRITABLE_POLL_MS)
            if not listener_flush(listener) and not load_acquire(&listener.stopping):
                continue
        if load_acquire(&listener.stopping):
            break
        result = listener_drain(listener, policy, 1, MSG_WAITFORONE)
    return result
