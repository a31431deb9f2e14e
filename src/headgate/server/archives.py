"""Packages as vendors deliver them: an archive that says itself what it is. "Making the upgrade package"."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from headgate.errors import PackageError, StoreError
from headgate.server.packages import Packages, StoredPackage
from headgate.store.archive import VendorArchive
from headgate.upgrade.package import code_of_text
from headgate.upgrade.task import Kind

PACKAGE_TYPES: Mapping[str, Kind] = {
    "": Kind.SOFTWARE,  # the format is older than the choice
    "softwarePackage": Kind.SOFTWARE,
    "firmwarePackage": Kind.FIRMWARE,
}


async def add_archive(
    packages: Packages,
    path: Path,
    *,
    name: str,
    product: str | None,
    now: float,
) -> StoredPackage:
    """Keep the package of an archive; a `product` that is named comes before its model.

    Raises PackageError (ArchiveError) and StoreError.
    """
    archive = await asyncio.to_thread(opened, path)
    with archive:
        said = archive.description
        kind = kind_of(said.package_type)
        return await packages.add(
            archive.chunks(),
            version=said.version,
            kind=kind,
            name=name,
            product=said.product if product is None else product,
            source_versions=said.source_versions,
            check_code=code_of_text(said.version_check_code) if said.version_check_code else None,
            segment_size_bytes=said.segment_size_bytes if kind is Kind.SOFTWARE else None,
            now=now,
        )


def kind_of(package_type: str) -> Kind:
    """The kind of package that a descriptor names. Raises PackageError."""
    kind = PACKAGE_TYPES.get(package_type)
    if kind is None:
        known = ", ".join(filter(None, PACKAGE_TYPES))
        raise PackageError(f"packageType is one of {known}, not {package_type[:40]!r}")
    return kind


def opened(path: Path) -> VendorArchive:
    """A vendor's archive. Raises ArchiveError, and StoreError where there is no such file."""
    try:
        return VendorArchive(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
