# A file in memory, mapped and never read by us: what is served costs address space and page cache, and
# neither a copy nor an open descriptor (mmap.mmap keeps one per mapping before Python 3.13).
cdef class _Mapping:
    cdef void* memory                 # owned: a shared read-only mapping, NULL before it is made
    cdef Py_ssize_t length            # bytes
