"""An API that is asked in the same process, without a socket."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from typing import Any

import httpx

from headgate.server import Server
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.task import Kind, Plan, State, Task
from headgate.web.access import Scope
from headgate.web.app import PREFIX, Web

BODY = b"the new firmware" * 100


@dataclass
class Asked:
    """An API, and clients of each scope."""

    server: Server
    web: Web
    secrets: dict[Scope, str]

    def client(self, scope: Scope | None = Scope.ADMIN, **headers: str) -> httpx.AsyncClient:
        """A client with a token of that scope, None for one without."""
        token = {} if scope is None else {"Authorization": f"Bearer {self.secrets[scope]}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.web.asgi, raise_app_exceptions=False),
            base_url=f"http://test{PREFIX}",
            headers=token | headers,
        )


async def add(client: httpx.AsyncClient, body: bytes = BODY, **said: Any) -> dict[str, Any]:
    """A package, added."""
    answer = await client.post("/packages", files={"file": ("fw", body)}, data={"version": "V2"} | said)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def vendor_archive(**said: Any) -> bytes:
    """A vendor's zip, whose UpgradeDesc.json says this."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("UpgradeDesc.json", json.dumps({"fileName": "app.bin", "version": "V2"} | said))
        archive.writestr("app.bin", BODY)
    return packed.getvalue()


def problem(answer: httpx.Response, status: int, name: str | None = None) -> dict[str, Any]:
    """The problem details that an answer must be (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status
    assert said["type"].startswith("urn:headgate:problem:")
    assert said["title"]
    assert name is None or said["type"].endswith(f":{name}")
    return said


def settle(server: Server, row: dict[str, Any]) -> None:
    """Have the orchestrator know where the task of that row stands. On the server's loop."""
    plan = Plan(kind=Kind.FIRMWARE, target_version="V2", pid=bytes(8))
    made = Task.created(id=row["id"], endpoint=row["endpoint"], plan=plan, now=1.0)
    radio = Measurement(
        cell=Cell(row["cell_id"], row["smcc"], row["smnc"]), radio_class=RadioClass(row["radio_class"])
    )
    stands = replace(made, state=State(row["state"]), radio=radio, queued_s=row["queued_s"])
    server._in.orchestrator.negotiator.admission.settle(stands)


async def waiting(asked: Asked, hook_id: str, count: int, **said: object) -> None:
    """Rows that wait for the hook, of which nobody has told it."""
    batch = Batch()
    for number in range(1, count + 1):
        batch.put(
            tables.outbox,
            {
                "hook_id": hook_id,
                "number": number,
                "event_id": f"e{number}",
                "event": "task.ended",
                "endpoint": "a" if number % 2 else "",
                "campaign_id": "c",
                "body": "{}",
                "at_s": 1.0,
                "since_s": 1.0,
                "state": "dead",
                "attempts": 3,
                "error": "answered 500",
            }
            | said,
        )
    await asked.server._in.write(asked.server._in.database.commit, batch)
    asked.server._in.orchestrator.announcements.hooks[hook_id].dead += count
