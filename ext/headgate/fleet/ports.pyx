"""The fleet's UDP sockets: opened once, connected to the server, watched by epoll when there are several."""

import resource
import socket

from cpython.exc cimport PyErr_SetFromErrno
from libc.stdint cimport uint16_t, uint64_t
from libc.stdlib cimport calloc
from posix.time cimport timeval
from posix.unistd cimport close

from headgate.fleet.chance cimport chance_next
from headgate.fleet.devices cimport NOBODY
from headgate.fleet.run cimport SWEEPS_PER_TIMEOUT, WAIT_MAX_MS, Port
from headgate.fleet.sockets cimport (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLLIN,
    epoll_create1,
    epoll_ctl,
    epoll_event,
)

cdef enum:
    BUFFER_MAX = 4 << 20              # bytes asked for a socket's queues; the kernel may grant less
    BUFFER_DEFAULT = 212992           # what Linux gives unasked
    BUFFER_PER_REQUEST = 4096         # kernel memory of one waiting answer of 1024 bytes, rounded up
    SOCKETS_FEW = 64                  # up to so many, each has the largest queues
    SPARE_FILES = 64                  # descriptors left to the rest of the process


cdef void ports_close(Run* run) noexcept nogil:
    cdef uint32_t index
    for index in range(run.port_count):
        close(run.ports[index].fd)
    if run.epoll >= 0:
        close(run.epoll)
    run.port_count = 0
    run.epoll = -1


cdef bytes timeval_bytes(long time_us):
    """A struct timeval in native layout, for setsockopt."""
    cdef timeval value
    value.tv_sec = time_us // 1000000
    value.tv_usec = time_us % 1000000
    return (<const char*>&value)[:sizeof(timeval)]


cdef files_allow(uint32_t count):
    """Raise the soft limit of open files to the hard one when `count` sockets need it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count + SPARE_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


cdef ports_open(Run* run, str host, int port, uint32_t count):
    cdef uint32_t index
    cdef epoll_event event
    cdef uint64_t per_socket = (run.all.slot_count - 1) // count + 1
    # On few sockets requests may bunch up; on many, each has its share.
    cdef int buffer_bytes = BUFFER_MAX if count <= SOCKETS_FEW else <int>min(
        <uint64_t>BUFFER_MAX, per_socket * BUFFER_PER_REQUEST)
    cdef int wait_us = min(<int>WAIT_MAX_MS * 1000, <int>(run.ack_timeout_us // SWEEPS_PER_TIMEOUT))
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    files_allow(count)
    run.ports = <Port*>calloc(count, sizeof(Port))
    if run.ports == NULL:
        raise MemoryError
    if count > 1:
        run.epoll = epoll_create1(EPOLL_CLOEXEC)
        if run.epoll < 0:
            PyErr_SetFromErrno(OSError)
    for index in range(count):
        with socket.socket(family, kind, protocol) as opened:
            if buffer_bytes > BUFFER_DEFAULT:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            opened.connect(address)
            # The one socket is waited for inside recvmmsg; this bounds the wait.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval_bytes(max(1000, wait_us)))
            run.ports[index].fd = opened.detach()
        run.port_count = index + 1
        run.ports[index].next_id = <uint16_t>chance_next(&run.chance)
        run.ports[index].slot = NOBODY
        if count > 1:
            event.events = EPOLLIN
            event.data.u32 = index
            if epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.ports[index].fd, &event) < 0:
                PyErr_SetFromErrno(OSError)
