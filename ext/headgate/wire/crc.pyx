"""The PCP check code (CRC16 of "PCP Introduction"), eight bytes a step.

The published code is a hybrid: a table `F` made the MSB-first way from polynomial 1021, and bytes
consumed the LSB-first way, `crc = crc >> 8 ^ F[(crc ^ byte) & FF]`. Each step is linear over GF(2),
so eight of them fold into eight table look-ups: `FOLD[k][b]` is `F[b]` carried k steps further.
"""

from libc.stdint cimport uint32_t

cdef enum:
    POLYNOMIAL = 0x1021
    STRIDE = 8

cdef uint16_t FOLD[STRIDE][256]


cdef void fold_fill() noexcept nogil:
    cdef uint32_t remainder
    cdef uint16_t before
    cdef int i, _bit, k
    for i in range(256):
        remainder = <uint32_t>i << 8
        for _bit in range(8):
            remainder = (remainder << 1 ^ POLYNOMIAL) if remainder & 0x8000 else remainder << 1
            remainder &= 0xFFFF
        FOLD[0][i] = <uint16_t>remainder
    for k in range(1, STRIDE):
        for i in range(256):
            before = FOLD[k - 1][i]
            FOLD[k][i] = before >> 8 ^ FOLD[0][before & 0xFF]


fold_fill()


cdef uint16_t check_code_update(uint16_t check_code, const uint8_t* data, size_t length) noexcept nogil:
    cdef uint16_t crc = check_code
    while length >= STRIDE:
        # The two bytes of the running code enter with the first two bytes of data.
        crc = (FOLD[7][data[0] ^ (crc & 0xFF)] ^ FOLD[6][data[1] ^ (crc >> 8)]
               ^ FOLD[5][data[2]] ^ FOLD[4][data[3]] ^ FOLD[3][data[4]]
               ^ FOLD[2][data[5]] ^ FOLD[1][data[6]] ^ FOLD[0][data[7]])
        data += STRIDE
        length -= STRIDE
    while length > 0:
        crc = crc >> 8 ^ FOLD[0][(crc ^ data[0]) & 0xFF]
        data += 1
        length -= 1
    return crc


# -- Python face --

def check_code(const uint8_t[::1] data not None, long long start=0):
    """The PCP check code of `data`, 0..FFFF, continuing from `start` (0 for a new one).

    >>> f"{check_code(b'123456789'):04X}", check_code(b"")
    ('B955', 0)
    """
    cdef size_t length = <size_t>data.shape[0]
    cdef uint16_t code = <uint16_t>start
    if not 0 <= start <= 0xFFFF:
        raise ValueError(f"a check code has 16 bits, not {start}")
    if length == 0:
        return code
    with nogil:
        code = check_code_update(code, &data[0], length)
    return code
