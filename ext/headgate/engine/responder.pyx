"""The responder: GETs of packages by Block2, and the errors of everything else. RFC 7252, RFC 7959."""

from cython cimport final, no_gc_clear
from libc.string cimport memcmp, memcpy, strlen

from headgate.engine.catalog cimport (
    PATH_LENGTH_MAX, Entry, Reader, catalog_enter, catalog_find, catalog_leave,
)
from headgate.engine.downlink cimport downlink_respond
from headgate.engine.ledger cimport MARK_NONE, record_count
from headgate.engine.package cimport ETAG_LENGTH, PREFIX_LENGTH_MAX, Body
from headgate.engine.reply cimport (
    ANSWERED_BAD_OPTION, ANSWERED_BAD_REQUEST, ANSWERED_CONTENT,
    ANSWERED_METHOD_NOT_ALLOWED, ANSWERED_NOT_ACCEPTABLE, ANSWERED_NOT_FOUND, ANSWERED_PRECONDITION_FAILED,
    ANSWERED_PROXYING, ANSWERED_TOO_LARGE, ANSWERED_VALID, DROPPED_FORMAT, DROPPED_SHORT, DROPPED_TRUNCATED,
    DROPPED_UNMATCHED, DROPPED_VERSION, HANDED_OVER, OUTCOME_COUNT, OUTCOME_REPLIES, OUTCOME_SILENT,
    REPLY_HEAD_MAX, RESET_BAD_OPTION, RESET_FORMAT, RESET_PING, RESET_RESPONSE, reply_code, reply_reset,
)
from headgate.wire.block cimport (
    BLOCK_BODY_MAX, BLOCK_NUM_MAX, BLOCK_OK, BLOCK_SZX_MAX, BlockValue, Slice, block_shrink, block_slice,
    block_szx, block_write,
)
from headgate.wire.checks cimport ensure
from headgate.wire.coap cimport (
    ACCEPT, ACK, BAD_OPTION, BAD_REQUEST, BLOCK1, BLOCK2, CON, CONTENT, CONTENT_FORMAT, EMPTY,
    ENTITY_TOO_LARGE, ETAG, GET, IF_MATCH, IF_NONE_MATCH, METHOD_NOT_ALLOWED, NON, NOT_ACCEPTABLE, NOT_FOUND,
    OPTION_READ, PARSED, PAYLOAD_MARKER, PRECONDITION_FAILED, PROXY_SCHEME, PROXY_URI,
    PROXYING_NOT_SUPPORTED, REQUEST_LAST, SHORT, SIZE2, URI_PATH, VALID, WRONG_VERSION, MessageView,
    OptionCursor, ParseResult, head_write, message_has, message_length, message_options, message_parse,
    option_next,
    option_uint_write, option_write,
)

from headgate.errors import PackageTooLargeError

cdef enum:
    REQUEST_KNOWN_LAST = 7            # iPATCH; methods above are answered 4.05 whatever their path
    # Bytes of a 2.05 head beside its token: header 5, ETag and Content-Format 12, Block2 4, Size2 5, marker.
    CONTENT_HEAD_BOUND = 27


# -- what is sent --

# 4.00 with a diagnostic payload (RFC 7252 section 5.5.2), which is left out where it would amplify.
cdef Outcome reply_bad_request(
    const MessageView* request, const char* text, uint8_t* head, Reply* reply
) noexcept nogil:
    cdef uint32_t length = <uint32_t>strlen(text)
    reply_code(request, BAD_REQUEST, head, reply)
    if reply.head_length + 1 + length <= AMPLIFICATION_MAX * message_length(request):
        head[reply.head_length] = PAYLOAD_MARKER
        reply.head_length += 1
        reply.payload = <const uint8_t*>text
        reply.payload_length = length
    return ANSWERED_BAD_REQUEST


# An unsupported critical option: 4.02 for a CON, a Reset for a NON (RFC 7252 section 5.4.1).
cdef Outcome reply_bad_option(const MessageView* request, uint8_t* head, Reply* reply) noexcept nogil:
    if request.type == NON:
        return reply_reset(request, RESET_BAD_OPTION, head, reply)
    reply_code(request, BAD_OPTION, head, reply)
    return ANSWERED_BAD_OPTION


# -- what is asked --

# The entry that the Uri-Path options name, joined by '/'. One option holding "a/b" names the same entry
# as two options "a" and "b": some devices put the whole path into one.
cdef const Entry* entry_asked(CatalogState* catalog, const MessageView* request) noexcept nogil:
    cdef uint8_t path[PATH_LENGTH_MAX]
    cdef uint32_t length = 0
    cdef OptionCursor cursor
    if request.path_count == 1:
        return catalog_find(catalog, request.path, request.path_length)
    if request.path_count == 0:
        return NULL
    cursor = message_options(request)
    while option_next(&cursor) == OPTION_READ:
        if cursor.number != URI_PATH or cursor.length > PATH_LENGTH_MAX:
            continue
        if length + 1 + cursor.length > PATH_LENGTH_MAX:
            return NULL
        if cursor.value != request.path:
            path[length] = 0x2F
            length += 1
        memcpy(path + length, cursor.value, cursor.length)
        length += cursor.length
    return catalog_find(catalog, path, length)


# Whether one of the options `number` (If-Match or ETag) has the body's ETag as its value; an empty
# If-Match asks only that something exists.
cdef bint etag_named(const MessageView* request, uint32_t number, const Body* body) noexcept nogil:
    cdef OptionCursor cursor = message_options(request)
    while option_next(&cursor) == OPTION_READ:
        if cursor.number != number:
            continue
        if cursor.length == 0 and number == IF_MATCH:
            return True
        if cursor.length == ETAG_LENGTH and memcmp(cursor.value, body.etag, ETAG_LENGTH) == 0:
            return True
    return False


# The largest szx up to `szx` whose answer stays within AMPLIFICATION_MAX times the request.
cdef uint8_t szx_bounded(uint8_t szx, const MessageView* request) noexcept nogil:
    cdef uint32_t budget = AMPLIFICATION_MAX * message_length(request)
    cdef uint32_t head = CONTENT_HEAD_BOUND + request.token_length
    while szx > 0 and head + (<uint32_t>16 << szx) > budget:
        szx -= 1
    return szx


# 2.05 with the block asked, or what stands in its way.
cdef Outcome reply_block(
    const ResponderPolicy* policy, const Entry* entry, const MessageView* request,
    uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil:
    cdef const Body* body = entry.body
    cdef bint named = message_has(request, BLOCK2)
    cdef uint8_t szx_max = policy.szx_max
    cdef BlockValue block
    cdef Slice part
    cdef uint8_t value[3]
    cdef uint32_t at, delta
    if named:
        block = request.block2
        if block.szx > BLOCK_SZX_MAX:
            return reply_bad_request(request, "SZX 7 is reserved", head, reply)
        # A link list is sent in blocks as small as the request is short, so it is continued in those too.
        if block.szx < policy.szx_min and not body.discovery:
            return reply_bad_request(request, "block size too small", head, reply)
    else:
        block.num = 0
        block.szx = policy.szx_default
    if body.discovery:
        szx_max = szx_bounded(szx_max, request)
    # RFC 7959 section 2.4: the server may send smaller blocks; the offset asked stays the same.
    if block.szx > szx_max and block_shrink(&block, szx_max) != BLOCK_OK:
        return reply_bad_request(request, "NUM too high", head, reply)
    if block_slice(&block, body.length, &part) != BLOCK_OK:
        return reply_bad_request(request, "past the end", head, reply)
    if block.num == 0 and message_has(request, ETAG) and etag_named(request, ETAG, body):
        reply_code(request, VALID, head, reply)
        reply.head_length += option_write(head + reply.head_length, ETAG, body.etag, ETAG_LENGTH)
        return ANSWERED_VALID

    at = head_write(
        head, ACK if request.type == CON else NON, CONTENT, request.message_id,
        request.token, request.token_length)
    memcpy(head + at, body.prefix, PREFIX_LENGTH_MAX)
    at += body.prefix_length
    delta = SIZE2 - CONTENT_FORMAT
    # Always where it was asked, even when one block suffices: some devices abort without it.
    if named or block.more:
        at += option_write(head + at, BLOCK2 - CONTENT_FORMAT, value, block_write(&block, value))
        delta = SIZE2 - BLOCK2
    if block.num == 0 or message_has(request, SIZE2):
        at += option_uint_write(head + at, delta, body.length)
    if part.length > 0:               # without any, payload stays unset
        head[at] = PAYLOAD_MARKER
        at += 1
        reply.payload = body.data + part.offset
    ensure(at <= REPLY_HEAD_MAX)
    reply.head_length = at
    reply.payload_length = part.length
    reply.last = not block.more
    if entry.record != NULL:
        reply.mark = record_count(entry.record, part.offset, part.length, body.length, now_ns)
        reply.record_index = entry.record_index
    return ANSWERED_CONTENT


# A request for a path that is served here.
cdef Outcome reply_entry(
    const ResponderPolicy* policy, const Entry* entry, const MessageView* request,
    uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil:
    if message_has(request, PROXY_URI) or message_has(request, PROXY_SCHEME):
        reply_code(request, PROXYING_NOT_SUPPORTED, head, reply)
        return ANSWERED_PROXYING
    if request.critical != 0:
        return reply_bad_option(request, head, reply)
    if request.code != GET:
        reply_code(request, METHOD_NOT_ALLOWED, head, reply)
        return ANSWERED_METHOD_NOT_ALLOWED
    if message_has(request, ACCEPT) and request.accept != entry.body.content_format:
        reply_code(request, NOT_ACCEPTABLE, head, reply)
        return ANSWERED_NOT_ACCEPTABLE
    if message_has(request, IF_NONE_MATCH) or (
            message_has(request, IF_MATCH) and not etag_named(request, IF_MATCH, entry.body)):
        reply_code(request, PRECONDITION_FAILED, head, reply)
        return ANSWERED_PRECONDITION_FAILED
    if message_has(request, BLOCK1):
        return reply_bad_request(request, "Block1 in a GET", head, reply)
    return reply_block(policy, entry, request, now_ns, head, reply)


# A request for a path that is not served, with nobody else to take it.
cdef Outcome reply_nothing(const MessageView* request, uint8_t* head, Reply* reply) noexcept nogil:
    if message_has(request, PROXY_URI) or message_has(request, PROXY_SCHEME):
        reply_code(request, PROXYING_NOT_SUPPORTED, head, reply)
        return ANSWERED_PROXYING
    if request.critical != 0:
        return reply_bad_option(request, head, reply)
    if request.code > REQUEST_KNOWN_LAST:
        reply_code(request, METHOD_NOT_ALLOWED, head, reply)
        return ANSWERED_METHOD_NOT_ALLOWED
    reply_code(request, NOT_FOUND, head, reply)
    return ANSWERED_NOT_FOUND


# An Empty message or a response: for whoever waits for it, else RFC 7252 sections 4.2 and 4.3.
cdef Outcome reply_not_request(
    const ResponderPolicy* policy, const MessageView* message, uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil:
    cdef Outcome outcome
    if message.code != EMPTY:
        outcome = downlink_respond(policy.catalog, message, now_ns, head, reply)
        if outcome != HANDED_OVER:
            return outcome
    elif message.type == CON:
        return reply_reset(message, RESET_PING, head, reply)
    elif message.type == NON:
        return DROPPED_FORMAT
    if policy.handover:
        return HANDED_OVER
    if message.type == CON:
        return reply_reset(message, RESET_RESPONSE, head, reply)
    return DROPPED_UNMATCHED


cdef Outcome respond(
    const ResponderPolicy* policy, const uint8_t* data, uint32_t length, bint truncated,
    uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil:
    cdef MessageView message
    cdef const Entry* entry
    cdef ParseResult parsed = message_parse(data, length, &message)
    reply.mark = MARK_NONE
    reply.acknowledgement_length = 0
    if parsed != PARSED:
        if parsed == SHORT:
            return DROPPED_SHORT
        if parsed == WRONG_VERSION:
            return DROPPED_VERSION
        if message.type == CON:
            return reply_reset(&message, RESET_FORMAT, head, reply)
        return DROPPED_FORMAT
    if message.code == EMPTY or message.code > REQUEST_LAST:
        if truncated:
            return DROPPED_TRUNCATED
        return reply_not_request(policy, &message, now_ns, head, reply)
    if message.type != CON and message.type != NON:
        return DROPPED_FORMAT         # a request is never an ACK or a Reset
    if truncated:
        reply_code(&message, ENTITY_TOO_LARGE, head, reply)
        return ANSWERED_TOO_LARGE
    entry = entry_asked(policy.catalog, &message)
    if entry != NULL:
        return reply_entry(policy, entry, &message, now_ns, head, reply)
    if policy.handover:
        return HANDED_OVER
    return reply_nothing(&message, head, reply)


# -- Python face --

# By Outcome: how `stats` names it.
OUTCOMES = (
    "2.05", "segment", "2.03", "4.00", "4.02", "4.04", "4.05", "4.06", "4.12", "4.13", "5.05",
    "ping", "format error", "bad option", "unexpected response", "segment copy", "separate response",
    "short", "version", "format", "unmatched", "truncated", "multicast",
    "segment copy in NON", "segment written", "segment refused",
    "handed over",
)
if len(OUTCOMES) != OUTCOME_COUNT or OUTCOMES.index("short") != OUTCOME_REPLIES or OUTCOMES.index(
        "handed over") != OUTCOME_SILENT:
    raise AssertionError("OUTCOMES and Outcome go together")


# no_gc_clear: a listener gives its reader back to the catalog, whoever of them the collector meets first.
@final
@no_gc_clear
cdef class Responder:
    """Answers datagrams from a catalog. Block sizes are bytes, powers of two in 16..1024.

    `smallest_block` is the least that is offered (it bounds the size of a package), `largest_block` the
    most that is sent, `default_block` what is sent when the request names no size (brought within the
    two). `handover` tells that somebody takes what is not a package request; otherwise it is answered
    here with an error.

    >>> from headgate.engine.catalog import Catalog
    >>> from headgate.engine.ledger import Ledger
    >>> Responder(Catalog(Ledger(1))).respond(bytes.fromhex("40001234"))
    ('ping', b'p\\x00\\x124')
    """

    def __cinit__(
        self, Catalog catalog not None, *, int smallest_block=16, int largest_block=1024,
        int default_block=512, bint handover=False
    ):
        self.catalog = catalog
        self.policy.catalog = catalog.state
        self.policy.szx_min = block_szx(smallest_block)
        self.policy.szx_max = block_szx(largest_block)
        if smallest_block > largest_block:
            raise ValueError(f"smallest block {smallest_block} is larger than the largest, {largest_block}")
        self.policy.szx_default = min(max(block_szx(default_block), self.policy.szx_min), self.policy.szx_max)
        self.policy.handover = handover

    def check_size(self, length):
        """Raise PackageTooLargeError when `length` bytes pass 2**20 blocks of the smallest size offered."""
        cdef int size = 16 << self.policy.szx_min
        if length > (BLOCK_NUM_MAX + 1) * size:
            raise PackageTooLargeError(
                f"{length} bytes are more than 2**20 blocks of {size} bytes, the smallest size offered "
                f"(RFC 7959 section 2.2): offer no block below {block_size_for(length)} bytes"
                if length <= BLOCK_BODY_MAX else
                f"{length} bytes are more than 2**20 blocks of 1024 bytes, the most that Block2 can carry"
            )

    def respond(self, const uint8_t[::1] datagram not None, *, bint truncated=False, uint64_t now_ns=1):
        """(outcome, reply): what became of one datagram, and the bytes to send or None.

        Of a segment the reply is the write; `respond_all` has the acknowledgement before it, too.
        """
        outcome, replies = self.respond_all(datagram, truncated=truncated, now_ns=now_ns)
        return outcome, replies.pop() if replies else None

    def respond_all(self, const uint8_t[::1] datagram not None, *, bint truncated=False, uint64_t now_ns=1):
        """(outcome, replies): the same with every datagram to send, in order."""
        cdef Reader* reader = self.catalog.take_reader()
        cdef uint8_t head[REPLY_HEAD_MAX]
        cdef Reply reply
        cdef uint32_t length = <uint32_t>datagram.shape[0]
        cdef Outcome outcome
        cdef bytes answer
        cdef list replies = []
        try:
            catalog_enter(self.catalog.state, reader)
            outcome = respond(
                &self.policy, &datagram[0] if length else NULL, length, truncated, now_ns, head, &reply)
            if outcome < OUTCOME_REPLIES:
                if reply.acknowledgement_length:
                    replies.append(reply.acknowledgement[:reply.acknowledgement_length])
                answer = head[:reply.head_length]
                if reply.payload_length:
                    answer += reply.payload[:reply.payload_length]
                replies.append(answer)
        finally:
            self.catalog.give_reader(reader)
        return OUTCOMES[<int>outcome], replies

    def _py_respond_many(self, list datagrams, uint32_t rounds, *, uint64_t now_ns=1, uint64_t step_ns=0):
        """Answer each datagram `rounds` times, from `now_ns` on, `step_ns` apart; returns the replies' bytes.

        Test door.
        """
        cdef Reader* reader
        cdef uint8_t head[REPLY_HEAD_MAX]
        cdef Reply reply
        cdef const uint8_t* views[64]
        cdef uint32_t lengths[64]
        cdef uint32_t i, _round
        cdef uint32_t count = <uint32_t>len(datagrams)
        cdef uint64_t total = 0
        if not 0 < count <= 64:
            raise ValueError("1..64 datagrams")
        for i in range(count):
            views[i] = <const uint8_t*><bytes>datagrams[i]
            lengths[i] = <uint32_t>len(datagrams[i])
        reader = self.catalog.take_reader()
        with nogil:
            catalog_enter(self.catalog.state, reader)
            for _round in range(rounds):
                for i in range(count):
                    if respond(
                            &self.policy, views[i], lengths[i], False, now_ns, head, &reply
                    ) < OUTCOME_REPLIES:
                        total += reply.head_length + reply.payload_length + reply.acknowledgement_length
                now_ns += step_ns
            catalog_leave(reader)
        self.catalog.give_reader(reader)
        return total


cdef block_size_for(length):
    cdef int size = 16
    while length > (BLOCK_NUM_MAX + 1) * size:
        size *= 2
    return size
