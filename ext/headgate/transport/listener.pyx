"""The listener: recvmmsg, answer, sendmmsg. On the loop by `drain`, in a native thread by `run`."""

import os

from cython cimport final, no_gc_clear
from libc.errno cimport errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from headgate.engine.atomic cimport load_acquire, load_relaxed, store_relaxed, store_release
from headgate.engine.catalog cimport catalog_enter, catalog_leave
from headgate.engine.ledger cimport MARK_COMPLETED, MARK_NONE, MARK_STARTED
from headgate.engine.reply cimport (
    ANSWERED_CONTENT, ANSWERED_SEGMENT, DROPPED_MULTICAST, HANDED_OVER, OUTCOME_REPLIES, Outcome, Reply,
)
from headgate.engine.responder cimport respond
from headgate.transport.ring cimport (
    RING_CAPACITY_MIN, RING_COMPLETED, RING_DATAGRAM, RING_STARTED, RecordKind, RingRecord, ring_peek,
    ring_pop, ring_push,
)
from headgate.transport.socket cimport (
    EAGAIN, EBADF, EINTR, ENOTSOCK, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_TRUNC, MSG_WAITFORONE, POLLOUT, SHUT_RD,
    msghdr, packet_info_turn, poll, pollfd, recvmmsg, sendmmsg, sendmsg, shutdown,
)
from headgate.wire.checks cimport ensure

from headgate.engine import responder as responses

cdef extern from "unistd.h" nogil:
    ssize_t write(int fd, const void* data, size_t length)

cdef enum:
    WRITABLE_POLL_MS = 100            # how often a thread with a full socket looks whether to stop
    STOP_DRAINS = 64                  # drains that a stopped thread may spend on what is queued


cdef inline void count(uint64_t* counter, uint64_t more) noexcept nogil:
    # One writer (invariant 3); readers on other threads must see whole words.
    store_relaxed(counter, load_relaxed(counter) + more)


cdef uint64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000000 + <uint64_t>now.tv_nsec


# -- receive --

# Make the first `used` receive slots ready again: the kernel writes into these fields.
cdef inline void rx_reset(ListenerState* listener, uint32_t used) noexcept nogil:
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


# -- Python face --

# no_gc_clear: the reader is given back to the responder's catalog, which the collector must leave in place.
@final
@no_gc_clear
cdef class Listener:
    """Serves one bound UDP socket from a Responder. Does not own the file descriptor.

    `packet_info` says that the socket delivers IP_PKTINFO / IPV6_PKTINFO, so that replies leave from the
    address that was asked; `ring_bytes` bounds the handover ring (a power of two, at least 16384);
    `wake_fd` is an eventfd written when the ring stops being empty, -1 for none.
    """

    def __cinit__(
        self, int fd, Responder responder not None, *, bint packet_info=False, uint32_t ring_bytes=1 << 20,
        int wake_fd=-1
    ):
        cdef uint32_t i
        cdef ListenerState* state
        if ring_bytes < RING_CAPACITY_MIN or ring_bytes & (ring_bytes - 1):
            raise ValueError(f"ring_bytes is a power of two from {RING_CAPACITY_MIN} on, not {ring_bytes}")
        self.responder = responder
        self.policy = &responder.policy
        state = self.state = <ListenerState*>calloc(1, sizeof(ListenerState))
        if state == NULL:
            raise MemoryError
        state.ring = <Ring*>calloc(1, sizeof(Ring))
        if state.ring == NULL:
            raise MemoryError
        state.ring.bytes = <uint8_t*>calloc(1, ring_bytes)
        if state.ring.bytes == NULL:
            raise MemoryError
        state.ring.capacity = ring_bytes
        state.fd = fd
        state.wake_fd = wake_fd
        state.packet_info = packet_info
        state.reader = responder.catalog.take_reader()
        for i in range(<uint32_t>BATCH):
            state.rx_parts[i].iov_base = state.datagrams[i]
            state.rx_parts[i].iov_len = DATAGRAM_MAX
            state.rx[i].msg_hdr.msg_iov = &state.rx_parts[i]
            state.rx[i].msg_hdr.msg_iovlen = 1
            state.rx[i].msg_hdr.msg_name = state.addresses[i]
            state.rx[i].msg_hdr.msg_control = state.rx_control[i] if packet_info else NULL
        for i in range(<uint32_t>REPLIES_MAX):
            state.tx[i].msg_hdr.msg_iov = &state.tx_parts[2 * i]
        rx_reset(state, BATCH)

    def __dealloc__(self):
        if self.state == NULL:
            return
        if self.state.reader != NULL:
            self.responder.catalog.give_reader(self.state.reader)
        if self.state.ring != NULL:
            free(self.state.ring.bytes)
            free(self.state.ring)
        free(self.state)

    def drain(self, *, uint32_t batches=DRAIN_BATCHES):
        """Answer what has arrived, at most `batches` batches of 64, never waiting.

        Returns "idle" (nothing is left), "more" (the bound was reached) or "blocked" (the socket takes
        no more: call `flush` when it is writable, and do not drain before it returned True). Raises
        OSError when the socket is unusable.
        """
        cdef DrainResult result
        if self.state.pending_end > 0:
            return "blocked"
        result = listener_drain(self.state, self.policy, batches, MSG_DONTWAIT)
        if result == DRAIN_IDLE:
            return "idle"
        if result == DRAIN_MORE:
            return "more"
        if result == DRAIN_BLOCKED:
            return "blocked"
        raise OSError(self.state.error, os.strerror(self.state.error))

    def flush(self):
        """Send the replies that the socket would not take; True when all have gone."""
        return bool(listener_flush(self.state))

    def run(self):
        """Answer datagrams until `stop`, then those still queued. Never takes the GIL meanwhile.

        For a thread of its own and a blocking socket. Raises OSError when the socket becomes unusable.
        """
        cdef DrainResult result
        cdef int _round
        with nogil:
            result = listener_run(self.state, self.policy)
            # What was queued when `stop` was called, within a bound: more may keep arriving.
            for _round in range(STOP_DRAINS):
                if result == DRAIN_FAILED or not listener_flush(self.state):
                    break
                result = listener_drain(self.state, self.policy, DRAIN_BATCHES, MSG_DONTWAIT)
                if result == DRAIN_IDLE:
                    break
        self.abandon()
        if result == DRAIN_FAILED:
            raise OSError(self.state.error, os.strerror(self.state.error))

    def stop(self):
        """Let `run` answer what is queued and return. Callable from any thread, more than once."""
        store_release(&self.state.stopping, 1)
        # Wakes a blocked recvmmsg, though it reports ENOTCONN for a socket without a peer.
        shutdown(self.state.fd, SHUT_RD)

    def abandon(self):
        """Give up replies that the socket would not take; returns how many those were."""
        cdef uint32_t given_up = self.state.pending_end - self.state.pending_at
        if self.state.pending_end > 0:
            self.state.pending_at = 0
            self.state.pending_end = 0
            count(&self.state.counts.send_failed, given_up)
            catalog_leave(self.state.reader)
        return given_up

    def send(self, bytes address not None, bytes control not None, bytes datagram not None):
        """Send one datagram to a raw sockaddr, with packet information as `take` brought it (or none).

        Raises BlockingIOError when the socket is full, OSError when the kernel refuses.
        """
        cdef iovec part
        cdef msghdr message
        part.iov_base = <char*>datagram
        part.iov_len = len(datagram)
        memset(&message, 0, sizeof(message))
        message.msg_name = <char*>address
        message.msg_namelen = <uint32_t>len(address)
        message.msg_iov = &part
        message.msg_iovlen = 1
        if control:
            message.msg_control = <char*>control
            message.msg_controllen = len(control)
        if sendmsg(self.state.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
            raise OSError(errno, os.strerror(errno))

    @property
    def handed(self):
        """Whether the ring may hold something; cleared by `take`."""
        return load_acquire(&self.state.woken) != 0

    def take(self, *, uint32_t limit=1024):
        """Up to `limit` records of the ring, oldest first: (kind, value) pairs.

        ("datagram", (address, control, data)): `address` is the raw sockaddr and `control` the packet
        information (perhaps empty) to reply with; ("started", index) and ("completed", index): a grant's
        ledger record served its first or last block.
        """
        cdef list taken = []
        cdef RingRecord* record
        cdef const uint8_t* at
        store_release(&self.state.woken, 0)
        while limit > 0:
            record = ring_peek(self.state.ring)
            if record == NULL:
                return taken
            limit -= 1
            if record.kind == RING_DATAGRAM:
                at = <const uint8_t*>record + sizeof(RingRecord)
                taken.append(("datagram", (
                    at[:record.address_length],
                    at[record.address_length:record.address_length + record.control_length],
                    at[record.address_length + record.control_length:
                       record.address_length + record.control_length + record.value],
                )))
            else:
                taken.append(("started" if record.kind == RING_STARTED else "completed", record.value))
            ring_pop(self.state.ring, record)
        store_release(&self.state.woken, 1)
        return taken

    def outcomes(self):
        """Datagrams received since the start, by what became of each: the names of `responder.OUTCOMES`."""
        cdef Py_ssize_t i
        return {
            name: load_relaxed(&self.state.counts.outcomes[i]) for i, name in enumerate(responses.OUTCOMES)
        }

    def counts(self):
        """Counters since the start of batches, replies and the handover ring."""
        cdef ListenerCounts* counts = &self.state.counts
        return {
            "batches": load_relaxed(&counts.batches),
            "sent": load_relaxed(&counts.sent),
            "send failed": load_relaxed(&counts.send_failed),
            "send blocked": load_relaxed(&counts.send_blocked),
            "receive errors": load_relaxed(&counts.receive_errors),
            "last blocks": load_relaxed(&counts.last_blocks),
            "payload bytes": load_relaxed(&counts.payload_bytes),
            "ring full": load_relaxed(&self.state.ring.full),
        }
