from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, final

from typing_extensions import Buffer

from headgate.fleet.counts import DownloaderStats, DownloadFailure

def path_options(path: str) -> bytes: ...

@final
class Downloader:
    def __new__(
        cls,
        *,
        host: str,
        port: int,
        path: str | Sequence[str],
        body: Buffer,
        devices: int,
        in_flight: int | None = None,
        sockets: int = 1,
        szx: int | None = None,
        confirmable: bool = True,
        token_bytes: int = 4,
        size2: bool = False,
        etag: bytes | None = None,
        check_etag: bool = True,
        start: Literal["zero", "random"] = "zero",
        restart_from_new_port: float = 0.0,
        repeat: bool = False,
        loss: float = 0.0,
        duplicate: float = 0.0,
        reorder: float = 0.0,
        seed: int = 0,
        ack_timeout_s: float = 2.0,
        max_retransmit: int = 4,
        rate: float | None = None,
        keep: bool = False,
        floor: bool = False,
    ) -> Self: ...
    def run(self, duration_s: float | None = None, *, blocks: int | None = None) -> bool: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    @property
    def stats(self) -> DownloaderStats: ...
    @property
    def last_code(self) -> int | None: ...
    def failure(self, device: int) -> DownloadFailure | None: ...
    def latency(self, q: float) -> float: ...
    def latency_reset(self) -> None: ...
    def image(self, device: int) -> memoryview: ...
