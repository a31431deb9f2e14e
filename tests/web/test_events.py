"""Events: followed as they happen, resumed where a viewer was, bounded in number and never queued."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from headgate.server import Config, Server
from headgate.server.desk import ServerDesk
from headgate.store import tables
from headgate.web.reading import Reader
from headgate.web.tail import Tail
from peer import eventually
from web_asking import add, problem


async def told(client: httpx.AsyncClient, count: int, **how: Any) -> list[dict[str, Any]]:
    """The next events of a stream; it is left then."""
    found: list[dict[str, Any]] = []
    async with client.stream("GET", "/events", **how) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data:"):
                found.append(json.loads(line[5:]))
            if len(found) == count:
                break
    return found


def served(tmp_path, **http: Any):
    """A Server with its API on a socket."""
    return Server(
        Config(
            coap={"host": "127.0.0.1", "port": 0},
            store={"directory": tmp_path / "data"},
            http={"port": 0} | http,
        )
    )


def client_of(server: Server) -> httpx.AsyncClient:
    """With the first token."""
    token = (server.config.store.directory / "api-token").read_text().strip()
    return httpx.AsyncClient(
        base_url=f"{server.http.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=20
    )


def test_a_viewer_resumes_where_it_was(run, tmp_path):
    """By Last-Event-ID, as browsers send it; each event once and in order, what happened meanwhile too."""

    async def main() -> None:
        async with served(tmp_path) as server:
            await server.serve_http()
            async with client_of(server) as client:
                pid = (await add(client))["pid"]
                first = asyncio.ensure_future(told(client, 2))
                await eventually(lambda: server.http._web._office.metrics.viewers)
                await client.post("/campaigns", json={"package": pid, "targets": {"endpoints": ["a"]}})
                seen = await first
                await client.post("/campaigns", json={"package": pid, "targets": {"endpoints": ["b"]}})
                logged = server._in.database.rows(tables.events, limit=100)
                rest = await told(client, len(logged) - 2, headers={"Last-Event-ID": str(seen[-1]["id"])})
                assert seen + rest == logged
                campaign = logged[-1]["campaign_id"]
                mine = [each for each in logged if each["campaign_id"] == campaign]
                how = {"campaign": campaign, "after": 0}
                assert await told(client, len(mine), params=how) == mine
            await server.close()

    run(main())


def test_a_server_that_closes_lets_its_viewers_go(run, tmp_path):
    """Nobody keeps it from ending."""

    async def main() -> None:
        async with served(tmp_path) as server:
            await server.serve_http()
            async with client_of(server) as client, client.stream("GET", "/events") as answer:
                assert answer.status_code == 200
                async with asyncio.timeout(4):
                    await server.close()
                    assert b"retry" in b"".join([piece async for piece in answer.aiter_bytes()])

    run(main())


def test_so_many_follow_and_no_more(run, tmp_path):
    """And who leaves makes room."""

    async def main() -> None:
        async with served(tmp_path, viewers_max=1) as server:
            await server.serve_http()
            metrics = server.http._web._office.metrics
            async with client_of(server) as client:
                async with client.stream("GET", "/events") as answer:
                    await anext(answer.aiter_bytes())
                    problem(await client.get("/events"), 503)
                await eventually(lambda: not metrics.viewers)
                async with client.stream("GET", "/events") as answer:
                    assert answer.status_code == 200

    run(main())


def test_who_is_far_behind_reads_the_log(run, tmp_path):
    """What is in memory is bounded; no event is left out where memory ends."""

    async def main() -> None:
        async with served(tmp_path) as server:
            desk = ServerDesk(server, server._in)
            reader = Reader(desk.database, threads=1, waiting_max=9)
            tail = Tail(reader, kept=10)
            await tail.start()
            package = await server.add_package(b"x" * 100, version="V2")
            names = [f"device-{number}" for number in range(600)]
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=names)
            await server.stop_campaign(campaign.id)
            await server.ended(campaign.id)
            while await tail._read():
                pass
            assert len(tail._lines) <= 2 * 10
            place, seen = 0, []
            while lines := await tail.after(place):
                seen += [line.id for line in lines]
                place = lines[-1].id
            logged = []
            while page := server._in.database.rows(
                tables.events, after=(logged[-1],) if logged else None, limit=1000
            ):
                logged += [row["id"] for row in page]
            assert seen == logged
            assert len(seen) > 600
            reader.close()

    run(main())
