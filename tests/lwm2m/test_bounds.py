"""What a device weighs, and that nothing a stranger sends makes anything grow."""

from __future__ import annotations

import gc
import random
import struct
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from headgate.engine.bounds import Bounds
from headgate.lwm2m.happenings import Updated
from headgate.lwm2m.server import LwM2mServer
from headgate.lwm2m.settings import LwM2mSettings
from headgate.wire.coap import Message
from lwm2m_lines import LINKS, DeviceLines

KIB = 1024
DEVICES = 5000


def remote_of(number: int) -> tuple[bytes, bytes]:
    """An address and the control data that comes with it, as the kernel writes them: a copy each."""
    address = struct.pack("!HHI16sI", 10, 5683, 0, bytes(10) + b"\xff\xff" + struct.pack("!I", number), 0)
    return address, bytes(bytearray(40))


def register_of(number: int) -> bytes:
    """A Register of a queue-mode device."""
    queries = (f"ep=urn:imei:86{number:013}", "lt=86400", "lwm2m=1.0", "b=UQ")
    options = ((11, b"rd"), (12, b"\x28"), *((15, each.encode()) for each in queries))
    return Message(
        type=0, code=2, message_id=number & 0xFFFF, token=b"tk", options=options, payload=LINKS
    ).encode()


def test_idle_device_weighs_less_than_a_kibibyte():
    """Registered, updated and asleep; the copies that are remembered are few, for they are not idle."""
    server = LwM2mServer(rng=random.Random(1), settings=LwM2mSettings(), bounds=Bounds(remembered_max=100))
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    now = 1e9
    locations = []
    for number in range(DEVICES):
        now += 0.01
        [registered] = server.receive(remote_of(number), register_of(number), now)
        server.confirm(registered, now)
        locations.append(registered.after.location)
        server.take()
    for number, location in enumerate(locations):
        now += 0.01
        update = Message(type=0, code=2, message_id=1, options=((11, b"rd"), (11, location.encode())))
        [updated] = server.receive(remote_of(number), update.encode(), now)
        assert type(updated) is Updated
        server.confirm(updated, now)
        server.take()
    del locations, registered, updated
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(server) == DEVICES
    assert (after - before) / DEVICES < KIB


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.binary(max_size=64)), max_size=40))
def test_any_datagrams(datagrams):
    """From anybody: no accident, and what is owed can be confirmed."""
    script = DeviceLines(registrations_max=2).register(remote="a")
    for remote, datagram in datagrams:
        for happening in script.lwm2m.receive(remote, datagram, script.now):
            script.lwm2m.confirm(happening, script.now)
        script.lwm2m.take()
    assert len(script.lwm2m) <= 2


@given(st.data())
def test_any_damage_to_what_devices_send(data):
    """Flipped, cut, doubled: registrations, updates, notifications and answers."""
    script = DeviceLines().register().remember((5, 0, 3), b"observed")
    good = [
        register_of(1),
        Message(
            type=0, code=2, message_id=2, options=((11, b"rd"), (11, script.location.encode()), (15, b"lt=9"))
        ).encode(),
        Message(
            type=0, code=69, message_id=3, token=b"observed", options=((6, b"\x01"),), payload=b"1"
        ).encode(),
        Message(
            type=1,
            code=2,
            message_id=4,
            options=((11, b"dp"), (12, b"\x6e")),
            payload=b'[{"n":"/4/0/2","v":1}]',
        ).encode(),
    ]
    for _ in range(data.draw(st.integers(1, 8))):
        damaged = bytearray(data.draw(st.sampled_from(good)))
        for _ in range(data.draw(st.integers(0, 3))):
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
        damaged = damaged[: data.draw(st.integers(4, len(damaged)))]
        for happening in script.lwm2m.receive(script.address, bytes(damaged), script.now):
            script.lwm2m.confirm(happening, script.now)
        script.lwm2m.take()
        script.now += 1.0


def test_strangers_leave_nothing_behind(make_script):
    """Requests and notifications that are refused keep no device; what is remembered of them is bounded."""
    script = make_script(bounds=Bounds(remembered_max=64)).register()
    sizes = script.lwm2m.sizes()
    for number in range(500):
        for line, path in (("CON POST", "rd/none"), ("CON POST", "rd"), ("CON POST", "dp"), ("CON GET", "x")):
            script.device(line, path, remote=number)
        script.device("CON 2.05", observe=1, token=b"?", remote=number)
        script._leaving.clear()
    after = script.lwm2m.sizes()
    assert after["remembered"] == 64
    assert {key: after[key] for key in after if "remembered" not in key} == {
        key: sizes[key] for key in sizes if "remembered" not in key
    }


def test_devices_that_come_and_go(make_script):
    """Leave nothing behind either."""
    script = make_script(bounds=Bounds(remembered_max=64), grace_s=0.0)
    for number in range(200):
        script.endpoint = f"{number}"
        script.register(endpoint=script.endpoint, query=("lt=60",), remote=number)
        if number % 2:
            script.device("CON DELETE", f"rd/{script.location}", remote=number)
            script.confirm(script._events.pop()).server("ACK 2.02", remote=number)
    script.clock(60.0)
    script._events.clear()
    sizes = script.lwm2m.sizes()
    assert sizes["registrations"] == sizes["devices known"] == 0
