"""A listener thread needs no Python: while one thread keeps the GIL, devices are answered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

CLIENT = Path(__file__).parent / "busy_client.py"
HELD_S = 0.4


def test_a_thread_that_keeps_the_gil_stops_no_download(listen):
    """`run` never takes it, not for a batch, not for a counter.

    A thread asks for the GIL only after the switch interval, which is longer here than the test: what is in
    Python keeps it. The client, in another process, must hear answers all through that time.
    """
    at = listen()
    thread = threading.Thread(target=at.listener.run)
    thread.start()
    interval = sys.getswitchinterval()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(CLIENT), str(at.port), str(3 * HELD_S)]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as client:
            assert client.stdout.readline() == "ready\n"
            sys.setswitchinterval(100)
            began = time.monotonic()
            while time.monotonic() < began + HELD_S:
                pass
            ended = time.monotonic()
            sys.setswitchinterval(interval)
            came = [float(line) for line in client.stdout]
        assert client.returncode == 0
    finally:
        sys.setswitchinterval(interval)
        at.listener.stop()
        thread.join(10)
    while_held = [moment for moment in came if began + 0.1 * HELD_S < moment < ended - 0.1 * HELD_S]
    assert len(while_held) > 20
    assert not thread.is_alive()
