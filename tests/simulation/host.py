"""A simulated device on the simulation's network: its timers, its sockets, and their addresses."""

from __future__ import annotations

from collections.abc import Callable

from headgate.fleet.device import SOCKETS, Device
from simulation.clock import Alarm, Clock
from simulation.hearing import Hearing
from simulation.network import Network

Remote = tuple[bytes, bytes]
"""An address and control data, as a server is handed them."""
Arrive = Callable[[Remote, bytes], None]


class Host:
    """One device. Whatever wakes it, what it has to send leaves at once."""

    def __init__(
        self, device: Device, clock: Clock, network: Network, arrive: Arrive, hearing: Hearing
    ) -> None:
        self.device = device
        self.stale = 0
        """Datagrams for a port that the device has left."""
        self._gone = False
        self._clock = clock
        self._network = network
        self._arrive = arrive
        self._hearing = hearing
        self._alarm = Alarm(clock, self._due)
        self._flush()

    @property
    def endpoint(self) -> str:
        """Its name."""
        return self.device.profile.endpoint

    def receive(self, remote: Remote, datagram: bytes) -> None:
        """A datagram has come to an address that was the device's when it was sent."""
        socket, generation = port_of(remote)
        if self._gone:
            return
        if generation != self.device.generation(socket):
            self.stale += 1
            return
        self.device.receive(datagram, self._clock.now, socket)
        self._flush()

    def leave(self) -> None:
        """Neither hear nor say anything any more."""
        self._gone = True
        self._alarm.set(None)

    def _due(self) -> None:
        self.device.expire(self._clock.now)
        self._flush()

    def _flush(self) -> None:
        for socket in SOCKETS:
            for datagram in self.device.take(socket):
                if self.device.profile.pcp is not None:
                    self._hearing.said(self.endpoint, datagram)
                remote = remote_of(self.endpoint, socket, self.device.generation(socket))
                self._network.carry(remote, datagram, lambda data, remote=remote: self._arrive(remote, data))
        self._alarm.set(self.device.next_timer())


def remote_of(endpoint: str, socket: int, generation: int) -> Remote:
    """The address of a socket: another one for each generation."""
    return f"{endpoint} {socket} {generation}".encode(), b"the only one of ours"


def port_of(remote: Remote) -> tuple[int, int]:
    """Which socket, and of which generation."""
    _, socket, generation = remote[0].split()
    return int(socket), int(generation)


def endpoint_of(remote: Remote) -> str:
    """Whose address it is."""
    return remote[0].split()[0].decode()
