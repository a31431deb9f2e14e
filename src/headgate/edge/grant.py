"""A grant: who may download what, where, and how far that has gone."""

from __future__ import annotations

from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.model import Progress


class Grant:
    """Permission for one endpoint to download one package at a URI of its own."""

    __slots__ = ("_final", "_ledger", "endpoint", "index", "key", "package", "uri")

    def __init__(
        self, endpoint: str, package: Package, key: str, uri: str, ledger: Ledger, index: int
    ) -> None:
        self.endpoint = endpoint
        self.package = package
        self.key = key
        """The URI's path: the same for the same endpoint, package and server secret."""
        self.uri = uri
        self._ledger = ledger
        self.index = index
        """Of its ledger record, until it is withdrawn."""
        self._final: Progress | None = None

    @property
    def progress(self) -> Progress:
        """What has been served; after the withdrawal, what had been."""
        return self._final or self._ledger.progress(self.index)

    def freeze(self) -> None:
        """Keep what has been served until now; the ledger record goes to another grant."""
        self._final = self.progress

    def __repr__(self) -> str:
        return f"<Grant {self.uri} of {self.package!r} to {self.endpoint}>"
