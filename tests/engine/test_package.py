"""Packages: a body's identity, and the memory it is served from."""

from __future__ import annotations

import pytest

from headgate.engine.package import Package


@pytest.mark.parametrize(
    ("check_code", "leading"), [(0, "ffff"), (1, "0001"), (0x4EA0, "4ea0"), (0xFFFF, "ffff")]
)
def test_identity_is_check_code_and_hash(check_code, leading):
    """The PID: 0000 means "not used" over PCP, so it becomes FFFF here, then six bytes of SHA-256."""
    package = Package(b"abc", sha256=bytes(range(32)), check_code=check_code)
    assert package.etag.hex() == leading + "000102030405"
    assert package.sha256 == bytes(range(32))
    assert (len(package), package.content_format) == (3, 42)
    assert repr(package) == f"<Package {package.etag.hex()} of 3 bytes>"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"check_code": 0x10000}, ValueError),
        ({"check_code": -1}, OverflowError),
        ({"check_code": 2**32}, OverflowError),
        ({"sha256": bytes(31)}, ValueError),
        ({"sha256": b""}, ValueError),
        ({"sha256": None}, TypeError),
        ({"sha256": bytearray(32)}, TypeError),
        ({"content_format": 65536}, OverflowError),
        ({"content_format": -1}, OverflowError),
    ],
)
def test_identity_out_of_range_is_refused(fields, error):
    """Nothing is cut to its bits in silence."""
    with pytest.raises(error):
        Package(b"abc", **{"sha256": bytes(32), "check_code": 1, **fields})
