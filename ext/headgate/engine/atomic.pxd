# The few atomic operations that readers without locks need (GCC and Clang built-ins; C11 memory model).
from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    """
    #define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    #define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
    #define store_sequential(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
    #define load_sequential(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
    #define fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
    #define exchange_if(p, expected, v) \\
        __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
    #define fence_sequential() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define load_pointer(p) ((void*)__atomic_load_n((p), __ATOMIC_ACQUIRE))
    #define store_pointer(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    """
    uint64_t load_acquire(const uint64_t* at) noexcept nogil
    uint64_t load_relaxed(const uint64_t* at) noexcept nogil
    uint64_t load_sequential(const uint64_t* at) noexcept nogil
    void store_release(uint64_t* at, uint64_t value) noexcept nogil
    void store_relaxed(uint64_t* at, uint64_t value) noexcept nogil
    void store_sequential(uint64_t* at, uint64_t value) noexcept nogil
    uint64_t fetch_add(uint64_t* at, uint64_t value) noexcept nogil
    # Store `value` if `at` still holds `expected[0]`; otherwise put what it holds there. True when stored.
    bint exchange_if(uint64_t* at, uint64_t* expected, uint64_t value) noexcept nogil
    void fence_sequential() noexcept nogil
