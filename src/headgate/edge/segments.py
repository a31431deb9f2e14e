"""Segment grants: who may have a software package by PCP, under which tokens, and how far that has gone.

PCP segments are requested in notifications of 19/0/0 and answered by writes to 19/1/0, natively. The tokens
are those of the observations, which whoever speaks LwM2M with the device has made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headgate.edge.grant import Grant
from headgate.engine.catalog import Catalog
from headgate.engine.segments import Offer, SegmentGrant, Segments
from headgate.errors import FormatError, GrantLimitError
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, CONTENT_FORMAT, PUT, URI_PATH
from headgate.wire.pcp_messages import version_field

DOWNLINK = ("19", "1", "0")
"""Where PCP frames are written: LwM2M object 19, BinaryAppDataContainer, instance 1."""
OCTET_STREAM = 42
HEADER_BYTES = 4


class SegmentDownload(Grant):
    """Permission for one endpoint to have the segments of one package, under any number of tokens."""

    __slots__ = ("_admitted", "tokens")

    def __init__(self, endpoint: str, admitted: SegmentGrant, catalog: Catalog) -> None:
        super().__init__(endpoint, admitted.offer.segments.package, "", "", catalog.ledger, admitted.index)
        self._admitted: SegmentGrant | None = admitted
        self.tokens: set[bytes] = set()
        """Of the observations under which the device may ask."""

    @property
    def admitted(self) -> SegmentGrant:
        """What the catalog has. Raises RuntimeError once it was withdrawn."""
        if self._admitted is None:
            raise RuntimeError(f"{self!r} was withdrawn; make a new grant")
        return self._admitted

    def freeze(self) -> None:
        """Keep what has been served until now; the ledger record goes to another grant."""
        super().freeze()
        self._admitted = None

    def __repr__(self) -> str:
        return f"<SegmentDownload of {self.package!r} by {self.endpoint}>"


class SegmentGrants:
    """The segment grants of an Edge, beside its grants by URI and told of by the same events."""

    def __init__(
        self, catalog: Catalog, grants: dict[int, Grant], grants_max: int, deliver: Callable[[], None]
    ) -> None:
        """`grants` are the Edge's, by ledger record; `deliver` tells at once what has happened."""
        self._catalog = catalog
        self._grants = grants
        self._grants_max = grants_max
        self._deliver = deliver

    def grant(self, offer: Offer, endpoint: str, *, tokens: Iterable[bytes]) -> SegmentDownload:
        """Let one endpoint have what is offered when it asks under one of `tokens`.

        Raises GrantLimitError when as many grants are given, of either kind, as the Edge may give.
        """
        if len(self._grants) >= self._grants_max:
            raise GrantLimitError(
                f"all {self._grants_max} grants are given: withdraw some or raise grants_max"
            )
        self._catalog.reclaim()
        admitted = SegmentGrant(self._catalog.ledger, offer)
        download = SegmentDownload(endpoint, admitted, self._catalog)
        # Marks that the record's last grant left are passed over now, while this one has no segment.
        self._deliver()
        self._grants[download.index] = download
        for token in tokens:
            self.admit(download, token)
        return download

    def admit(self, download: SegmentDownload, token: bytes) -> None:
        """Let the device ask under this token too, of 8 bytes: it registered anew and is observed anew.

        A token that led to another download leads to this one from now on.
        """
        self._catalog.grant_segments(token, download.admitted)
        download.tokens.add(token)

    def dismiss(self, download: SegmentDownload, token: bytes) -> None:
        """Let the token lead nowhere, unless it leads to another download by now."""
        download.tokens.discard(token)
        if self._catalog.find_segments(token) is download.admitted:
            self._catalog.withdraw_segments(token)

    def withdraw(self, download: SegmentDownload) -> bool:
        """Let none of its tokens lead to a segment any more; False when that was so already."""
        if self._grants.get(download.index) is not download:
            return False
        for token in list(download.tokens):
            self.dismiss(download, token)
        self._deliver()
        download.freeze()
        del self._grants[download.index]
        return True


def offer_of(segments: Segments, *, version: str, root: tuple[str, ...] = (), wait_s: float = 10.0) -> Offer:
    """Offer `segments` as `version` to any number of devices.

    `root` are the path segments of their alternate path (LwM2M core 6.2.1), if they have one. `wait_s` is how
    long an answer that was not acknowledged may be under way before a copy of its request is answered again:
    above the round trip of the devices' radio class. Raises FormatError for a version that no device could
    ask for, and for a root that is too long to be written to natively.
    """
    asked, downlink = version_field(version).rstrip(b"\0"), downlink_options(root)
    try:
        return Offer(segments, version=asked, downlink=downlink, wait_s=wait_s)
    except ValueError as error:
        length = len(downlink)
        raise FormatError(f"{length} bytes of options are too many, or wait_s {wait_s} too long") from error


def downlink_options(root: tuple[str, ...] = ()) -> bytes:
    """The options of a write to 19/1/0, as they are sent."""
    path = [(URI_PATH, segment.encode()) for segment in (*root, *DOWNLINK)]
    write = Message(
        type=CON, code=PUT, message_id=0, options=[*path, (CONTENT_FORMAT, bytes([OCTET_STREAM]))]
    )
    return write.encode()[HEADER_BYTES:]
