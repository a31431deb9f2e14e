"""Packages: sent by multipart, streamed to the disk, listed by pages, removed when nothing needs them."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from headgate.web.upload import Form
from peer import eventually
from web_asking import BODY, add, problem, vendor_archive

BOUNDARY = "=here="
HEAD = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, more: str = "") -> bytes:
    """One part of a body (RFC 7578)."""
    said = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return said.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def test_a_package_comes_goes_and_is_the_same_when_it_comes_again(run, api):
    """201, then 200 with the same identity; 204, then 404."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            first = await client.post(
                "/packages",
                files={"file": ("fw", BODY)},
                data={"version": "V2", "name": "two", "source_versions": ["V1", "V0"], "check_code": "7"},
            )
            assert first.status_code == 201
            package = first.json()
            assert (package["version"], package["source_versions"], package["check_code"]) == (
                "V2",
                ["V0", "V1"],
                7,
            )
            assert package["size_bytes"] == len(BODY)
            again = await client.post(
                "/packages",
                files={"file": ("fw", BODY)},
                data={"version": "V2", "name": "two", "source_versions": ["V0", "V1"], "check_code": "7"},
            )
            assert (again.status_code, again.json()) == (200, package)
            shown = await client.get(first.headers["Location"].removeprefix("/api/v1"))
            assert shown.json() == package
            other = {"version": "V3", "check_code": "7"}
            problem(await client.post("/packages", files={"file": ("fw", BODY)}, data=other), 409, "conflict")
            assert (await client.delete(f"/packages/{package['pid']}")).status_code == 204
            problem(await client.delete(f"/packages/{package['pid']}"), 404)
            problem(await client.get("/packages/nonsense"), 422)

    run(main())


def test_a_vendors_archive_says_itself_what_it_is(run, api, tmp_path):
    """UpgradeDesc.json ("Making the upgrade package"); what is kept is the package in it, and no zip."""
    said = {
        "model": "meter",
        "versionCheckCode": "4EA0",
        "deviceShard": 256,
        "packageType": "softwarePackage",
    }
    archive = vendor_archive(**said, supportSourceVersionList=["V1"])

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            files = {"file": ("app.zip", archive)}
            answer = await client.post("/packages", files=files, data={"archive": "true", "name": "two"})
            assert answer.status_code == 201, answer.text
            package = answer.json()
            assert package == package | {
                "version": "V2",
                "kind": "software",
                "name": "two",
                "product": "meter",
                "source_versions": ["V1"],
                "segment_size_bytes": 256,
                "check_code": 0x4EA0,
                "size_bytes": len(BODY),
            }
            kept = [path.name for path in (tmp_path / "data" / "packages").iterdir()]
            assert kept == [package["sha256"]]
            again = await client.post("/packages", files=files, data={"archive": "true", "name": "two"})
            assert (again.status_code, again.json()) == (200, package)
            other = await client.post("/packages", files=files, data={"archive": "true", "product": "valve"})
            assert "another product" in problem(other, 409)["detail"]

    run(main())


@pytest.mark.parametrize(
    ("body", "said", "wrong"),
    [
        (BODY, {"archive": "true"}, "no zip archive"),
        (vendor_archive(packageType="x"), {"archive": "true"}, "packageType is one of"),
        (vendor_archive(), {"archive": "true", "version": "V3"}, "not as described"),
        (vendor_archive(), {"archive": "true", "check_code": "1"}, "not as described"),
        (vendor_archive(), {"archive": "perhaps"}, "not as described"),
        (vendor_archive(), {"archive": "false"}, "not as described"),
    ],
)
def test_an_archive_that_is_none_is_refused(run, api, tmp_path, body, said, wrong):
    """And so is one whose sender would say what it says itself. Nothing stays."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            answer = await client.post("/packages", files={"file": ("app.zip", body)}, data=said)
            assert wrong in problem(answer, 422)["detail"]
            assert list((tmp_path / "data" / "packages").iterdir()) == []

    run(main())


def test_a_package_that_a_campaign_needs_stays(run, api):
    """409 names the campaign."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            await client.post("/campaigns", json={"package": pid, "targets": {"endpoints": ["a"]}})
            said = problem(await client.delete(f"/packages/{pid}"), 409)
            assert "is needed by campaign" in said["detail"]

    run(main())


def test_pages_follow_one_another_newest_first(run, api):
    """Each package once, however small the pages; `next` is null at the end."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            added = [(await add(client, bytes([number]) * 100))["pid"] for number in range(5)]
            seen, after = [], {}
            while True:
                page = (await client.get("/packages", params={"limit": 2} | after)).json()
                seen += [each["pid"] for each in page["items"]]
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            assert seen == added[::-1]
            problem(await client.get("/packages", params={"after": "nonsense"}), 422)

    run(main())


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "ends before its last boundary"),
        (part("file", b"x"), 400, "ends before its last boundary"),
        (b"nonsense", 400, "not multipart"),
        (END, 400, ""),
        (part("version", b"V2") + END, 422, "no part with the name file"),
        (part("file", b"x") + END, 422, "not as described"),
        (part("file", b"") + part("version", b"V") + END, 422, "this one is empty"),
        (part("file", b"x") * 2 + END, 400, "more than one file"),
        (part("version", b"V" * 2000) + END, 400, "a field has more than"),
        (part("a", b"") * 1300 + END, 400, "parts"),
        (part("file", b"x", ";" + "x" * 5000) + END, 400, "header"),
        (part("file", b"x") + part("version", b"V") + part("check_code", b"70000") + END, 422, "not as"),
        (part("file", b"x") + part("version", b"V") + part("kind", b"\xff") + END, 422, "not as"),
        (part("file", b"x") + part("version", b"V\0") + END, 422, "not as"),
        (part("file", b"x") + part("version", b"V") + part("version_check_code", b"1") + END, 422, "not as"),
    ],
)
def test_a_body_that_is_none_is_refused_and_leaves_nothing(run, api, tmp_path, body, status, said):
    """By what is wrong with it; neither a file nor a thread stays."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            answer = await client.post("/packages", content=body, headers=HEAD)
            if said:
                assert said in problem(answer, status)["detail"]
            else:
                assert answer.status_code in (400, 422)
            assert list((tmp_path / "data" / "packages").iterdir()) == []
            assert asked.web._office.uploads._under_way == 0
            problem(await client.post("/packages", content=b"{}"), 415)

    run(main())


def test_the_order_of_parts_does_not_matter(run, api):
    """Nor does where the pieces are cut."""

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            body = part("file", BODY) + part("version", b"V2") + END
            answer = await client.post("/packages", content=pieces(body), headers=HEAD)
            assert answer.status_code == 201
            assert answer.json() == await add(client)

    run(main())


def test_too_large_a_package_is_refused_before_it_is_there(run, api, tmp_path):
    """By its Content-Length, and while it comes where it tells none."""

    async def pieces(count: int) -> AsyncIterator[bytes]:
        yield part("file", b"")[:-2]
        for _ in range(count):
            yield bytes(65536)

    async def main() -> None:
        async with api(package_bytes_max=100_000) as asked, asked.client() as client:
            problem(await client.post("/packages", files={"file": ("fw", bytes(3 << 20))}), 413)
            problem(await client.post("/packages", content=pieces(60), headers=HEAD), 413)
            assert list((tmp_path / "data" / "packages").iterdir()) == []

    run(main())


def test_a_large_package_is_never_in_memory(run, api):
    """15 MB pass through a few pieces."""
    size = 15 << 20  # 2**20 blocks of 16 bytes are the most, as the edge is configured

    async def pieces() -> AsyncIterator[bytes]:
        yield part("version", b"V2") + part("file", b"")[:-2]
        for _ in range(size >> 16):
            yield bytes(65536)
        yield b"\r\n" + END

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            tracemalloc.start()
            try:
                answer = await client.post("/packages", content=pieces(), headers=HEAD)
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert answer.status_code == 201
            assert answer.json()["size_bytes"] == size
            assert peak < 6 << 20

    run(main())


def test_a_sender_that_stops_is_not_waited_for(run, api, tmp_path):
    """408, and what it had sent is gone."""

    async def pieces() -> AsyncIterator[bytes]:
        yield part("file", b"x" * 1000)
        await asyncio.Event().wait()

    async def main() -> None:
        async with api(body_idle_s=0.05) as asked, asked.client() as client:
            problem(await client.post("/packages", content=pieces(), headers=HEAD), 408)
            assert list((tmp_path / "data" / "packages").iterdir()) == []

    run(main())


def test_a_sender_that_is_gone_is_no_bug(run, api, tmp_path):
    """Nothing is in the log of it, and what it had sent is gone."""
    begun = {"type": "http.request", "body": part("file", b"x" * 1000)[:500], "more_body": True}

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            request = client.build_request("POST", "/packages", headers=HEAD)
            messages = iter([begun, {"type": "http.disconnect"}])
            scope = {
                "type": "http",
                "http_version": "1.1",
                "method": "POST",
                "path": request.url.path,
                "query_string": b"",
                "headers": [(name.lower(), value) for name, value in request.headers.raw],
            }
            sent = []

            async def receive():
                return next(messages)

            async def send(message):
                sent.append(message)

            await asked.web.asgi(scope, receive, send)
            assert sent[0]["status"] == 400
            assert list((tmp_path / "data" / "packages").iterdir()) == []
            assert asked.web._office.uploads._under_way == 0

    run(main())


def test_so_many_come_at_once_and_no_more(run, api):
    """Each has a thread: 503 beyond."""

    async def main() -> None:
        going = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield part("version", b"V2") + part("file", b"")[:-2]
            await going.wait()
            yield b"x\r\n" + END

        async with api(uploads_max=1) as asked, asked.client() as client:
            first = asyncio.ensure_future(client.post("/packages", content=slowly(), headers=HEAD))
            await eventually(lambda: asked.web._office.uploads._under_way)
            problem(await client.post("/packages", files={"file": ("fw", b"y")}, data={"version": "V"}), 503)
            going.set()
            assert (await first).status_code == 201

    run(main())


def test_fields_are_there_when_the_file_ends():
    """A form is read by pieces; the file's bytes pass through."""
    form = Form(BOUNDARY.encode())
    body = part("a", b"1") + part("file", b"12\r\n3") + part("a", b"2") + END
    assert b"".join(form.file([body[:50], body[50:]])) == b"12\r\n3"
    assert form.fields == {"a": ["1", "2"]}
    assert form.has_file
