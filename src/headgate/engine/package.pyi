from typing import Self, final

from _typeshed import ReadableBuffer

@final
class Package:
    sha256: bytes
    def __new__(
        cls,
        data: ReadableBuffer,
        *,
        sha256: bytes,
        check_code: int,
        content_format: int = 42,
        discovery: bool = False,
    ) -> Self: ...
    @property
    def etag(self) -> bytes: ...
    @property
    def content_format(self) -> int: ...
    def __len__(self) -> int: ...
