"""`headgate fleet`: simulated devices against any server, and what they see of it, line by line."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from headgate.cli.ending import told_to_end, within
from headgate.errors import HeadgateError
from headgate.fleet.download import PORT, uri_parts
from headgate.fleet.population import Population
from headgate.fleet.profile import Profile
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet

STATUS_EVERY_S = 1.0


class ServerUriError(HeadgateError, ValueError):
    """The server is not given as coap://host[:port]."""


def server_address(uri: str) -> tuple[str, int]:
    """The first UDP address of a server. Raises ServerUriError, OSError where the name is not known.

    >>> server_address("coap://127.0.0.1:5684")
    ('127.0.0.1', 5684)
    """
    parts = uri_parts(uri, query_in_path=False)
    if parts is None or not uri.startswith("coap://") or parts[2] != ("",):
        raise ServerUriError(f"the server is coap://host[:port], not {uri!r}")
    host, port, _ = parts
    found = socket.getaddrinfo(host, port or PORT, type=socket.SOCK_DGRAM)
    return str(found[0][4][0]), port


@dataclass(slots=True)
class FleetRun:
    """One run: what is asked for, and `run` to do it."""

    server: str
    population: Population
    link: LinkSettings
    speed: float
    json: bool

    async def run(self) -> int:
        """Run the devices until SIGINT or SIGTERM; the exit code is 0."""
        address = await asyncio.to_thread(server_address, self.server)
        devices = self.population.make()
        stop = told_to_end()
        fleet = Fleet(devices, server=address, link=self.link, seed=self.population.seed, speed=self.speed)
        async with fleet:
            self._announce(fleet, address)
            await self._watch(fleet, stop)
            self._line(fleet, "stopped")
        return 0

    def _announce(self, fleet: Fleet, address: tuple[str, int]) -> None:
        faults = Counter(device.profile.fault for device in fleet.devices if device.profile.fault)
        styles = Counter(style_of(device.profile) for device in fleet.devices)
        if self.json:
            self._print("started", server=address, devices=len(fleet.devices), styles=styles, faults=faults)
            return
        console = Console()
        console.print(
            f"{len(fleet.devices):,} devices in {self.population.cells} cells, for {address[0]} port "
            f"{address[1]} (seed {self.population.seed}, {self.speed:g} times as fast as life)."
        )
        console.print(", ".join(f"{count:,} {style}" for style, count in sorted(styles.items())))
        if faults:
            faulty = ", ".join(f"{count} x {fault}" for fault, count in sorted(faults.items()))
            console.print(f"{faults.total():,} are faulty: {faulty}")

    async def _watch(self, fleet: Fleet, stop: asyncio.Event) -> None:
        console = Console()
        if self.json or not console.is_terminal:
            while not await within(stop, STATUS_EVERY_S):
                self._line(fleet, "status")
            return
        with Live(self._text(fleet), console=console, auto_refresh=False, transient=True) as live:
            while not await within(stop, STATUS_EVERY_S):
                live.update(self._text(fleet), refresh=True)

    def _text(self, fleet: Fleet) -> Text:
        totals = fleet.totals()
        shown = (
            *("registered", "asleep", "upgrading", "blocks", "segments"),
            *("reboots", "sent", "received", "lost_on_air"),
        )
        line = "  ".join(f"{totals[name]:,} {name.replace('_', ' ')}" for name in shown)
        return Text(f"{line}  Ctrl-C ends", no_wrap=True, overflow="ellipsis")

    def _line(self, fleet: Fleet, event: str) -> None:
        if self.json:
            versions = Counter(device.version for device in fleet.devices)
            self._print(event, now=round(fleet.now, 3), versions=versions, counts=fleet.totals())
        elif event == "stopped":
            versions = Counter(device.version for device in fleet.devices)
            running = ", ".join(f"{count:,} run {version}" for version, count in sorted(versions.items()))
            Console().print(f"{running}; {self._text(fleet).plain.removesuffix('  Ctrl-C ends')}")

    def _print(self, event: str, **values: Any) -> None:
        print(json.dumps({"event": event, "time": time.time(), **values}), flush=True)


def style_of(profile: Profile) -> str:
    """What a person calls it: by the client that it resembles, or by its generation of PCP.

    >>> style_of(Profile(endpoint="a", style="anjay"))
    'anjay'
    """
    return profile.style if profile.pcp is None else f"{profile.pcp.generation.value} PCP"
