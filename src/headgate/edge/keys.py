"""The URIs of grants: unguessable, and the same whenever the same endpoint is given the same package."""

from __future__ import annotations

import base64
import hmac
import secrets

from headgate.errors import PathError

KEY_BYTES = 12  # of HMAC-SHA-256: 16 characters, unguessable
SECRET_MIN_BYTES = 16  # with less, such as an empty setting, keys can be guessed
URI_MAX_BYTES = 255  # LwM2M object 5, resource 1


class Keys:
    """Makes the path of each grant from a secret. The same secret makes the same paths."""

    def __init__(self, secret: bytes | None) -> None:
        """None draws a secret that nobody else has. Raises ValueError for one that can be guessed."""
        if secret is not None and len(secret) < SECRET_MIN_BYTES:
            raise ValueError(f"a secret has at least {SECRET_MIN_BYTES} bytes, not {len(secret)}")
        self._secret = secret if secret is not None else secrets.token_bytes(32)

    def key(self, etag: bytes, endpoint: str) -> str:
        """16 characters of base64url: one path segment, since each request repeats it over the air."""
        digest = hmac.digest(self._secret, endpoint.encode() + b"\0" + etag, "sha256")
        return base64.urlsafe_b64encode(digest[:KEY_BYTES]).decode()


def uri_of(authority: str, key: str) -> str:
    """The whole URI. Raises PathError when it passes the 255 bytes of LwM2M's Package URI."""
    uri = f"coap://{authority}/{key}"
    length = len(uri.encode())
    if length > URI_MAX_BYTES:
        raise PathError(f"a package URI has at most {URI_MAX_BYTES} bytes, not {length}: {uri}")
    return uri
