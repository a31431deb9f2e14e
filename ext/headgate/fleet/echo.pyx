"""The bare-socket floor: answers every datagram with itself, in batches, with no protocol at all."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdlib cimport calloc, free

from headgate.fleet.sockets cimport (
    MSG_DONTWAIT,
    MSG_WAITFORONE,
    POLLIN,
    POLLOUT,
    SHUT_RDWR,
    poll,
    pollfd,
    recvmmsg,
    sendmmsg,
    shutdown,
)


# Wait until the socket is ready. False after a signal: the caller decides what that means.
cdef bint fd_wait(int fd, short events) noexcept nogil:
    cdef pollfd waited
    waited.fd = fd
    waited.events = events
    waited.revents = 0
    return poll(&waited, 1, -1) >= 0


# Send the first `count` answers. An answer that the kernel refuses for itself (too long, not
# permitted) is dropped: the ones behind it are somebody else's.
cdef EchoResult echo_send(EchoState* state, uint32_t count, bint wait) noexcept nogil:
    cdef uint32_t sent = 0
    cdef int result
    while sent < count:
        result = sendmmsg(state.fd, &state.tx[sent], count - sent, MSG_DONTWAIT)
        if result > 0:
            sent += <uint32_t>result
            state.datagrams += <uint64_t>result
        elif state.stopped:
            return ECHO_STOPPED
        elif errno == EINTR or errno == ECONNREFUSED:
            continue
        elif errno == EAGAIN:
            if not wait:
                state.dropped += count - sent
                return ECHO_EMPTY
            fd_wait(state.fd, POLLOUT)
        else:
            state.dropped += 1
            sent += 1
    return ECHO_MORE


cdef EchoResult echo_batch(EchoState* state, bint wait) noexcept nogil:
    cdef int count, i
    cdef EchoResult result
    # With MSG_WAITFORONE the kernel blocks for the first datagram and takes what else is there.
    count = recvmmsg(state.fd, state.rx, BATCH, MSG_WAITFORONE if wait else MSG_DONTWAIT, NULL)
    if state.stopped:
        return ECHO_STOPPED
    if count < 0:
        if errno == EINTR:
            return ECHO_INTERRUPTED
        if errno == ECONNREFUSED:
            return ECHO_MORE
        if errno != EAGAIN:
            return ECHO_FAULT
        if wait and not fd_wait(state.fd, POLLIN):
            return ECHO_INTERRUPTED
        return ECHO_EMPTY
    for i in range(count):
        if state.acknowledges:
            state.tx[2 * i].msg_hdr.msg_namelen = state.rx[i].msg_hdr.msg_namelen
            state.tx[2 * i + 1].msg_hdr.msg_namelen = state.rx[i].msg_hdr.msg_namelen
        else:
            state.tx[i].msg_hdr.msg_namelen = state.rx[i].msg_hdr.msg_namelen
        state.rx[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
    result = echo_send(state, 2 * <uint32_t>count if state.acknowledges else <uint32_t>count, wait)
    return ECHO_EMPTY if result == ECHO_MORE and count < BATCH else result


# -- Python face --

@cython.final
cdef class Echo:
    """Answers each datagram with `reply_size` bytes, 1..2048: the request and what lay behind it.

    Before that with `acknowledgement_size` bytes, 0 (none) to 2048, in a datagram of their own.

    The socket stays the caller's; after `stop` it is shut down. Serve it with `run` in a thread, or
    with `drain` under `loop.add_reader`, not with both.

    >>> import socket
    >>> server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    >>> Echo(server.fileno(), 1024).datagrams
    0
    >>> server.close()
    """

    cdef EchoState* _state

    def __cinit__(self, int fd, unsigned int reply_size, *, unsigned int acknowledgement_size=0):
        cdef int i, place
        cdef int each = 2 if acknowledgement_size else 1
        if not 1 <= reply_size <= DATAGRAM_MAX:
            raise ValueError(f"reply_size is 1..{DATAGRAM_MAX} bytes, not {reply_size}")
        if acknowledgement_size > DATAGRAM_MAX:
            raise ValueError(f"acknowledgement_size is 0..{DATAGRAM_MAX} bytes, not {acknowledgement_size}")
        self._state = <EchoState*>calloc(1, sizeof(EchoState))
        if self._state == NULL:
            raise MemoryError
        self._state.fd = fd
        self._state.acknowledges = acknowledgement_size > 0
        for i in range(BATCH):
            self._state.rx_slices[i].iov_base = &self._state.buffers[i][0]
            self._state.rx_slices[i].iov_len = DATAGRAM_MAX
            self._state.rx[i].msg_hdr.msg_iov = &self._state.rx_slices[i]
            self._state.rx[i].msg_hdr.msg_iovlen = 1
            self._state.rx[i].msg_hdr.msg_name = &self._state.remotes[i]
            self._state.rx[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
            for place in range(i * each, (i + 1) * each):
                self._state.tx_slices[place].iov_base = &self._state.buffers[i][0]
                self._state.tx_slices[place].iov_len = reply_size
                self._state.tx[place].msg_hdr.msg_iov = &self._state.tx_slices[place]
                self._state.tx[place].msg_hdr.msg_iovlen = 1
                self._state.tx[place].msg_hdr.msg_name = &self._state.remotes[i]
            if acknowledgement_size:
                self._state.tx_slices[i * each].iov_len = acknowledgement_size

    def __dealloc__(self):
        free(self._state)

    @property
    def datagrams(self):
        """Answers sent so far, acknowledgements counted too."""
        return self._state.datagrams

    @property
    def dropped(self):
        """Answers that the kernel would not take."""
        return self._state.dropped

    def run(self):
        """Serve until `stop` is called, with the GIL released. Raises OSError when the socket fails."""
        cdef EchoResult result
        while True:
            with nogil:
                result = ECHO_EMPTY
                while result <= ECHO_EMPTY:
                    result = echo_batch(self._state, True)
            if result == ECHO_STOPPED:
                return
            if result == ECHO_FAULT:
                PyErr_SetFromErrno(OSError)
            PyErr_CheckSignals()

    def drain(self):
        """Answer what has arrived, at most 8 batches of 64, without waiting; returns the answers."""
        cdef uint64_t before = self._state.datagrams
        cdef EchoResult result
        for _ in range(DRAIN_BATCHES):
            with nogil:
                result = echo_batch(self._state, False)
            if result == ECHO_FAULT:
                PyErr_SetFromErrno(OSError)
            if result != ECHO_MORE:
                break
        return self._state.datagrams - before

    def stop(self):
        """Make `run` return: shut the socket down, which wakes a blocked receive. From any thread."""
        self._state.stopped = True
        # ENOTCONN is the answer for an unconnected UDP socket; Linux wakes its readers all the same.
        shutdown(self._state.fd, SHUT_RDWR)
