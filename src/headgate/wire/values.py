"""The values of LwM2M resources, one representation for all content formats. LwM2M 1.1 core, appendix C.

    data type           here            data type       here
    String, Corelnk     str             Opaque          bytes
    Integer, Unsigned   int             Time            Time
    Float               float           Objlnk          ObjectLink
    Boolean             bool

Some formats name the type of each value (SenML), some do not (TLV, text). A caller who knows it says so; see
`TypeLookup`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import isfinite

from headgate.errors import FormatError

ID_MAX = 0xFFFF  # object, instance, resource and resource instance IDs have 16 bits
INTEGER_MIN = -(1 << 63)
INTEGER_MAX = (1 << 63) - 1
UNSIGNED_MAX = (1 << 64) - 1
ITEMS_MAX = 4096  # values, records or TLVs in one payload; an object 4 or 5 has about 20


class DataType(Enum):
    """What the definition of a resource says its values are. LwM2M 1.1 core, appendix C."""

    STRING = "String"
    INTEGER = "Integer"
    UNSIGNED = "Unsigned Integer"
    FLOAT = "Float"
    BOOLEAN = "Boolean"
    OPAQUE = "Opaque"
    TIME = "Time"
    OBJLNK = "Objlnk"
    CORELNK = "Corelnk"


@dataclass(frozen=True, slots=True)
class Time:
    """A Time value: whole seconds since 1970-01-01T00:00Z."""

    unix_s: int


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """An Objlnk value: a reference to an object instance; 65535:65535 refers to none.

    >>> str(ObjectLink(66, 0))
    '66:0'
    >>> ObjectLink.parse("66:0")
    ObjectLink(object=66, instance=0)
    """

    object: int
    instance: int

    @staticmethod
    def parse(text: str) -> ObjectLink:
        """The link that `text` writes as two decimal IDs with a colon between them."""
        found = OBJECT_LINK.fullmatch(text)
        link = ObjectLink(int(found[1]), int(found[2])) if found is not None else None
        if link is None or not link.possible:
            raise FormatError(f"an object link is two IDs like 3:0, not {text[:24]!r}")
        return link

    @property
    def possible(self) -> bool:
        """Whether both IDs are numbers of 16 bits."""
        return all(type(each) is int and 0 <= each <= ID_MAX for each in (self.object, self.instance))

    def __str__(self) -> str:
        return f"{self.object}:{self.instance}"


OBJECT_LINK = re.compile(r"([0-9]{1,5}):([0-9]{1,5})", re.ASCII)

Value = int | float | bool | str | bytes | Time | ObjectLink

# The data type of resource `resource` of object `object`, None where the caller does not know.
TypeLookup = Callable[[int, int], DataType | None]


def untyped(object: int, resource: int) -> DataType | None:
    """A lookup that knows no resource: values stay what their format makes of them."""
    return None


def check(value: Value) -> Value:
    """`value`, if it is one that some format can carry: 64 bits, finite, no lone surrogate.

    Raises FormatError. Subclasses (IntEnum, str enums) are refused: what is decoded is never one.
    """
    if type(value) is int:
        if not INTEGER_MIN <= value <= UNSIGNED_MAX:
            raise FormatError(f"an integer has at most 64 bits, not {value.bit_length()}")
    elif type(value) is str:
        if not value.isascii():
            check_text(value)
    elif type(value) is float:
        if not isfinite(value):
            raise FormatError(f"a float is finite, not {value}")
    elif type(value) is Time:
        if type(value.unix_s) is not int or not INTEGER_MIN <= value.unix_s <= INTEGER_MAX:
            raise FormatError(f"a time is a whole number of 64 bits, not {str(value.unix_s)[:24]}")
    elif type(value) is ObjectLink:
        if not value.possible:
            raise FormatError(f"the IDs of an object link have 16 bits, not {value}")
    elif type(value) is not bytes and type(value) is not bool:
        raise FormatError(f"a {type(value).__name__} is not the value of a resource")
    return value


def check_text(value: str) -> None:
    """Refuses what UTF-8 cannot write: JSON can spell half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise FormatError(f"character {error.start} of a string is half of a surrogate pair") from None


def typed(value: Value, wanted: DataType | None) -> Value:
    """`value` as `wanted` has it: JSON's 5.0 as the integer 5, a number as Time, "3:0" as ObjectLink.

    Raises FormatError where the value is another kind of thing. With None it is only checked.

    >>> typed(1638435000.0, DataType.TIME)
    Time(unix_s=1638435000)
    """
    if wanted is None:
        return check(value)
    if type(value) is float and wanted in WHOLE and value.is_integer():
        value = int(value)
    if type(value) is int:
        if wanted is DataType.TIME:
            value = Time(value)
        elif wanted is DataType.FLOAT:
            value = float(check(value))  # type: ignore[arg-type]
        elif wanted is DataType.INTEGER and value > INTEGER_MAX:
            raise FormatError(f"an Integer has 63 bits and a sign, not {value}")
        elif wanted is DataType.UNSIGNED and value < 0:
            raise FormatError(f"an Unsigned Integer is not negative, {value} is")
    elif type(value) is str and wanted is DataType.OBJLNK:
        value = ObjectLink.parse(value)
    if type(value) is not PYTHON_TYPES[wanted]:
        raise FormatError(f"{wanted.value} wanted, not {type(value).__name__} {str(value)[:24]!r}")
    return check(value)


WHOLE = (DataType.INTEGER, DataType.UNSIGNED, DataType.TIME)
PYTHON_TYPES: dict[DataType, type] = {
    DataType.STRING: str,
    DataType.INTEGER: int,
    DataType.UNSIGNED: int,
    DataType.FLOAT: float,
    DataType.BOOLEAN: bool,
    DataType.OPAQUE: bytes,
    DataType.TIME: Time,
    DataType.OBJLNK: ObjectLink,
    DataType.CORELNK: str,
}


def utf8(data: bytes) -> str:
    """The string that `data` writes in UTF-8. Raises FormatError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"not UTF-8 from byte {error.start} on") from None


def base64_read(text: str) -> bytes:
    r"""The bytes of a base64 string: either alphabet, padded or not, since clients mix them up.

    >>> base64_read("__4") == base64_read("//4=") == b"\xff\xfe"
    True
    """
    padded = text if "=" in text else text + "=" * (-len(text) % 4)
    try:
        if len(padded) % 4:
            raise ValueError
        return b64decode(padded.translate(FROM_URL_ALPHABET), validate=True)
    except ValueError:  # binascii.Error is one; so is the refusal of other characters than ASCII
        raise FormatError(f"not base64: {text[:24]!r}") from None


FROM_URL_ALPHABET = str.maketrans("-_", "+/")


def base64_write(data: bytes) -> str:
    """`data` in base64 with padding: text and the JSON of LwM2M 1.0. RFC 4648 section 4."""
    return b64encode(data).decode()


def base64url_write(data: bytes) -> str:
    """`data` in the URL-safe alphabet without padding: `vd` of SenML JSON. RFC 8428 section 5."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()
