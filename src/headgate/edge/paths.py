"""Package paths: what a person writes, as the catalog and the requests have it."""

from __future__ import annotations

from headgate.errors import PathError

PATH_MAX_BYTES = 255  # as of the catalog


def path_bytes(path: str) -> bytes:
    """A package path as requests name it: Uri-Path segments joined by "/", no leading one.

    Raises PathError for more than 255 bytes, and for segments that URI normalisation would remove
    (RFC 3986 section 5.2.4).
    """
    joined = path.removeprefix("/")
    if not joined or any(segment in ("", ".", "..") for segment in joined.split("/")):
        raise PathError(
            f"a package path is segments joined by '/', none of them empty, '.' or '..': {path!r}"
        )
    try:
        encoded = joined.encode()
    except UnicodeEncodeError as error:
        raise PathError(f"a package path is text that UTF-8 can carry, not {path!r}") from error
    if len(encoded) > PATH_MAX_BYTES:
        raise PathError(f"a package path has at most {PATH_MAX_BYTES} bytes, not {len(encoded)}: {path!r}")
    return encoded
