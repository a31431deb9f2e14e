"""Vendor archives: what they say, and what the hostile ones try. Protocol 1.7."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import ArchiveError
from headgate.store.archive import ArchiveBounds, VendorArchive, describe

BODY = bytes(index & 0xFF for index in range(1300))
SAID = {
    "specVersion": "1.0",
    "fileName": "app.bin",
    "packageType": "softwarePackage",
    "version": "V1.1",
    "deviceShard": 500,
    "versionCheckCode": "4EA0",
    "deviceType": "WaterMeter",
    "manufacturerName": "Acme",
    "model": "WM-1",
    "protocolType": "LwM2M",
    "description": "first",
    "platform": "any",
    "supportSourceVersionList": ["V1.0", "V0.9"],
    "date": "2024-05-01",
}


def packed(entries, **how):
    """A zip of (name or ZipInfo, bytes) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **({"compression": zipfile.ZIP_DEFLATED} | how)) as archive:
        for name, body in entries:
            archive.writestr(name, body)
    return buffer.getvalue()


def descriptor(**changes):
    """UpgradeDesc.json, but for the changes; None leaves a key out."""
    return json.dumps({key: value for key, value in (SAID | changes).items() if value is not None})


@pytest.fixture
def opened(tmp_path):
    """Opens bytes as an archive; closes it at the end."""
    archives = []

    def open_(data, bounds=None):
        path = tmp_path / "package.zip"
        path.write_bytes(data)
        archives.append(VendorArchive(path, bounds))
        return archives[-1]

    yield open_
    for archive in archives:
        archive.close()


def test_an_archive_says_what_it_holds(opened):
    """All keys that matter, and the bytes."""
    archive = opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)]))
    said = archive.description
    assert (said.file_name, said.package_type, said.version) == ("app.bin", "softwarePackage", "V1.1")
    assert (said.segment_size_bytes, said.version_check_code) == (500, "4EA0")
    assert said.source_versions == {"V1.0", "V0.9"}
    assert (said.product, said.manufacturer, said.device_type) == ("WM-1", "Acme", "WaterMeter")
    assert (said.protocol, said.description) == ("LwM2M", "first")
    assert b"".join(archive.chunks()) == BODY
    assert b"".join(archive.chunks()) == BODY
    assert archive.size_bytes == 1300


def test_a_folder_around_everything(opened):
    """As file managers pack it; the name counts from the descriptor's folder."""
    archive = opened(
        packed([("pack/", b""), ("pack/UpgradeDesc.json", descriptor()), ("pack/app.bin", BODY)])
    )
    assert b"".join(archive.chunks()) == BODY


def test_stored_and_commented_archives(opened):
    """Without compression; a comment at the end hides no directory."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)], compression=zipfile.ZIP_STORED)
    data = data[:-2] + struct.pack("<H", 11) + b"hello world"
    assert b"".join(opened(data).chunks()) == BODY


def test_a_large_package_comes_in_chunks(opened):
    """Nothing holds it as a whole."""
    body = bytes(range(256)) * 1024
    archive = opened(
        packed([("UpgradeDesc.json", descriptor()), ("app.bin", body)]), ArchiveBounds(ratio=1000)
    )
    chunks = list(archive.chunks())
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= 65536


# -- descriptors --


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"deviceShard": None}, "segment_size_bytes", None),
        ({"deviceShard": ""}, "segment_size_bytes", None),
        ({"deviceShard": "256"}, "segment_size_bytes", 256),
        ({"versionCheckCode": None}, "version_check_code", ""),
        ({"versionCheckCode": 1234}, "version_check_code", "1234"),
        ({"versionCheckCode": 7}, "version_check_code", "0007"),
        ({"supportSourceVersionList": None}, "source_versions", frozenset()),
        ({"supportSourceVersionList": [""]}, "source_versions", frozenset()),
        ({"packageType": None}, "package_type", ""),
        ({"unknown": {"a": [1]}}, "version", "V1.1"),
    ],
)
def test_what_vendors_write(changes, field, value):
    """Numbers as strings, keys left out, keys of their own."""
    assert getattr(describe(descriptor(**changes).encode()), field) == value


def test_a_byte_order_mark_is_no_harm():
    """Windows editors write one."""
    assert describe(b"\xef\xbb\xbf" + descriptor().encode()).version == "V1.1"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{\0}\0",
        b"[" * 60000,
        b'{"version": ' + b"9" * 60000 + b"}",
        descriptor(version=None).encode(),
        descriptor(version="").encode(),
        descriptor(version=1.1).encode(),
        descriptor(version="V\0").encode(),
        descriptor(fileName=None).encode(),
        descriptor(fileName="").encode(),
        descriptor(fileName="folder/").encode(),
        descriptor(deviceShard=True).encode(),
        descriptor(deviceShard=500.5).encode(),
        descriptor(deviceShard="-1").encode(),
        descriptor(deviceShard="²").encode(),
        descriptor(versionCheckCode=12345).encode(),
        descriptor(versionCheckCode=[]).encode(),
        descriptor(supportSourceVersionList="V1.0").encode(),
        descriptor(supportSourceVersionList=[1]).encode(),
    ],
    ids=lambda document: document[:24].hex(),
)
def test_descriptors_that_are_none(document):
    """Each is refused by name, and harms nothing."""
    with pytest.raises(ArchiveError):
        describe(document)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_descriptor_or_refused(document):
    """Never another exception."""
    try:
        describe(document)
    except ArchiveError:
        return


# -- hostile archives --

NAMES = [
    "../app.bin",
    "/etc/passwd",
    "a/../../app.bin",
    "./app.bin",
    "a//app.bin",
    "C:\\app.bin",
    "c:app.bin",
    "..\\app.bin",
    "a\\b.bin",
    "app.bin\n",
]


@pytest.mark.parametrize("name", NAMES)
def test_no_path_leaves_the_folder(opened, name):
    """Neither as an entry, nor as what the descriptor names."""
    with pytest.raises(ArchiveError):
        opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY), (name, BODY)]))
    with pytest.raises(ArchiveError):
        opened(packed([("UpgradeDesc.json", descriptor(fileName=name)), ("app.bin", BODY)]))


def test_a_name_with_a_zero_byte_is_no_other_name(opened):
    """`zipfile` cuts it there."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.binX/../y", BODY)])
    with pytest.raises(ArchiveError):
        opened(data.replace(b"app.binX", b"app.bin\0"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_are_refused(opened, kind):
    """Whoever unpacks it elsewhere would follow them."""
    entry = zipfile.ZipInfo("app.bin")
    entry.external_attr = (kind | 0o777) << 16
    with pytest.raises(ArchiveError, match="link"):
        opened(packed([("UpgradeDesc.json", descriptor()), (entry, "/etc/passwd")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_twice_there_is_refused(opened):
    """One reader takes the first, another the last."""
    with pytest.raises(ArchiveError, match="twice"):
        opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY), ("app.bin", b"other")]))


@pytest.mark.parametrize("names", [[], ["UpgradeDesc.json", "a/UpgradeDesc.json"], ["upgradedesc.json"]])
def test_one_descriptor(opened, names):
    """None says nothing, two say two things."""
    with pytest.raises(ArchiveError, match=r"one UpgradeDesc\.json"):
        opened(packed([("app.bin", BODY), *((name, descriptor()) for name in names)]))


@pytest.mark.parametrize("file_name", ["other.bin", "APP.BIN", "UpgradeDesc.json/x"])
def test_the_package_must_be_there(opened, file_name):
    """By its exact name."""
    with pytest.raises(ArchiveError, match="not in the archive"):
        opened(packed([("UpgradeDesc.json", descriptor(fileName=file_name)), ("app.bin", BODY)]))


def test_an_empty_package_is_refused(opened):
    """It has no segments."""
    with pytest.raises(ArchiveError, match="0 bytes"):
        opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", b"")]))


def test_a_bomb_is_refused_before_it_is_unpacked(opened):
    """A gigabyte of zeros packs to a megabyte; the ratio tells."""
    with pytest.raises(ArchiveError, match="100 times"):
        opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", bytes(1 << 22))]))
    with pytest.raises(ArchiveError, match="100 times"):
        opened(packed([("UpgradeDesc.json", descriptor(description=" " * 60000)), ("app.bin", BODY)]))


def test_sizes_are_bounded(opened):
    """Archive, package and descriptor, one above each bound."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)])
    for bounds in (
        ArchiveBounds(archive_bytes=len(data) - 1),
        ArchiveBounds(package_bytes=1299),
        ArchiveBounds(descriptor_bytes=len(descriptor()) - 1),
        ArchiveBounds(entries=1),
    ):
        with pytest.raises(ArchiveError):
            opened(data, bounds)
    exact = ArchiveBounds(
        archive_bytes=len(data), package_bytes=1300, descriptor_bytes=len(descriptor()), entries=2
    )
    assert b"".join(opened(data, exact).chunks()) == BODY


def lying(data, *, size):
    """The archive with another unpacked size of app.bin, in the directory and before the data."""
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        found = [index for index in range(len(data)) if data.startswith(signature, index)][-1]
        data = data[: found + at] + struct.pack("<I", size) + data[found + at + 4 :]
    return data


@pytest.mark.parametrize("size", [1, 1299, 1301, 20_000])
def test_an_archive_that_lies_about_a_size_is_noticed(opened, size):
    """More than is said is never handed over; less is an error."""
    archive = opened(lying(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)]), size=size))
    got = 0
    with pytest.raises(ArchiveError):  # noqa: PT012 - the chunks come before the error
        for chunk in archive.chunks():
            got += len(chunk)
    assert got <= min(size, 1300)


def test_a_directory_of_many_entries_is_not_read(opened):
    """A million entries of 46 bytes would be a gigabyte of objects."""
    entries = 65000
    record = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *(0,) * 6, 0, 0, 0, 1, *(0,) * 4, 0, 0) + b"a"
    directory = record * entries
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 3, 3, len(directory), 0, 0)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="directory of"):
            opened(directory + end)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_zip64_directory_is_refused(opened):
    """It would replace the sizes that were judged."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)])
    end = data.rindex(b"PK\x05\x06")
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    with pytest.raises(ArchiveError, match="zip64"):
        opened(data[:end] + locator + data[end:])


def test_an_entry_before_the_archive_is_refused(opened):
    """The directory is longer than what lies before it: `zipfile` counts back, beyond the beginning."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)])
    at = data.rindex(b"PK\x05\x06") + 16
    with pytest.raises(ArchiveError, match="before the archive"):
        opened(data[:at] + struct.pack("<I", struct.unpack_from("<I", data, at)[0] + 9) + data[at + 4 :])


def test_encrypted_entries_are_refused(opened):
    """Nobody here knows the password."""
    data = packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)])
    at = data.rindex(b"PK\x01\x02") + 8
    with pytest.raises(ArchiveError, match="encrypted"):
        opened(data[:at] + b"\x01" + data[at + 1 :])


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_deflate_is_unpacked(opened, method):
    """The others may want far more memory than they are long."""
    with pytest.raises(ArchiveError, match="method"):
        opened(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)], compression=method))


@given(data=st.data())
def test_a_damaged_archive_is_refused_or_read(tmp_path_factory, data):
    """Any byte changed, any end cut off: the same package or an ArchiveError."""
    good = bytearray(packed([("UpgradeDesc.json", descriptor()), ("app.bin", BODY)]))
    for _ in range(data.draw(st.integers(0, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.zip"
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))] if data.draw(st.booleans()) else good)
    try:
        with VendorArchive(path) as archive:
            size = sum(map(len, archive.chunks()))
            assert size == archive.size_bytes
    except ArchiveError:
        return
