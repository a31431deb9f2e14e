r"""The CoRE link format, Content-Format 40, and what a client registers with it.
RFC 6690; LwM2M 1.1 core, 6.2.

    link-list = link *( "," link )
    link      = "<" target ">" *( ";" attribute )
    attribute = name [ "=" ( token / quoted-string ) ]

A client registers what it has: objects, object instances, versions, the path it keeps them under.

    >>> registered = parse_objects(b'</lwm2m>;rt="oma.lwm2m";ct="60 110",</lwm2m/5>;ver=1.1,</lwm2m/5/0>')
    >>> registered.root, registered.content_formats, registered.instances(5), registered.version(5)
    (('lwm2m',), (60, 110), (0,), (1, 1))
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from headgate.errors import FormatError
from headgate.wire.resources import Path
from headgate.wire.values import ID_MAX, utf8

LINKS_MAX = 4096  # links of one payload
ATTRIBUTES_MAX = 32  # attributes of one link
ALTERNATE_ROOT = "oma.lwm2m"  # the resource type of the link to it
INSTANCE_DEPTH = 2


# -- RFC 6690 --


@dataclass(frozen=True, slots=True)
class Link:
    """A target and its attributes in their order; a flag attribute has no value."""

    target: str
    attributes: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """The value of the first attribute `name`, None where there is none."""
        return next((value for each, value in self.attributes if each == name), None)


TARGET = re.compile(r"\s*<([^<>]*)>\s*")
ATTRIBUTE = re.compile(
    r';\s*([^\s=;,"<>]+)\s*'  # the name
    r'(?:=\s*(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s;,"<>]+))\s*)?',  # a value with quotes, or without
    re.DOTALL,
)
QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
UNQUOTED = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)  # what all clients write without quotes: ct, sz, ver


def parse(text: str) -> tuple[Link, ...]:
    """The links of a list, in order. Raises FormatError.

    Spaces around separators are taken, and quotes or none around any value.

    >>> parse('</sensors>;ct=40;title="Sensors; all, of them",</o>;obs')[0].get("title")
    'Sensors; all, of them'
    """
    links: list[Link] = []
    at = 0
    while at < len(text):
        found = TARGET.match(text, at)
        if found is None:
            raise FormatError(f"a link <...> wanted at character {at}, not {text[at : at + 16]!r}")
        if len(links) == LINKS_MAX:
            raise FormatError(f"more than {LINKS_MAX} links")
        target = found[1]
        at = found.end()
        attributes: list[tuple[str, str | None]] = []
        while (found := ATTRIBUTE.match(text, at)) is not None:
            if len(attributes) == ATTRIBUTES_MAX:
                raise FormatError(f"a link with more than {ATTRIBUTES_MAX} attributes")
            name, quoted, token = found.groups()
            attributes.append((name, token if quoted is None else QUOTED_PAIR.sub(r"\1", quoted)))
            at = found.end()
        links.append(Link(target, tuple(attributes)))
        if at < len(text):
            if text[at] != ",":
                raise FormatError(
                    f"a comma or semicolon wanted at character {at}, not {text[at : at + 16]!r}"
                )
            at += 1
            if at == len(text):
                raise FormatError("a link wanted after the last comma")
    return tuple(links)


def write(links: Iterable[Link]) -> str:
    """The list of `links`; numbers without quotes, all other values with them.

    >>> write([Link("/", (("rt", "oma.lwm2m"), ("ct", "11543"))), Link("/1/0")])
    '</>;rt="oma.lwm2m";ct=11543,</1/0>'
    """
    return ",".join(
        f"<{link.target}>" + "".join(f";{name}{write_value(value)}" for name, value in link.attributes)
        for link in links
    )


def write_value(value: str | None) -> str:
    """What follows the name of an attribute."""
    if value is None:
        return ""
    if UNQUOTED.fullmatch(value) is not None:
        return f"={value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'="{escaped}"'


# -- What a client registers --


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredObjects:
    """The object links of a Register or Update. LwM2M 1.1 core, 6.2.1.

    What an object's version is where the client does not say, its reader knows: 1.0, or that of the enabler.
    """

    paths: tuple[Path, ...] = ()
    """Objects and object instances, sorted, each once."""
    root: tuple[str, ...] = ()
    """The Uri-Path segments before each path; none is usual."""
    versions: tuple[tuple[int, Version], ...] = ()
    """Of objects whose version the client says, in the order of their IDs."""
    content_formats: tuple[int, ...] = ()
    """What the client reads and writes beside what it must; empty where it does not say."""

    def has(self, object: int) -> bool:
        """Whether the client has the object, be it without instances."""
        return any(path[0] == object for path in self.paths)

    def instances(self, object: int) -> tuple[int, ...]:
        """The instance IDs of an object."""
        return tuple(path[1] for path in self.paths if len(path) == INSTANCE_DEPTH and path[0] == object)

    def version(self, object: int) -> Version | None:
        """The version of an object, None where the client does not say."""
        return next((version for each, version in self.versions if each == object), None)


Version = tuple[int, int]  # major, minor
VERSION = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})", re.ASCII)
ID = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
# As nearly all clients write it.
PLAIN = re.compile(r"/(0|[1-9][0-9]{0,4})(?:/(0|[1-9][0-9]{0,4}))?", re.ASCII)
CONTENT_FORMAT = re.compile(r"[0-9]{1,5}", re.ASCII)


def parse_objects(payload: bytes) -> RegisteredObjects:
    """What the object links of a registration say. Raises FormatError where they are no list of links.

    Ignored: links that are not paths of objects or instances below the root, attributes nobody knows,
    versions and formats that are not numbers, repetitions. Clients register such things and work.
    """
    links = parse(utf8(payload))
    root_link = next((link for link in links if is_root(link)), None) or next(
        (link for link in links if link.target in ("", "/")), None
    )
    root = segments(root_link.target) if root_link is not None else ()
    paths: set[Path] = set()
    versions: dict[Path, Version] = {}
    for link in links:
        path = object_path(link, root)
        if path is not None:
            paths.add(path)
            found = VERSION.fullmatch(link.get("ver") or "")
            if found is not None:
                versions.setdefault(path, (int(found[1]), int(found[2])))
    by_object: dict[int, Version] = {}
    for path in sorted(versions):  # an object comes before its instances
        by_object.setdefault(path[0], versions[path])
    return RegisteredObjects(
        paths=tuple(sorted(paths)),
        root=root,
        versions=tuple(by_object.items()),
        content_formats=content_formats(root_link),
    )


def is_root(link: Link) -> bool:
    """Whether the link says where the objects are."""
    return ALTERNATE_ROOT in (link.get("rt") or "").split()


def segments(target: str) -> tuple[str, ...]:
    """The Uri-Path segments of a target."""
    inner = target.strip("/")
    return tuple(utf8(unquote_to_bytes(segment)) for segment in inner.split("/")) if inner else ()


def object_path(link: Link, root: tuple[str, ...]) -> Path | None:
    """The object or object instance below `root` that the link is, if it is one."""
    plain = None if root else PLAIN.fullmatch(link.target)
    if plain is not None:
        ids = [int(each) for each in plain.groups() if each is not None]
        return Path(*ids) if max(ids) <= ID_MAX else None
    try:
        found = segments(link.target)
    except FormatError:
        return None
    below = found[len(root) :]
    if found[: len(root)] != root or not 1 <= len(below) <= INSTANCE_DEPTH:
        return None
    numbers = [int(each) for each in below if ID.fullmatch(each) is not None]
    return Path(*numbers) if len(numbers) == len(below) and max(numbers) <= ID_MAX else None


def content_formats(root_link: Link | None) -> tuple[int, ...]:
    """The numbers in the ct of the link to the root."""
    listed = (root_link.get("ct") or "").split() if root_link is not None else []
    return tuple(int(each) for each in listed if CONTENT_FORMAT.fullmatch(each) and int(each) <= ID_MAX)


def write_objects(registered: RegisteredObjects) -> bytes:
    """The object links that say it: the root where there is something to say of it, then all paths.

    >>> write_objects(RegisteredObjects(paths=(Path(1, 0), Path(5), Path(5, 0)), versions=((5, (1, 1)),)))
    b'</1/0>,</5>;ver=1.1,</5/0>'
    """
    prefix = "".join(f"/{quote(segment, safe='')}" for segment in registered.root)
    links = []
    if registered.root or registered.content_formats:
        formats = " ".join(map(str, registered.content_formats))
        links.append(Link(prefix or "/", (("rt", ALTERNATE_ROOT), *((("ct", formats),) if formats else ()))))
    said: set[int] = set()
    for path in registered.paths:
        version = None if path[0] in said else registered.version(path[0])
        said.add(path[0])
        attributes = (("ver", f"{version[0]}.{version[1]}"),) if version is not None else ()
        links.append(Link(f"{prefix}{path}", attributes))
    return write(links).encode()
