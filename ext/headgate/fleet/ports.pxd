# The fleet's UDP sockets: opened once, connected to the server, watched by epoll when there are several.
from libc.stdint cimport uint32_t

from headgate.fleet.run cimport Run

# Open `count` sockets to host:port into run.ports. Raises OSError; the sockets opened so far are then
# the run's all the same, for ports_close.
cdef ports_open(Run* run, str host, int port, uint32_t count)

# Close all sockets. May be called twice.
cdef void ports_close(Run* run) noexcept nogil
