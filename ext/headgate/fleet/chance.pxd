# Seeded chance: xorshift64*, one word of state, the same sequence on every machine.
from libc.stdint cimport uint32_t, uint64_t

cdef struct Chance:
    uint64_t state                    # never 0

# The first state for any seed, 0 included (splitmix64, so that near seeds start far apart).
cdef inline Chance chance_seed(uint64_t seed) noexcept nogil:
    cdef Chance chance
    cdef uint64_t mixed = seed + <uint64_t>0x9E3779B97F4A7C15
    mixed = (mixed ^ mixed >> 30) * <uint64_t>0xBF58476D1CE4E5B9
    mixed = (mixed ^ mixed >> 27) * <uint64_t>0x94D049BB133111EB
    chance.state = mixed ^ mixed >> 31
    if chance.state == 0:
        chance.state = 1
    return chance

cdef inline uint64_t chance_next(Chance* chance) noexcept nogil:
    cdef uint64_t state = chance.state
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    chance.state = state
    return state * <uint64_t>0x2545F4914F6CDD1D

# A number below `bound`, which is at least 1. The bias is below bound / 2 ** 32.
cdef inline uint32_t chance_below(Chance* chance, uint32_t bound) noexcept nogil:
    return <uint32_t>((chance_next(chance) >> 32) * bound >> 32)

# Whether an event of probability `share` / 2 ** 32 happens. Share 0 draws nothing: a run without
# mischief costs one compare.
cdef inline bint chance_happens(Chance* chance, uint64_t share) noexcept nogil:
    return share > 0 and chance_next(chance) >> 32 < share
