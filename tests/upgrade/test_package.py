"""Check codes, identities, and which packages cannot live side by side. Protocol 1.7 and 2.2."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import PackageConflictError, PackageError
from headgate.upgrade.package import (
    PackageIdentity,
    Release,
    check_release,
    code_of_text,
    identify_package,
    refuse_conflicts,
)
from headgate.upgrade.task import Kind, Plan
from headgate.wire.crc import check_code

PATTERN = bytes(index & 0xFF for index in range(1300))


def release(body: bytes = PATTERN, *, given: int | None = None, **changes) -> Release:
    """V1.1 for product P in segments of 500 bytes, but for the changes."""
    identity = identify_package([body], version_check_code=given)
    fields = {"kind": Kind.SOFTWARE, "product": "P", "version": "V1.1", "segment_size_bytes": 500}
    return Release(identity=identity, **(fields | changes))


def test_the_identity_of_the_pattern():
    """Section 2.2: code 4EA0, then the first 6 bytes of SHA-256."""
    identity = identify_package([PATTERN])
    assert identity.pid.hex().upper() == "4EA021B62388BDD4"
    assert (identity.version_check_code, identity.size_bytes) == (0x4EA0, 1300)
    assert identity.sha256 == sha256(PATTERN).digest()


@given(st.binary(min_size=1, max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_chunks_do_not_matter(body, cuts):
    """A package is read while it arrives."""
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    chunks = [body[start:end] for start, end in pairwise(edges)]
    assert identify_package(chunks) == identify_package([body])


def test_zero_is_computed_as_its_opposite():
    """0000 says "not used"."""
    assert check_code(bytes(10)) == 0
    assert identify_package([bytes(10)]).version_check_code == 0xFFFF


@pytest.mark.parametrize("given_code", [0, 0x1234, 0xFFFF])
def test_a_given_code_is_taken_unchanged(given_code):
    """And is the one in the PID."""
    identity = identify_package([PATTERN], version_check_code=given_code)
    assert identity.version_check_code == given_code
    assert identity.pid == given_code.to_bytes(2, "big") + bytes.fromhex("21B62388BDD4")


@pytest.mark.parametrize("text", ["", "123", "12345", "0x12", "12g4", "\uff11234", " 123", "-123"])
def test_what_is_no_check_code(text):
    """Four hexadecimal digits, no more."""
    with pytest.raises(PackageError):
        code_of_text(text)


@pytest.mark.parametrize("code", [-1, 0x10000])
def test_a_code_has_16_bits(code):
    """One below, one above."""
    with pytest.raises(PackageError):
        identify_package([PATTERN], version_check_code=code)


def test_zero_mode_does_not_touch_the_identity():
    """What devices are told is one thing, what we know the package by another."""
    assert release(zero=True).told_code == 0
    assert release(zero=True).identity.pid == release().identity.pid
    assert release().told_code == 0x4EA0


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_an_empty_package_is_refused(chunks):
    """It has no segments, and no blocks."""
    with pytest.raises(PackageError, match="empty"):
        identify_package(chunks)


@pytest.mark.parametrize(
    ("size", "segment_size", "fits"),
    [
        (1300, 31, False),
        (1300, 32, True),
        (1300, 500, True),
        (1300, 501, False),
        (65535 * 32, 32, True),
        (65535 * 32 + 1, 32, False),
        (65535 * 500, 500, True),
        (65535 * 500 + 1, 500, False),
    ],
)
def test_what_pcp_can_carry(size, segment_size, fits):
    """Segments of 32 to 500 bytes, 65535 at most."""
    identity = PackageIdentity(sha256=bytes(32), size_bytes=size, version_check_code=1)
    each = replace(release(), identity=identity, segment_size_bytes=segment_size)
    if fits:
        check_release(each)
    else:
        with pytest.raises(PackageError):
            check_release(each)


@pytest.mark.parametrize("version", ["", "0123456789ABCDEFG", "版本", "a\\b"])
def test_versions_that_pcp_cannot_carry(version):
    """16 bytes of ASCII; over CoAP any version will do."""
    with pytest.raises(PackageError):
        check_release(release(version=version))
    check_release(release(version=version, kind=Kind.FIRMWARE, segment_size_bytes=0))


def test_a_plan_that_pcp_cannot_carry_is_no_plan():
    """Segments are counted while serving: what could fail there fails here."""
    plan = Plan(
        kind=Kind.SOFTWARE, target_version="V1", pid=bytes(8), size_bytes=1300, segment_size_bytes=500
    )
    assert plan.segment_count == 3
    for changes in ({"size_bytes": 0}, {"segment_size_bytes": 0}, {"target_version": "17 characters, no"}):
        with pytest.raises(ValueError, match=r"segment|bytes"):
            replace(plan, **changes)


# -- side by side --

OTHER = PATTERN[:-1] + b"\0"


def clash() -> bytes:
    """Bytes that differ from the pattern and have its check code."""
    for index in range(1 << 16):
        body = index.to_bytes(2, "big") + PATTERN
        if check_code(body) == 0x4EA0 and index:
            return body
    raise AssertionError("the check code maps 2 bytes onto all codes")


def test_the_same_again_is_no_conflict():
    """One package, uploaded twice."""
    refuse_conflicts(release(), [release()])
    refuse_conflicts(release(zero=True), [release(zero=True)])


def test_one_identity_for_two_packages_is_refused():
    """Same PID, other SHA-256: blocks and segments would be mixed."""
    first = release()
    second = replace(first, identity=replace(first.identity, sha256=first.identity.sha256[:6] + bytes(26)))
    assert first.identity.pid == second.identity.pid
    for kind in Kind:
        with pytest.raises(PackageConflictError, match="4ea021b62388bdd4"):
            refuse_conflicts(replace(second, kind=kind), [replace(first, kind=kind)])


def test_zero_mode_refuses_other_bytes_under_one_version():
    """The device would continue the old package with segments of the new one."""
    with pytest.raises(PackageConflictError, match="other bytes"):
        refuse_conflicts(release(OTHER, zero=True), [release(zero=True)])
    refuse_conflicts(release(OTHER, zero=True, version="V1.2"), [release(zero=True)])
    refuse_conflicts(release(OTHER, zero=True, product="Q"), [release(zero=True)])
    with pytest.raises(PackageConflictError):
        refuse_conflicts(release(OTHER, zero=True, product=None), [release(zero=True)])


def test_a_computed_code_lets_the_device_notice():
    """Other bytes have another code, 65535 times in 65536."""
    refuse_conflicts(release(OTHER), [release()])


def test_a_code_that_two_packages_share_is_as_good_as_zero():
    """By chance, or because an operator gave it twice."""
    with pytest.raises(PackageConflictError, match="4EA0"):
        refuse_conflicts(release(clash()), [release()])
    with pytest.raises(PackageConflictError, match="1234"):
        refuse_conflicts(release(OTHER, given=0x1234), [release(given=0x1234)])


@pytest.mark.parametrize("zero", [False, True])
def test_one_version_is_cut_in_one_way(zero):
    """Message 20 with the same version and code: the device goes on counting in the old segment size."""
    with pytest.raises(PackageConflictError, match="segment size"):
        refuse_conflicts(release(segment_size_bytes=256, zero=zero), [release(zero=zero)])


def test_firmware_knows_no_versions():
    """Its URI names the package; only identities count."""
    firmware = release(kind=Kind.FIRMWARE, segment_size_bytes=0)
    refuse_conflicts(firmware, [replace(firmware, identity=identify_package([OTHER])), release(zero=True)])
