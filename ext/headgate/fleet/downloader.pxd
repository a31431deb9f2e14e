# The face of a downloading fleet. What it does is in run, devices and blockwise.
cimport cython
from libc.stdint cimport uint8_t, uint64_t

from headgate.fleet.run cimport Run


@cython.final
cdef class Downloader:
    cdef Run* _run                    # owned; its sockets too
    cdef bint _running                # a thread is inside run
    cdef const uint8_t[::1] _body     # holds the expected bytes that run.body points to
    cdef bytes _path_bytes            # holds what run.path_bytes points to
    cdef object _images               # anonymous mmap that run.images points to, or None

    cdef _take_body(self, const uint8_t[::1] body, etag, bint check_etag, bint keep)
    cdef _take_paths(self, path)
    cdef _place_devices(self, bint random_start, uint64_t moving)
