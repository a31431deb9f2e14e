# A package cut into PCP segments, and the grant by which one device may ask for them.
#
# Four things of different life:
#     Segments       a package at one segment size, with its check codes
#     Offer          segments as a version, written to one path, for one radio class: the same for a campaign
#     SegmentGrant   one device: its ledger record, and what is under way to it; a cache line at most, since
#                    each of a million devices is a stranger to the cache
#     tokens         of the device's observations of 19/0/0; each leads to its grant through the catalog.
#                    A device has several when it registered anew; old ones may still be used
#
# Invariants
#  1. All but `flight` is fixed before the first token leads to a grant, and readers read it without a lock.
#  2. The catalog owns a reference for each token. A grant's ledger record goes back when the last reference
#     is gone: then no reader can hold it (the catalog's invariant 3).
#  3. A device is known by its token: 8 random bytes that it can only have from us. So its address is
#     proved, and an answer may be longer than what asked for it (RFC 7252 section 11.3).
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from headgate.engine.ledger cimport Ledger, Record
from headgate.engine.package cimport Package
from headgate.wire.segment cimport VERSION_LENGTH

cdef enum:
    SEGMENT_TOKEN_LENGTH = 8          # bytes, as `engine.request` draws them
    # What tells the token of a write from that of its observation, in the first byte: from the device's
    # response to the one we find the other. Both are random, so it is as unlikely to be another request's
    # token as any two of those are to be the same.
    WRITE_TOKEN_BIT = 0x80
    DOWNLINK_OPTIONS_MAX = 64         # bytes of Uri-Path and Content-Format of a write, any root included
    SEGMENT_WAIT_MAX_S = 255

cdef struct OfferState:
    const uint8_t* data               # the package's bytes, a view
    const uint16_t* check_codes       # of each whole answer, by segment; a view into Segments
    uint32_t length                   # bytes of the package
    uint32_t wait_ticks               # how long an answer may be under way before it is given again
    uint16_t size                     # bytes of a full segment
    uint16_t count                    # segments
    uint8_t version[VERSION_LENGTH]   # that requests must name
    uint8_t options_length
    uint8_t options[DOWNLINK_OPTIONS_MAX]  # of the write, as they are sent

cdef struct SegmentState:
    uint64_t flight                   # engine.flight; atomic
    const OfferState* offer           # a view into an Offer
    Record* record                    # ledger record
    uint32_t record_index

cdef class Segments:
    cdef uint16_t* check_codes        # owned
    cdef readonly Package package
    cdef readonly int size            # bytes of a full segment
    cdef readonly int count

cdef class Offer:
    cdef OfferState state
    cdef readonly Segments segments
    cdef readonly bytes version

cdef class SegmentGrant:
    cdef SegmentState state
    cdef readonly Offer offer
    cdef Ledger _ledger
