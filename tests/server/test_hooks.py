"""Web hooks with a receiver that is down, slow, or answers 500: nothing is lost, order is kept per device."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from headgate.errors import HookError, HookLimitError
from headgate.server import Server
from headgate.server.hooks.signature import signature
from headgate.store import tables
from headgate.upgrade.announcements import Announced
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Timers
from hook_receiver import HookReceiver, Request, status
from peer import eventually

BODY = b"the new firmware" * 100
ALL = tuple(Announced)
QUICK = {"allow_private": True, "backoff_s": 0.005, "backoff_max_s": 0.02, "timeout_s": 5.0}


@pytest.fixture
def hooked(server_of) -> Callable[..., Server]:
    """A Server whose hooks may lead to this machine, and are tried again soon."""
    return lambda **hooks: server_of(hooks=QUICK | hooks)


async def campaign(server: Server, endpoints: list[str], name: str = "c") -> str:
    """The id of one that ends at once: its devices are not there."""
    package = await server.add_package(BODY, version="V2")
    made = await server.create_campaign(
        name=name, package=package.pid, endpoints=endpoints, timers=Timers(online_s=0.01)
    )
    await server.ended(made.id)
    return made.id


async def settled(server: Server) -> None:
    """Everything that is known of deliveries is stored."""
    await server._in.pump.settled()


async def through(server: Server) -> None:
    """Nothing waits to be delivered, and that is stored."""
    await eventually(lambda: not server.stats.hooks["pending"])
    await settled(server)


def outbox(server: Server, **where: Any) -> list[dict[str, Any]]:
    """The rows of the outbox."""
    return server._in.database.rows(tables.outbox, where=where, limit=10_000, by=("hook_id", "number"))


def taken_once(receiver: HookReceiver) -> Counter[str]:
    """How often each event was taken."""
    return Counter(request.event_id for request in receiver.taken)


def test_a_campaign_is_told_from_its_beginning_to_its_end(run, hooked):
    """Signed, with the failure's text and what stands beside it; what was delivered is kept no longer."""

    async def main() -> None:
        async with HookReceiver() as receiver, hooked() as server:
            hook = await server.hooks.add(url=receiver.url, events=ALL)
            id = await campaign(server, ["a", "b"])
            await receiver.until(lambda: len(receiver.taken) == 5)
            said = [request.said for request in receiver.taken]
            assert Counter(each["event"] for each in said) == {
                "campaign.created": 1,
                "campaign.running": 1,
                "task.ended": 2,
                "campaign.ended": 1,
            }
            of_campaign = [each["event"] for each in said if "task" not in each]
            assert of_campaign == ["campaign.created", "campaign.running", "campaign.ended"]
            task = next(each for each in said if each.get("endpoint") == "a")
            assert (task["failure"], task["state"]) == (Failure.ONLINE_TIMEOUT.value, "failed")
            assert (task["campaign"], task["attempt"]) == (id, 1)
            ended = next(each for each in said if each["event"] == "campaign.ended")
            assert ended["failures"] == {Failure.ONLINE_TIMEOUT.value: 2}
            assert (ended["name"], ended["states"]) == ("c", {"failed": 2})
            for request in receiver.taken:
                at = int(request.headers["headgate-signature"].partition(",")[0].removeprefix("t="))
                assert request.headers["headgate-signature"] == signature(hook.secret, at, request.body)
                assert request.said["id"] == request.event_id
                assert request.headers["headgate-event"] == request.said["event"]
                assert request.headers["headgate-delivery"] == "1"
                assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
                assert request.line == "POST /hook HTTP/1.1"
            assert len(taken_once(receiver)) == 5
            await through(server)
            assert outbox(server) == []
            assert server.stats.hooks["delivered"] == 5
            assert server.stats.hooks["pending"] == 0

    run(main())


def test_a_receiver_that_is_down_misses_nothing(run, hooked):
    """And is not asked for each event meanwhile: one at a time."""

    async def main() -> None:
        endpoints = [f"device-{number}" for number in range(50)]
        async with HookReceiver() as receiver, hooked() as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            await receiver.down()
            await campaign(server, endpoints)
            await eventually(lambda: server.stats.hooks["failed"] >= 15)
            assert (hook.pending, hook.dead) == (50, 0)
            found = server.hooks.status(hook.id)
            assert found.failing_since_s is not None
            assert "ConnectError" in found.error
            await receiver.up()
            await receiver.until(lambda: len(receiver.taken) == 50)
            assert {request.said["endpoint"] for request in receiver.taken} == set(endpoints)
            assert set(taken_once(receiver).values()) == {1}
            await through(server)
            assert (hook.pending, outbox(server)) == (0, [])
            assert server.hooks.status(hook.id).failing_since_s is None

    run(main())


def test_when_the_next_attempt_is_due_is_told(run, hooked):
    """After a failure, a pause from then; while nothing waits, never."""

    async def main() -> None:
        async def answer(request: Request) -> bytes:
            return status(500)

        async with HookReceiver(answer) as receiver, hooked(backoff_s=60.0, backoff_max_s=60.0) as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            assert server.hooks.status(hook.id).next_s is None
            await campaign(server, ["a"])
            await eventually(lambda: server.stats.hooks["failed"])
            found = server.hooks.status(hook.id)
            assert 30.0 <= found.next_s - found.failing_since_s <= 60.0

    run(main())


def test_a_receiver_that_answers_500_is_sent_the_same_again(run, hooked):
    """The same id and the same bytes, each attempt with its number; order per device is kept."""

    async def main() -> None:
        tries: Counter[str] = Counter()

        async def answer(request: Request) -> bytes:
            tries[request.event_id] += 1
            return status(500 if tries[request.event_id] <= 2 else 200)

        endpoints = [f"device-{number}" for number in range(8)]
        async with HookReceiver(answer) as receiver, hooked() as server:
            await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            for number in range(3):
                await campaign(server, endpoints, name=str(number))
            await receiver.until(lambda: len(receiver.taken) == 24)
            assert set(tries.values()) == {3}
            assert set(taken_once(receiver).values()) == {1}
            for event_id in tries:
                sent = [request for request in receiver.received if request.event_id == event_id]
                assert len({request.body for request in sent}) == 1
                assert [request.headers["headgate-delivery"] for request in sent] == ["1", "2", "3"]
            for endpoint in endpoints:
                order = [each.said["at_s"] for each in receiver.received if each.said["endpoint"] == endpoint]
                assert order == sorted(order)
                assert len(set(order)) == 3

    run(main())


def test_one_device_whose_events_are_refused_holds_up_nobody_else(run, hooked):
    """Those of others are taken meanwhile; its own wait behind the first."""

    async def main() -> None:
        stubborn = True

        async def answer(request: Request) -> bytes:
            return status(400 if stubborn and request.said["endpoint"] == "a" else 204)

        async with HookReceiver(answer) as receiver, hooked() as server:
            await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            first = await campaign(server, ["a"])
            for number in range(4):
                await campaign(server, ["a", f"other-{number}"])
            await receiver.until(lambda: len(receiver.taken) == 4)
            assert {each.said["endpoint"] for each in receiver.taken} == {f"other-{n}" for n in range(4)}
            refused = [each for each in receiver.received if each.said["endpoint"] == "a"]
            assert {each.said["campaign"] for each in refused} == {first}
            stubborn = False
            await receiver.until(lambda: len(receiver.taken) == 9)

    run(main())


def test_a_slow_receiver_is_cut_off_and_gets_the_event_again(run, hooked):
    """It may have taken it all the same: it knows by the id."""

    async def main() -> None:
        never = asyncio.Event()

        async def answer(request: Request) -> bytes:
            if len(receiver.received) == 1:
                await never.wait()
            return status(200)

        async with HookReceiver(answer) as receiver, hooked(timeout_s=0.2) as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            await campaign(server, ["a"])
            await receiver.until(lambda: receiver.taken)
            assert {each.event_id for each in receiver.received} == {receiver.taken[0].event_id}
            first, *_, last = (int(each.headers["headgate-delivery"]) for each in receiver.received)
            assert first < last
            await through(server)
            assert (hook.pending, server.stats.hooks["failed"]) == (0, last - 1)

    run(main())


def test_a_restart_goes_on_with_the_same_ids(run, hooked):
    """What was not delivered before is delivered after, what was is not; numbers go on."""

    async def main() -> None:
        async with HookReceiver() as receiver:
            async with hooked() as server:
                hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
                await campaign(server, ["early"])
                await receiver.until(lambda: len(receiver.taken) == 1)
                await receiver.down()
                await campaign(server, ["a", "b"])
                await eventually(lambda: server.stats.hooks["failed"] >= 2)
                await settled(server)
                waiting = outbox(server)
            assert [row["endpoint"] for row in waiting] == ["a", "b"]
            await receiver.up()
            async with hooked() as server:
                assert server._in.orchestrator.announcements.hooks[hook.id].pending == 2
                await receiver.until(lambda: len(receiver.taken) == 3)
                assert {each.event_id for each in receiver.taken[1:]} == {row["event_id"] for row in waiting}
                assert {each.body.decode() for each in receiver.taken[1:]} == {row["body"] for row in waiting}
                await campaign(server, ["late"])
                await receiver.until(lambda: len(receiver.taken) == 4)
                assert receiver.taken[3].headers["headgate-signature"].startswith("t=")
                await through(server)
                assert outbox(server) == []

    run(main())


def test_what_is_given_up_can_be_replayed(run, hooked):
    """In its old order, with its old id; what comes after it was not held up for ever."""

    async def main() -> None:
        broken = True

        async def answer(request: Request) -> bytes:
            return status(500 if broken else 200)

        async with HookReceiver(answer) as receiver, hooked(attempts_max=3) as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            for name in ("1", "2"):
                await campaign(server, ["a", "b"], name=name)
            await eventually(lambda: hook.dead >= 4)
            await settled(server)
            dead = outbox(server)
            assert [(row["state"], row["attempts"], row["error"]) for row in dead] == [
                ("dead", 3, "answered 500")
            ] * 4
            assert server.stats.hooks["given_up"] == 4
            broken = False
            assert await server.hooks.replay(hook.id) == 4
            await receiver.until(lambda: len(receiver.taken) == 4)
            for endpoint in ("a", "b"):
                order = [each.event_id for each in receiver.taken if each.said["endpoint"] == endpoint]
                assert order == [row["event_id"] for row in dead if row["endpoint"] == endpoint]
            await through(server)
            assert (hook.pending, hook.dead, outbox(server)) == (0, 0, [])
            assert await server.hooks.replay(hook.id) == 0
            assert await server.hooks.replay("none") is None

    run(main())


def test_a_full_outbox_says_so_and_keeps_the_oldest(run, hooked):
    """What is lost is counted, in the store too; the event log has a line when it begins and when it ends."""

    async def main() -> None:
        async with HookReceiver() as receiver, hooked(outbox_max=10) as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            await receiver.down()
            follower = server.events()
            endpoints = [f"device-{number:02}" for number in range(16)]
            await campaign(server, endpoints)
            assert (hook.pending, hook.lost, server.stats.hooks["lost"]) == (10, 6, 6)
            row = server._in.database.row(tables.hooks, (hook.id,))
            assert (row["lost"], row["overflowed_s"]) == (6, hook.overflowed_s)
            assert server.stats.hooks["overflowing"] == 1
            kept = {each["endpoint"] for each in outbox(server)}
            await receiver.up()
            await receiver.until(lambda: len(receiver.taken) == 10)
            assert {each.said["endpoint"] for each in receiver.taken} == kept
            await through(server)
            assert (hook.overflowed_s, hook.lost) == (None, 6)
            await campaign(server, ["later"])
            await receiver.until(lambda: len(receiver.taken) == 11)
        lines = [event.what async for event in follower if event.what.startswith("hook ")]
        assert lines == ["hook overflows", "hook has room again"]

    run(main())


def test_a_hook_that_is_removed_is_told_nothing_more(run, hooked, data):
    """Nothing of it is kept, its secret neither; another hook goes on."""

    async def main() -> None:
        async with HookReceiver() as receiver, HookReceiver() as other, hooked() as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            await server.hooks.add(url=other.url, events=[Announced.CAMPAIGN_ENDED])
            await receiver.down()
            await campaign(server, ["a", "b"])
            assert len(outbox(server, hook_id=hook.id)) == 2
            assert await server.hooks.remove(hook.id)
            assert not await server.hooks.remove(hook.id)
            assert outbox(server, hook_id=hook.id) == []
            assert server._in.database.row(tables.hooks, (hook.id,)) is None
            await receiver.up()
            await campaign(server, ["c"])
            await other.until(lambda: len(other.taken) == 2)
            assert receiver.taken == []
            assert {each.said["event"] for each in other.taken} == {"campaign.ended"}

    run(main())


def test_more_than_fits_into_memory_is_read_from_the_store(run, hooked, monkeypatch):
    """In order, each once, while more is being made."""
    monkeypatch.setattr("headgate.server.hooks.teller.WINDOW_MAX", 10)
    monkeypatch.setattr("headgate.server.hooks.teller.PAGE_ROWS", 3)

    async def main() -> None:
        endpoints = [f"device-{number}" for number in range(30)]
        async with HookReceiver() as receiver, hooked() as server:
            hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            for number in range(3):
                await campaign(server, endpoints, name=str(number))
            await receiver.until(lambda: len(receiver.taken) == 90)
            assert set(taken_once(receiver).values()) == {1}
            for endpoint in endpoints:
                order = [each.said["at_s"] for each in receiver.taken if each.said["endpoint"] == endpoint]
                assert order == sorted(order)
            await through(server)
            assert (hook.pending, outbox(server)) == (0, [])

    run(main())


def test_dead_letters_are_kept_for_a_while_only(run, hooked):
    """And those of a hook that was removed by a process which was killed meanwhile go at the next start."""

    async def main() -> None:
        async def refuse(request: Request) -> bytes:
            return status(404)

        async with HookReceiver(refuse) as receiver:
            async with hooked(attempts_max=1, dead_keep_s=0.001) as server:
                hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
                await campaign(server, ["a"])
                await eventually(lambda: hook.dead)
                await server.hooks._drop_old()
                await settled(server)
                assert (hook.dead, outbox(server)) == (0, [])
                await campaign(server, ["b"])
                await eventually(lambda: hook.dead)
                server._in.orchestrator.announcements.remove(hook.id)
                await settled(server)
            async with hooked() as server:
                await eventually(lambda: not outbox(server))

    run(main())


def test_hooks_are_bounded_and_checked(run, hooked):
    """How many there are, what they want, where they lead, what signs."""

    async def main() -> None:
        async with hooked(allow_private=False, hooks_max=1) as server:
            add = server.hooks.add
            for url in (
                "http://127.0.0.1/",
                "http://[::1]:8080/",
                "ftp://example.com/",
                "http://a:b@c.example/",
            ):
                with pytest.raises(HookError):
                    await add(url=url, events=ALL)
            with pytest.raises(HookError, match="one event"):
                await add(url="http://h.example/", events=[])
            with pytest.raises(HookError, match="secret"):
                await add(url="http://h.example/", events=ALL, secret="short")
            await add(url="http://h.invalid/", events=[Announced.STAGE_HELD])
            with pytest.raises(HookLimitError, match="1 hooks"):
                await add(url="http://h.invalid/", events=ALL)

    run(main())


def test_a_hook_that_is_not_permitted_any_more_waits(run, hooked):
    """The setting was changed: its events are kept, and nothing is sent."""

    async def main() -> None:
        async with HookReceiver() as receiver:
            async with hooked() as server:
                hook = await server.hooks.add(url=receiver.url, events=[Announced.TASK_ENDED])
            async with hooked(allow_private=False) as server:
                await campaign(server, ["a"])
                assert server._in.orchestrator.announcements.hooks[hook.id].pending == 1
                assert "not a public address" in server.hooks.status(hook.id).error
            assert receiver.received == []
            async with hooked() as server:
                await receiver.until(lambda: receiver.taken)

    run(main())
