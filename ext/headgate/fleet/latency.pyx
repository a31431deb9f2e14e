"""A log-linear histogram of times: constant memory, one shift and one increment per time added."""

from libc.string cimport memset


cdef extern from *:
    """
    _Static_assert(1 << 3 == 8 && (63 - 3 + 2) * 8 == 496, "the last bucket ends at 2 ** 64");
    """
    int __builtin_clzll(unsigned long long number) noexcept nogil


cdef void latency_add(Latency* latency, uint64_t time_ns) noexcept nogil:
    cdef uint32_t bucket, exponent
    if time_ns < LATENCY_STEPS:
        bucket = <uint32_t>time_ns
    else:
        exponent = <uint32_t>(63 - __builtin_clzll(time_ns))
        bucket = (exponent - LATENCY_SHIFT + 1) * LATENCY_STEPS
        bucket += <uint32_t>(time_ns >> (exponent - LATENCY_SHIFT)) & (LATENCY_STEPS - 1)
    latency.buckets[bucket] += 1
    latency.count += 1


cdef double latency_quantile(const Latency* latency, double share) noexcept nogil:
    cdef uint64_t rank = <uint64_t>(share * <double>latency.count)
    cdef uint64_t passed = 0
    cdef uint32_t bucket = 0
    cdef uint32_t shift
    if latency.count == 0:
        return 0
    if rank >= latency.count:
        rank = latency.count - 1
    while bucket < LATENCY_BUCKETS - 1:
        passed += latency.buckets[bucket]
        if passed > rank:
            break
        bucket += 1
    if bucket < LATENCY_STEPS:
        return bucket
    shift = bucket // LATENCY_STEPS - 1
    return (<double>(LATENCY_STEPS + bucket % LATENCY_STEPS) + 0.5) * <double>(<uint64_t>1 << shift)


# -- Python face --

def _py_quantile(times_ns, double share):
    """Test door."""
    cdef Latency latency
    memset(&latency, 0, sizeof(Latency))
    for time_ns in times_ns:
        latency_add(&latency, time_ns)
    return latency_quantile(&latency, share)
