"""Packages in segments, grants of them, and the tokens that lead there."""

from __future__ import annotations

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagrams import request
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments
from headgate.errors import GrantLimitError, PackageError, PackageTooLargeError
from reference import segments as reference

TOKEN = bytes.fromhex("2CB6A673CBA24C04")
DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")


def package_of(body: bytes) -> Package:
    """A package whose identity does not matter."""
    return Package(body, sha256=bytes(32), check_code=1)


# -- Segments --


@given(body=st.binary(min_size=1, max_size=4000), size=st.integers(32, 500))
def test_every_check_code_is_that_of_the_whole_answer(body, size):
    """Of full segments and of the short last one; as the reference makes the answer."""
    segments = Segments(package_of(body), size=size)
    assert len(segments) == segments.count == -(-len(body) // size)
    for number in range(segments.count):
        whole = reference.answer(number, body[number * size :][:size])
        assert segments.check_code(number) == int.from_bytes(whole[4:6], "big")
    with pytest.raises(IndexError):
        segments.check_code(segments.count)


@pytest.mark.parametrize(("length", "count"), [(1, 1), (31, 1), (32, 1), (33, 2), (65535 * 32, 65535)])
def test_segments_are_counted(length, count):
    """The last one may be short; 65535 is the most that a device can be told of."""
    assert Segments(package_of(bytes(length)), size=32).count == count


def test_more_segments_than_a_device_can_be_told_of():
    """32 767 500 bytes at 500, 2 097 120 at 32 (protocol: section 1.7)."""
    with pytest.raises(PackageTooLargeError, match="65536 segments of 32 bytes"):
        Segments(package_of(bytes(65535 * 32 + 1)), size=32)
    assert Segments(package_of(bytes(65535 * 500))).count == 65535
    with pytest.raises(PackageTooLargeError, match="32767500"):
        Segments(package_of(bytes(65535 * 500 + 1)))


def test_an_empty_package_has_no_segment():
    """Nothing could be asked for."""
    with pytest.raises(PackageError, match="empty"):
        Segments(package_of(b""))


@pytest.mark.parametrize("size", [0, 31, 501, -1])
def test_segment_size_is_bounded(size):
    """32 to 500 bytes."""
    with pytest.raises(ValueError, match=r"32\.\.500"):
        Segments(package_of(b"x"), size=size)


def test_segments_keep_their_package():
    """And nothing else does."""
    package = package_of(bytes(1000))
    before = sys.getrefcount(package)
    segments = Segments(package)
    assert segments.package is package
    assert sys.getrefcount(package) > before
    del segments
    assert sys.getrefcount(package) == before


# -- Grants --


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"version": b""}, "version"),
        ({"version": b"x" * 17}, "version"),
        ({"version": b"V1\0"}, "padding"),
        ({"downlink": b""}, "options"),
        ({"downlink": b"\xb2\x31"}, "options"),  # a value that is not there
        ({"downlink": DOWNLINK + b"\xff"}, "options"),  # a payload marker
        ({"downlink": DOWNLINK + b"\x0d\x30" + bytes(0x3D)}, "options"),  # whole, and 65 bytes too many
        ({"wait_s": -1.0}, "wait_s"),
        ({"wait_s": 256.0}, "wait_s"),
        ({"wait_s": float("nan")}, "wait_s"),
    ],
)
def test_an_offer_is_checked(wrong, match):
    """What is wrong with it would be wrong with every datagram."""
    how = {"version": b"V1.0", "downlink": DOWNLINK} | wrong
    with pytest.raises(ValueError, match=match):
        Offer(Segments(package_of(b"x")), **how)


def test_a_record_comes_back_with_the_last_reference(ledger, make_grant):
    """Of the caller, of the catalog's tokens, and of what waits for readers there."""
    catalog = Catalog(ledger)
    grant = make_grant(bytes(1000))
    index = grant.index
    for number in range(3):
        catalog.grant_segments(bytes([number]) * 8, grant)
    del grant
    place = catalog._py_enter()
    for number in range(3):
        assert catalog.withdraw_segments(bytes([number]) * 8)
    assert catalog.reclaim() == 3  # a reader may hold it
    taken = {ledger.allocate() for _ in range(7)}
    assert index not in taken
    with pytest.raises(GrantLimitError):
        ledger.allocate()
    catalog._py_leave(place)
    assert catalog.reclaim() == 0
    assert ledger.allocate() == index


def test_a_full_ledger_refuses():
    """As for other grants; nothing is leaked by the attempt."""
    ledger = Ledger(1)
    offer = Offer(Segments(package_of(b"x")), version=b"V", downlink=DOWNLINK)
    held = SegmentGrant(ledger, offer)
    with pytest.raises(GrantLimitError):
        SegmentGrant(ledger, offer)
    del held
    gc.collect()
    assert SegmentGrant(ledger, offer).progress.blocks == 0


# -- Tokens --


def test_tokens_and_paths_are_two_spaces(catalog, make_grant, make_package):
    """A token is not a path of the same bytes, nor the other way round."""
    grant = make_grant(bytes(1000))
    catalog.grant_segments(b"abcdefgh", grant)
    assert catalog.find(b"abcdefgh") is None
    assert b"abcdefgh" not in catalog
    assert Responder(catalog).respond(request("abcdefgh"))[0] == "4.04"
    catalog.publish(b"abcdefgh", make_package(b"x"))
    assert catalog.find_segments(b"abcdefgh") is grant
    assert len(catalog) == 2
    assert catalog.withdraw(b"abcdefgh")
    assert catalog.find_segments(b"abcdefgh") is grant
    assert catalog.withdraw_segments(b"abcdefgh")
    assert not catalog.withdraw_segments(b"abcdefgh")
    assert not catalog.withdraw(b"abcdefgh")
    assert len(catalog) == 0


def test_a_token_leads_to_the_last_grant(catalog, make_grant):
    """The next task of a device that is still observed; the grant before is let go."""
    first, second = make_grant(b"first"), make_grant(b"second")
    catalog.grant_segments(TOKEN, first)
    references = sys.getrefcount(first)
    catalog.grant_segments(TOKEN, first)
    assert sys.getrefcount(first) == references
    catalog.grant_segments(TOKEN, second)
    assert catalog.find_segments(TOKEN) is second
    assert catalog.reclaim() == 0
    assert sys.getrefcount(first) == references - 1
    assert len(catalog) == 1


@pytest.mark.parametrize("token", [b"", b"7 bytes", b"9  bytes "])
def test_a_token_that_grants_has_8_bytes(catalog, make_grant, token):
    """As the exchange draws them: a shorter one could be guessed."""
    for call in (
        lambda: catalog.grant_segments(token, make_grant(b"x")),
        lambda: catalog.withdraw_segments(token),
        lambda: catalog.find_segments(token),
    ):
        with pytest.raises(ValueError, match="8 bytes"):
            call()


def test_many_tokens(make_package):
    """Growth of the table, tombstones, and no token that is lost."""
    catalog = Catalog(Ledger(2000))
    offer = Offer(Segments(make_package(bytes(100))), version=b"V", downlink=DOWNLINK)
    grants = {}
    for number in range(2000):
        token = (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8, "big")
        grants[token] = SegmentGrant(catalog.ledger, offer)
        catalog.grant_segments(token, grants[token])
        if number % 3 == 0:
            catalog.publish(b"path/%d" % number, make_package(b"x"))
    assert all(catalog.find_segments(token) is grant for token, grant in grants.items())
    for token in list(grants)[::2]:
        assert catalog.withdraw_segments(token)
        del grants[token]
    assert all(catalog.find_segments(token) is grant for token, grant in grants.items())
    assert len(catalog) == 1000 + 667
