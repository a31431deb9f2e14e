"""A device and its radio link as one: what leaves the air at the server's side, and when. Without I/O.

Whoever carries datagrams, over sockets or in a simulation, calls `run` when `next_timer` has come and sends
what it returns; and `arrive` for what the server sent.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from headgate.fleet.device import MAIN, SOCKETS, Device
from headgate.fleet.radio import DOWN, UP, Link

IN_THE_AIR_MAX = 1024  # datagrams of one device; a link holds no more, and loses what comes then


class Departure(NamedTuple):
    """A datagram that has come through the air, from one of the device's sockets.

    Another generation is another port: to the server, another address.
    """

    socket: int
    generation: int
    datagram: bytes


NOTHING: Sequence[Departure] = ()


class Attached:
    """One device behind one link."""

    __slots__ = ("_air", "_number", "device", "due_s", "link", "overflowed", "stale")

    def __init__(self, device: Device, link: Link) -> None:
        self.device = device
        self.link = link
        self.stale = 0
        """Datagrams for a port that the device has left."""
        self.overflowed = 0
        """Datagrams that found the air full."""
        self.due_s: float | None = None
        """For a caller with many of them: when it means to call `run` next."""
        self._air: list[tuple[float, int, int, Departure]] = []
        self._number = 0

    def next_timer(self) -> float | None:
        """When to call `run`."""
        due_s = self.device.next_timer()
        if self._air and (due_s is None or self._air[0][0] < due_s):
            return self._air[0][0]
        return due_s

    def arrive(self, datagram: bytes, now: float, socket: int = MAIN, generation: int | None = None) -> None:
        """The server has sent this to the port of that generation; `run` goes on with it.

        Without a generation it is for the port that the device has now.
        """
        if generation is None:
            generation = self.device.generation(socket)
        self._launch(DOWN, Departure(socket, generation, datagram), now)

    def run(self, now: float) -> Sequence[Departure]:
        """Do all that is due; what has reached the server's side by now."""
        device = self.device
        due_s = device.next_timer()
        if due_s is not None and due_s <= now:
            device.expire(now)
            self._send(now)
        air = self._air
        if not air or air[0][0] > now:
            return NOTHING
        departures: list[Departure] = []
        while air and air[0][0] <= now:
            _, _, direction, each = heapq.heappop(air)
            if direction == UP:
                departures.append(each)
            elif each.generation != device.generation(each.socket):
                self.stale += 1
            else:
                device.receive(each.datagram, now, each.socket)
                self._send(now)
        return departures

    def _send(self, now: float) -> None:
        """Let what the device sends take to the air."""
        for socket in SOCKETS:
            for datagram in self.device.take(socket):
                self._launch(UP, Departure(socket, self.device.generation(socket), datagram), now)

    def _launch(self, direction: int, departure: Departure, now: float) -> None:
        for arrival_s in self.link.arrivals(direction, now):
            if len(self._air) >= IN_THE_AIR_MAX:
                self.overflowed += 1
                return
            self._number += 1
            heapq.heappush(self._air, (arrival_s, self._number, direction, departure))
