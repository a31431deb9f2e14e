# Assertions for nogil code. `ensure(condition)` is C's assert: live in `make debug` and
# `make sanitize`, gone in a release build. It states what must hold, never what a peer may send.
cdef extern from *:
    """
    #include <assert.h>
    #define ensure(condition) assert(condition)
    """
    void ensure(bint condition) noexcept nogil
