"""An Edge in a process of its own: to be killed in the middle, or to be weighed without a test around it.

    python edge_process.py '{"edge": {"port": 0}, "publish": {"fw": "/path/of/v2.bin"}, "grant": ["device"]}'

Prints one line of JSON when it serves, {"port": ..., "keys": [...]}, and ends when its standard input does.
`EdgeProcess` starts one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self


async def serve(edge: dict[str, Any], publish: dict[str, str], grant: list[str]) -> None:
    """Serve until the standard input ends; what is granted is the package published last."""
    from headgate import Edge

    secret = bytes.fromhex(edge.pop("secret", "00" * 32))
    serving = Edge(secret=secret, **edge)
    serving.bind()
    for path, source in publish.items():
        package = await serving.publish(path, source)
    keys = [serving.grant(package, endpoint).key for endpoint in grant]
    async with serving:
        print(json.dumps({"port": serving.port, "keys": keys}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


class EdgeProcess:
    """A running edge; `with EdgeProcess(...) as process` ends it."""

    def __init__(self, *, publish: dict[str, Path], grant: tuple[str, ...] = (), **edge: Any) -> None:
        arguments = {
            "edge": {"host": "127.0.0.1", "port": 0} | edge,
            "publish": {path: str(source) for path, source in publish.items()},
            "grant": grant,
        }
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        said = json.loads(self._process.stdout.readline())
        self.port: int = said["port"]
        self.keys: list[str] = said["keys"]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def status_kib(self, field: str) -> int:
        """A size in /proc/<pid>/status, in KiB: VmRSS, RssAnon."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0])
        raise KeyError(field)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        assert self._process.returncode in (0, -9)


if __name__ == "__main__":
    asyncio.run(serve(**json.loads(sys.argv[1])))
