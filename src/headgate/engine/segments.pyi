from typing import Self, final

from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.model import Progress

@final
class Segments:
    package: Package
    size: int
    count: int
    def __new__(cls, package: Package, *, size: int = 500) -> Self: ...
    def check_code(self, segment: int) -> int: ...
    def _py_check_codes(self, rounds: int) -> int: ...
    def __len__(self) -> int: ...

@final
class Offer:
    segments: Segments
    version: bytes
    def __new__(
        cls, segments: Segments, *, version: bytes, downlink: bytes, wait_s: float = 10.0
    ) -> Self: ...

@final
class SegmentGrant:
    offer: Offer
    def __new__(cls, ledger: Ledger, offer: Offer) -> Self: ...
    @property
    def index(self) -> int: ...
    @property
    def progress(self) -> Progress: ...
