"""Thousands of simulated devices on one event loop, each with sockets of its own.

    async with Fleet(devices, server=("127.0.0.1", 5683), speed=60.0) as fleet:
        ...
        fleet.counts["received"]; fleet.devices[0].log

Sockets are watched by one epoll of ours, which the loop watches: waking up costs the loop one callback,
however many devices have something to read. All devices share one heap of timers and one `call_at`.

Time. `fleet.now` is the devices' clock: seconds since `started_s`, `speed` times as fast as ours, or a clock
that is given. Everything that takes time in a device or on a link goes by it. Server timers are the server's
own.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import random
import resource
import select
import socket
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from headgate.fleet.attached import Attached, Departure
from headgate.fleet.device import DOWNLOAD, Device
from headgate.fleet.outcome import Interval, peak
from headgate.fleet.radio import Link, LinkSettings

DATAGRAM_MAX = 2048
READ_MAX = 8  # datagrams of one socket in one turn; the others come in the next
READY_MAX = 512  # sockets of one turn
DUE_MAX = 512  # timers of one turn
WAIT_MIN_S = 0.0005  # timers that are due closer together are done together
SPARE_FILES = 64  # that the rest of the process may want

CellClass = tuple[int | None, str]
"""A cell ID, and the class by what the server read of the device."""

COUNTED = ("sent", "received", "send_failed", "receive_failed", "moved", "unreachable")


class Clock(Protocol):
    """A time that passes as it likes, but not back."""

    def now(self) -> float:
        """The time."""

    def wait_s(self, until_s: float) -> float:
        """How long the event loop is to wait until then, in its own seconds. It may wake too early."""


class LoopClock:
    """The running loop's time, so many times as fast."""

    def __init__(self, speed: float, started_s: float) -> None:
        self._speed = speed
        self._started_s = started_s
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()

    def now(self) -> float:
        """Seconds since `started_s`."""
        return self._started_s + (self._loop.time() - self._began_s) * self._speed

    def wait_s(self, until_s: float) -> float:
        """How long the loop waits until then."""
        return (until_s - self.now()) / self._speed


class Fleet:
    """Devices on the air. Made without a loop; `start` or `async with` switches them on."""

    def __init__(
        self,
        devices: Iterable[Device],
        *,
        server: tuple[str, int],
        link: LinkSettings | None = None,
        seed: int = 0,
        speed: float = 1.0,
        started_s: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """`started_s` is the time by the devices' clock at which the fleet is started.

        With a `clock`, that is the devices' clock, whatever the other two say.
        """
        if speed <= 0.0:
            raise ValueError(f"a speed above 0 was wanted, {speed} came")
        self.devices = list(devices)
        self.server = server
        self.speed = speed
        self.counts = dict.fromkeys(COUNTED, 0)
        """Datagrams sent and received on sockets, those the kernel refused, and sockets replaced."""
        self._attached = [
            Attached(each, Link(each.profile.coverage, random.Random(f"{seed} {number} link"), link))
            for number, each in enumerate(self.devices)
        ]
        self._started_s = started_s
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoll: select.epoll | None = None
        self._open: dict[tuple[int, int], tuple[int, socket.socket]] = {}  # generation and socket
        self._readers: dict[int, tuple[int, int, socket.socket]] = {}  # by file descriptor
        self._heap: list[tuple[float, int]] = []
        self._timer: asyncio.Handle | None = None
        self._crowded_s: float | None = None  # since when more had datagrams than one turn reads
        self._timer_s = 0.0  # when it calls: a handle for at once cannot say so on every loop

    @property
    def now(self) -> float:
        """The devices' clock."""
        return self._started_s if self._clock is None else self._clock.now()

    @property
    def behind_s(self) -> float:
        """How late the devices are in doing what is due, or in reading what has come, by their clock."""
        if self._epoll is None:
            return 0.0
        due_s = [self._heap[0][0]] if self._heap else []
        if self._crowded_s is not None:
            due_s.append(self._crowded_s)
        return max(0.0, self.now - min(due_s)) if due_s else 0.0

    # -- life --

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Switch the devices on, each at its time. Raises OSError where there are not files enough."""
        raise_file_limit(SPARE_FILES + sum(1 + each.profile.own_socket for each in self.devices))
        self._loop = asyncio.get_running_loop()
        if self._clock is None:
            self._clock = LoopClock(self.speed, self._started_s)
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._readable)
        for number in range(len(self._attached)):
            self._schedule(number)
        self._arm()

    def close(self) -> None:
        """Close all sockets. The devices and their logs stay as they are."""
        if self._loop is None or self._epoll is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._epoll.fileno())
        for _, each in self._open.values():
            each.close()
        self._open.clear()
        self._readers.clear()
        self._epoll.close()
        self._epoll = None

    # -- what is counted --

    def upgrading(self) -> dict[CellClass, int]:
        """Devices between URI and end at this moment, by cell and class."""
        found: dict[CellClass, int] = {}
        for device in self.devices:
            if device.log.upgrading_since_s is not None:
                key = (device.profile.radio.cell_id, device.log.radio_class)
                found[key] = found.get(key, 0) + 1
        return found

    def peaks(self) -> dict[CellClass, int]:
        """The most devices that ever were between URI and end together, by cell and class."""
        return peaks(self.devices, self.now)

    def totals(self) -> dict[str, int]:
        """Sums over all devices and links, and the counts of the sockets."""
        logs = [device.log for device in self.devices]
        links = [each.link for each in self._attached]
        return {
            **self.counts,
            "on_air": sum(link.sent for link in links),
            "lost_on_air": sum(link.lost for link in links),
            "unheard": sum(device.unheard for device in self.devices),
            "registered": sum(device.registration.location is not None for device in self.devices),
            "asleep": sum(device.asleep for device in self.devices),
            "registrations": sum(log.registrations for log in logs),
            "updates": sum(log.updates for log in logs),
            "requests": sum(log.requests for log in logs),
            "blocks": sum(log.blocks for log in logs),
            "segments": sum(log.segments for log in logs),
            "upgrading": sum(log.upgrading_since_s is not None for log in logs),
            "reboots": sum(log.reboots for log in logs),
            "power_cuts": sum(log.power_cuts for log in logs),
            "forced_restarts": sum(log.forced_restarts for log in logs),
            "executes_after_confirmed": sum(log.executes_after_confirmed for log in logs),
        }

    # -- datagrams --

    def _readable(self) -> None:
        """Some sockets have datagrams for their devices."""
        if self._epoll is None:
            return
        now = self.now
        ready = self._epoll.poll(0, READY_MAX)
        if len(ready) < READY_MAX:
            self._crowded_s = None
        else:
            assert self._loop is not None
            self._crowded_s = now if self._crowded_s is None else self._crowded_s
            self._loop.call_soon(self._readable)  # to see whether these were all
        for descriptor, _ in ready:
            found = self._readers.get(descriptor)
            if found is None:
                continue  # closed earlier in this turn
            number, which, each = found
            attached = self._attached[number]
            generation = self._open[number, which][0]
            for _ in range(READ_MAX):
                try:
                    datagram = each.recv(DATAGRAM_MAX)
                except BlockingIOError:
                    break
                except OSError:
                    self.counts["receive_failed"] += 1  # nobody listens at the server's port, or no memory
                    break
                self.counts["received"] += 1
                attached.arrive(datagram, now, which, generation)
            self._advance(number, now)
        self._arm()

    def _due(self) -> None:
        """Some devices have something to do."""
        self._timer = None
        heap = self._heap
        for _ in range(DUE_MAX):
            now = self.now
            if not heap or heap[0][0] > now:
                break
            due_s, number = heapq.heappop(heap)
            attached = self._attached[number]
            if attached.due_s != due_s:
                continue  # another entry stands for it
            attached.due_s = None
            self._advance(number, now)
        self._arm()

    def _advance(self, number: int, now: float) -> None:
        for departure in self._attached[number].run(now):
            self._send(number, departure)
        self._schedule(number)

    def _schedule(self, number: int) -> None:
        """Have an entry in the heap at or before the time of the device's next timer."""
        attached = self._attached[number]
        due_s = attached.next_timer()
        if due_s is not None and (attached.due_s is None or due_s < attached.due_s):
            attached.due_s = due_s
            heapq.heappush(self._heap, (due_s, number))

    def _arm(self) -> None:
        """Let the loop call for the first timer of all."""
        assert self._loop is not None
        if not self._heap or self._epoll is None:
            return
        assert self._clock is not None
        at_s = self._loop.time() + max(self._clock.wait_s(self._heap[0][0]), WAIT_MIN_S)
        if self._timer is not None:
            if self._timer_s <= at_s:
                return
            self._timer.cancel()
        self._timer, self._timer_s = self._loop.call_at(at_s, self._due), at_s

    def _send(self, number: int, departure: Departure) -> None:
        which, generation, datagram = departure
        found = self._open.get((number, which))
        if found is None or found[0] != generation:
            if generation != self.devices[number].generation(which):
                return  # it was in the air when the device left the port
            opened = self._bind(number, which, generation)
            if opened is None:
                return
            found = (generation, opened)
        try:
            found[1].send(datagram)
        except OSError:
            self.counts["send_failed"] += 1  # a full buffer, or the refusal of an earlier datagram
            return
        self.counts["sent"] += 1

    def _bind(self, number: int, which: int, generation: int) -> socket.socket | None:
        """A socket with a new port in the place of the one before."""
        assert self._epoll is not None
        before = self._open.pop((number, which), None)
        if before is not None:
            self.counts["moved"] += 1
            self._epoll.unregister(before[1].fileno())
            del self._readers[before[1].fileno()]
            before[1].close()
        address = self.server
        if which == DOWNLOAD:
            address = self.devices[number].download_address or self.server
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.setblocking(False)
        try:
            opened.connect(address)
        except OSError:  # an address that cannot be reached from here
            opened.close()
            self.counts["unreachable"] += 1
            return None
        self._open[number, which] = (generation, opened)
        self._readers[opened.fileno()] = (number, which, opened)
        self._epoll.register(opened.fileno(), select.EPOLLIN)
        return opened


def peaks(devices: Iterable[Device], now: float) -> dict[CellClass, int]:
    """The most devices that ever were between URI and end together, by cell and class, as of `now`."""
    intervals: dict[CellClass, list[tuple[float, float]]] = {}
    for device in devices:
        log, cell = device.log, device.profile.radio.cell_id
        found = list(log.upgrades)
        if log.upgrading_since_s is not None:
            found.append(Interval(log.upgrading_since_s, now, log.radio_class))
        for began_s, ended_s, radio_class in found:
            intervals.setdefault((cell, radio_class), []).append((began_s, ended_s))
    return {key: peak(found) for key, found in intervals.items()}


def raise_file_limit(wanted: int) -> None:
    """Let the process open so many files. Raises OSError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        reason = f"{wanted:,} open files are needed and {hard:,} permitted: raise the limit (ulimit -n)"
        raise OSError(errno.EMFILE, reason)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
