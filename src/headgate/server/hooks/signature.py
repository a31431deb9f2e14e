"""The signature of a request: HMAC-SHA-256 of its time and body (RFC 2104), as receivers check it."""

from __future__ import annotations

import hmac
from hashlib import sha256


def signature(secret: str, at_s: int, body: bytes) -> str:
    """The value of `Headgate-Signature`. What is signed is the time in decimal, a dot, and the body.

    The time is that of the attempt: a receiver that refuses old ones cannot be sent a recorded request again.

    >>> signature("a secret of 16 characters", 1700000000, b'{"event": "task.ended"}')
    't=1700000000,v1=f7793a3b50467f2d9d35de92e3db59c9e14bd0aef427776529b9c37a9b2ed41e'
    """
    mac = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256)
    return f"t={at_s},v1={mac.hexdigest()}"
