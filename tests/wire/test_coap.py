"""CoAP messages: RFC 7252 sections 3 to 5, with the token lengths of RFC 8974."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import HeadgateError, MessageFormatError
from headgate.wire.coap import Message, _py_message_view, _py_option_uint_write
from reference import block as reference_block
from reference import coap as reference
from vectors import load

PUBLISHED = load("coap.json")
TYPES = {"CON": 0, "NON": 1, "ACK": 2, "RST": 3}
CON, NON, ACK, RST = range(4)
GET = 0x01
CONTENT = 0x45  # 2.05
TOKEN_LENGTHS = [0, 1, 7, 8, 9, 12, 13, 14, 63, 64]
EXTENDED = [0, 1, 12, 13, 14, 268, 269, 270]  # around each end of the nibble's three forms


def request(*, type=CON, code=GET, message_id=0x7D34, token=b"", options=(), payload=b""):
    """A GET, changed where asked."""
    return Message(type=type, code=code, message_id=message_id, token=token, options=options, payload=payload)


def refusal(data: bytes) -> MessageFormatError:
    """The error that parsing these bytes raises."""
    with pytest.raises(MessageFormatError) as caught:
        Message.parse(data)
    return caught.value


def reply_to(error: MessageFormatError) -> str:
    """RFC 7252 section 4.2: reset a Confirmable message with a format error, else be silent."""
    return "reset" if error.type == CON else "silence"


def our_verdict(data: bytes):
    """Everything that the compiled parser says of these bytes."""
    try:
        message = Message.parse(data)
    except MessageFormatError as error:
        return "refused", error.type, error.message_id, error.token, reply_to(error)
    return (
        message.type,
        message.code,
        message.message_id,
        message.token,
        message.options,
        message.payload,
        message.critical,
    )


def reference_verdict(data: bytes):
    """The same, from the reference."""
    try:
        message = reference.parse(data)
    except reference.RefusedError as error:
        return "refused", error.type, error.message_id, error.token, error.reply
    return (
        message.type,
        message.code,
        message.message_id,
        message.token,
        message.options,
        message.payload,
        reference.critical(message),
    )


# -- Published examples --


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_published_message(vector):
    """Every field of every published message, both ways."""
    data = bytes.fromhex(vector["hex"])
    class_, detail = map(int, vector["code"].split("."))
    message = Message.parse(data)
    assert message.type == TYPES[vector["type"]]
    assert message.code == class_ << 5 | detail
    assert f"{message.message_id:04X}" == vector["message_id"]
    assert message.token.hex().upper() == vector["token"]
    assert [[number, value.hex().upper()] for number, value in message.options] == vector["options"]
    assert message.payload.hex().upper() == vector["payload"]
    assert message.critical == 0
    assert message.encode() == data


# -- Header --


@pytest.mark.parametrize("message_id", [0, 1, 0x00FF, 0x0100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF])
def test_message_id_is_16_bits_high_byte_first(message_id):
    """Section 3: the whole range, and both bytes in network order."""
    data = request(message_id=message_id).encode()
    assert data == bytes([0x40, 0x01, message_id >> 8, message_id & 0xFF])
    assert Message.parse(data).message_id == message_id


@pytest.mark.parametrize("data", ["", "40", "4001", "40017D"])
def test_less_than_a_header_is_met_with_silence(data):
    """Section 3: four bytes are the least. There is no message id to reset."""
    error = refusal(bytes.fromhex(data))
    assert (error.type, error.message_id, error.token) == (None, None, None)
    assert reply_to(error) == "silence"


@pytest.mark.parametrize("data", ["00017D34", "80017D34", "C0017D34", "0F017D34", "BF00"])
def test_another_version_is_met_with_silence(data):
    """Section 3: "Messages with unknown version numbers MUST be silently ignored", whatever else they are."""
    error = refusal(bytes.fromhex(data))
    assert (error.type, error.message_id, error.token) == (None, None, None)


def test_every_first_byte_and_every_code_agree_with_the_reference():
    """All versions, types, token lengths and codes: alone, and with bytes for token and options behind."""
    for first in range(256):
        for code in range(256):
            for rest in (b"", b"\x01\x02\x03\x04\x05\x06\x07\x08\xff\x09"):
                data = bytes([first, code, 0x7D, 0x34]) + rest
                assert our_verdict(data) == reference_verdict(data), data.hex()


@pytest.mark.parametrize("type", [CON, NON, ACK, RST])
def test_format_error_is_reset_for_con_only(type):
    """Section 4.2: a Confirmable message is rejected with a Reset; 4.3: all others by silence."""
    error = refusal(bytes([0x40 | type << 4, GET, 0x12, 0x34, 0xFF]))
    assert (error.type, error.message_id, error.token) == (type, 0x1234, b"")
    assert reply_to(error) == ("reset" if type == CON else "silence")


@pytest.mark.parametrize("code", [0x20, 0x3F, 0xC0, 0xDF, 0xE1, 0xFF])
def test_reserved_code_class_is_refused(code):
    """Section 3: classes 1, 6 and 7 are reserved; RFC 8323 gives 7 to TCP only. The token was read."""
    error = refusal(bytes([0x41, code, 0x12, 0x34, 0xAA]))
    assert (error.type, error.message_id, error.token) == (CON, 0x1234, b"\xaa")
    with pytest.raises(MessageFormatError, match="class"):
        request(code=code)


@pytest.mark.parametrize("code", [0x01, 0x1F, 0x40, 0x5F, 0x60, 0x80, 0xA0, 0xBF])
def test_unassigned_codes_are_messages(code):
    """Section 3: what a code of a known class means is not a question of format."""
    assert Message.parse(request(code=code).encode()).code == code


# -- Empty messages --


@pytest.mark.parametrize("type", [CON, NON, ACK, RST])
def test_empty_message_is_a_header(type):
    """Section 4.1: code 0.00, no token, no options, no payload. Dropping a NON one is done elsewhere."""
    message = Message(type=type, code=0, message_id=0xFFFF)
    assert message.encode() == bytes([0x40 | type << 4, 0, 0xFF, 0xFF])
    assert Message.parse(message.encode()) == message


@pytest.mark.parametrize(
    ("data", "token"),
    [
        ("40001234 B1 70", b""),  # options
        ("40001234 FF 61", b""),  # payload
        ("42001234 AABB", b"\xaa\xbb"),  # token
        ("40001234 00", b""),  # one byte
    ],
)
def test_empty_message_with_more_is_refused(data, token):
    """Section 4.1: bytes after the message id "MUST be processed as a message format error"."""
    error = refusal(bytes.fromhex(data))
    assert (error.type, error.message_id, error.token) == (CON, 0x1234, token)


@pytest.mark.parametrize("data", ["70011234", "70451234", "71451234 AA", "70001234 FF 61"])
def test_reset_is_empty(data):
    """Section 4.2: a Reset MUST be Empty. It is never answered, not even with a Reset."""
    assert reply_to(refusal(bytes.fromhex(data))) == "silence"


@pytest.mark.parametrize(
    "fields", [{"token": b"\x01"}, {"options": [(11, b"p")]}, {"payload": b"p"}, {"type": RST, "code": GET}]
)
def test_empty_and_reset_messages_cannot_be_built_with_more(fields):
    """What a peer would refuse is refused here first."""
    with pytest.raises(MessageFormatError):
        Message(**{"type": CON, "code": 0, "message_id": 0, **fields})


def test_empty_message_may_be_built_from_an_empty_iterator():
    """`options` may be any iterable, and one that yields nothing is nothing."""
    assert Message(type=ACK, code=0, message_id=7, options=iter(())).options == ()


# -- Token --


@pytest.mark.parametrize("length", TOKEN_LENGTHS)
def test_token_of_every_form(length):
    """RFC 8974 section 2.1: up to 12 bytes by TKL alone, 13 and more by one byte after the header."""
    token = bytes(range(1, length + 1))
    data = request(token=token, payload=b"x").encode()
    assert data[0] & 15 == min(length, 13)
    if length >= 13:
        assert data[4] == length - 13
    assert len(data) == 4 + (length >= 13) + length + 2
    assert Message.parse(data).token == token


@pytest.mark.parametrize("length", [65, 268])
def test_token_above_our_limit_is_refused(length):
    """We take 64 bytes at most. All bytes are there: only the limit refuses them."""
    error = refusal(bytes([0x4D, GET, 0x12, 0x34, length - 13]) + bytes(length))
    assert (error.type, error.message_id, error.token) == (CON, 0x1234, None)
    with pytest.raises(MessageFormatError, match="at most 64 bytes"):
        request(token=bytes(length))


@pytest.mark.parametrize(
    "data",
    [
        "4E011234 0000" + "00" * 269,  # TKL 14: 269 bytes at least, above our limit
        "4F011234" + "00" * 64,  # TKL 15: reserved
        "4D011234",  # TKL 13 without its length byte
        "4D011234 00" + "00" * 12,  # 13 bytes announced, 12 there
        "4D011234 33" + "00" * 63,  # 64 announced, 63 there
        "41011234",
        "48011234" + "00" * 7,
        "4C011234" + "00" * 11,
    ],
)
def test_token_that_cannot_be_read_is_refused_without_one(data):
    """RFC 7252 section 3, RFC 8974 section 2.1. Type and message id are known, the token is not."""
    error = refusal(bytes.fromhex(data))
    assert (error.type, error.message_id, error.token) == (CON, 0x1234, None)


# -- Options --


@pytest.mark.parametrize("delta", [*EXTENDED, 65534, 65535])
def test_option_delta_of_every_form(delta):
    """Section 3.1: 0..12 in the nibble, 13..268 in one byte more, 269 and above in two."""
    message = request(options=[(delta, b"v")])
    nibble, extension = delta, b""
    if 13 <= delta < 269:
        nibble, extension = 13, bytes([delta - 13])
    elif delta >= 269:
        nibble, extension = 14, (delta - 269).to_bytes(2, "big")
    assert message.encode() == bytes.fromhex("40017D34") + bytes([nibble << 4 | 1]) + extension + b"v"
    assert Message.parse(message.encode()).options == ((delta, b"v"),)


@pytest.mark.parametrize("length", [*EXTENDED, 65535, 65536, 65804])
def test_option_length_of_every_form(length):
    """Section 3.1: as for the delta. The form of two bytes ends at 65535 + 269."""
    value = bytes(i & 0xFF for i in range(length))
    message = request(options=[(2048, value)])
    data = message.encode()
    assert data == reference.encode(
        reference.Message(type=CON, code=GET, message_id=0x7D34, options=((2048, value),))
    )
    assert Message.parse(data) == message


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ("E0 FEF2 00", 65535),  # 269 + 65266, then delta 0
        ("E0 FEF1 10", 65535),
        ("D0 FF E0 FDE6", 65535),  # 268, then 65267
    ],
)
def test_the_highest_option_number_is_65535(options, number):
    """Section 12.2: option numbers have 16 bits."""
    assert Message.parse(bytes.fromhex("40017D34" + options)).options[-1][0] == number


@pytest.mark.parametrize("options", ["E0 FEF3", "E0 FFFF", "E0 FEF2 10", "D0 FF E0 FDE7", "E0 FFFF E0 FFFF"])
def test_option_numbers_above_65535_are_refused(options):
    """A delta may be 65804, and deltas may add up: no option has such a number."""
    error = refusal(bytes.fromhex("41017D34 AA" + options))
    assert (error.type, error.message_id, error.token) == (CON, 0x7D34, b"\xaa")


@pytest.mark.parametrize(
    "options",
    [
        "F0",  # delta 15, length not 15
        "FE",
        "F1 00",
        "0F",  # length 15
        "DF 00",  # length 15 after an extended delta
        "EF 0000",
        "D0",  # one byte of delta missing
        "E0",  # two missing
        "E0 00",  # one of two missing
        "0D",  # the same for the length
        "0E",
        "0E 00",
        "DD 00",  # delta extended, length extension missing
        "EE 0000 00",
        "01",  # value missing
        "0C" + "00" * 11,  # one byte of value missing
        "0D 00" + "00" * 12,
        "0D FF" + "00" * 267,
        "0E 0000" + "00" * 268,
        "0E FFFF" + "00" * 300,
    ],
)
def test_malformed_option_is_refused(options):
    """Section 3.1: reserved nibbles, and whatever passes the end. The token was read."""
    error = refusal(bytes.fromhex("42017D34 AABB" + options))
    assert (error.type, error.message_id, error.token) == (CON, 0x7D34, b"\xaa\xbb")
    with_another_before = bytes.fromhex("42017D34 AABB B1 70" + options)
    assert our_verdict(with_another_before) == reference_verdict(with_another_before)


def test_every_option_head_agrees_with_the_reference():
    """All 256 delta and length nibbles over tails of every shortness, zero and full."""
    for head in range(256):
        for tail in (fill * count for fill in (b"\x00", b"\x01", b"\xff") for count in (*range(6), 17, 300)):
            data = b"\x40\x01\x7d\x34" + bytes([head]) + tail
            assert our_verdict(data) == reference_verdict(data), data.hex()


def test_options_are_written_in_order_of_number():
    """Section 3.1: the wire has them ascending; equal numbers keep the order they were given."""
    message = request(options=[(17, b"*"), (11, b"a"), (4, b"E"), (11, b"b"), (11, b"")])
    assert message.encode().hex() == "40017d34" + "4145" + "7161" + "0162" + "00" + "612a"
    assert Message.parse(message.encode()).options == (
        (4, b"E"), (11, b"a"), (11, b"b"), (11, b""), (17, b"*"),
    )  # fmt: skip


@pytest.mark.parametrize("number", [-1, 65536, 2**32])
def test_option_number_has_16_bits(number):
    """Nothing else can be written."""
    with pytest.raises(MessageFormatError, match="16 bits"):
        request(options=[(number, b"")])


def test_option_longer_than_its_head_can_say_is_refused():
    """65535 + 269 bytes is the end of the two-byte form."""
    with pytest.raises(MessageFormatError, match="at most 65804 bytes"):
        request(options=[(11, bytes(65805))])


@pytest.mark.parametrize("value", [5, "text", None])
def test_option_value_is_bytes(value):
    """An int is not a count of zero bytes, and text has no encoding of its own."""
    with pytest.raises(TypeError):
        request(options=[(28, value)])


def test_option_value_may_be_any_buffer():
    """What was handed in is kept as bytes, and does not follow later changes."""
    value = bytearray(b"ab")
    message = request(options=[(11, value), (11, memoryview(b"cd"))])
    value[0] = 0
    assert message.options == ((11, b"ab"), (11, b"cd"))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (17, "002A"),
        (17, "0000"),
        (7, "0050"),
        (23, "000005"),
        (27, "00000D"),
        (28, "00000514"),
        (6, "000001"),
    ],
)
def test_leading_zeros_in_a_uint_option_are_tolerated(number, value):
    """Section 3.2: a recipient MUST be prepared for them. The bytes are kept as they came."""
    data = request(options=[(number, bytes.fromhex(value))]).encode()
    message = Message.parse(data)
    assert message.critical == 0
    assert message.options == ((number, bytes.fromhex(value)),)
    view = _py_message_view(data)
    assert view["accept"] == (int(value, 16) if number == 17 else None)
    assert view["block2"] == ((0, False, 5) if number == 23 else None)
    assert view["block1"] == ((0, True, 5) if number == 27 else None)


@pytest.mark.parametrize(
    ("number", "value"),
    [(0, ""), (1, "01"), (255, "FF"), (256, "0100"), (65535, "FFFF"), (65536, "010000"),
     (2**24 - 1, "FFFFFF"), (2**24, "01000000"), (2**32 - 1, "FFFFFFFF")],
)  # fmt: skip
def test_uint_option_is_written_in_its_shortest_form(number, value):
    """Section 3.2: no leading zeros; zero has no bytes."""
    assert _py_option_uint_write(12, number).hex().upper() == f"C{len(value) // 2}{value}"


@given(delta=st.integers(0, 65535), number=st.integers(0, 2**32 - 1))
def test_uint_option_agrees_with_the_reference(delta, number):
    """Any delta before it, any value."""
    value = number.to_bytes(4, "big").lstrip(b"\0")
    head = reference.Message(type=CON, code=GET, message_id=0, options=((delta, value),))
    assert _py_option_uint_write(delta, number) == reference.encode(head)[4:]


# -- Critical options --

ROWS = [pytest.param(number, row, id=f"{number} {row.name}") for number, row in reference.OPTIONS.items()]


def critical_of(*options) -> int:
    """What a GET with these options has in `critical`."""
    return Message.parse(request(options=options).encode()).critical


@pytest.mark.parametrize(("number", "row"), ROWS)
def test_option_length_limits_at_both_ends(number, row):
    """Section 5.4.3 and the table of 5.10: outside its lengths an option counts as unknown."""
    refused = number if number % 2 else 0
    inside = 0 if row.supported else refused
    assert critical_of((number, bytes(row.shortest))) == inside
    assert critical_of((number, bytes(row.longest))) == inside
    assert critical_of((number, bytes(row.longest + 1))) == refused
    if row.shortest:
        assert critical_of((number, bytes(row.shortest - 1))) == refused


@pytest.mark.parametrize(("number", "row"), ROWS)
def test_option_that_may_stand_once_counts_as_unknown_when_repeated(number, row):
    """Section 5.4.5: each supernumerary occurrence is treated like an unrecognized option."""
    value = bytes(row.shortest)
    repeated = critical_of((number, value), (number, value))
    assert repeated == (number if number % 2 and not (row.repeatable and row.supported) else 0)


def test_options_we_cannot_process_are_named():
    """OSCORE, Q-Block1 and Q-Block2 are critical and not ours; a proxy option is known, if only to refuse."""
    processed = {number for number in range(1, 66, 2) if critical_of((number, b"\0")) == 0}
    assert processed == {1, 3, 7, 11, 15, 17, 23, 27, 35, 39}  # 5 too, but without a value


@pytest.mark.parametrize("number", [0, 2, 10, 18, 30, 62, 64, 66, 2048, 65534])
def test_unknown_elective_option_is_ignored(number):
    """Section 5.4.1: even numbers may be skipped by whoever does not know them."""
    assert critical_of((number, b"x"), (number, b"y")) == 0


@pytest.mark.parametrize("number", [13, 63, 65, 67, 75, 87, 257, 2049, 65535])
def test_unknown_critical_option_is_named(number):
    """Section 5.4.1: odd ones may not. 67, 75 and 87 are 64 above known ones: no bit is taken for another."""
    assert critical_of((number, b"x")) == number


def test_the_first_critical_option_is_the_one_named():
    """The answer 4.02 names one option; the first is as good as any, and both codecs must choose it."""
    assert critical_of((9, b""), (31, b"")) == 9
    assert critical_of((11, bytes(256)), (9, b"")) == 9
    assert critical_of((23, bytes(4)), (31, b"")) == 23


def test_critical_is_no_part_of_the_value():
    """`critical` is a judgement about a received message, so equality does not look at it."""
    built = request(options=[(9, b"")])
    parsed = Message.parse(built.encode())
    assert (built.critical, parsed.critical) == (0, 9)
    assert built == parsed


# -- Payload --


@pytest.mark.parametrize("options", ["FF", "B1 70 FF", "00 FF"])
def test_payload_marker_without_payload_is_refused(options):
    """Section 3: "MUST be processed as a message format error"."""
    error = refusal(bytes.fromhex("41017D34 AA" + options))
    assert (error.type, error.message_id, error.token) == (CON, 0x7D34, b"\xaa")


@pytest.mark.parametrize("payload", [b"\xff", b"\x00", b"\xff\xff", bytes(1024)])
def test_everything_behind_the_first_marker_is_payload(payload):
    """Section 3: the payload runs to the end of the datagram, further FF bytes included."""
    data = bytes.fromhex("40457D34 FF") + payload
    assert Message.parse(data).payload == payload
    assert request(code=CONTENT, payload=payload).encode() == data


def test_marker_byte_inside_an_option_is_a_value():
    """The marker is looked for where an option could begin, and nowhere else."""
    message = Message.parse(bytes.fromhex("40017D34 B2 FFFF"))
    assert (message.options, message.payload) == (((11, b"\xff\xff"),), b"")


# -- Values --


@pytest.mark.parametrize(
    "fields",
    [{"type": -1}, {"type": 4}, {"type": 256}, {"code": -1}, {"code": 256}, {"message_id": -1},
     {"message_id": 65536}, {"message_id": 2**32}],
)  # fmt: skip
def test_fields_out_of_range_are_refused(fields):
    """No field is cut to its bits in silence."""
    with pytest.raises(MessageFormatError):
        request(**fields)


@pytest.mark.parametrize(
    "fields", [{"token": "text"}, {"token": None}, {"payload": "text"}, {"payload": None}]
)
def test_token_and_payload_are_bytes(fields):
    """Text must be encoded by who knows how."""
    with pytest.raises(TypeError):
        request(**fields)


def test_format_error_is_one_of_ours():
    """One tree of exceptions; ValueError for those who do not know it."""
    assert isinstance(refusal(b""), HeadgateError)
    assert isinstance(refusal(b""), ValueError)


def test_messages_are_values():
    """Equal, hashed and printed by their fields; they do not change."""
    one, same = request(token=b"\1", options=[(11, b"p")]), request(token=b"\1", options=[(11, b"p")])
    assert one == same
    assert hash(one) == hash(same)
    assert one != request(token=b"\2", options=[(11, b"p")])
    assert one != one.encode()
    assert eval(repr(one), {"Message": Message}) == one
    with pytest.raises(AttributeError):
        one.code = 2


def test_parsed_message_owns_its_bytes():
    """The datagram's buffer is used again for the next one; a message keeps nothing of it."""
    buffer = bytearray.fromhex("42017D34 AABB B1 70 FF 61")
    message = Message.parse(buffer)
    buffer[:] = bytes(len(buffer))
    assert message == request(token=b"\xaa\xbb", options=[(11, b"p")], payload=b"a")


# -- Against the reference --

LENGTHS = sorted(
    {
        *EXTENDED,
        *(n + d for row in reference.OPTIONS.values() for n in (row.shortest, row.longest) for d in (0, 1)),
    }
)
numbers = st.sampled_from([*reference.OPTIONS]) | st.integers(0, 70) | st.integers(0, 65535)
values = st.binary(max_size=9) | st.sampled_from(LENGTHS).map(
    lambda length: bytes(i & 0xFF for i in range(length))
)
options = st.lists(st.tuples(numbers, values), max_size=8).map(tuple)
tokens = st.binary(max_size=8) | st.sampled_from(TOKEN_LENGTHS).map(lambda length: bytes(range(length)))
codes = st.sampled_from([0x01, 0x02, 0x03, 0x05, 0x44, 0x45, 0x5F, 0x84]) | st.integers(1, 255).filter(
    lambda code: code >> 5 not in (1, 6, 7)
)
message_ids = st.integers(0, 0xFFFF)
full_messages = st.builds(
    reference.Message,
    type=st.sampled_from([CON, NON, ACK]),
    code=codes,
    message_id=message_ids,
    token=tokens,
    options=options,
    payload=st.binary(max_size=40),
)
empty_messages = st.builds(
    reference.Message, type=st.sampled_from([CON, NON, ACK, RST]), code=st.just(0), message_id=message_ids
)
messages = full_messages | empty_messages


@st.composite
def damaged(draw) -> bytes:
    """A valid datagram with a few bytes changed, cut away, doubled or put in."""
    data = bytearray(reference.encode(draw(messages)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "cut", "remove", "insert", "double"])):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "remove":
                del data[at : at + draw(st.integers(1, 4))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 8))]
            case _:
                data[at:at] = draw(st.binary(min_size=1, max_size=3) | st.just(b"\xff"))
    return bytes(data)


whole_headers = st.builds(
    lambda first, rest: bytes([first]) + rest, st.integers(0x40, 0x7F), st.binary(max_size=60)
)


@given(message=messages)
def test_encode_agrees_with_the_reference_and_parses_back(message):
    """One encoding for each message, and nothing lost on the way back but the order of the options."""
    ours = Message(
        type=message.type,
        code=message.code,
        message_id=message.message_id,
        token=message.token,
        options=message.options,
        payload=message.payload,
    )
    data = ours.encode()
    assert data == reference.encode(message)
    parsed = Message.parse(data)
    assert parsed.options == tuple(sorted(message.options, key=lambda option: option[0]))
    assert parsed == Message.parse(parsed.encode())
    if message.options == parsed.options:
        assert parsed == ours


@given(message=messages)
def test_valid_messages_are_judged_as_by_the_reference(message):
    """Every field, and `critical`."""
    data = reference.encode(message)
    assert our_verdict(data) == reference_verdict(data)


@given(data=st.binary(max_size=80) | whole_headers)
@example(data=b"")
@example(data=b"\x40\x01\x7d\x34\xff")
def test_any_bytes_are_judged_as_by_the_reference(data):
    """The same message, or the same refusal with the same type, message id, token and reply."""
    assert our_verdict(data) == reference_verdict(data)


@given(data=damaged())
def test_damaged_messages_are_judged_as_by_the_reference(data):
    """Near misses find what random bytes do not."""
    assert our_verdict(data) == reference_verdict(data)


# A token with a length byte; options whose delta and length are each in the nibble, in one byte, in two.
EVERY_FORM = reference.encode(
    reference.Message(
        type=CON,
        code=GET,
        message_id=0x7D34,
        token=bytes(range(20)),
        options=tuple(
            (number, bytes([number & 0xFF]) * length)
            for number, length in zip(
                accumulate([1, 1, 1, 100, 100, 100, 300, 300, 300]), [1, 20, 300] * 3, strict=True
            )
        ),
        payload=b"payload",
    )
)


def test_nothing_is_read_past_the_end():
    """A datagram lies in a larger buffer. Whatever follows it there, it is judged by its own bytes.

    Every beginning of a message that uses each form of token, delta and length, followed by its own rest,
    by zeros, by markers and by bytes that would be options.
    """
    for end in range(len(EVERY_FORM) + 1):
        for beyond in (EVERY_FORM[end:], bytes(400), b"\xff" * 400, b"\x11\x00" * 200):
            datagram = memoryview(EVERY_FORM[:end] + beyond)[:end]
            assert our_verdict(datagram) == reference_verdict(EVERY_FORM[:end]), end


@given(data=damaged() | whole_headers | messages.map(reference.encode))
def test_parsed_messages_come_round(data):
    """What was parsed can be written, in no more bytes, and is then parsed as the same."""
    try:
        message = Message.parse(data)
    except MessageFormatError:
        return
    again = message.encode()
    assert len(again) <= len(data)
    assert our_verdict(again) == our_verdict(data)


def well_formed(message: reference.Message, number: int) -> list[bytes]:
    """Values of an option that can be processed: one of wrong length is not there (section 5.4.3), and of
    an option that may stand once the first is taken (section 5.4.5).
    """
    row = reference.OPTIONS[number]
    found = [value for other, value in message.options if other == number]
    found = [value for value in found if row.shortest <= len(value) <= row.longest]
    return found if row.repeatable else found[:1]


KEPT = [1, 3, 4, 5, 7, 11, 15, 17, 23, 27, 28, 35, 39]  # the options that the view has a bit for
kept_options = st.lists(st.tuples(st.sampled_from(KEPT), st.binary(max_size=4) | values), max_size=8).map(
    lambda pairs: tuple(sorted(pairs, key=lambda option: option[0]))
)


@given(options=kept_options)
def test_view_holds_what_the_edge_acts_upon(options):
    """The view of the hot path: which options are there, and the values of path, blocks and Accept."""
    message = reference.Message(type=CON, code=GET, message_id=1, options=options)
    view = _py_message_view(reference.encode(message))
    paths = well_formed(message, 11)
    assert view["seen"] == {number for number in KEPT if well_formed(message, number)}
    assert view["path"] == (paths[0] if paths else None)
    assert view["path_count"] == len(paths)
    for name, number in (("block1", 27), ("block2", 23)):
        values = well_formed(message, number)
        assert view[name] == (reference_block.fields(values[0]) if values else None)
    accepts = well_formed(message, 17)
    assert view["accept"] == (int.from_bytes(accepts[0], "big") if accepts else None)
