"""Which package the Uri-Path options of a request name: RFC 7252 section 5.10.1."""

from __future__ import annotations

import pytest

from datagrams import NON, RESET, URI_PATH, read, request
from headgate.engine.responder import Responder

BODY = bytes(i & 0xFF for i in range(1300))


@pytest.fixture
def respond(serve):
    """Serves the 1300 bytes as `fw`, and 40 of them as `config/device.json`."""
    return serve({"fw": BODY, "config/device.json": BODY[:40]})


def code(answered) -> str:
    """The code of an answer, which is its outcome too."""
    outcome, reply = answered
    assert read(reply).code == outcome
    return outcome


@pytest.mark.parametrize(
    "options",
    [
        [b"config", b"device.json"],
        [b"config/device.json"],  # LiteOS puts the whole path into one option
    ],
)
def test_path_in_one_option_or_in_segments(respond, options):
    """Section 5.10.1 wants segments; what one option can hold names the same package."""
    asked = request(None, *((URI_PATH, segment) for segment in options))
    assert read(respond(asked)[1]).payload == BODY[:40]


def test_every_way_to_cut_a_path(serve):
    """Three segments in one, two or three options."""
    respond = serve({"a/bc/d": b"body"})
    for options in ([b"a", b"bc", b"d"], [b"a/bc", b"d"], [b"a", b"bc/d"], [b"a/bc/d"]):
        asked = request(None, *((URI_PATH, segment) for segment in options))
        assert read(respond(asked)[1]).payload == b"body"


@pytest.mark.parametrize(
    "options",
    [
        [b""],
        [b"", b"fw"],
        [b"fw", b""],
        [b"f", b"w"],
        [b"FW"],
        [b"fw\0"],
        [b"fw?v=2"],
        [b"/fw"],
        [b"fw/"],
        [b"config"],
        [b"config", b"", b"device.json"],
        [b"config", b"device.json", b""],
        [b"config/", b"device.json"],
        [b".", b"fw"],
        [b"config", b"..", b"fw"],
        [b"fw" * 127 + b"x"],
    ],
)
def test_path_is_matched_byte_for_byte(respond, options):
    """Nothing is normalised: each Uri-Path option is a segment as it stands, the empty one too."""
    assert code(respond(request(None, *((URI_PATH, segment) for segment in options)))) == "4.04"


def test_request_without_path(respond):
    """The root is no package."""
    assert code(respond(request(None))) == "4.04"
    assert code(respond(request(None, block2=(0, 5)))) == "4.04"


@pytest.mark.parametrize("segments", [1, 2, 3, 85, 128])
def test_path_of_255_bytes(serve, segments):
    """The longest path: the segments and the strokes between them, also in one option."""
    cut = [b"x"] * segments
    cut[-1] = b"y" * (255 - (segments - 1) * 2)
    path = b"/".join(cut)
    respond = serve({path.decode(): b"body"})
    assert len(path) == 255
    assert read(respond(request(path))[1]).payload == b"body"
    assert read(respond(request(None, (URI_PATH, path)))[1]).payload == b"body"
    assert code(respond(request(path + b"/"))) == "4.04"
    assert code(respond(request(path + b"y"))) == ("4.02" if segments == 1 else "4.04")
    assert code(respond(request(path[:-1]))) == "4.04"


@pytest.mark.parametrize("first", [1, 128, 253, 254, 255])
@pytest.mark.parametrize("second", [0, 1, 127, 254, 255])
def test_two_segments_around_the_longest_path(serve, first, second):
    """Where their sum passes 255 bytes nothing is found, and nothing is written behind the path's room."""
    path = "f" * first + "/" + "s" * second
    length = len(path)
    respond = serve({path: b"body"} if length <= 255 else {})
    assert code(respond(request(path))) == ("2.05" if length <= 255 else "4.04")


@pytest.mark.parametrize("length", [253, 254, 255])
def test_longest_segment_is_not_passed_over(serve, length):
    """A segment that makes the path too long is no reason to serve what the others name."""
    respond = serve({"fw": BODY})
    for segments in ([b"fw", b"x" * length], [b"x" * length, b"fw"], [b"f", b"x" * length, b"w"]):
        assert code(respond(request(None, *((URI_PATH, segment) for segment in segments)))) == "4.04"


@pytest.mark.parametrize("count", [2, 254, 255, 256, 257, 400, 1400])
def test_empty_segments_without_number(serve, count):
    """400 Uri-Path options of no bytes are 399 strokes: a bound ends the joining."""
    respond = serve({"a" + "/" * 254: b"strokes"})
    assert code(respond(request(None, *[(URI_PATH, b"")] * count))) == "4.04"
    behind_a = [(URI_PATH, b"a"), *[(URI_PATH, b"")] * count]
    assert code(respond(request(None, *behind_a))) == ("2.05" if count == 254 else "4.04")


def test_segment_longer_than_255_bytes(serve):
    """Section 5.10: 0 to 255 bytes. It counts as an unknown critical option, whatever stands beside it."""
    respond = serve({"fw": BODY})
    for options in ([bytes(256)], [b"fw", bytes(256)], [bytes(256), b"fw"], [b"x" * 1300]):
        asked = [(URI_PATH, segment) for segment in options]
        assert code(respond(request(None, *asked))) == "4.02"
        assert respond(request(None, *asked, type=NON)) == ("bad option", RESET)


@pytest.mark.parametrize("path", [b"\xff\xfe/\x80", b"\0", "gerät/größe".encode(), b"a b", b"%66w"])
def test_any_bytes_can_be_a_path(catalog, make_package, path):
    """What is published is found; no decoding comes between."""
    catalog.publish(path, make_package(b"body"))
    assert read(Responder(catalog).respond(request(path))[1]).payload == b"body"
