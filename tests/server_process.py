"""A server that lives in a process of its own, can be killed, and is there again within a tenth of a second.

Python needs a second to import all that a server is made of, so that is done once: a process imports, and
then forks a child for each life. The child is what is killed; nothing of it remains but its data directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE_S = 30.0  # after which a server that does not come up will never


class ServerProcess:
    """One data directory, one port, and as many lives as there are calls of `start`."""

    def __init__(self, folder: Path, port: int, config: Mapping[str, Any]) -> None:
        """`config` is what `headgate.config.Config` takes beside these."""
        settings = {
            **config,
            "coap": {"host": HOST, "port": port, **config.get("coap", {})},
            "store": {"directory": str(folder), **config.get("store", {})},
        }
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._parent = subprocess.Popen(
            [sys.executable, __file__, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=environment,
        )
        self.pid: int | None = None

    def start(self, **order: Any) -> dict[str, Any]:
        """A new life; returns when it serves, with what it says: the campaigns that it was to create."""
        assert self.pid is None
        assert self._parent.stdin is not None
        self._parent.stdin.write(json.dumps(order) + "\n")
        self.pid = self._hear()["pid"]
        said = self._hear()
        if "port" not in said:
            self.pid = None
            raise AssertionError(f"the server did not come up, its error is above: {said}")
        return said

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        assert self._hear() == {"signal": signal.SIGKILL}
        self.pid = None

    def stop(self) -> None:
        """Let it end by itself."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGTERM)
        assert self._hear() == {"signal": 0}
        self.pid = None

    def close(self) -> None:
        """No more lives."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait(PATIENCE_S)
        self._parent.stdout.close()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _hear(self) -> dict[str, Any]:
        assert self._parent.stdout is not None
        line = self._parent.stdout.readline()
        assert line, f"the server's parent has ended: {self._parent.wait(PATIENCE_S)}"
        said: dict[str, Any] = json.loads(line)
        return said


# -- the other process --


def say(**what: Any) -> None:
    """Tell the test."""
    print(json.dumps(what), flush=True)


def parent(settings: dict[str, Any]) -> None:
    """Import everything, then a child for each line."""
    import headgate.config
    import headgate.server  # noqa: F401

    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(life(settings, json.loads(line)))
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)  # nothing of what the parent has is ours to end
        say(pid=child)
        _, status = os.waitpid(child, 0)
        say(signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status))


async def life(settings: dict[str, Any], order: dict[str, Any]) -> None:
    """Serve until killed, or told to stop."""
    from headgate.config import Config
    from headgate.server import Server

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with Server(Config(**settings)) as server:
        created = [await create(server, **each) for each in order.get("campaigns", ())]
        say(port=server.port, campaigns=created)
        await ended.wait()


async def create(
    server: Any, *, package: str, version: str, endpoints: list[str], kind: str = "firmware"
) -> dict[str, str]:
    """A campaign for all of them."""
    from headgate.upgrade.task import Kind

    stored = await server.add_package(Path(package), version=version, kind=Kind(kind))
    campaign = await server.create_campaign(name=kind, package=stored.pid, endpoints=endpoints)
    return {"campaign": campaign.id, "pid": stored.pid.hex()}


if __name__ == "__main__":
    parent(json.loads(sys.argv[1]))
