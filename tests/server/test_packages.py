"""Packages: kept once, told apart by their PID, served only whole, and not removed while they are needed."""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256

import pytest

from headgate.errors import HeadgateError, PackageError, PackageTooLargeError, StoreError
from headgate.wire.crc import check_code

BODY = b"the new firmware" * 500


def files(data) -> list[str]:
    """What the store of packages holds."""
    return sorted(os.listdir(data / "packages"))


def test_a_package_is_named_by_its_bytes(run, server_of, data, tmp_path):
    """PID: versionCheckCode, then 6 bytes of SHA-256 (protocol 2.2); from a file as from bytes, once."""
    file = tmp_path / "v2.bin"
    file.write_bytes(BODY)
    digest = sha256(BODY).digest()

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(file, version="V2")
            assert package.pid == check_code(BODY).to_bytes(2, "big") + digest[:6]
            assert (package.size_bytes, package.sha256) == (len(BODY), digest.hex())
            assert await server.add_package(str(file), version="V2") == package
            assert await server.add_package(BODY, version="V2") == package
            assert files(data) == [digest.hex()]
            other = await server.add_package(BODY, version="V2 again", check_code=0x1234)
            assert other.pid == b"\x12\x34" + digest[:6]
            assert {each.pid for each in server.packages()} == {package.pid, other.pid}
            await server.remove_package(package.pid)
            assert files(data) == [digest.hex()]
            await server.remove_package(other.pid)
            assert files(data) == []
            assert server.packages() == []
        async with server_of() as server:
            assert server.packages() == []

    run(main())


def test_devices_could_not_tell_these_apart(run, server_of, data):
    """The same bytes under another version have the same PID: one of the two is a mistake."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2", product="meter")
            for how in (
                {"version": "V3", "product": "meter"},
                {"version": "V2"},
                {"version": "V2", "source_versions": ["V1"]},
            ):
                with pytest.raises(PackageError, match="is there already, with another"):
                    await server.add_package(BODY, **how)
            assert server.packages() == [package]
            assert files(data) == [package.sha256]

    run(main())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"version": ""}, "the version of a package has"),
        ({"version": "V" * 256}, "up to 255 bytes, not 256"),
        ({"version": "V\0"}, "the version"),
        ({"version": "\ud800"}, "no text that UTF-8"),
        ({"version": "V2", "source_versions": [""]}, "the source version"),
        ({"version": "V2", "source_versions": [str(number) for number in range(1001)]}, "at most 1000"),
        ({"version": "V2", "name": "x" * 256}, "the name"),
        ({"version": "V2", "check_code": 0x10000}, "16 bits"),
        ({"version": "V2", "check_code": -1}, "16 bits"),
    ],
)
def test_what_no_device_could_report_is_refused(run, server_of, data, how, said):
    """Before anything is kept."""

    async def main() -> None:
        async with server_of() as server:
            with pytest.raises(PackageError, match=said):
                await server.add_package(BODY, **how)
            assert files(data) == []

    run(main())


def test_what_blocks_cannot_carry_is_refused(run, server_of, data):
    """2**20 blocks of the smallest size offered (RFC 7959 section 2.2); its file does not stay."""

    async def main() -> None:
        async with server_of() as server:
            with pytest.raises(PackageTooLargeError):
                await server.add_package(bytes((16 << 20) + 1), version="V2")
            assert files(data) == []

    run(main())


def test_a_package_in_use_is_not_removed(run, server_of):
    """Until its campaign is through."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            campaign = await server.create_campaign(name="all", package=package.pid, endpoints=["device"])
            with pytest.raises(PackageError, match=rf"needed by campaign {campaign.id} \(all\)"):
                await server.remove_package(package.pid)
            assert await server.stop_campaign(campaign.id)
            await server.ended(campaign.id)
            await server.remove_package(package.pid)
            with pytest.raises(PackageError, match="there is no package"):
                await server.remove_package(package.pid)
            with pytest.raises(PackageError, match="there is no package"):
                await server.create_campaign(name="all", package=package.pid, endpoints=["device"])

    run(main())


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_damaged_bytes_are_not_served(run, server_of, data, caplog, harm):
    """A campaign is refused, a restart tells it and goes on; adding the package again heals both."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            await server.create_campaign(name="all", package=package.pid, endpoints=["device"])
        file = data / "packages" / package.sha256
        file.unlink()
        if harm == "damaged":
            file.write_bytes(BODY[:-1] + b"!")
        async with server_of() as server:
            assert "a package cannot be served" in caplog.text
            with pytest.raises(HeadgateError, match=r"damaged|no package file"):
                await server.create_campaign(name="more", package=package.pid, endpoints=["other"])
            assert await server.add_package(BODY, version="V2") == package
            await server.create_campaign(name="more", package=package.pid, endpoints=["other"])

    run(main())


def test_a_package_is_not_removed_under_a_campaign_that_is_being_made(run, server_of):
    """Both at once: one of them is refused, whichever comes second."""

    async def main() -> None:
        async with server_of() as server:
            for _ in range(20):
                package = await server.add_package(BODY, version="V2")
                made, removed = await asyncio.gather(
                    server.create_campaign(name="c", package=package.pid, endpoints=["device"]),
                    server.remove_package(package.pid),
                    return_exceptions=True,
                )
                assert isinstance(made, PackageError) != isinstance(removed, PackageError)
                if not isinstance(made, PackageError):
                    assert await server.stop_campaign(made.id)
                    await server.ended(made.id)

    run(main())


def test_a_package_whose_row_stays_is_still_there(run, server_of, locked):
    """The store takes nothing: neither a new package nor the end of an old one; nothing is half done."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            with locked():
                with pytest.raises(StoreError):
                    await server.remove_package(package.pid)
                with pytest.raises(StoreError):
                    await server.add_package(b"other", version="V3")
            assert server.packages() == [package]
            await server.create_campaign(name="c", package=package.pid, endpoints=["device"])

    run(main())
