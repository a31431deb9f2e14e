from typing import Self, final

from headgate.engine.catalog import Catalog

OUTCOMES: tuple[str, ...]

@final
class Responder:
    catalog: Catalog
    def __new__(
        cls,
        catalog: Catalog,
        *,
        smallest_block: int = 16,
        largest_block: int = 1024,
        default_block: int = 512,
        handover: bool = False,
    ) -> Self: ...
    def check_size(self, length: int) -> None: ...
    def respond(
        self, datagram: bytes | bytearray | memoryview, *, truncated: bool = False, now_ns: int = 1
    ) -> tuple[str, bytes | None]: ...
    def respond_all(
        self, datagram: bytes | bytearray | memoryview, *, truncated: bool = False, now_ns: int = 1
    ) -> tuple[str, list[bytes]]: ...
    def _py_respond_many(
        self, datagrams: list[bytes], rounds: int, *, now_ns: int = 1, step_ns: int = 0
    ) -> int: ...
