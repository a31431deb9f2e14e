"""Object links in memory: equal ones once, and no more different ones than fit."""

from __future__ import annotations

import random

import pytest

from headgate.lwm2m.happenings import Deregistered, Updated
from headgate.lwm2m.kinds import Kinds
from headgate.lwm2m.sharing import Sharing
from headgate.wire.links import parse_objects, write_objects
from lwm2m_lines import DeviceLines


def links(kind: int) -> bytes:
    """Those of a device of this kind: it has an object that no other kind has."""
    return b"</3/0>,</5>;ver=1.1,</5/0>,</%d/0>" % (3300 + kind)


def kept_of(script: DeviceLines, endpoint: str) -> bytes:
    """What is kept of a device's list, as links."""
    registration = script.lwm2m.registration(endpoint)
    assert registration is not None
    return write_objects(registration.objects)


@pytest.fixture
def script() -> DeviceLines:
    """A server that keeps two lists whole."""
    return DeviceLines(shared_links_max=2)


def registers(script: DeviceLines, endpoint: str, kind: int) -> None:
    """A device of this kind comes."""
    script.endpoint = endpoint
    script.register(endpoint=endpoint, payload=links(kind))


def test_a_list_too_many_is_shortened_to_what_upgrades_need(script):
    """It is counted; who has a list that is kept already has all of it, and upgrades find their objects."""
    for endpoint, kind in (("a", 1), ("b", 2), ("c", 3), ("d", 2)):
        registers(script, endpoint, kind)
    assert [kept_of(script, endpoint) for endpoint in "abd"] == [links(1), links(2), links(2)]
    assert kept_of(script, "c") == b"</3/0>,</5>;ver=1.1,</5/0>"
    assert script.lwm2m.counts["object links shortened"] == 1
    b, d = (script.lwm2m.registration(endpoint) for endpoint in "bd")
    assert b.objects is d.objects


def test_a_list_that_nobody_has_makes_room(script):
    """By a De-register, and by a Register or Update of the one device that had it."""
    registers(script, "a", 1)
    registers(script, "b", 2)
    script.updates(payload=links(3), content_format=40).tells(Updated).confirm().server("ACK 2.04")
    assert kept_of(script, "b") == b"</3/0>,</5>;ver=1.1,</5/0>"
    registers(script, "c", 3)
    assert kept_of(script, "c") == links(3)
    script.device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm().server("ACK 2.02")
    registers(script, "d", 4)
    assert kept_of(script, "d") == links(4)


def test_what_is_kept_is_what_devices_have():
    """Devices come, change and go at random: what is kept whole is what one of them has, and no more."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    kinds = Kinds(Sharing(shared_max=4), kinds_max=5, counts={"object links shortened": 0})
    short = parse_objects(b"</3/0>,</5>;ver=1.1,</5/0>")
    has = {}
    for _ in range(3000):
        device = chance.randrange(20)
        before = has.pop(device, None)
        if before is None or chance.random() < 0.7:
            has[device] = now = kinds.kept(parse_objects(links(chance.randrange(12))))
            if now is not before:
                kinds.taken(now)
                if before is not None:
                    kinds.left(before)
        else:
            kinds.left(before)
        whole = {id(objects) for objects in has.values() if objects != short}
        assert len(whole) == len(kinds) <= 5
        assert len(set(has.values())) - (short in has.values()) == len(whole), "equal ones once"
