"""The numbers of CoAP messages: types, codes and options, as RFC 7252 section 12 and its followers list them.

Codes are header bytes, class << 5 | detail.

>>> CONTENT == 2 << 5 | 5
True
"""

from __future__ import annotations

from typing import Final

# Types: RFC 7252 section 3.
CON: Final = 0
NON: Final = 1
ACK: Final = 2
RST: Final = 3

EMPTY: Final = 0x00

# Methods: RFC 7252 section 12.1.1, RFC 8132.
GET: Final = 0x01
POST: Final = 0x02
PUT: Final = 0x03
DELETE: Final = 0x04
FETCH: Final = 0x05
PATCH: Final = 0x06
IPATCH: Final = 0x07
REQUEST_KNOWN_LAST: Final = IPATCH
REQUEST_LAST: Final = 0x1F

# Responses: RFC 7252 section 12.1.2, RFC 7959 section 2.9.
CREATED: Final = 0x41
DELETED: Final = 0x42
VALID: Final = 0x43
CHANGED: Final = 0x44
CONTENT: Final = 0x45
CONTINUE: Final = 0x5F
SUCCESS_LAST: Final = 0x5F
BAD_REQUEST: Final = 0x80
BAD_OPTION: Final = 0x82
FORBIDDEN: Final = 0x83
NOT_FOUND: Final = 0x84
METHOD_NOT_ALLOWED: Final = 0x85
NOT_ACCEPTABLE: Final = 0x86
REQUEST_ENTITY_INCOMPLETE: Final = 0x88
PRECONDITION_FAILED: Final = 0x8C
REQUEST_ENTITY_TOO_LARGE: Final = 0x8D
UNSUPPORTED_CONTENT_FORMAT: Final = 0x8F
INTERNAL_SERVER_ERROR: Final = 0xA0
SERVICE_UNAVAILABLE: Final = 0xA3
PROXYING_NOT_SUPPORTED: Final = 0xA5

# Options: RFC 7252 section 12.2, RFC 7641, RFC 7959, RFC 9175.
URI_HOST: Final = 3
ETAG: Final = 4
OBSERVE: Final = 6
URI_PORT: Final = 7
LOCATION_PATH: Final = 8
URI_PATH: Final = 11
CONTENT_FORMAT: Final = 12
MAX_AGE: Final = 14
URI_QUERY: Final = 15
ACCEPT: Final = 17
BLOCK2: Final = 23
BLOCK1: Final = 27
SIZE2: Final = 28
PROXY_URI: Final = 35
PROXY_SCHEME: Final = 39
SIZE1: Final = 60
REQUEST_TAG: Final = 292
