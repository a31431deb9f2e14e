# The PCP check code: the published CRC16 hybrid (table built MSB-first, bytes taken LSB-first).
# Not a standard CRC-16/CCITT; protocol: "PCP Introduction", as reproduced by its worked examples.
from libc.stdint cimport uint8_t, uint16_t

# Continue `check_code` (0 at the start) over `length` bytes.
cdef uint16_t check_code_update(uint16_t check_code, const uint8_t* data, size_t length) noexcept nogil
