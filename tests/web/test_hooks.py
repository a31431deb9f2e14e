"""Web hooks over the API: made with a secret that is shown once, listed, removed, replayed."""

from __future__ import annotations

from headgate.web.access import Scope
from web_asking import problem, waiting

WANTED = {"url": "https://hooks.invalid/headgate", "events": ["task.ended", "campaign.ended"]}


def test_a_hook_is_made_shown_and_removed(run, api, tmp_path):
    """Its secret is in the answer to its making, and in none after it."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            made = await client.post("/hooks", json=WANTED)
            assert made.status_code == 201
            assert made.headers["Cache-Control"] == "no-store"
            hook = made.json()
            secret = hook.pop("secret")
            assert len(secret) >= 32
            one = f"/hooks/{hook['id']}"
            assert made.headers["Location"] == f"/api/v1{one}"
            assert (hook["pending"], hook["dead"], hook["lost"], hook["overflowed_s"]) == (0, 0, 0, None)
            shown = await client.get(one)
            assert shown.json() == hook
            listed = await client.get("/hooks")
            assert listed.json() == {"items": [hook], "next": None}
            assert secret not in shown.text + listed.text
            own = await client.post("/hooks", json=WANTED | {"secret": "a secret of mine"})
            assert own.json()["secret"] == "a secret of mine"
            page = (await client.get("/hooks", params={"limit": 1})).json()
            rest = (await client.get("/hooks", params={"after": page["next"]})).json()
            assert {each["id"] for each in page["items"] + rest["items"]} == {hook["id"], own.json()["id"]}
            assert (await client.delete(one)).status_code == 204
            for method, path in (("GET", one), ("DELETE", one), ("POST", f"{one}/replay")):
                problem(await client.request(method, path), 404)
            problem(await client.get(f"{one}/deliveries", params={"state": "dead"}), 404)
            metrics = (await client.get("/metrics")).text
            for name in ("pending 0.0", "dead 0.0", "delivered_total 0.0", "failed_total", "lost_total"):
                assert f"headgate_hooks_{name}" in metrics

    run(main())


def test_what_leads_nowhere_or_inside_is_refused(run, api):
    """With what is wrong; nothing is made."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            for url in (
                "http://127.0.0.1:5683/",
                "http://[::1]/",
                "http://2130706433/",
                "http://169.254.169.254/latest/meta-data",
                "https://user:word@hooks.invalid/",
                "ftp://hooks.invalid/",
                "http://hooks.invalid/#x",
            ):
                said = problem(await client.post("/hooks", json=WANTED | {"url": url}), 422)
                assert "word" not in said["detail"]
            for wrong in ({"events": []}, {"events": ["task.begun"]}, {"secret": "short"}, {"x": 1}):
                problem(await client.post("/hooks", json=WANTED | wrong), 422)
            assert (await client.get("/hooks")).json()["items"] == []
            for _ in range(16):
                assert (await client.post("/hooks", json=WANTED)).status_code == 201
            problem(await client.post("/hooks", json=WANTED), 409)

    run(main())


def test_what_was_given_up_is_listed_and_replayed(run, api):
    """In pages, in the order of the events; an operator may."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            id = (await client.post("/hooks", json=WANTED)).json()["id"]
            await waiting(asked, id, 3)
            path = f"/hooks/{id}/deliveries"
            page = (await client.get(path, params={"state": "dead", "limit": 2})).json()
            assert [each["number"] for each in page["items"]] == [1, 2]
            assert page["items"][0] == {
                "number": 1,
                "event_id": "e1",
                "event": "task.ended",
                "endpoint": "a",
                "campaign": "c",
                "at_s": 1.0,
                "state": "dead",
                "attempts": 3,
                "error": "answered 500",
            }
            assert page["items"][1]["endpoint"] is None
            rest = (await client.get(path, params={"state": "dead", "after": page["next"]})).json()
            assert ([each["number"] for each in rest["items"]], rest["next"]) == ([3], None)
            problem(await client.get(path, params={"state": "dead", "after": "x"}), 422)
            problem(await client.get(path), 422)
            async with asked.client(Scope.OPERATE) as operator:
                assert (await operator.post(f"/hooks/{id}/replay")).json() == {"replayed": 3}
            shown = (await client.get(f"/hooks/{id}")).json()
            assert (shown["pending"], shown["dead"]) == (3, 0)
            pending = (await client.get(path, params={"state": "pending"})).json()["items"]
            assert [each["number"] for each in pending] == [1, 2, 3]

    run(main())
