"""Devices that keep a control plane as busy as it gets: `python -m bench.flood PORT DEVICES ENDPOINT_PREFIX`.

Each registers, is asked for its version, signal and cell, is given its slot and its URI, and says that it
downloads, which from then on it never ends. When all are there (or `SETTLE_S` are over) it prints a line and
floods: each device sends an Update and a report of its State in turn, the next when the last was answered.
Both change what is stored, so each is answered after a commit. Ends with its input; prints what was answered.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import threading
import time
from typing import Any

from headgate.wire.coap import Message
from headgate.wire.numbers import ACK, CHANGED, CON, CONTENT, CONTENT_FORMAT, CREATED, OBSERVE, POST, URI_PATH
from orchestra import Device
from wired import Client

LOCATION_PATH = 8
PER_CELL = 40  # below the slots of a cell: everyone is granted one
SETTLE_S = 60.0
AGAIN_S = 2.0
LOOK_S = 0.05


class Endless(Device):
    """A device whose download never ends."""

    def download(self) -> None:
        """It began, and that is all."""
        self.downloading = True


class Flooder:
    """One device on a socket of its own."""

    def __init__(self, port: int, endpoint: str, cell_id: int) -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.setblocking(False)
        self.udp.connect(("127.0.0.1", port))
        self.device = Endless(endpoint, cell_id=cell_id)
        self.device.downloading = False
        self.device.register(0.0)
        self.client = Client(self.device)
        self.location = b""
        self.message_id = 0x4000
        self.observe = 1000
        self.sent_s = 0.0
        self.flooding = False
        self.answered = 0

    def speak(self, now: float) -> None:
        """Before the flood: what it has to say, or to repeat."""
        datagram = self.client.says(now)
        if datagram is not None:
            self.udp.send(datagram)

    def heard(self, datagram: bytes, now: float) -> None:
        """Before the flood: what the server said."""
        if datagram[1] == CREATED:
            options = Message.parse(datagram).options
            self.location = [value for number, value in options if number == LOCATION_PATH][-1]
        answer = self.client.receives(datagram, now)
        if answer is not None:
            self.udp.send(answer)
        self.speak(now)

    def flood(self, now: float) -> None:
        """The next Update or report."""
        self.message_id = 0x4000 | (self.message_id + 1) & 0x3FFF
        self.sent_s = now
        if self.message_id & 1:
            options = [(URI_PATH, b"rd"), (URI_PATH, self.location)]
            said = Message(type=CON, code=POST, message_id=self.message_id, token=b"U", options=options)
        else:
            self.observe += 1
            options = [(OBSERVE, self.observe.to_bytes(3)), (CONTENT_FORMAT, b"")]
            token = self.device.token or b""
            said = Message(
                type=CON, code=CONTENT, message_id=self.message_id, token=token, options=options, payload=b"1"
            )
        self.udp.send(said.encode())

    def flooded(self, datagram: bytes, now: float) -> None:
        """An answer: on with the next."""
        if datagram[0] >> 4 & 3 == ACK and datagram[2] << 8 | datagram[3] == self.message_id:
            assert datagram[1] in (0, CHANGED), datagram
            self.answered += 1
            self.flood(now)
        elif datagram[0] >> 4 & 3 == CON:  # a command out of turn, such as a Read of the State
            answer = self.client.receives(datagram, now)
            if answer is not None:
                self.udp.send(answer)


class Flood:
    """All of them."""

    def __init__(self, port: int, devices: int, prefix: str) -> None:
        self.flooders = [
            Flooder(port, f"{prefix}{number:06d}", 1 + number // PER_CELL) for number in range(devices)
        ]
        self.ended = False
        self.paused = True
        self.poll = select.epoll()
        self.by_fd = {each.udp.fileno(): each for each in self.flooders}
        for fd in self.by_fd:
            self.poll.register(fd, select.EPOLLIN)

    def turn(self) -> None:
        """What has come, and what must be said again."""
        ready = self.poll.poll(LOOK_S)
        now = time.monotonic()
        for fd, _ in ready:
            each = self.by_fd[fd]
            try:
                datagram = each.udp.recv(2048)
            except (BlockingIOError, ConnectionRefusedError):
                continue
            (each.flooded if each.flooding else each.heard)(datagram, now)

    def settle(self) -> int:
        """Bring all to their download; how many are there."""
        until_s = time.monotonic() + SETTLE_S
        again_s = 0.0
        while time.monotonic() < until_s and not all(each.device.downloading for each in self.flooders):
            now = time.monotonic()
            if now >= again_s:
                again_s = now + 1.0
                for each in self.flooders:
                    each.speak(now)
            self.turn()
        return sum(each.device.downloading for each in self.flooders)

    def run(self) -> None:
        """Flood until the input ends; `pause` and `go` on it do what they say."""
        again_s = 0.0
        flooders = [each for each in self.flooders if each.device.downloading]
        while not self.ended:
            now = time.monotonic()
            if not self.paused and now >= again_s:
                again_s = now + LOOK_S
                for each in flooders:
                    if now > each.sent_s + AGAIN_S:
                        each.flooding = True
                        each.flood(now)
            self.turn()
            if self.paused:
                for each in flooders:
                    each.flooding, each.sent_s = False, 0.0

    def listen(self) -> None:
        """Do as the input says, and tell after each line how many were answered."""
        for line in sys.stdin:
            self.paused = line.strip() == "pause"
            say(answered=sum(each.answered for each in self.flooders), cpu_s=time.process_time())
        self.ended = True


def say(**values: Any) -> None:
    """One JSON line to whoever measures."""
    print(json.dumps(values), flush=True)


def main() -> None:
    """Register, settle, flood."""
    port, devices, prefix = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    flood = Flood(port, devices, prefix)
    threading.Thread(target=flood.listen, daemon=True).start()
    say(port=port, path="", there=flood.settle())
    flood.run()
    os._exit(0)


if __name__ == "__main__":
    main()
