# A volley: prepared datagrams sent in batches from one socket, and what comes back counted.
#
# For load whose answers need no reading: a window of datagrams leaves, and the next when as many answers
# have come as the window deserves. The same volley asks the floor, blocks and segments, so that a server's
# batches are filled alike.
from libc.stdint cimport uint32_t, uint64_t, uint8_t

from headgate.fleet.sockets cimport BATCH, DATAGRAM_MAX, iovec, mmsghdr

cdef enum:
    DATAGRAMS_MAX = 1 << 16           # prepared datagrams of a volley

# Made once by Volley, freed with it.
cdef struct VolleyState:
    int fd                            # connected, owned by a Python socket
    uint32_t count                    # prepared datagrams
    uint32_t next                     # the one that leaves next, round and round
    uint64_t sent
    uint64_t received
    uint64_t received_bytes
    mmsghdr tx[BATCH]
    mmsghdr rx[BATCH]
    iovec tx_slices[BATCH]
    iovec rx_slices[BATCH]
    uint8_t buffers[BATCH][DATAGRAM_MAX]

# Send the next `count` <= BATCH datagrams and wait for `answers` of them. 0 when they have come, -1 with
# errno when the socket failed, -2 when nothing came for `timeout_ms`.
cdef int volley_fire(
    VolleyState* state, const iovec* prepared, uint32_t count, uint32_t answers, int timeout_ms
) noexcept nogil
