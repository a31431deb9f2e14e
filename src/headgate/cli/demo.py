"""`headgate demo`: an edge, a fleet of virtual devices on a lossy network, and a check of every digest."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from headgate.edge import Edge, Grant
from headgate.fleet.counts import DownloaderStats
from headgate.fleet.downloader import Downloader

BLOCK_SZX = 5  # 512 bytes, as NB-IoT modules ask
ACK_TIMEOUT_S = 0.25  # a device's 2 s and more, sped up with everything else
MAX_RETRANSMIT = 8  # at half of all datagrams lost, one exchange in 2000 still fails
LOOK_EVERY_S = 0.2
NOT_PROGRESSING_S = 60.0


@dataclass(slots=True)
class Demo:
    """One run: what is asked for, and `run` to do it."""

    devices: int
    size_bytes: int
    loss: float
    movers: float
    seed: int
    threads: int

    async def run(self) -> int:
        """Download, show, check; 0 when every device holds the right bytes, else 1."""
        console = Console()
        body = random.Random(self.seed).randbytes(self.size_bytes)
        wanted = hashlib.sha256(body).digest()
        async with Edge(host="127.0.0.1", port=0, threads=self.threads) as edge:
            package = await edge.publish("fw/demo.bin", body)
            grants = [edge.grant(package, f"urn:dev:demo-{number:05}") for number in range(self.devices)]
            console.print(
                f"Edge on UDP 127.0.0.1:{edge.port}: [bold]{len(body):,}[/bold] bytes, ETag "
                f"{package.etag.hex()}, granted to {self.devices:,} devices, each with a port of "
                f"its own; {self.loss:.0%} of all datagrams are lost, {self.movers:.0%} of the devices "
                f"resume half-way from a new port (seed {self.seed})."
            )
            with Downloader(
                host="127.0.0.1",
                port=edge.port,
                path=[grant.key for grant in grants],
                body=body,
                etag=package.etag,
                devices=self.devices,
                sockets=self.devices,
                szx=BLOCK_SZX,
                restart_from_new_port=self.movers,
                loss=self.loss,
                seed=self.seed,
                ack_timeout_s=ACK_TIMEOUT_S,
                max_retransmit=MAX_RETRANSMIT,
                keep=True,
            ) as fleet:
                began_s = time.perf_counter()
                await self._watch(console, fleet, len(body))
                elapsed_s = time.perf_counter() - began_s
                right = await asyncio.to_thread(self._right, fleet, wanted)
                self._report(console, edge, grants, fleet, right, elapsed_s)
        if right == self.devices:
            console.print(f"[green]All {right:,} devices hold the package, byte for byte.[/green]")
            return 0
        console.print(f"[red]{self.devices - right:,} devices do not hold the package.[/red]")
        return 1

    async def _watch(self, console: Console, fleet: Downloader, length: int) -> None:
        """Run the fleet in a thread of its own, and show how far it is."""
        downloading = asyncio.get_running_loop().run_in_executor(None, fleet.run)
        blocks = -(-length // (16 << BLOCK_SZX)) * self.devices
        last, last_s = 0, time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} blocks"),
            TextColumn("{task.fields[finished]:,} done"),
            TimeElapsedColumn(),
        )
        try:
            with Progress(*columns, console=console) as shown:
                bar: TaskID = shown.add_task("downloading", total=blocks, finished=0)
                while not downloading.done():
                    await asyncio.wait([downloading], timeout=LOOK_EVERY_S)
                    stats = fleet.stats
                    shown.update(bar, completed=stats.blocks, finished=stats.finished)
                    if stats.blocks != last:
                        last, last_s = stats.blocks, time.monotonic()
                    elif time.monotonic() - last_s > NOT_PROGRESSING_S:
                        console.print(f"[red]No block arrived for {NOT_PROGRESSING_S:.0f} s.[/red]")
                        break
        finally:
            fleet.stop()
            await asyncio.wait([downloading])  # until its thread has ended, the fleet cannot be closed
        await downloading

    def _right(self, fleet: Downloader, wanted: bytes) -> int:
        """How many devices hold an image with the right SHA-256."""
        return sum(hashlib.sha256(fleet.image(number)).digest() == wanted for number in range(self.devices))

    def _report(
        self,
        console: Console,
        edge: Edge,
        grants: list[Grant],
        fleet: Downloader,
        right: int,
        elapsed_s: float,
    ) -> None:
        devices: DownloaderStats = fleet.stats
        served = edge.stats
        resumed = sum(grant.progress.runs > 1 for grant in grants)
        ends = Counter(
            "served to the end" if g.progress.served_to_end else "not served to the end" for g in grants
        )
        table = Table(title="What the devices saw, and what the edge saw", title_justify="left")
        table.add_column("devices")
        table.add_column("", justify="right")
        table.add_column("edge")
        table.add_column("", justify="right")
        rows = [
            ("right digest", right, "served to the end", ends["served to the end"]),
            ("moved to a new port", devices.moved, "resumed with a gap", resumed),
            ("blocks accepted", devices.blocks, "blocks served", served.blocks),
            ("requests sent", devices.requests, "requests received", served.received),
            (
                "retransmissions",
                devices.retransmissions,
                "repeats served",
                sum(g.progress.repeats for g in grants),
            ),
            ("datagrams lost on purpose", devices.lost, "datagrams dropped", sum(served.dropped.values())),
        ]
        for left, left_count, name, count in rows:
            table.add_row(left, f"{left_count:,}", name, f"{count:,}")
        console.print(table)
        for cause, count in devices.failures.items():
            console.print(f"  {count:,} devices failed: {cause}")
        console.print(
            f"{elapsed_s:.1f} s, {devices.blocks / elapsed_s:,.0f} blocks/s, "
            f"{devices.bytes / elapsed_s / 1e6:,.1f} MB/s over this machine's loopback."
        )
