# Which answer is under way to a device: one word, shared by the threads that answer it.
#
# A device that hears nothing asks again, and over a slow link it asks again before our answer can have come:
# its copies of one request draw one answer. The answer is not repeated by us; the device's next copy is
# answered again when the one before was acknowledged, or has been under way for the time it is given.
#
#     31 bits tick | 1 in flight | 1 used | 15 bits id | 16 bits segment
#
# The word has the tick (of 2 ** 24 ns, 16.8 ms) in which the last answer left, its message id without the
# top bit, and the segment that it carries.
#
# Invariants
#  1. Message ids of ours have the top bit set; those of `engine.peers` have not. So neither takes the
#     other's acknowledgement, and nobody uses an id twice.
#  2. Ids go up by one at least, and never stay behind the clock: id >= tick, and id - tick <= AHEAD_MAX.
#     So an id is used again after (2 ** 15 - AHEAD_MAX) ticks at the earliest: 274 s, more than
#     EXCHANGE_LIFETIME (RFC 7252 section 4.8.2), also by another grant to the same device if that device
#     asks for less than a segment per tick, as all do over the air.
#  3. The word only changes whole. Of two threads that answer the same request at once one succeeds.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef enum:
    TICK_SHIFT = 24                   # nanoseconds of CLOCK_MONOTONIC to ticks
    AHEAD_MAX = 1 << 14               # ids taken ahead of the clock
    FLIGHT_ID_BIT = 0x8000            # invariant 1

cdef enum FlightResult:
    FLIGHT_TAKEN = 0                  # answer, under `message_id`
    FLIGHT_UNDER_WAY = 1              # this very answer is on its way
    FLIGHT_HELD = 2                   # no message id is free: the device asked AHEAD_MAX times in a burst

# Take off with an answer that carries `segment`; one of another segment ends the flight before it.
# `wait_ticks` is how long an answer may be under way before a copy is answered again.
cdef FlightResult flight_take(
    uint64_t* flight, uint16_t segment, uint32_t wait_ticks, uint64_t now_ns, uint16_t* message_id
) noexcept nogil

# The answer has arrived: the device acknowledged this message id. False when it was another one's.
cdef bint flight_land(uint64_t* flight, uint16_t message_id) noexcept nogil

# The same without naming the message: a separate response says only whose request it answers.
cdef bint flight_land_any(uint64_t* flight) noexcept nogil
