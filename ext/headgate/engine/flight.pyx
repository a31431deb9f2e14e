"""Which answer is under way to a device, and under which message id. RFC 7252 sections 4.4 and 4.7."""

from headgate.engine.atomic cimport exchange_if, load_acquire
from headgate.wire.checks cimport ensure

cdef enum:
    TICK_MASK = 0x7FFFFFFF
    TICK_AT = 33                      # bits below the tick
    ID_MASK = 0x7FFF
    ID_AT = 16

cdef extern from *:
    """
    #define FLYING (1ull << 32)
    #define USED (1ull << 31)
    """
    const uint64_t FLYING             # not acknowledged yet
    const uint64_t USED               # there was an answer


cdef inline uint32_t tick_of(uint64_t word) noexcept nogil:
    return <uint32_t>(word >> TICK_AT)


cdef inline uint32_t id_of(uint64_t word) noexcept nogil:
    return <uint32_t>(word >> ID_AT) & ID_MASK


cdef FlightResult flight_take(
    uint64_t* flight, uint16_t segment, uint32_t wait_ticks, uint64_t now_ns, uint16_t* message_id
) noexcept nogil:
    cdef uint64_t word = load_acquire(flight)
    cdef uint32_t tick, age, ahead
    # Ends when no other thread changed the word meanwhile; as many rounds as threads answer this device.
    while True:
        tick = <uint32_t>(now_ns >> TICK_SHIFT) & TICK_MASK
        ahead = 0
        if word & USED:
            age = (tick - tick_of(word)) & TICK_MASK
            if age > TICK_MASK // 2:
                # Another thread's batch began after ours did, and was quicker.
                age = 0
                tick = tick_of(word)
            if word & FLYING and <uint16_t>word == segment and age < wait_ticks:
                return FLIGHT_UNDER_WAY
            ahead = (id_of(word) - tick_of(word)) & ID_MASK
            ensure(ahead <= AHEAD_MAX)
            ahead = ahead + 1 - age if ahead >= age else 0
            if ahead > AHEAD_MAX:
                return FLIGHT_HELD
        message_id[0] = <uint16_t>(FLIGHT_ID_BIT | ((tick + ahead) & ID_MASK))
        if exchange_if(
                flight, &word,
                <uint64_t>tick << TICK_AT | FLYING | USED
                | <uint64_t>((tick + ahead) & ID_MASK) << ID_AT | segment):
            return FLIGHT_TAKEN


cdef bint flight_land(uint64_t* flight, uint16_t message_id) noexcept nogil:
    cdef uint64_t word = load_acquire(flight)
    while word & FLYING and message_id == (FLIGHT_ID_BIT | id_of(word)):
        if exchange_if(flight, &word, word & ~FLYING):
            return True
    return False


cdef bint flight_land_any(uint64_t* flight) noexcept nogil:
    cdef uint64_t word = load_acquire(flight)
    while word & FLYING:
        if exchange_if(flight, &word, word & ~FLYING):
            return True
    return False


# -- Python face --

def _py_flight_take(uint64_t word, uint16_t segment, uint32_t wait_ticks, uint64_t now_ns):
    """(the word after, message id or None when there is no answer to send). Test door.

    >>> word, message_id = _py_flight_take(0, 7, 600, 5 << 24)
    >>> hex(message_id), _py_flight_take(word, 7, 600, 6 << 24)[1]
    ('0x8005', None)
    """
    cdef uint16_t message_id
    if flight_take(&word, segment, wait_ticks, now_ns, &message_id) == FLIGHT_TAKEN:
        return word, message_id
    return word, None


def _py_flight_land(uint64_t word, message_id):
    """(the word after, whether that was the answer under way); `message_id` None is any. Test door."""
    cdef bint landed
    if message_id is None:
        landed = flight_land_any(&word)
    else:
        landed = flight_land(&word, message_id)
    return word, bool(landed)
