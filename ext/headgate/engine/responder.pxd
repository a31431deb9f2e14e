# The responder: one datagram -> one answer, remembering nothing about the peer.
#
# The answer to a package GET is a function of (path, NUM, SZX) alone: any peer, any port, any order,
# any token, any thread, before or after a restart. A repeated CON is answered again, with the message
# id and the token that it carries itself.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from headgate.engine.catalog cimport Catalog, CatalogState
from headgate.engine.ledger cimport Mark

cdef enum:
    # Header and token (69), ETag (9), Content-Format (3), Block2 (4), Size2 (5), payload marker: 91.
    REPLY_HEAD_MAX = 128
    BLOCK_SZX_DEFAULT = 5             # 512 bytes when the request names no size: NB-IoT modules
    AMPLIFICATION_MAX = 3             # RFC 9175 section 2.4: bytes out per byte in, unproven peers

# What became of a datagram. The order matters: replies first, then silence, then handed over.
cdef enum Outcome:
    ANSWERED_CONTENT = 0              # 2.05 with a block
    ANSWERED_VALID                    # 2.03
    ANSWERED_BAD_REQUEST              # 4.00
    ANSWERED_BAD_OPTION               # 4.02
    ANSWERED_NOT_FOUND                # 4.04
    ANSWERED_METHOD_NOT_ALLOWED       # 4.05
    ANSWERED_NOT_ACCEPTABLE           # 4.06
    ANSWERED_PRECONDITION_FAILED      # 4.12
    ANSWERED_TOO_LARGE                # 4.13
    ANSWERED_PROXYING                 # 5.05
    RESET_PING                        # Empty CON, RFC 7252 section 4.3
    RESET_FORMAT                      # CON with a format error
    RESET_BAD_OPTION                  # NON with a critical option we cannot process
    RESET_RESPONSE                    # CON response that nobody here waits for
    OUTCOME_REPLIES                   # outcomes below this one send something
    DROPPED_SHORT = 14
    DROPPED_VERSION
    DROPPED_FORMAT                    # format error in NON, ACK or RST
    DROPPED_UNMATCHED                 # ACK, RST or NON response that nobody here waits for
    DROPPED_TRUNCATED                 # longer than a receive buffer, and not a request
    DROPPED_MULTICAST                 # sent to a group: never answered (RFC 7252 section 8)
    OUTCOME_SILENT                    # outcomes below this one are finished with here
    HANDED_OVER = 20                  # for whoever takes what is not a package request
    OUTCOME_COUNT

# What to send: `head_length` bytes of head, then `payload_length` bytes at `payload`.
cdef struct Reply:
    uint32_t head_length
    uint32_t payload_length
    const uint8_t* payload            # view into a package, or a constant; valid until catalog_leave;
    #                                 # unset when payload_length is 0
    bint last                         # of a 2.05: whether the block ends the body
    Mark mark                         # what the block meant for its grant
    uint32_t record_index             # of the grant, when mark is set

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
