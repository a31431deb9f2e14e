"""What the OpenAPI document says is what is answered: tried with requests made from it, and by hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS  # noqa: F401  (loads them)

from headgate.server import Config, Server
from web_asking import problem

EXAMPLES = 8  # of each operation
LASTS = "/api/v1/events"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[str, str]]:
    """The address of an API that a thread of its own serves, and a token."""
    data = tmp_path_factory.mktemp("served") / "data"
    there, over = threading.Event(), threading.Event()
    found: list[str] = []

    async def main() -> None:
        config = Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": data}, http={"port": 0})
        async with Server(config) as server:
            http = await server.serve_http()
            found[:] = [http.url, http.token_file.read_text().strip()]
            there.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    try:
        assert there.wait(30)
        yield found[0], found[1]
    finally:
        over.set()
        thread.join()


def test_every_answer_is_one_that_the_document_tells(served):
    """Status, media type and content, for requests that are right and that are not; never a 5xx."""
    url, token = served
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", headers=headers)
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == LASTS:
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(operation.as_strategy()))
        def check(case: schemathesis.Case) -> None:
            response = case.call(headers=headers)
            assert response.status_code < 500, response.text
            case.validate_response(
                response,
                checks=[
                    schemathesis.checks.not_a_server_error,
                    schemathesis.specs.openapi.checks.status_code_conformance,
                    schemathesis.specs.openapi.checks.content_type_conformance,
                    schemathesis.specs.openapi.checks.response_schema_conformance,
                ],
            )

        check()
        tried += 1
    assert tried > 20


def test_what_there_is_not_is_told_as_a_problem(run, api):
    """Paths, methods, and bodies that are too large: RFC 9457 everywhere."""

    async def main() -> None:
        async with api(body_bytes_max=1000) as asked, asked.client() as client:
            problem(await client.get("/nothing"), 404)
            answer = await client.patch("/packages")
            problem(answer, 405)
            assert answer.headers["Allow"]
            problem(await client.post("/campaigns", content=b" " * 2000), 413)
            problem(await client.post("/campaigns", content=b"[1, \xff", headers=JSON), 400)
            said = problem(await client.get("/tasks", params={"limit": 0, "state": "x"}), 422)
            assert {each["where"] for each in said["errors"]} == {"query.limit", "query.state"}

    run(main())


def test_a_bug_is_told_without_its_trace(run, api, monkeypatch):
    """The log has it; a stranger has no use for it."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:

            def nonsense(*_: object) -> None:
                raise KeyError("secret")

            monkeypatch.setattr(asked.server._in.database, "row", nonsense)
            answer = await client.get("/devices/a")
            problem(answer, 500)
            assert "secret" not in answer.text

    run(main())
