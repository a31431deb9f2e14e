"""A client in a process of its own: downloads in circles, and prints when each block came.

Arguments: the port, and for how many seconds. Prints `ready` after the first answer, then one line per block:
CLOCK_MONOTONIC in seconds, which is one clock for all processes.
"""

from __future__ import annotations

import sys
import time

from peer import Peer

with Peer(int(sys.argv[1])) as peer:
    peer.ask("fw", (0, 4))
    print("ready", flush=True)
    until = time.monotonic() + float(sys.argv[2])
    came = []
    while time.monotonic() < until:
        assert len(peer.ask("fw", (len(came) % 12, 4)).payload) > 0
        came.append(time.monotonic())
    print(*came, sep="\n")
