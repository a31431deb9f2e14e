# The responder: one datagram -> one answer, remembering nothing about the peer.
#
# The answer to a package GET is a function of (path, NUM, SZX) alone: any peer, any port, any order,
# any token, any thread, before or after a restart. A repeated CON is answered again, with the message
# id and the token that it carries itself. What devices say about PCP segments is `downlink`'s to answer.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from headgate.engine.catalog cimport Catalog, CatalogState
from headgate.engine.reply cimport Outcome, Reply

cdef enum:
    BLOCK_SZX_DEFAULT = 5             # 512 bytes when the request names no size: NB-IoT modules
    AMPLIFICATION_MAX = 3             # RFC 9175 section 2.4: bytes out per byte in, unproven peers

# Fixed for the life of a responder; shared by all its threads, never written after.
cdef struct ResponderPolicy:
    CatalogState* catalog
    uint8_t szx_min                   # smallest block offered; a smaller one asked is 4.00
    uint8_t szx_max                   # largest block sent; a larger one asked is shrunk
    uint8_t szx_default               # when the request names none
    bint handover                     # whether someone takes what is not a package request

# Answer one datagram between catalog_enter and catalog_leave. `truncated` tells that the datagram was
# longer than `length`. Writes the head to `head` (room for REPLY_HEAD_MAX bytes) and fills `reply` when
# the outcome is below OUTCOME_REPLIES.
cdef Outcome respond(
    const ResponderPolicy* policy, const uint8_t* data, uint32_t length, bint truncated,
    uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil

cdef class Responder:
    cdef ResponderPolicy policy
    cdef readonly Catalog catalog     # keeps policy.catalog alive
