# What an answer does to the fleet: which request it belongs to, and where its device goes from there.
#
# Reads run.now_ns and never the clock; sends nothing but Empty messages. RFC 7252 sections 4.2 and 5.2.
from libc.stdint cimport uint8_t, uint32_t

from headgate.fleet.blockwise cimport Failure
from headgate.fleet.run cimport Run

# The device of `slot` gives up; the slot goes on to another. `failure` is not NOT_FAILED.
cdef void device_fail(Run* run, uint32_t slot, Failure failure) noexcept nogil

# Handle one datagram received on `port` at run.now_ns. Nothing is assumed of its bytes.
cdef void response_handle(Run* run, uint32_t port, const uint8_t* data, uint32_t length) noexcept nogil

# The same when the peer is an Echo: our own request, then bytes that mean nothing. Only the token is
# looked at, and the message id where the token is too short.
cdef void echo_handle(Run* run, uint32_t port, const uint8_t* data, uint32_t length) noexcept nogil
