"""Prepared datagrams in batches, and what comes back counted: load that needs no reading."""

cimport cython
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport calloc, free

from headgate.fleet.sockets cimport MSG_DONTWAIT, POLLIN, poll, pollfd, recvmmsg, sendmmsg


cdef int volley_fire(
    VolleyState* state, const iovec* prepared, uint32_t count, uint32_t answers, int timeout_ms
) noexcept nogil:
    cdef uint32_t i
    cdef uint32_t sent = 0
    cdef uint32_t heard = 0
    cdef int result
    cdef pollfd readable
    for i in range(count):
        state.tx_slices[i] = prepared[(state.next + i) % state.count]
    while sent < count:
        result = sendmmsg(state.fd, &state.tx[sent], count - sent, 0)
        if result < 0 and errno != EINTR:
            return -1
        sent += <uint32_t>max(result, 0)
    state.next = (state.next + count) % state.count
    state.sent += count
    readable.fd = state.fd
    readable.events = POLLIN
    while heard < answers:
        result = recvmmsg(state.fd, state.rx, BATCH, MSG_DONTWAIT, NULL)
        if result > 0:
            heard += <uint32_t>result
            for i in range(<uint32_t>result):
                state.received_bytes += state.rx[i].msg_len
            continue
        if result < 0 and errno != EAGAIN and errno != EINTR:
            return -1
        result = poll(&readable, 1, timeout_ms)
        if result == 0:
            state.received += heard
            return -2
    state.received += heard
    return 0


# -- Python face --

@cython.final
cdef class Volley:
    """Sends `datagrams` round and round on a connected UDP socket, `window` (1..64) at a time.

    Each is expected to draw `answers` datagrams. The socket stays the caller's.

    >>> import socket
    >>> one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    >>> volley = Volley(one.fileno(), [b"asked"], window=1, answers=1)
    >>> _ = other.send(b"answered")
    >>> volley.run(1), volley.received_bytes
    (1, 8)
    >>> one.close(), other.close()
    (None, None)
    """

    cdef VolleyState* _state
    cdef iovec* _prepared
    cdef list _datagrams
    cdef uint32_t _window
    cdef uint32_t _answers

    def __cinit__(self, int fd, list datagrams not None, *, uint32_t window=BATCH, uint32_t answers=1):
        cdef uint32_t i
        if not 0 < len(datagrams) <= DATAGRAMS_MAX:
            raise ValueError(f"1..{DATAGRAMS_MAX} datagrams, not {len(datagrams)}")
        if not 0 < window <= BATCH:
            raise ValueError(f"window is 1..{BATCH}, not {window}")
        self._datagrams = [bytes(each) for each in datagrams]
        self._window = window
        self._answers = answers
        self._state = <VolleyState*>calloc(1, sizeof(VolleyState))
        self._prepared = <iovec*>calloc(len(datagrams), sizeof(iovec))
        if self._state == NULL or self._prepared == NULL:
            raise MemoryError
        self._state.fd = fd
        self._state.count = <uint32_t>len(datagrams)
        for i in range(self._state.count):
            self._prepared[i].iov_base = <char*><bytes>self._datagrams[i]
            self._prepared[i].iov_len = len(<bytes>self._datagrams[i])
        for i in range(<uint32_t>BATCH):
            self._state.tx[i].msg_hdr.msg_iov = &self._state.tx_slices[i]
            self._state.tx[i].msg_hdr.msg_iovlen = 1
            self._state.rx_slices[i].iov_base = self._state.buffers[i]
            self._state.rx_slices[i].iov_len = DATAGRAM_MAX
            self._state.rx[i].msg_hdr.msg_iov = &self._state.rx_slices[i]
            self._state.rx[i].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        free(self._state)
        free(self._prepared)

    @property
    def sent(self):
        """Datagrams sent so far."""
        return self._state.sent

    @property
    def received(self):
        """Answers received so far."""
        return self._state.received

    @property
    def received_bytes(self):
        """Their bytes."""
        return self._state.received_bytes

    def run(self, uint64_t count, *, int timeout_ms=2000):
        """Send `count` datagrams, each window when the one before was answered; returns the answers.

        Raises TimeoutError when an answer is missing, OSError when the socket fails.
        """
        cdef uint64_t before = self._state.received
        cdef uint32_t window
        cdef int result
        while count > 0:
            window = <uint32_t>min(count, <uint64_t>self._window)
            with nogil:
                result = volley_fire(self._state, self._prepared, window, window * self._answers, timeout_ms)
            if result == -1:
                PyErr_SetFromErrno(OSError)
            if result == -2:
                raise TimeoutError(f"{self._state.sent} datagrams drew {self._state.received} answers only")
            PyErr_CheckSignals()
            count -= window
        return self._state.received - before
