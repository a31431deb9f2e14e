"""What devices say when they register: anything at all, and none of it is an accident."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from headgate.lwm2m.kinds import Kinds
from headgate.lwm2m.parameters import (
    ENDPOINT_LENGTH_MAX,
    SMS_LENGTH_MAX,
    VERSIONS,
    Mistake,
    ParameterReader,
    Parameters,
)
from headgate.lwm2m.registration import LIFETIME_MAX_S
from headgate.lwm2m.sharing import Sharing
from headgate.wire.coap import Message
from headgate.wire.links import RegisteredObjects, write_objects
from headgate.wire.resources import Path
from lwm2m_lines import LINKS, DeviceLines

names = st.sampled_from([b"ep", b"lt", b"lwm2m", b"b", b"Q", b"sms", b"pid", b"", b"\xff"])
texts = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [b"urn:imei:1", b"86400", b"0", b"1.0", b"1.1", b"1.0.0", b"UQ", b"U", "\u0663".encode()]
    ),
)
queries = st.lists(
    st.one_of(names, st.builds(lambda name, text: name + b"=" + text, names, texts)).map(lambda q: (15, q)),
    max_size=8,
)
payloads = st.one_of(
    st.just(LINKS),
    st.binary(max_size=64),
    st.text(alphabet='</>;,="oma.lwm2m0159ctrv ', max_size=48).map(str.encode),
)
formats = st.lists(st.sampled_from([(12, b""), (12, b"\x28"), (12, b"\x2a"), (12, b"\0\0\0\0")]), max_size=2)


def reader(links_max: int = 8, links_bytes_max: int = 512) -> ParameterReader:
    """Reads, and keeps a few."""
    return ParameterReader(Sharing(shared_max=8), links_bytes_max=links_bytes_max, links_max=links_max)


@given(queries, payloads, formats)
def test_anything_is_read_or_a_mistake(said, payload, content_format):
    """And what is read is within its bounds."""
    message = Message(type=0, code=2, message_id=1, options=(*said, *content_format), payload=payload)
    found = reader().read(message)
    if isinstance(found, Mistake):
        assert found.code >> 5 == 4
        return
    assert isinstance(found, Parameters)
    assert found.endpoint is None or 0 < len(found.endpoint.encode()) <= 4 * ENDPOINT_LENGTH_MAX
    assert found.lifetime_s is None or 1 <= found.lifetime_s <= LIFETIME_MAX_S
    assert found.version is None or found.version in VERSIONS
    assert found.binding is None or (found.binding and set(found.binding) <= set("UTSNMH"))
    assert found.sms is None or 0 < len(found.sms.encode()) <= 4 * SMS_LENGTH_MAX
    assert found.objects is None or found.objects.paths


@given(st.lists(st.tuples(queries, payloads, formats), max_size=12))
def test_any_conversation(conversation):
    """Each Register is answered once, whatever it says, and who is registered can be asked for 3/0/3."""
    script = DeviceLines(registrations_max=4)
    for said, payload, content_format in conversation:
        script.device("CON POST", "rd", payload=payload, more=(*said, *content_format))
        for event in script._events:
            script.confirm(event)
            script.endpoint = event.endpoint
            assert script.lwm2m.registration(event.endpoint).remote == script.address
        script._events.clear()
        [sent] = script._leaving
        assert sent.message.type == 2
        assert sent.message.code in (0x41, 0x80, 0x82, 0x8C, 0x8D, 0xA3)
        script._leaving.clear()
    assert len(script.lwm2m) <= 4


ids = st.integers(0, 65535)
objects = st.builds(
    lambda paths, root: RegisteredObjects(paths=tuple(sorted(set(paths))), root=root),
    st.lists(st.one_of(st.builds(Path, ids), st.builds(Path, ids, ids)), min_size=1, max_size=20),
    st.sampled_from([(), ("lwm2m",), ("a b", "\u00e9")]),
)


LONG = RegisteredObjects(
    paths=tuple(Path(10_000 + number, 10_000) for number in range(20)), root=("a b", "\u00e9")
)


@given(objects)
@example(LONG)
def test_links_are_shared(registered):
    """Two devices with the same links have the same objects, and so have those who write them otherwise."""
    payload = write_objects(registered)
    reading = reader(links_bytes_max=2048)
    messages = [
        Message(type=0, code=2, message_id=1, options=((15, b"ep=a"),), payload=each)
        for each in (payload, payload, payload.replace(b",", b", "))
    ]
    found = [reading.read(message) for message in messages]
    assert found[0].objects == registered
    assert found[1].objects is found[0].objects, "the same bytes are read once"
    kinds = Kinds(Sharing(shared_max=8), kinds_max=8, counts={})
    for each in found:
        kept = kinds.kept(each.objects)
        kinds.taken(kept)
        assert kept is found[0].objects


def test_sharing_is_bounded():
    """The oldest make room, and are none the worse for it."""
    sharing = Sharing(shared_max=4)
    values = [sharing.share((number,)) for number in range(10)]
    assert len(sharing) == 4
    assert sharing.share((9,)) is values[9]
    assert sharing.share((0,)) == values[0]
    reading = reader(links_max=2)
    for number in range(10):
        message = Message(type=0, code=2, message_id=1, payload=f"</{number}>".encode())
        assert reading.read(message).objects.paths == (Path(number),)


def test_what_looks_equal_is_kept_apart():
    """1, 1.0 and True are equal and of different kinds."""
    sharing = Sharing(shared_max=8)
    assert [type(sharing.share(each)) for each in (1, 1.0, True)] == [int, float, bool]
