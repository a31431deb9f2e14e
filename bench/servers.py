"""The servers that are measured, each in a process of its own: `python -m bench.servers KIND ...`.

Prints one JSON line when it serves, then answers each command line on its standard input with another, and
ends with its input. Kinds: `floor` (fleet/echo, one thread), `edge` (headgate.Edge), `orchestrator`
(headgate.Server with a campaign), `api` (the same as `headgate serve` has it, with its API), `aiocoap`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
DEVICE = "urn:dev:flood-"
DOWNLOADING = 64  # of these devices, of whom those who measure are told the keys
SO_RCVBUFFORCE = 33  # socket(7)
RECEIVE_BUFFER_BYTES = 4 << 20


def say(**values: Any) -> None:
    """One JSON line to whoever measures."""
    print(json.dumps(values), flush=True)


def serve_floor(reply_bytes: int, acknowledgement_bytes: int) -> None:
    """The floor: the same batches with no protocol, on a socket like the edge's."""
    from headgate.fleet.echo import Echo

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        with contextlib.suppress(PermissionError):
            udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        udp.bind((HOST, 0))
        echo = Echo(udp.fileno(), reply_bytes, acknowledgement_size=acknowledgement_bytes)
        thread = threading.Thread(target=echo.run)
        thread.start()
        say(port=udp.getsockname()[1], path="floor")
        sys.stdin.read()
        echo.stop()
        thread.join()


async def serve_edge(
    body: Path, host: str | None, threads: int, smallest_block: int, segment_grants: int, segment_size: int
) -> None:
    """The edge with one public package, doing to itself what the commands say."""
    from headgate import Edge

    async with Edge(
        host=host,
        port=0,
        threads=threads,
        receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
        smallest_block=smallest_block,
    ) as edge:
        package = await edge.publish("body", body)
        grant = edge.grant(package, "urn:dev:bench")
        if segment_grants:
            grant_segments(edge, package, segment_grants, segment_size)
        say(port=edge.port, path="body", grant=grant.key)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command, *arguments = line.split()
            say(**await COMMANDS[command](edge, *map(float, arguments)))


def grant_segments(edge: Any, package: Any, count: int, size: int) -> None:
    """Let that many devices have the package by segments."""
    from bench.segments import VERSION, token_of
    from headgate.edge.segments import offer_of
    from headgate.engine.segments import Segments

    offer = offer_of(Segments(package, size=size), version=VERSION)
    for number in range(count):
        edge.segments.grant(offer, f"urn:dev:{number}", tokens=[token_of(number)])


async def churn(edge: Any, per_s: float, seconds: float) -> dict[str, Any]:
    """Publish, replace and withdraw packages `per_s` times a second beside the load; what that cost."""
    bodies = [random.Random(number).randbytes(4096) for number in range(8)]
    packages = [await edge.load(body) for body in bodies]
    began_s = time.monotonic()
    late_s = 0.0
    changes = 0
    while (now_s := time.monotonic()) < began_s + seconds:
        due = int((now_s - began_s) * per_s)
        late_s = max(late_s, now_s - began_s - changes / per_s) if changes else 0.0
        while changes < due:
            path = f"churn/{changes % 97}"
            if changes % 3 == 2:
                edge.withdraw(path)
            else:
                await edge.publish(path, packages[changes % 8], replace=True)
            changes += 1
        await asyncio.sleep(0.001)
    return {"changes": changes, "latest_s": late_s, "packages": edge.stats.packages}


async def block_loop(_edge: Any, block_s: float, seconds: float) -> dict[str, Any]:
    """Keep the loop busy with callbacks that hold it, and the GIL, for `block_s` each."""
    began_s = time.monotonic()
    callbacks = 0
    while time.monotonic() < began_s + seconds:
        until_s = time.monotonic() + block_s
        while time.monotonic() < until_s:
            pass
        callbacks += 1
        await asyncio.sleep(0)
    return {"callbacks": callbacks}


async def counters(edge: Any) -> dict[str, Any]:
    """What the edge has counted so far."""
    stats = edge.stats
    return {"received": stats.received, "batches": stats.batches, "blocks": stats.blocks}


async def serve_orchestrator(body: Path, folder: Path, threads: int, devices: int) -> None:
    """The whole server, with a campaign for devices that may come, and one that only downloads."""
    from headgate.server import Config, Server

    config = Config(
        coap={"host": HOST, "port": 0, "threads": threads, "receive_buffer_bytes": RECEIVE_BUFFER_BYTES},
        store={"directory": folder},
    )
    async with Server(config) as server:
        package = await server.add_package(body, version="V1.1")
        endpoints = [f"{DEVICE}{number:06d}" for number in range(devices)]
        await server.create_campaign(name="flood", package=package.pid, endpoints=endpoints)
        serving = [each.native_id for each in threading.enumerate() if "listener" in each.name]
        keys = [server.package_uri(each, package.pid).rpartition("/")[2] for each in endpoints]
        say(port=server.port, path=keys[0], keys=keys[:DOWNLOADING], serving=serving)
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            stats = server.stats
            say(blocks=stats.edge.blocks, tasks=stats.tasks, **stats.pump)


class Beat:
    """How long the loop does not come round: wall time, CPU of its thread alone, and one look for garbage."""

    EVERY_S = 0.001

    def __init__(self) -> None:
        self._late_s: list[float] = []
        self._spent_s: list[float] = []
        self._collecting_s = self._collected_s = 0.0
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, _facts: dict[str, int]) -> None:
        now_s = time.thread_time()
        if phase == "start":
            self._collecting_s = now_s
        else:
            self._collected_s = max(self._collected_s, now_s - self._collecting_s)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
            await asyncio.sleep(self.EVERY_S)
            self._late_s.append(time.perf_counter() - begun_s - self.EVERY_S)
            self._spent_s.append(time.thread_time() - begun_cpu_s)

    def told(self) -> dict[str, float]:
        """Since it was asked last, in milliseconds."""
        late, spent = (sorted(each) or [0.0] for each in (self._late_s, self._spent_s))
        collected_s, self._collected_s = self._collected_s, 0.0
        self._late_s, self._spent_s = [], []
        return {
            "gc_max_ms": collected_s * 1e3,
            "loop_p99_ms": late[len(late) * 99 // 100] * 1e3,
            "loop_max_ms": late[-1] * 1e3,
            "loop_cpu_p99_ms": spent[len(spent) * 99 // 100] * 1e3,
            "loop_cpu_max_ms": spent[-1] * 1e3,
        }


def serving() -> list[int | None]:
    """The threads that serve blocks, none where the loop does."""
    return [
        each.native_id
        for each in threading.enumerate()
        if each.name.startswith(("headgate-listener", "headgate-stand-in"))
    ]


async def serve_api(body: Path, folder: Path, threads: int) -> None:
    """A server with its API, and grants of one package; a line on its input asks how its loop came round."""
    from headgate.server import Config, Server

    coap = {"host": HOST, "port": 0, "threads": threads, "receive_buffer_bytes": RECEIVE_BUFFER_BYTES}
    config = Config(
        coap={**coap, "smallest_block": 32},  # 30 MB have more than 2**20 blocks of 16
        store={"directory": folder},
        http={"port": 0},
        log={"level": "warning"},
    )
    server = Server(config, own_process=True)
    await server.start()
    package = await server.add_package(body, version="V1.1")
    await server.serve_http()
    downloads = server._in.packages.downloads
    keys = []
    for number in range(DOWNLOADING):
        downloads.grant(f"{DEVICE}{number}", package.pid)
        keys.append(downloads.uri(f"{DEVICE}{number}", package.pid).rpartition("/")[2])
    beat = Beat()
    loop = asyncio.get_running_loop()
    beating = loop.create_task(beat.run())

    say(
        port=server.port,
        path=keys[0],
        keys=keys,
        serving=serving(),
        url=f"{server.http.url}/api/v1",
        token=server.http.token_file.read_text().strip(),
        pid=package.pid.hex(),
        devices=server.stats.devices,
    )
    while asked := await loop.run_in_executor(None, sys.stdin.readline):
        if asked.strip() == "serving":
            say(serving=serving())
        else:
            say(tasks=server.stats.tasks, commits=server.stats.pump.get("commits", 0), **beat.told())
    beating.cancel()
    await server.close()


COMMANDS = {"churn": churn, "block": block_loop, "counters": counters}


async def serve_aiocoap(content: bytes) -> None:
    """Aiocoap with a resource of the same bytes; the library does the block-wise transfer."""
    import aiocoap
    from aiocoap import resource

    class Body(resource.Resource):
        async def render_get(self, request: Any) -> Any:
            return aiocoap.Message(payload=content, content_format=42)

    site = resource.Site()
    site.add_resource(["body"], Body())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    context = await aiocoap.Context.create_server_context(site, bind=(HOST, port))
    say(port=port, path="body")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await context.shutdown()


def main() -> None:
    """Serve as the command line says."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kind", choices=("floor", "edge", "orchestrator", "api", "aiocoap"))
    arguments.add_argument("--body", type=Path)
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--devices", type=int, default=0)
    arguments.add_argument("--reply-bytes", type=int)
    arguments.add_argument("--acknowledgement-bytes", type=int, default=0)
    arguments.add_argument("--segment-grants", type=int, default=0)
    arguments.add_argument("--segment-size", type=int, default=500)
    arguments.add_argument("--threads", type=int, default=0)
    arguments.add_argument("--host", default=HOST)
    arguments.add_argument("--smallest-block", type=int, default=16)
    given = arguments.parse_args()
    if given.kind == "floor":
        serve_floor(given.reply_bytes, given.acknowledgement_bytes)
    elif given.kind == "aiocoap":
        asyncio.run(serve_aiocoap(given.body.read_bytes()))
    elif given.kind == "orchestrator":
        import uvloop

        uvloop.run(serve_orchestrator(given.body, given.folder, given.threads, given.devices))
    elif given.kind == "api":
        import uvloop

        uvloop.run(serve_api(given.body, given.folder, given.threads))
    else:
        import uvloop

        uvloop.run(
            serve_edge(
                given.body,
                given.host or None,
                given.threads,
                given.smallest_block,
                given.segment_grants,
                given.segment_size,
            )
        )
    os._exit(0)  # nothing left to clean up, and executor threads may still wait for input


if __name__ == "__main__":
    main()
