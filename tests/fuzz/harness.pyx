"""Fuzz targets over the compiled rooms. `must` states what holds for every input; it is always live.

Each target is a C function that libFuzzer calls with one input after the other, in this process, and that
returns 0. Whatever is wrong aborts: here by `must`, in the rooms by `ensure` and by the sanitizers.
"""

import sys
import traceback

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport abort, calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from headgate.engine.catalog cimport (
    PATH_LENGTH_MAX, Catalog, CatalogState, Entry, Reader, Table, catalog_enter, catalog_find, catalog_leave,
)
from headgate.engine.ledger cimport MARK_BOTH, MARK_NONE, RECORD_SIZE, Ledger, Record
from headgate.engine.package cimport ETAG_LENGTH, Body, Package
from headgate.engine.reply cimport (
    ACKNOWLEDGED_COPY, ACKNOWLEDGED_RESPONSE, ACKNOWLEDGEMENT_LENGTH, ANSWERED_BAD_OPTION,
    ANSWERED_BAD_REQUEST, ANSWERED_CONTENT, ANSWERED_METHOD_NOT_ALLOWED, ANSWERED_NOT_ACCEPTABLE,
    ANSWERED_NOT_FOUND, ANSWERED_PRECONDITION_FAILED, ANSWERED_PROXYING, ANSWERED_SEGMENT, ANSWERED_TOO_LARGE,
    ANSWERED_VALID, DROPPED_COPY, DROPPED_MULTICAST, DROPPED_UNMATCHED, HANDED_OVER, OUTCOME_REPLIES,
    REPLY_HEAD_MAX, RESET_BAD_OPTION, RESET_PING, RESET_RESPONSE, Outcome, Reply,
)
from headgate.engine.responder cimport AMPLIFICATION_MAX, Responder, ResponderPolicy, respond
from headgate.engine.segments cimport WRITE_TOKEN_BIT, SegmentGrant, SegmentState
from headgate.transport.ring cimport (
    RING_CAPACITY_MIN, RING_DATAGRAM, RING_STARTED, RecordKind, Ring, RingRecord, ring_peek, ring_pop,
    ring_push,
)
from headgate.wire.block cimport (
    BLOCK_BODY_MAX, BLOCK_NUM_MAX, BLOCK_OK, BLOCK_SZX_MAX, BLOCK_VALUE_MAX, BlockValue, Slice, block_parse,
    block_shrink, block_size, block_slice, block_write,
)
from headgate.wire.coap cimport (
    ACK, BAD_OPTION, BAD_REQUEST, BAD_TOKEN, BLOCK2, CON, CONTENT, CONTENT_FORMAT, EMPTY, ENTITY_TOO_LARGE,
    ETAG, METHOD_NOT_ALLOWED, NON, NOT_ACCEPTABLE, NOT_FOUND, OPTION_HEAD_MAX, OPTION_NUMBER_MAX,
    OPTION_READ, OPTIONS_END, OPTIONS_PAYLOAD, PARSE_RESULT_COUNT, PARSED, PAYLOAD_MARKER,
    PRECONDITION_FAILED, PROXYING_NOT_SUPPORTED, PUT, REQUEST_LAST, RST, SHORT, SIZE2, TOKEN_LENGTH_MAX,
    URI_PATH, VALID, WRONG_VERSION, MessageView, OptionCursor, OptionResult, ParseResult, head_write,
    message_has, message_length, message_options, message_parse, option_next, option_write, uint_parse,
)
from headgate.wire.crc cimport check_code_update
from headgate.wire.segment cimport (
    SEGMENT_HEAD_LENGTH, SegmentRequest, segment_check_code, segment_length, segment_request_parse,
)

from headgate.errors import GrantLimitError, PathTakenError

ctypedef int (*Target)(const uint8_t* data, size_t size) noexcept nogil

cdef extern from *:
    """
    #include <stdio.h>
    #include <stdlib.h>

    int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*target)(const uint8_t *, size_t));

    #define must(condition, what) \\
        do { if (!(condition)) { fprintf(stderr, "broken: %s\\n", (what)); abort(); } } while (0)
    """
    # Ends the process when libFuzzer is done.
    int LLVMFuzzerRunDriver(int* argc, char*** argv, Target target) nogil
    void must(bint condition, const char* what) noexcept nogil

# libFuzzer hands a target nothing but the input, so what is served is here. Set once, by run.
cdef const ResponderPolicy* PLAIN
cdef const ResponderPolicy* HANDING
cdef const ResponderPolicy* NARROW
cdef CatalogState* CATALOG
cdef Reader* READER
cdef Record* GRANTED
cdef SegmentState* SEGMENTS


# `length` bytes in memory of exactly that size: AddressSanitizer sees the first byte read past them.
cdef uint8_t* exact(const uint8_t* data, size_t length) noexcept nogil:
    cdef uint8_t* copy = <uint8_t*>malloc(length)
    must(copy != NULL, "there is memory")
    if length > 0:
        memcpy(copy, data, length)
    return copy


# -- datagram: the input is one datagram --

# Whether the `length` bytes at `at` lie within the datagram.
cdef bint within(const MessageView* message, const uint8_t* at, uint32_t length) noexcept nogil:
    return message.data <= at <= message.end and length <= message.end - at


# What every block is held to, whichever way it came: written and read back, made smaller, cut from bodies.
cdef void block_check(const uint8_t* value, uint32_t length) noexcept nogil:
    cdef BlockValue block, again
    cdef Slice part
    cdef uint8_t* copy = exact(value, length)
    cdef bint usable = block_parse(copy, length, &block) == BLOCK_OK
    cdef uint8_t written[BLOCK_VALUE_MAX]
    cdef uint32_t written_length, offset, size, szx, i
    cdef uint32_t bodies[6]
    free(copy)
    must(block.num <= BLOCK_NUM_MAX and block.szx <= 7, "a block has 20 bits of NUM and 3 of SZX")
    must(usable == (block.szx <= BLOCK_SZX_MAX), "SZX 7 and nothing else is reserved")
    if not usable:
        return
    written_length = block_write(&block, written)
    must(written_length <= length, "a block is written in its shortest form")
    copy = exact(written, written_length)
    must(block_parse(copy, written_length, &again) == BLOCK_OK, "a written block is read back")
    free(copy)
    must(again.num == block.num and again.more == block.more and again.szx == block.szx,
         "a block reads back as it was written")
    offset = block.num * block_size(block.szx)
    for szx in range(block.szx + 1):
        again = block
        if block_shrink(&again, <uint8_t>szx) != BLOCK_OK:
            must(offset >> (szx + 4) > BLOCK_NUM_MAX, "only a NUM of over 20 bits is refused")
            must(again.num == block.num and again.szx == block.szx, "a block refused is unchanged")
            continue
        size = block_size(again.szx)
        must(again.szx == szx and again.num * size == offset, "a smaller block begins at the same offset")
        bodies[:] = [0, offset, offset + 1, offset + size, offset + size + 1, BLOCK_BODY_MAX]
        for i in range(6):
            if bodies[i] > BLOCK_BODY_MAX:
                continue
            if block_slice(&again, bodies[i], &part) != BLOCK_OK:
                must(offset >= bodies[i], "only a block behind the body has no part of it")
                continue
            must(part.offset == offset and part.length <= size, "a part is where the block says")
            must(offset + part.length <= bodies[i], "a part ends within the body")
            must(again.more == (offset + part.length < bodies[i]), "more follow, or the body has ended")
            must(part.length == size or not again.more, "a block with more to follow is full")
            must(part.length > 0 or bodies[i] == 0, "a part has bytes if the body has")


# What every datagram is held to. A message that parses is written again, option by option, and must come
# out as the very same bytes: each part of a message has one form only (RFC 7252 section 3.1).
cdef ParseResult message_check(const uint8_t* data, uint32_t length, MessageView* message) noexcept nogil:
    cdef ParseResult parsed = message_parse(data, length, message)
    cdef OptionCursor cursor
    cdef OptionResult result
    cdef uint8_t* out
    cdef uint32_t at
    cdef uint32_t before = 0
    cdef uint32_t paths = 0
    must(0 <= <int>parsed < PARSE_RESULT_COUNT, "a parse has one of the results")
    must((parsed == SHORT) == (length < 4), "what has fewer than 4 bytes is short, and nothing else")
    if parsed == SHORT or parsed == WRONG_VERSION:
        return parsed
    must(message_length(message) == length, "a message is as long as its datagram")
    must(message.token_length <= TOKEN_LENGTH_MAX, "a token has a bounded length")
    if parsed == BAD_TOKEN:
        must(message.token_length == 0, "a bad token is no token")
        return parsed
    must(within(message, message.token, message.token_length), "a token lies in the datagram")
    if parsed != PARSED:
        return parsed

    out = <uint8_t*>malloc(length)
    at = head_write(
        out, message.type, message.code, message.message_id, message.token, message.token_length)
    cursor = message_options(message)
    while True:
        result = option_next(&cursor)
        if result != OPTION_READ:
            break
        must(cursor.number >= before, "options come sorted by number")
        must(within(message, cursor.value, cursor.length), "an option lies in the datagram")
        at += option_write(out + at, cursor.number - before, cursor.value, cursor.length)
        before = cursor.number
        if cursor.number == URI_PATH and cursor.length <= 255:
            if paths == 0:
                must(message.path == cursor.value and message.path_length == cursor.length,
                     "the first Uri-Path is kept")
            paths += 1
    must(paths == message.path_count, "every Uri-Path is counted")
    must(result == (OPTIONS_PAYLOAD if message.payload_length else OPTIONS_END), "options end in one way")
    if message.payload_length > 0:
        must(within(message, message.payload, message.payload_length), "a payload lies in the datagram")
        out[at] = PAYLOAD_MARKER
        at += 1
        memcpy(out + at, message.payload, message.payload_length)
        at += message.payload_length
    must(at == length and memcmp(out, data, length) == 0, "a message is written as it was read")
    free(out)
    return parsed


# One answer of one responder: the head in memory of its own, the reply filled with what cannot be right.
cdef struct Answer:
    Outcome outcome
    Reply reply
    uint8_t* head


cdef Answer answer(
    const ResponderPolicy* policy, const uint8_t* data, uint32_t length, bint truncated
) noexcept nogil:
    cdef Answer made
    made.head = <uint8_t*>malloc(REPLY_HEAD_MAX)
    memset(made.head, 0xA5, REPLY_HEAD_MAX)
    memset(&made.reply, 0xA5, sizeof(made.reply))
    SEGMENTS.flight = 0               # nothing is under way, so that the same input takes the same way
    made.outcome = respond(policy, data, length, truncated, 1, made.head, &made.reply)
    return made


cdef uint8_t code_of(Outcome outcome) noexcept nogil:
    if outcome == ANSWERED_CONTENT:
        return CONTENT
    if outcome == ANSWERED_VALID:
        return VALID
    if outcome == ANSWERED_BAD_REQUEST:
        return BAD_REQUEST
    if outcome == ANSWERED_BAD_OPTION:
        return BAD_OPTION
    if outcome == ANSWERED_NOT_FOUND:
        return NOT_FOUND
    if outcome == ANSWERED_METHOD_NOT_ALLOWED:
        return METHOD_NOT_ALLOWED
    if outcome == ANSWERED_NOT_ACCEPTABLE:
        return NOT_ACCEPTABLE
    if outcome == ANSWERED_PRECONDITION_FAILED:
        return PRECONDITION_FAILED
    if outcome == ANSWERED_TOO_LARGE:
        return ENTITY_TOO_LARGE
    if outcome == ANSWERED_PROXYING:
        return PROXYING_NOT_SUPPORTED
    must(RESET_PING <= outcome <= RESET_RESPONSE, "a reply is an answer or a Reset")
    return EMPTY


# What is served under the path that a request asks for, found the long way.
cdef const Entry* entry_of(const MessageView* request) noexcept nogil:
    cdef OptionCursor cursor = message_options(request)
    cdef uint8_t* path = <uint8_t*>malloc(message_length(request))
    cdef uint32_t length = 0
    cdef bint first = True
    cdef const Entry* entry = NULL
    while option_next(&cursor) == OPTION_READ:
        if cursor.number != URI_PATH or cursor.length > 255:
            continue
        if not first:
            path[length] = 0x2F
            length += 1
        first = False
        memcpy(path + length, cursor.value, cursor.length)
        length += cursor.length
    if length <= PATH_LENGTH_MAX:
        entry = catalog_find(CATALOG, path, length)
    free(path)
    return entry


# What every 2.05 is held to: the bytes it carries are those that were asked for, and it says so.
cdef void content_check(
    const ResponderPolicy* policy, const MessageView* request, const MessageView* sent, const Reply* reply
) noexcept nogil:
    cdef const Entry* entry = entry_of(request)
    cdef const Body* body
    cdef OptionCursor cursor = message_options(sent)
    cdef bint tagged = False
    cdef uint32_t offset = 0
    cdef uint32_t format = 0
    cdef uint64_t run
    must(entry != NULL, "only what is served is sent")
    body = entry.body
    while option_next(&cursor) == OPTION_READ:
        if cursor.number == ETAG:
            tagged = cursor.length == ETAG_LENGTH and memcmp(cursor.value, body.etag, ETAG_LENGTH) == 0
        elif cursor.number == CONTENT_FORMAT:
            format = uint_parse(cursor.value, cursor.length)
        elif cursor.number == SIZE2:
            must(uint_parse(cursor.value, cursor.length) == body.length, "Size2 is the body's length")
        else:
            must(cursor.number == BLOCK2, "a 2.05 has four options")
    must(tagged and format == body.content_format, "ETag and Content-Format are the package's")
    if message_has(sent, BLOCK2):
        must(sent.block2.szx <= policy.szx_max, "a block is no larger than the largest offered")
        offset = sent.block2.num * block_size(sent.block2.szx)
        must(sent.block2.more == (offset + sent.payload_length < body.length), "M tells what follows")
        must(sent.payload_length == block_size(sent.block2.szx) or not sent.block2.more,
             "a block with more to follow is full")
    else:
        must(not message_has(request, BLOCK2), "a block asked for is named")
        must(sent.payload_length == body.length, "what has no block is whole")
    if message_has(request, BLOCK2):
        must(offset == request.block2.num * block_size(request.block2.szx), "the offset is the one asked")
        must(sent.block2.szx <= request.block2.szx, "the size is the one asked, or smaller")
        must(policy.szx_min <= request.block2.szx or body.discovery, "a size not offered is refused")
    else:
        must(offset == 0, "what names no block gets the first")
    must(offset + sent.payload_length <= body.length, "a block lies in the body")
    if sent.payload_length > 0:
        must(reply.payload == body.data + offset, "a payload is a view into the package")
    must(reply.last == (offset + sent.payload_length == body.length), "the last block is known as such")
    if entry.record == NULL:
        must(reply.mark == MARK_NONE, "only a grant is marked")
    else:
        must(MARK_NONE <= reply.mark <= MARK_BOTH, "a mark is one of four")
        must(entry.record == GRANTED, "the grant counts in its record")
        run = GRANTED.run
        must(run >> 32 <= <uint32_t>run <= body.length, "a run lies in the body")
        must(GRANTED.blocks > 0 and GRANTED.repeats < GRANTED.blocks, "a block served is counted")


# What every segment is held to: an ACK for a CON, then a write with the bytes that were asked for. The same
# request once more draws no second one.
cdef void segment_check(
    const ResponderPolicy* policy, const MessageView* request, const Answer* made
) noexcept nogil:
    cdef const Reply* reply = &made.reply
    cdef uint32_t length = reply.head_length + reply.payload_length
    cdef uint8_t* bytes = <uint8_t*>malloc(length)
    cdef uint8_t* head = <uint8_t*>malloc(REPLY_HEAD_MAX)
    cdef MessageView sent
    cdef SegmentRequest asked
    cdef Reply again
    cdef uint32_t offset
    cdef Outcome outcome
    must(segment_request_parse(request.payload, request.payload_length, &asked), "a segment was asked for")
    offset = <uint32_t>asked.segment * SEGMENTS.offer.size
    must(reply.payload == SEGMENTS.offer.data + offset and offset < SEGMENTS.offer.length,
         "a segment is in the package")
    must(reply.payload_length == segment_length(asked.segment, SEGMENTS.offer.size, SEGMENTS.offer.length),
         "a segment is full, or the last one")
    memcpy(bytes, made.head, reply.head_length)
    memcpy(bytes + reply.head_length, reply.payload, reply.payload_length)
    must(message_check(bytes, length, &sent) == PARSED, "a write is a message")
    must(sent.type == CON and sent.code == PUT and sent.message_id >= 0x8000, "a segment is written")
    must(sent.token_length == 8 and sent.token[0] == request.token[0] ^ WRITE_TOKEN_BIT
         and memcmp(sent.token + 1, request.token + 1, 7) == 0, "a write leads back to its grant")
    must(sent.payload_length == SEGMENT_HEAD_LENGTH + reply.payload_length, "a frame is whole")
    must((<uint32_t>sent.payload[4] << 8 | sent.payload[5]) == segment_check_code(
        asked.segment, reply.payload, reply.payload_length), "a frame has its check code")
    must(reply.last == (offset + reply.payload_length == SEGMENTS.offer.length),
         "the last segment is known as such")
    must(reply.acknowledgement_length == (ACKNOWLEDGEMENT_LENGTH if request.type == CON else 0),
         "a CON is acknowledged, a NON is not")
    if request.type == CON:
        must(message_check(reply.acknowledgement, ACKNOWLEDGEMENT_LENGTH, &sent) == PARSED
             and sent.type == ACK and sent.code == EMPTY and sent.message_id == request.message_id,
             "an acknowledgement is empty")
    outcome = respond(policy, request.data, message_length(request), False, 2, head, &again)
    must(outcome == (ACKNOWLEDGED_COPY if request.type == CON else DROPPED_COPY), "a copy draws no segment")
    free(bytes)
    free(head)


# What every reply is held to.
cdef void reply_check(
    const ResponderPolicy* policy, const MessageView* request, ParseResult parsed, const Answer* made
) noexcept nogil:
    cdef const Reply* reply = &made.reply
    cdef MessageView sent
    cdef uint8_t* bytes
    cdef uint32_t length
    cdef uint32_t i
    if made.outcome >= OUTCOME_REPLIES:
        must(made.outcome <= HANDED_OVER and made.outcome != DROPPED_MULTICAST, "an outcome is ours")
        must(policy.handover or made.outcome != HANDED_OVER, "nothing is handed to nobody")
        return
    must(0 < reply.head_length <= REPLY_HEAD_MAX, "a head keeps to its room")
    if made.outcome == ANSWERED_SEGMENT:
        segment_check(policy, request, made)
        return
    must(reply.acknowledgement_length == 0, "only a segment has two datagrams")
    # Copying the payload reads it: what is not the package's or a constant's is seen here.
    length = reply.head_length + reply.payload_length
    bytes = <uint8_t*>malloc(length)
    memcpy(bytes, made.head, reply.head_length)
    if reply.payload_length > 0:
        memcpy(bytes + reply.head_length, reply.payload, reply.payload_length)
    must(message_check(bytes, length, &sent) == PARSED, "a reply is a message")
    must(sent.payload_length == reply.payload_length, "what follows the head is the payload")
    must(sent.message_id == request.message_id, "a reply carries the message id of what it answers")
    if made.outcome == ACKNOWLEDGED_COPY or made.outcome == ACKNOWLEDGED_RESPONSE:
        must(request.type == CON and request.code > REQUEST_LAST, "a CON response is acknowledged")
        must(sent.type == ACK and length == 4, "an acknowledgement is empty")
        free(bytes)
        return
    must(sent.code == code_of(made.outcome), "the outcome is what was sent")
    if sent.code == EMPTY:
        must(sent.type == RST and length == 4, "a Reset is four bytes")
        must(request.type == CON or made.outcome == RESET_BAD_OPTION, "only those are reset")
    else:
        must(parsed == PARSED and EMPTY < request.code <= REQUEST_LAST, "only a request is answered")
        must(sent.type == (ACK if request.type == CON else NON), "a CON is acknowledged, a NON is not")
        must(sent.token_length == request.token_length
             and memcmp(sent.token, request.token, sent.token_length) == 0, "a reply echoes the token")
    if made.outcome == ANSWERED_CONTENT:
        content_check(policy, request, &sent, reply)
    elif made.outcome == ANSWERED_BAD_REQUEST:
        for i in range(sent.payload_length):
            must(0x20 <= sent.payload[i] < 0x7F, "a diagnostic is text")
    else:
        must(sent.payload_length == 0, "nothing else has a payload")
    if made.outcome != ANSWERED_CONTENT or entry_of(request).body.discovery:
        must(length <= AMPLIFICATION_MAX * message_length(request), "a stranger gets at most three times")
    free(bytes)


# The same question to a responder that hands over and to one that does not.
cdef void handover_check(const Answer* alone, const Answer* handing) noexcept nogil:
    if handing.outcome == HANDED_OVER:
        must(alone.outcome in (
            ANSWERED_NOT_FOUND, ANSWERED_METHOD_NOT_ALLOWED, ANSWERED_BAD_OPTION, ANSWERED_PROXYING,
            RESET_BAD_OPTION, RESET_RESPONSE, DROPPED_UNMATCHED), "a package request is never handed over")
        return
    must(alone.outcome == handing.outcome, "who else is there does not change the outcome")
    if alone.outcome < OUTCOME_REPLIES:
        must(alone.reply.head_length == handing.reply.head_length
             and memcmp(alone.head, handing.head, alone.reply.head_length) == 0
             and alone.reply.payload_length == handing.reply.payload_length
             and (alone.reply.payload_length == 0 or alone.reply.payload == handing.reply.payload),
             "a repeated question gets the same answer")


cdef int datagram(const uint8_t* data, size_t size) noexcept nogil:
    cdef uint32_t length = <uint32_t>size
    cdef uint8_t* copy = exact(data, size)
    cdef MessageView message
    cdef ParseResult parsed = message_check(copy, length, &message)
    cdef uint32_t short_length = length if length < BLOCK_VALUE_MAX else BLOCK_VALUE_MAX
    cdef Answer made[3]
    cdef int i, truncated
    cdef uint32_t half
    cdef uint16_t code
    block_check(copy + length - short_length, short_length)
    half = length // 2
    code = check_code_update(check_code_update(0, copy, half), copy + half, length - half)
    must(code == check_code_update(0, copy, length), "a check code may be taken in parts")
    memset(GRANTED, 0, RECORD_SIZE)
    catalog_enter(CATALOG, READER)
    for truncated in range(2):
        made[0] = answer(PLAIN, copy, length, truncated)
        made[1] = answer(HANDING, copy, length, truncated)
        made[2] = answer(NARROW, copy, length, truncated)
        reply_check(PLAIN, &message, parsed, &made[0])
        reply_check(HANDING, &message, parsed, &made[1])
        reply_check(NARROW, &message, parsed, &made[2])
        handover_check(&made[0], &made[1])
        for i in range(3):
            must(not truncated or made[i].outcome > ANSWERED_VALID, "what was cut off gets no package")
            free(made[i].head)
    catalog_leave(READER)
    free(copy)
    return 0


# -- ring: the input is a script of pushes and pops, held against a plain queue --

cdef enum:
    # The larger ring below holds RING_CAPACITY_MIN // 8 of the smallest records; one more is tried.
    EXPECTED_MAX = RING_CAPACITY_MIN // 8 + 1
    ADDRESS_MAX = 128
    CONTROL_MAX = 64
    DATAGRAM_MAX = 2048
    PATTERN = 256

# A record pushed: its parts are bytes of BYTES from `first` on.
cdef struct Expected:
    RecordKind kind
    uint32_t value
    uint32_t first
    uint32_t address_length
    uint32_t control_length

cdef uint8_t BYTES[PATTERN + DATAGRAM_MAX]
cdef Expected EXPECTED[EXPECTED_MAX]


# A number below `bound` from the next two bytes of the script; 0 when it has ended.
cdef uint32_t script_number(const uint8_t** at, const uint8_t* end, uint32_t bound) noexcept nogil:
    cdef uint32_t number
    if end - at[0] < 2:
        at[0] = end
        return 0
    number = (<uint32_t>at[0][0] << 8 | at[0][1]) % bound
    at[0] += 2
    return number


cdef void record_check(const RingRecord* record, const Expected* expected) noexcept nogil:
    cdef const uint8_t* at = <const uint8_t*>record + sizeof(RingRecord)
    must(record.kind == expected.kind and record.value == expected.value, "records come out in order")
    if record.kind != RING_DATAGRAM:
        return
    must(record.address_length == expected.address_length
         and memcmp(at, BYTES + expected.first, expected.address_length) == 0, "an address is kept")
    at += expected.address_length
    must(record.control_length == expected.control_length
         and memcmp(at, BYTES + expected.first, expected.control_length) == 0, "packet information is kept")
    at += expected.control_length
    must(memcmp(at, BYTES + expected.first, expected.value) == 0, "a datagram is kept")


cdef int ring(const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* at = data
    cdef const uint8_t* end = data + size
    cdef Ring made
    cdef RingRecord* record
    cdef Expected* expected
    cdef uint64_t used
    cdef uint32_t count, length
    cdef uint32_t oldest = 0
    cdef uint32_t waiting = 0
    cdef uint32_t refused = 0
    cdef uint32_t sequence = 0
    cdef int pushed
    memset(&made, 0, sizeof(made))
    made.capacity = RING_CAPACITY_MIN * (1 + (size & 1))
    made.bytes = <uint8_t*>malloc(made.capacity)
    while at < end:
        count = at[0] >> 2
        at += 1
        if at[-1] & 2:
            # Read so many records; one more look than there are must find nothing.
            while count > 0:
                count -= 1
                record = ring_peek(&made)
                must((record == NULL) == (waiting == 0), "the ring has what was pushed")
                if record == NULL:
                    must(made.head == made.tail, "a ring without records is empty")
                    break
                must(record == ring_peek(&made), "a record stays until it is popped")
                record_check(record, &EXPECTED[oldest % EXPECTED_MAX])
                ring_pop(&made, record)
                oldest += 1
                waiting -= 1
        else:
            expected = &EXPECTED[(oldest + waiting) % EXPECTED_MAX]
            expected.first = sequence % PATTERN
            sequence += 1
            used = made.tail - made.head
            if at[-1] & 1:
                expected.kind = RING_DATAGRAM
                expected.address_length = script_number(&at, end, ADDRESS_MAX + 1)
                expected.control_length = script_number(&at, end, CONTROL_MAX + 1)
                expected.value = script_number(&at, end, DATAGRAM_MAX + 1)
                length = expected.address_length + expected.control_length + expected.value
                pushed = ring_push(
                    &made, RING_DATAGRAM, expected.value, BYTES + expected.first, expected.address_length,
                    BYTES + expected.first, expected.control_length, BYTES + expected.first, expected.value)
            else:
                expected.kind = RING_STARTED
                expected.value = count
                length = 0
                pushed = ring_push(&made, RING_STARTED, count, NULL, 0, NULL, 0, NULL, 0)
            if pushed == 0:
                # A filler before the record is shorter than the record.
                length = <uint32_t>sizeof(RingRecord) + length + 8
                must(used + 2 * length > made.capacity, "only a full ring refuses")
                refused += 1
            else:
                must(pushed == (2 if waiting == 0 else 1), "who pushes into an empty ring is told so")
                waiting += 1
        must(made.tail - made.head <= made.capacity, "a ring holds no more than it has room for")
        must(made.full == refused, "what is refused is counted")
    free(made.bytes)
    return 0


# -- catalog: the input is a script of changes and of readers, held against a dict --

cdef enum:
    HELD_MAX = 4                      # readers that a script can have inside at once

cdef struct Held:
    Reader* reader                    # NULL while outside
    const Entry* entry                # what it found last, perhaps withdrawn since
    uint8_t path                      # and under which of PATHS
    uint8_t first_byte                # of the body

# More paths than a new table takes, so that scripts make it grow; two packages, to replace one by the other.
PATHS = [b"fw/%d" % i for i in range(64)]
PACKAGES = [Package(data, sha256=data * 32, check_code=1) for data in (b"A", b"B")]


cdef class Script:
    """One run of a script: the catalog, the dict that says what it should hold, the readers inside."""

    cdef Catalog catalog
    cdef dict expected                # path -> (package, ledger record or None)
    cdef Held held[HELD_MAX]

    def __cinit__(self):
        self.catalog = Catalog(Ledger(8))
        self.catalog.state.seed = 0   # the same script takes the same way each time
        self.expected = {}

    cdef int publish(self, bytes path, package, bint replace) except -1:
        cdef object before = self.expected.get(path)
        try:
            self.catalog.publish(path, package, replace=replace)
        except PathTakenError:
            must(before is not None and not replace and before != (package, None), "a path is taken or free")
            return 0
        must(before is None or replace or before == (package, None), "a path taken is not given twice")
        self.expected[path] = (package, None)
        return 0

    cdef int grant(self, bytes path, package) except -1:
        cdef object before = self.expected.get(path)
        cdef Ledger ledger = self.catalog.ledger
        cdef uint32_t index
        try:
            index = self.catalog.grant(path, package)
        except GrantLimitError:
            must(ledger.used - <uint32_t>len(ledger._free) == ledger.limit, "only a full ledger refuses")
            return 0
        except PathTakenError:
            must(before is not None, "a path is taken or free")
            return 0
        if before is not None:
            must(before == (package, index), "granting again changes nothing")
            return 0
        must(index not in [record for _, record in self.expected.values()], "a record belongs to one grant")
        must(ledger.records[index].blocks == 0, "a record is zero when a grant receives it")
        ledger.records[index].blocks = 1      # as if it had been served
        self.expected[path] = (package, index)
        return 0

    cdef int withdraw(self, bytes path) except -1:
        must(self.catalog.withdraw(path) == (self.expected.pop(path, None) is not None),
             "what was served is withdrawn")
        return 0

    # Whatever a reader has found stays readable, withdrawn or not, until it leaves.
    cdef int read(self, Held* held) except -1:
        cdef bytes path
        if held.reader != NULL and held.entry != NULL:
            path = PATHS[held.path]
            must(held.entry.path_length == len(path)
                 and memcmp(held.entry.path, <const uint8_t*>path, held.entry.path_length) == 0
                 and held.entry.body.data[0] == held.first_byte, "what a reader found is what it was")
        return 0

    cdef int look(self, Held* held, uint8_t path) except -1:
        cdef bytes name = PATHS[path]
        self.read(held)
        if held.reader == NULL:
            held.reader = self.catalog.take_reader()
            catalog_enter(self.catalog.state, held.reader)
        held.path = path
        held.entry = catalog_find(self.catalog.state, name, <uint32_t>len(name))
        must((held.entry != NULL) == (name in self.expected), "a reader finds what is served")
        if held.entry != NULL:
            held.first_byte = held.entry.body.data[0]
        return 0

    cdef int leave(self, Held* held) except -1:
        self.read(held)
        if held.reader != NULL:
            catalog_leave(held.reader)
            self.catalog.give_reader(held.reader)
            held.reader = NULL
        return 0

    # Invariant 2 of the catalog; and it grows by what its table holds, not by what tables before it held.
    cdef int table_check(self) except -1:
        cdef Table* table = <Table*><void*>self.catalog.state.table
        cdef uint64_t filled = 0
        cdef uint64_t at
        for at in range(table.mask + 1):
            filled += table.slots[at].entry != 0
        must(filled == <uint64_t>self.catalog.filled, "slots that are not empty are counted")
        must(2 * filled <= table.mask + 1, "a table is at most half full")
        return 0

    # Each step is two bytes: what to do, and with which path.
    cdef int play(self, const uint8_t* data, size_t size) except -1:
        cdef const uint8_t* end = data + (size & ~<size_t>1)
        cdef uint8_t step, path
        cdef int i
        while data < end:
            step = data[0] >> 3
            path = data[1] % 64
            if data[0] & 7 <= 1:
                self.publish(PATHS[path], PACKAGES[step & 1], (step & 2) != 0)
            elif data[0] & 7 == 2:
                self.grant(PATHS[path], PACKAGES[step & 1])
            elif data[0] & 7 <= 4:
                self.withdraw(PATHS[path])
            elif data[0] & 7 == 5:
                self.look(&self.held[step % HELD_MAX], path)
            elif data[0] & 7 == 6:
                self.leave(&self.held[step % HELD_MAX])
            else:
                must(self.catalog.find(PATHS[path]) == self.expected.get(PATHS[path]),
                     "find finds what is served")
            data += 2
        for i in range(HELD_MAX):
            self.leave(&self.held[i])
        must(self.catalog.reclaim() == 0, "with nobody inside nothing waits")
        must(len(self.catalog) == len(self.expected), "the catalog counts what it serves")
        self.table_check()
        for name in PATHS:
            must(self.catalog.find(name) == self.expected.get(name), "find finds what is served")
            self.withdraw(name)
        must(self.catalog.reclaim() == 0 and len(self.catalog) == 0, "all that was served is withdrawn")
        must(len(self.catalog.ledger._free) == self.catalog.ledger.used, "every record is given back")
        return 0


cdef int catalog(const uint8_t* data, size_t size) noexcept with gil:
    cdef list before = [sys.getrefcount(package) for package in PACKAGES]
    try:
        Script().play(data, size)
        must(before == [sys.getrefcount(package) for package in PACKAGES], "no reference is lost or left")
    except BaseException:
        traceback.print_exc()
        abort()
    return 0


# -- canary: inputs that must be found; a fuzzer that finds nothing may just be blind --

cdef int canary(const uint8_t* data, size_t size) noexcept nogil:
    cdef MessageView message
    cdef BlockValue block
    cdef uint8_t* copy = exact(data, size)
    cdef uint8_t out[OPTION_HEAD_MAX]
    if size == 0:
        return 0
    if data[0] == 0x40:               # '@': a message, whose options are said to have one byte more
        message_parse(copy, <uint32_t>size + 1, &message)
    elif data[0] == 0x55:             # 'U': a shift by 40 bits, which C does not define
        block.num = 1
        block.szx = 40
        block_shrink(&block, 0)
    elif data[0] == 0x45:             # 'E': against what option_write ensures
        option_write(out, OPTION_NUMBER_MAX + 1, NULL, 0)
    elif data[0] == 0x4D:             # 'M': against what is stated here
        must(size == 0, "an invariant")
    free(copy)
    return 0


def run(
    str target, list argv, Catalog served not None, uint32_t granted, SegmentGrant segments not None,
    *responders
):
    """Fuzz `target` with libFuzzer, whose command line is `argv`; ends the process.

    What is served, the grant's record, the segment grant, and three responders are those of `fuzz.served`.
    """
    global PLAIN, HANDING, NARROW, CATALOG, READER, GRANTED, SEGMENTS
    cdef int argc = <int>len(argv)
    cdef char** arguments = <char**>calloc(argc + 1, sizeof(char*))
    cdef Target chosen
    cdef int i
    cdef Responder plain, handing, narrow
    plain, handing, narrow = responders
    PLAIN, HANDING, NARROW = &plain.policy, &handing.policy, &narrow.policy
    CATALOG = served.state
    READER = served.take_reader()
    GRANTED = &served.ledger.records[granted]
    SEGMENTS = &segments.state
    for i in range(PATTERN + DATAGRAM_MAX):
        BYTES[i] = <uint8_t>(i % PATTERN)
    for i in range(argc):
        arguments[i] = <bytes>argv[i]
    if target == "datagram":
        chosen = datagram
    elif target == "ring":
        chosen = ring
    elif target == "catalog":
        chosen = catalog
    elif target == "canary":
        chosen = canary
    else:
        raise SystemExit(f"no target {target!r}: datagram, ring, catalog or canary")
    sys.stdout.flush()
    with nogil:
        LLVMFuzzerRunDriver(&argc, &arguments, chosen)
