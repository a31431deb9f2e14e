# The loop of a downloading fleet: receive a batch, advance the devices it answers, send a batch.
#
# One thread, no allocation, one clock reading per batch each way. Time is run time: nanoseconds spent
# inside run_turns, so that a fleet which pauses between two calls does not find its requests timed out.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from headgate.fleet.blockwise cimport FAILURE_COUNT, REQUEST_MAX, Body
from headgate.fleet.chance cimport Chance
from headgate.fleet.devices cimport Devices
from headgate.fleet.latency cimport Latency
from headgate.fleet.sockets cimport BATCH, DATAGRAM_MAX, iovec, mmsghdr

cdef enum:
    EVENTS_MAX = 256                  # ready sockets taken from epoll at once
    WAIT_MAX_MS = 20                  # longest sleep: how late a stop or a duration may be noticed
    REST_MIN_NS = 60000               # shorter than this is no sleep: a timer of the kernel is 50 us late
    BLOCKED_WAIT_MS = 1               # sleep when the kernel takes no more requests
    SWEEP_SLOTS = 4096                # slots looked at by one sweep for passed deadlines
    SWEEPS_PER_TIMEOUT = 8            # a deadline is noticed at most ack_timeout / 8 late
    TIMEOUT_MAX_US = 1 << 30          # where doubling stops: 18 minutes
    RETRANSMIT_MAX = 20               # most retransmissions that may be asked for

cdef enum RunResult:
    RUN_DONE = 0                      # every device has finished or failed
    RUN_TIME = 1                      # `until_ns` has come
    RUN_STOPPED = 2
    RUN_FAULT = 3                     # run.fault is the errno

# One UDP socket, connected to the server. Its message ids come round after 65536 requests: a server that
# remembers them for an EXCHANGE_LIFETIME (RFC 7252 section 4.8.2) wants a port per 265 requests/s.
cdef struct Port:
    int fd
    uint16_t next_id                  # message id of its next request
    uint32_t slot                     # whose request was sent last

# Uri-Path options of one path, within Run.path_bytes.
cdef struct Path:
    uint32_t offset
    uint32_t length

cdef struct Run:
    Devices all                       # owned
    Body body
    Port* ports                       # owned, their sockets too
    uint32_t port_count
    bint exclusive                    # no port ever has two devices
    int epoll                         # -1 with a single port
    Path* paths                       # owned
    const uint8_t* path_bytes         # the downloader's
    uint8_t* images                   # the downloader's; NULL: payloads are not kept
    Chance chance
    # How devices behave.
    uint8_t type                      # CON or NON
    uint8_t szx                       # first asked for; SZX_UNKNOWN: none named
    bint size2
    bint repeat
    bint floor                        # the peer is an Echo: its answers are not looked into
    uint8_t retransmit_max
    uint32_t ack_timeout_us
    uint64_t loss                     # shares of 2 ** 32
    uint64_t duplicate
    uint64_t reorder
    double interval_ns                # between two requests of the whole fleet; 0: as fast as answered
    # Where the run stands.
    bint stopped                      # set by another thread, read every turn
    bint blocked                      # the kernel took no more requests
    int fault                         # errno of a socket that failed, or 0
    uint64_t started_ns               # monotonic clock at run time 0
    uint64_t now_ns                   # run time of the last clock reading
    uint64_t swept_ns                 # run time of the next sweep
    uint32_t sweep_at                 # slot it begins with
    double paced_from_ns              # run time when request 0 was due
    uint64_t paced                    # requests sent by schedule
    # Counts, read by Python at any time.
    uint64_t blocks
    uint64_t bytes
    uint64_t requests
    uint64_t retransmissions
    uint64_t stale
    uint64_t malformed
    uint64_t lost
    uint64_t finished
    uint64_t moved
    uint64_t failures[FAILURE_COUNT]  # [NOT_FAILED] counts nothing
    uint8_t last_code                 # of the last answer that was not 2.05, or 0
    Latency latency
    # Batches.
    mmsghdr rx[BATCH]
    iovec rx_slices[BATCH]
    uint8_t rx_bytes[BATCH][DATAGRAM_MAX]
    mmsghdr tx[BATCH]
    iovec tx_slices[BATCH]
    uint32_t tx_slots[BATCH]          # whose request it is; NOBODY: an injected duplicate
    uint32_t tx_ports[BATCH]
    uint8_t tx_bytes[BATCH][REQUEST_MAX]

# Point the batches at their buffers. Once, on a zeroed Run that will not move.
cdef void run_prepare(Run* run) noexcept nogil

# Let run time go on from run.now_ns, where run_turns left it. Before each first run_turns after a pause.
cdef void run_resume(Run* run) noexcept nogil

# Give every slot a device and put it into the outbox. Once, when all devices wait in their rings.
cdef void run_start(Run* run) noexcept nogil

# Work until every device is done, `until_ns` of run time has come, `until_blocks` were accepted in all
# (give or take a batch), or the run is stopped.
cdef RunResult run_turns(Run* run, uint64_t until_ns, uint64_t until_blocks) noexcept nogil
