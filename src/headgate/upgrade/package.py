"""What a package is to devices and to us: its check code and its identity.

The version check code is an opaque tag of 16 bits. Message 20 carries it, devices compare it together with
the version, and go on with what they have where both are the same; none computes it from the bytes. So it may
be ours (the PCP check code of the whole package), the vendor's (from the descriptor of his archive), or be
left out: zero, as the platform sends it today, and as a product may want it.

The identity, PID, is that code (never the zero of a product in zero mode) and 6 bytes of SHA-256: it is the
ETag of every block, and what a task is bound to.

    >>> identity = identify_package([bytes(range(256)) * 5 + bytes(range(20))])
    >>> identity.pid.hex().upper()
    '4EA021B62388BDD4'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from headgate.errors import FormatError, PackageConflictError, PackageError
from headgate.upgrade.task import Kind
from headgate.wire.crc import check_code
from headgate.wire.pcp_messages import version_field
from headgate.wire.segmentation import segment_count_of

UNUSED_CODE = 0x0000
"""Says that the code is not used."""
INSTEAD_OF_UNUSED = 0xFFFF
CODE_MAX = 0xFFFF
PID_DIGEST_SIZE = 6


class CheckCodes(StrEnum):
    """What devices of a product are told as a package's check code."""

    COMPUTED = "computed"
    """The PCP check code of its bytes, unless one is given with it."""
    GIVEN = "given"
    """The one that is given with it; there has to be one."""
    ZERO = "zero"
    """0000, as the documented platform does today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageIdentity:
    """One package's bytes, in short."""

    sha256: bytes
    size_bytes: int
    version_check_code: int
    """The effective one: the vendor's, or computed."""

    @property
    def pid(self) -> bytes:
        """8 bytes: what names the package everywhere."""
        return self.version_check_code.to_bytes(2, "big") + self.sha256[:PID_DIGEST_SIZE]


def identify_package(chunks: Iterable[bytes], *, version_check_code: int | None = None) -> PackageIdentity:
    """The identity of a package that is read once, from beginning to end. Raises PackageError if it is empty.

    `version_check_code`: one that was given with the package, taken unchanged, 0000 too. Computed where None;
    then 0000, which would say "not used", becomes FFFF.
    """
    digest, code, size_bytes = sha256(), 0, 0
    for chunk in chunks:
        digest.update(chunk)
        code = check_code(chunk, code)
        size_bytes += len(chunk)
    if not size_bytes:
        raise PackageError("a package has bytes, and this one is empty")
    if version_check_code is None:
        version_check_code = INSTEAD_OF_UNUSED if code == UNUSED_CODE else code
    elif not 0 <= version_check_code <= CODE_MAX:
        raise PackageError(f"a check code has four hexadecimal digits, not {version_check_code:X}")
    return PackageIdentity(
        sha256=digest.digest(), size_bytes=size_bytes, version_check_code=version_check_code
    )


def code_of_text(text: str) -> int:
    """A check code as operators and descriptors write it. Raises PackageError.

    >>> hex(code_of_text("1234")), hex(code_of_text("4ea0"))
    ('0x1234', '0x4ea0')
    """
    if len(text) == 4 and all(digit in "0123456789abcdefABCDEF" for digit in text):
        return int(text, 16)
    raise PackageError(f"a check code has four hexadecimal digits, not {text!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A package as one product is offered it: bytes, version, and how they are cut and tagged over PCP."""

    identity: PackageIdentity
    kind: Kind
    product: str | None
    """None: any."""
    version: str
    segment_size_bytes: int = 0
    """Over PCP; 0 where the package travels in blocks."""
    zero: bool = False
    """The product is in zero mode."""

    @property
    def told_code(self) -> int:
        """What message 20 carries."""
        return UNUSED_CODE if self.zero else self.identity.version_check_code


def check_release(release: Release) -> None:
    """Raises PackageError where PCP cannot carry it: version, segment size, number of segments."""
    if release.kind is not Kind.SOFTWARE:
        return
    try:
        if not release.version:
            raise FormatError("a version has at least one character")
        version_field(release.version)
        segment_count_of(release.identity.size_bytes, release.segment_size_bytes)
    except FormatError as error:
        raise PackageError(str(error)) from error


def refuse_conflicts(new: Release, others: Iterable[Release]) -> None:
    """Raises PackageConflictError where the new release would be taken for one of the others.

    Two packages of one PID are one package. And a device knows a package by its version and the code it was
    told: two of a product that are alike in both must be alike in every byte and in how they are cut, or it
    would put segments of one after segments of the other. In zero mode that is any two of one version.
    """
    for other in others:
        same_bytes = new.identity.sha256 == other.identity.sha256
        if new.identity.pid == other.identity.pid and not same_bytes:
            raise PackageConflictError(
                f"another package has the identity {new.identity.pid.hex()}: give this one a check code"
            )
        if Kind.FIRMWARE in (new.kind, other.kind):
            continue
        told_alike = (new.version, new.told_code) == (other.version, other.told_code)
        same_product = None in (new.product, other.product) or new.product == other.product
        same_cut = new.segment_size_bytes == other.segment_size_bytes
        if same_product and told_alike and not (same_bytes and same_cut):
            what = "bytes" if not same_bytes else "segment size"
            raise PackageConflictError(
                f"version {new.version} of {new.product or 'any product'} exists with other {what}, and a"
                f" device that is told check code {new.told_code:04X} would not notice: change the version"
            )
