# A listener: one UDP socket, three verbs. Receive a batch, answer it, send the replies.
#
# Invariants
#  1. All memory is made once, in __cinit__; a batch allocates nothing, takes no lock, calls no Python.
#  2. Between the first reply written and the last one sent the reader stays in the catalog: the replies
#     point into packages. A batch that the socket would not take whole stays there, `pending`, and no
#     further datagram is received until it has gone.
#  3. One thread at a time: either the loop calls drain and flush, or one thread is inside run. They take
#     turns where a thread stands in for the loop; each begins when the other has ended.
#  4. Every datagram received is counted under exactly one Outcome.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from headgate.engine.atomic cimport load_relaxed, store_relaxed
from headgate.engine.catalog cimport Reader
from headgate.engine.reply cimport ACKNOWLEDGEMENT_LENGTH, OUTCOME_COUNT, REPLY_HEAD_MAX
from headgate.engine.responder cimport ResponderPolicy
from headgate.transport.ring cimport Ring
from headgate.transport.socket cimport CONTROL_SIZE, iovec, mmsghdr

cdef enum:
    BATCH = 64                        # datagrams per receive call
    REPLIES_MAX = 2 * BATCH           # datagrams per send call: at most an ACK and a segment for each
    DRAIN_BATCHES = 8                 # batches per wake-up of the loop: the bound on its work
    DATAGRAM_MAX = 2048               # bytes of the longest datagram received whole
    ADDRESS_SIZE = 128                # sizeof(struct sockaddr_storage)

cdef enum DrainResult:
    DRAIN_IDLE = 0                    # nothing more to receive for now
    DRAIN_MORE = 1                    # the bound was reached; the socket is still readable
    DRAIN_BLOCKED = 2                 # the socket takes no more: flush when it is writable
    DRAIN_FAILED = 3                  # the socket is unusable; `error` says why

cdef struct ListenerCounts:
    uint64_t outcomes[OUTCOME_COUNT]  # datagrams by what became of them
    uint64_t batches                  # receive calls that brought something
    uint64_t sent                     # replies the kernel took
    uint64_t send_failed              # replies the kernel refused (no route, no buffer)
    uint64_t send_blocked             # times the socket was full
    uint64_t receive_errors           # errors reported by receiving, such as a peer's ICMP
    uint64_t payload_bytes            # of the package, in 2.05 answers and in segments
    uint64_t last_blocks              # of those the ones that ended their body: downloads served to the end

cdef struct ListenerState:
    int fd                            # not owned
    int error                         # errno of DRAIN_FAILED
    uint32_t pending_at               # next reply of the batch to be sent
    uint32_t pending_end              # one past the last one; both 0 when nothing is pending
    bint packet_info                  # replies leave from the address that was asked
    uint64_t stopping                 # atomic; set by stop and recall, cleared by lend before a run
    uint64_t woken                    # records were pushed into an empty ring since `woken` was cleared
    int wake_fd                       # eventfd to write then, or -1; set while nobody serves
    Ring* ring                        # owned
    Reader* reader
    ListenerCounts counts             # written by the one thread of invariant 3
    mmsghdr rx[BATCH]
    mmsghdr tx[REPLIES_MAX]
    iovec rx_parts[BATCH]
    iovec tx_parts[2 * REPLIES_MAX]   # head and payload of each reply
    uint8_t addresses[BATCH][ADDRESS_SIZE]
    uint8_t rx_control[BATCH][CONTROL_SIZE]
    uint8_t tx_control[BATCH][CONTROL_SIZE]
    uint8_t heads[BATCH][REPLY_HEAD_MAX]  # of what is sent for each datagram
    uint8_t acknowledgements[BATCH][ACKNOWLEDGEMENT_LENGTH]
    uint8_t datagrams[BATCH][DATAGRAM_MAX]

# Receive and answer until nothing is left, at most `batches` batches.
cdef DrainResult listener_drain(
    ListenerState* listener, const ResponderPolicy* policy, uint32_t batches, int receive_flags
) noexcept nogil

# Send what is pending. True when all has gone, False when the socket is full.
cdef bint listener_flush(ListenerState* listener) noexcept nogil

# Answer datagrams until `stopping`, waiting for them in the kernel.
cdef DrainResult listener_run(ListenerState* listener, const ResponderPolicy* policy) noexcept nogil

# Make the first `used` receive slots ready: once for all of them, then after each batch.
cdef void rx_reset(ListenerState* listener, uint32_t used) noexcept nogil

# One writer (invariant 3); readers on other threads must see whole words.
cdef inline void count(uint64_t* counter, uint64_t more) noexcept nogil:
    store_relaxed(counter, load_relaxed(counter) + more)
