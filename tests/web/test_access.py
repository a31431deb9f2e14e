"""Who may ask for what: every row of the route table, by its scope (RFC 6750)."""

from __future__ import annotations

import re

import pytest

from headgate.web.access import ADDRESSES_MAX, FailedLogins, Scope, digest
from web_asking import problem

FILLED = {"pid": "0" * 16, "cell": "460-00-1A2B"}


def url(path: str) -> str:
    """The path with something in the place of its parameters."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: FILLED.get(found[1], "none"), path)


def test_every_route_is_closed_to_whom_it_does_not_concern(run, api):
    """Without a token, with a wrong one, with one of less scope: generated from the table."""

    async def main() -> None:
        async with api(failed_logins_max=1000) as asked:
            table = asked.web.table()
            assert {route.path for route in table if route.scope is None} == {"/healthz", "/readyz"}
            assert len(table) > 20
            for route in table:
                if route.scope is None:
                    continue
                async with asked.client(None) as client:
                    answer = await client.request(route.method, url(route.path))
                    problem(answer, 401)
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                for wrong in ("Bearer wrong", "Bearer ", "Basic d3Jvbmc6d3Jvbmc="):
                    async with asked.client(None, Authorization=wrong) as client:
                        problem(await client.request(route.method, url(route.path)), 401)
                for scope in Scope:
                    async with asked.client(scope) as client:
                        if route.path == "/events" and scope.contains(route.scope):
                            continue  # lasts
                        answer = await client.request(route.method, url(route.path))
                        if scope.contains(route.scope):
                            assert answer.status_code not in (401, 403), route
                        else:
                            problem(answer, 403)
                            assert f'scope="{route.scope.value}"' in answer.headers["WWW-Authenticate"]

    run(main())


def test_the_document_names_the_scope_of_every_route(run, api):
    """What generated clients are told is what is asked of them."""

    async def main() -> None:
        async with api() as asked, asked.client(None) as client:
            document = (await client.get("/openapi.json")).json()
            for route in asked.web.table():
                path = "/api/v1" + re.sub(r":endpoint\}", "}", route.path)
                said = document["paths"][path][route.method.lower()].get("security")
                assert said == (None if route.scope is None else [{"token": [route.scope.value]}])

    run(main())


def test_tokens_are_kept_as_digests_and_work_after_a_restart(run, api, tmp_path):
    """The secret is in no file of the data directory."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            made = (await client.post("/tokens", json={"name": "ci", "scope": "operate"})).json()
            secret = made["token"]
            listed = (await client.get("/tokens")).json()["items"]
            assert {
                "id": made["id"],
                "name": "ci",
                "scope": "operate",
                "created_s": made["created_s"],
                "used_s": None,
            } in listed
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
        assert secret.encode() not in kept
        assert digest(secret).encode() in kept
        async with api() as asked:
            async with asked.client(None, Authorization=f"Bearer {secret}") as client:
                assert (await client.get("/packages")).status_code == 200
            async with asked.client() as admin:
                listed = {each["id"]: each for each in (await admin.get("/tokens")).json()["items"]}
                assert listed[made["id"]]["used_s"] >= made["created_s"]
                assert (await admin.delete(f"/tokens/{made['id']}")).status_code == 204
                problem(await admin.delete(f"/tokens/{made['id']}"), 404)
            async with asked.client(None, Authorization=f"Bearer {secret}") as client:
                problem(await client.get("/packages"), 401)

    run(main())


def test_the_last_admin_stays(run, api):
    """Nobody could make a token any more."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            (admin,) = [each for each in asked.web._office.tokens.list() if each.scope is Scope.ADMIN]
            problem(await client.delete(f"/tokens/{admin.id}"), 409)

    run(main())


def test_a_new_server_has_one_token_and_only_a_new_one(run, api):
    """It is kept in its file before it is good for anything."""

    async def main() -> None:
        async with api() as asked:
            kept = []
            assert not await asked.web.first_token(kept.append)
            tokens = asked.web._office.tokens
            tokens._tokens.clear()
            assert await asked.web.first_token(kept.append)
            assert tokens.find(kept[0]).scope is Scope.ADMIN

    run(main())


def test_wrong_tokens_are_told_to_wait_and_right_ones_are_not(run, api):
    """Many may stand behind one address; what is bounded is the noise."""

    async def main() -> None:
        async with api(failed_logins_max=3) as asked:
            async with asked.client(None, Authorization="Bearer wrong") as client:
                for _ in range(3):
                    problem(await client.get("/packages"), 401)
                answer = await client.get("/packages")
                problem(answer, 429)
                assert 0 < int(answer.headers["Retry-After"]) <= 60
            async with asked.client(Scope.READ) as client:
                assert (await client.get("/packages")).status_code == 200

    run(main())


def test_failures_are_forgotten_after_a_minute_and_addresses_are_bounded():
    """A table that strangers fill has an end."""
    failed = FailedLogins(most=2)
    assert failed.failed("a", 0.0) is None
    assert failed.failed("a", 0.5) is None
    assert failed.failed("a", 1.0) == pytest.approx(59.0)
    assert failed.failed("a", 61.0) is None
    for number in range(2 * ADDRESSES_MAX):
        failed.failed(str(number), 62.0)
    assert len(failed._failed) == ADDRESSES_MAX
