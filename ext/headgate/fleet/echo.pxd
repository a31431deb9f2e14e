# The bare-socket floor: the batch loop of a server with no protocol in it.
#
# What a datagram costs here, kernel and batching and nothing else, is what a CoAP server is measured
# against. A reply is one iovec pointing at the receive buffer itself: the request's bytes, followed
# by whatever an earlier datagram left there, `reply_size` bytes in all. Where a server acknowledges a
# datagram before it replies, so does the floor: with the first `acknowledgement_size` bytes.
from libc.stdint cimport uint32_t, uint64_t, uint8_t

from headgate.fleet.sockets cimport BATCH, DATAGRAM_MAX, iovec, mmsghdr, sockaddr_storage

cdef enum:
    DRAIN_BATCHES = 8                 # most batches of one drain: the event loop has other guests

# What one receive-and-send came to.
cdef enum EchoResult:
    ECHO_MORE = 0                     # a full batch: there may be more
    ECHO_EMPTY = 1                    # the batch was not full
    ECHO_INTERRUPTED = 2              # a signal arrived: let Python see it
    ECHO_STOPPED = 3
    ECHO_FAULT = 4                    # errno says what; the socket is of no further use

# Made once by Echo, freed with it.
cdef struct EchoState:
    int fd                            # the caller's, never closed here
    bint stopped                      # set by another thread, read after each system call
    bint acknowledges                 # two datagrams leave for each that comes
    uint64_t datagrams                # sent
    uint64_t dropped                  # answers that the kernel would not take
    mmsghdr rx[BATCH]
    mmsghdr tx[2 * BATCH]
    iovec rx_slices[BATCH]
    iovec tx_slices[2 * BATCH]
    sockaddr_storage remotes[BATCH]
    uint8_t buffers[BATCH][DATAGRAM_MAX]

# Receive a batch and send it back. `wait`: block until there is a datagram, and until each answer is
# taken; otherwise answers that the kernel has no room for are dropped and counted.
cdef EchoResult echo_batch(EchoState* state, bint wait) noexcept nogil
