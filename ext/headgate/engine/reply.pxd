# What becomes of a datagram, and what is sent for it.
from libc.stdint cimport uint8_t, uint32_t

from headgate.engine.ledger cimport Mark
from headgate.wire.coap cimport ACK, CON, EMPTY, NON, RST, MessageView, head_write

cdef enum:
    # Header and token (69), ETag (9), Content-Format (3), Block2 (4), Size2 (5), payload marker: 91.
    REPLY_HEAD_MAX = 128
    ACKNOWLEDGEMENT_LENGTH = 4        # an Empty ACK

# What became of a datagram. The order matters: replies first, then silence, then handed over.
cdef enum Outcome:
    ANSWERED_CONTENT = 0              # 2.05 with a block
    ANSWERED_SEGMENT                  # a write of a PCP segment, behind the Empty ACK of a CON
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
    ACKNOWLEDGED_COPY                 # CON that asks for the segment that is under way
    ACKNOWLEDGED_RESPONSE             # CON response to the write of a segment, separate from its ACK
    OUTCOME_REPLIES                   # outcomes below this one send something
    DROPPED_SHORT = 17
    DROPPED_VERSION
    DROPPED_FORMAT                    # format error in NON, ACK or RST
    DROPPED_UNMATCHED                 # ACK, RST or NON response that nobody here waits for
    DROPPED_TRUNCATED                 # longer than a receive buffer, and not a request
    DROPPED_MULTICAST                 # sent to a group: never answered (RFC 7252 section 8)
    DROPPED_COPY                      # NON that asks for the segment that is under way
    SEGMENT_WRITTEN                   # the device's 2.04 to the write of a segment
    SEGMENT_REFUSED                   # its 4.xx or 5.xx
    OUTCOME_SILENT                    # outcomes below this one are finished with here
    HANDED_OVER = 26                  # for whoever takes what is not a package request
    OUTCOME_COUNT

# What to send: an Empty ACK if there is one; then a datagram of `head_length` bytes of head and
# `payload_length` bytes at `payload`.
cdef struct Reply:
    uint32_t head_length
    uint32_t payload_length
    const uint8_t* payload            # view into a package, or a constant; valid until catalog_leave;
    #                                 # unset when payload_length is 0
    bint last                         # of a block or segment: whether it ends the body
    Mark mark                         # what it meant for its grant
    uint32_t record_index             # of the grant, when mark is set
    uint8_t acknowledgement_length    # 0, or ACKNOWLEDGEMENT_LENGTH
    uint8_t acknowledgement[ACKNOWLEDGEMENT_LENGTH]

# A reply to a request with no options: piggybacked on the ACK of a CON, a NON for a NON. The NON takes
# the request's message id: the peer keeps those apart for NON_LIFETIME itself, so a reply to it does too,
# with nothing remembered here.
cdef inline void reply_code(
    const MessageView* request, uint8_t code, uint8_t* head, Reply* reply
) noexcept nogil:
    reply.head_length = head_write(
        head, ACK if request.type == CON else NON, code, request.message_id,
        request.token, request.token_length)
    reply.payload_length = 0

# The Reset of a message, for the reason `why`, which is returned.
cdef inline Outcome reply_reset(
    const MessageView* message, Outcome why, uint8_t* head, Reply* reply
) noexcept nogil:
    reply.head_length = head_write(head, RST, EMPTY, message.message_id, NULL, 0)
    reply.payload_length = 0
    return why
