"""The listener's Python face. On the loop it serves by `drain`, in a native thread by `run`."""

import os

from cython cimport final, no_gc_clear
from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from headgate.engine.atomic cimport load_acquire, load_relaxed, store_release
from headgate.engine.catalog cimport catalog_leave
from headgate.transport.drain cimport (
    BATCH, DATAGRAM_MAX, DRAIN_BATCHES, DRAIN_BLOCKED, DRAIN_FAILED, DRAIN_IDLE, DRAIN_MORE, REPLIES_MAX,
    DrainResult, ListenerCounts, count, listener_drain, listener_flush, listener_run, rx_reset,
)
from headgate.transport.ring cimport (
    RING_CAPACITY_MIN, RING_DATAGRAM, RING_STARTED, Ring, RingRecord, ring_peek, ring_pop,
)
from headgate.transport.socket cimport (
    MSG_DONTWAIT, MSG_NOSIGNAL, SHUT_RD, iovec, msghdr, sendmsg, shutdown,
)

from headgate.engine import responder as responses

cdef enum:
    STOP_DRAINS = 64                  # drains that a stopped thread may spend on what is queued


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
        """Answer datagrams until `stop` or `recall`, then those still queued. Never takes the GIL meanwhile.

        For a thread of its own and a blocking socket. Replies that a full socket would not take are left to
        `flush` or `abandon`. Raises OSError when the socket becomes unusable.
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
        if result == DRAIN_FAILED:
            raise OSError(self.state.error, os.strerror(self.state.error))

    def stop(self):
        """Let `run` answer what is queued and return. Callable from any thread, more than once."""
        store_release(&self.state.stopping, 1)
        # Wakes a blocked recvmmsg, though it reports ENOTCONN for a socket without a peer.
        shutdown(self.state.fd, SHUT_RD)

    def lend(self):
        """Before a `run` that `recall` ends."""
        store_release(&self.state.stopping, 0)

    def recall(self):
        """As `stop`, but the socket receives on: `drain` may follow when `run` is over.

        Nothing wakes a `run` that waits in the kernel: it looks as often as SO_RCVTIMEO says.
        """
        store_release(&self.state.stopping, 1)

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
    def wake_fd(self):
        """The eventfd that wakes whoever takes, -1 for none. Set it while nobody serves."""
        return self.state.wake_fd

    @wake_fd.setter
    def wake_fd(self, int fd):
        self.state.wake_fd = fd

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
