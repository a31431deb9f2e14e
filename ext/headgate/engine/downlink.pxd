# Segments to devices: a PCP segment request that comes under the token of an observation is answered by a
# write of 19/1/0, and the device's response to that write is taken. LwM2M object 19; PCP message 21.
#
#     device      CON 2.05, token T                       request of segment k
#     here        ACK                                     to the CON, with its message id
#                 CON PUT, token T', 19/1/0, format 42    answer with segment k, under a message id of our own
#     device      ACK 2.04, token T'                      (or an Empty ACK and a response of its own)
#
# T' is T with WRITE_TOKEN_BIT changed: from the response we find the grant again, and nothing is kept for it
# but the word of `engine.flight`. Nothing is repeated by a timer: a device without an answer asks again.
from libc.stdint cimport uint8_t, uint64_t

from headgate.engine.catalog cimport CatalogState
from headgate.engine.reply cimport Outcome, Reply
from headgate.wire.coap cimport MessageView

# Answer a response, or take it, between catalog_enter and catalog_leave. `message` is one, neither empty nor
# a request; `head` has room for REPLY_HEAD_MAX bytes. HANDED_OVER when it is somebody else's: another token,
# another version, no such segment, anything but a plain segment request.
cdef Outcome downlink_respond(
    CatalogState* catalog, const MessageView* message, uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil
