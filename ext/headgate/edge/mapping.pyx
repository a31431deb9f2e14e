"""A file mapped read-only, for as long as somebody holds a view of it."""

import os

from cpython.buffer cimport PyBuffer_FillInfo
from cython cimport final
from libc.errno cimport errno
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, mmap, munmap


# -- Python face --

@final
cdef class _Mapping:
    # The owner of one mapping. A view of it holds a reference, so no view outlives the memory.

    def __cinit__(self, int fd, Py_ssize_t length):
        cdef void* memory
        if length <= 0:
            raise ValueError(f"a mapping has at least one byte, not {length}")
        memory = mmap(NULL, <size_t>length, PROT_READ, MAP_SHARED, fd, 0)
        if memory == MAP_FAILED:
            raise OSError(errno, os.strerror(errno))
        self.memory = memory
        self.length = length

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.memory, self.length, True, flags)  # True: read-only

    def __dealloc__(self):
        if self.memory != NULL:
            munmap(self.memory, <size_t>self.length)


def map_file(int fd, Py_ssize_t length):
    """A read-only view of the first `length` bytes, one at least, of the open file `fd`.

    The descriptor may be closed; the file must not shrink while the view is in use. Raises OSError.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     written = file.write(b"the new firmware")
    ...     file.flush()
    ...     view = map_file(file.fileno(), 7)
    >>> bytes(view), view.readonly
    (b'the new', True)
    """
    return memoryview(_Mapping(fd, length))
