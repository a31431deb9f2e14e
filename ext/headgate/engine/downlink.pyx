"""Segment requests of admitted devices, answered by writes; responses to those writes, taken."""

from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from headgate.engine.catalog cimport catalog_segments
from headgate.engine.flight cimport FLIGHT_TAKEN, flight_land, flight_land_any, flight_take
from headgate.engine.ledger cimport record_count
from headgate.engine.reply cimport (
    ACKNOWLEDGED_COPY, ACKNOWLEDGED_RESPONSE, ACKNOWLEDGEMENT_LENGTH, ANSWERED_SEGMENT, DROPPED_COPY,
    HANDED_OVER, REPLY_HEAD_MAX, SEGMENT_REFUSED, SEGMENT_WRITTEN,
)
from headgate.engine.segments cimport (
    DOWNLINK_OPTIONS_MAX, SEGMENT_TOKEN_LENGTH, WRITE_TOKEN_BIT, OfferState, SegmentState,
)
from headgate.wire.checks cimport ensure
from headgate.wire.coap cimport (
    ACK, BLOCK1, BLOCK2, CHANGED, CON, CONTENT, EMPTY, MESSAGE_HEADER, NON, PAYLOAD_MARKER, PUT, head_write,
    message_has,
)
from headgate.wire.segment cimport (
    SEGMENT_HEAD_LENGTH, VERSION_LENGTH, SegmentRequest, segment_head_write, segment_length,
    segment_request_parse,
)

cdef enum:
    SUCCESS_LAST = 0x5F               # codes 2.00 .. 2.31

if MESSAGE_HEADER + SEGMENT_TOKEN_LENGTH + DOWNLINK_OPTIONS_MAX + 1 + SEGMENT_HEAD_LENGTH > REPLY_HEAD_MAX:
    raise AssertionError("the head of a write has room for the longest options")


# The Empty ACK of a CON is all that is sent; nothing for a NON.
cdef Outcome acknowledge(
    const MessageView* message, Outcome confirmable, Outcome otherwise, uint8_t* head, Reply* reply
) noexcept nogil:
    if message.type != CON:
        return otherwise
    reply.head_length = head_write(head, ACK, EMPTY, message.message_id, NULL, 0)
    reply.payload_length = 0
    return confirmable


# The write of `segment`, unless it is under way already.
cdef Outcome segment_write(
    SegmentState* grant, uint16_t segment, const MessageView* asked, uint64_t now_ns, uint8_t* head,
    Reply* reply
) noexcept nogil:
    cdef const OfferState* offer = grant.offer
    cdef uint32_t offset = <uint32_t>segment * offer.size
    cdef uint32_t length = segment_length(segment, offer.size, offer.length)
    cdef uint32_t at
    cdef uint16_t message_id
    if flight_take(&grant.flight, segment, offer.wait_ticks, now_ns, &message_id) != FLIGHT_TAKEN:
        return acknowledge(asked, ACKNOWLEDGED_COPY, DROPPED_COPY, head, reply)
    at = head_write(head, CON, PUT, message_id, asked.token, SEGMENT_TOKEN_LENGTH)
    head[MESSAGE_HEADER] ^= WRITE_TOKEN_BIT
    # A constant length is four moves; any other is made a `rep movs`, which takes 25 ns to begin.
    memcpy(head + at, offer.options, DOWNLINK_OPTIONS_MAX)
    at += offer.options_length
    head[at] = PAYLOAD_MARKER
    at += 1
    segment_head_write(head + at, segment, length, offer.check_codes[segment])
    at += SEGMENT_HEAD_LENGTH
    ensure(at <= REPLY_HEAD_MAX and offset + length <= offer.length)
    reply.head_length = at
    reply.payload = offer.data + offset
    reply.payload_length = length
    reply.last = offset + length == offer.length
    if asked.type == CON:
        reply.acknowledgement_length = <uint8_t>head_write(
            reply.acknowledgement, ACK, EMPTY, asked.message_id, NULL, 0)
        ensure(reply.acknowledgement_length == ACKNOWLEDGEMENT_LENGTH)
    reply.mark = record_count(grant.record, offset, length, offer.length, now_ns)
    reply.record_index = grant.record_index
    return ANSWERED_SEGMENT


# What a device answers to a write of ours, with its ACK or separately.
cdef Outcome write_responded(
    SegmentState* grant, const MessageView* response, uint8_t* head, Reply* reply
) noexcept nogil:
    if response.type == ACK:
        flight_land(&grant.flight, response.message_id)
    else:
        flight_land_any(&grant.flight)
    return acknowledge(
        response, ACKNOWLEDGED_RESPONSE,
        SEGMENT_WRITTEN if response.code <= SUCCESS_LAST else SEGMENT_REFUSED, head, reply)


cdef Outcome downlink_respond(
    CatalogState* catalog, const MessageView* message, uint64_t now_ns, uint8_t* head, Reply* reply
) noexcept nogil:
    cdef SegmentRequest request
    cdef SegmentState* grant
    if message.token_length != SEGMENT_TOKEN_LENGTH or message.critical != 0:
        return HANDED_OVER
    # A device may call its notification 2.04: the API of the protocol's own platform does.
    if (message.type == CON or message.type == NON) and (
            message.code == CONTENT or message.code == CHANGED) and segment_request_parse(
            message.payload, message.payload_length, &request):
        if message_has(message, BLOCK1) or message_has(message, BLOCK2):
            return HANDED_OVER
        grant = catalog_segments(catalog, message.token, 0)
        if grant == NULL or request.segment >= grant.offer.count or memcmp(
                request.version, grant.offer.version, VERSION_LENGTH) != 0:
            return HANDED_OVER
        return segment_write(grant, request.segment, message, now_ns, head, reply)
    grant = catalog_segments(catalog, message.token, WRITE_TOKEN_BIT)
    if grant == NULL:
        return HANDED_OVER
    return write_responded(grant, message, head, reply)
