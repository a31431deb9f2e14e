# A log-linear histogram of times: 8 buckets per power of two, so an answer is right to about 6 %.
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    LATENCY_SHIFT = 3
    LATENCY_STEPS = 8                 # buckets per power of two: 2 ** LATENCY_SHIFT
    LATENCY_BUCKETS = 496             # 0..7 ns exactly, then 8 for each of 2 ** 3 .. 2 ** 63

cdef struct Latency:
    uint64_t count                    # times added
    uint64_t buckets[LATENCY_BUCKETS]

# Add one time of `time_ns` nanoseconds.
cdef void latency_add(Latency* latency, uint64_t time_ns) noexcept nogil

# The middle of the bucket that holds quantile `share` (0..1), in nanoseconds; 0 when nothing was added.
cdef double latency_quantile(const Latency* latency, double share) noexcept nogil
