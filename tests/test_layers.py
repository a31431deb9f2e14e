"""The arrows of the house: which room may import or cimport which. None runs back.

The sources are read, not run: every import in src/headgate, wherever in the file it stands, and every import
and cimport in ext/headgate.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = {".py", ".pyi"}
CYTHON = {".pyx", ".pxd"}

# A room is a folder of the package, or a file at its root; `front` is what the package itself offers.
PARTS = {"__init__": "front"}

GROUND = {"model", "errors"}  # open to every room, importing nothing of ours
BELOW_SERVER = {"web", "upgrade", "lwm2m", "store", "edge", "transport", "engine", "wire"}

ARROWS: dict[str, set[str]] = {
    "model": set(),
    "errors": set(),
    "config": GROUND,
    "wire": GROUND,
    "engine": GROUND | {"wire"},
    "transport": GROUND | {"engine", "wire"},
    "lwm2m": GROUND | {"engine", "wire"},
    "store": GROUND,
    "upgrade": GROUND | {"lwm2m", "engine", "wire", "store"},
    "web": GROUND | {"upgrade", "store", "lwm2m"},
    "edge": GROUND | {"transport", "engine", "wire"},
    "fleet": GROUND | {"wire"},
    "server": GROUND | BELOW_SERVER | {"config"},
    "front": GROUND | {"edge", "server"},
    "cli": GROUND | BELOW_SERVER | {"config", "server", "fleet", "front"},
    "__main__": {"cli"},
}


class Import(NamedTuple):
    """One name that a file takes from elsewhere; `name` is None where the module itself is taken."""

    line: int
    module: str
    name: str | None

    @property
    def target(self) -> str | None:
        """The room that the import enters, None when it is not ours."""
        if self.module == "headgate":
            room = PARTS.get(self.name, self.name)
            return room if room in ARROWS else "front"
        if self.module.startswith("headgate."):
            part = self.module.split(".")[1]
            return PARTS.get(part, part)
        return None

    @property
    def private(self) -> str | None:
        """The first name with a leading underscore on the way, None when there is none."""
        path = [*self.module.split("."), *([self.name] if self.name else [])]
        return next((part for part in path if part.startswith("_") and not part.endswith("__")), None)


def absolute(module: str, package: str) -> str:
    """A module name without leading dots: each dot but the first goes up one package."""
    name = module.lstrip(".")
    level = len(module) - len(name)
    if level == 0:
        return module
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - level + 1], *([name] if name else [])])


def python_imports(text: str, package: str) -> Iterator[Import]:
    """Every import of a Python file: at the top, in functions, under `if TYPE_CHECKING`.

    A module imported by its name at run time counts too, where the name is written out.
    """
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name, None) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                source = absolute("." * level + (module or ""), package)
                yield from (Import(node.lineno, source, alias.name) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(module)), *_],
            ):
                yield Import(node.lineno, module, None)


STRING_OR_COMMENT = re.compile(r'""".*?"""|' + r"'''.*?'''|#[^\n]*", re.DOTALL)
FROM = re.compile(
    r"^[ \t]*from[ \t]+(?P<module>[\w.]+)[ \t]+c?import\b[ \t]*"
    r"(?:\((?P<list>[^)]*)\)|(?P<line>(?:\\\n|[^\n])*))",
    re.MULTILINE,
)
PLAIN = re.compile(r"^[ \t]*c?import[ \t]+(?P<list>[^\n]+)", re.MULTILINE)


def cython_imports(text: str, package: str) -> Iterator[Import]:
    """Every import and cimport of a .pyx or .pxd file; lists may run over several lines.

    What stands in triple quotes is prose, a doctest or C, and none of it an import.
    """
    text = STRING_OR_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in FROM.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        names = (found["list"] or found["line"] or "").replace("\\\n", " ").split(",")
        module = absolute(found["module"], package)
        yield from (Import(line, module, name.split()[0]) for name in names if name.strip())
    for found in PLAIN.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield from (Import(line, module.split()[0], None) for module in found["list"].split(","))


def imports(file: PurePosixPath, text: str) -> list[Import]:
    """All imports of a file whose path is given from the package on: `wire/coap.pyx`, `edge.py`."""
    package = ".".join(["headgate", *file.parent.parts])
    return list((cython_imports if file.suffix in CYTHON else python_imports)(text, package))


def room_of(file: PurePosixPath) -> str:
    """The room that a file belongs to."""
    return file.parts[0] if len(file.parts) > 1 else PARTS.get(file.stem, file.stem)


def offences(path: str, text: str) -> list[str]:
    """What the file imports against the rules, one line each."""
    file = PurePosixPath(path)
    room = room_of(file)
    if room not in ARROWS:
        return [f"{path}: the room {room!r} has no row in ARROWS"]
    itself = ".".join(["headgate", *file.with_suffix("").parts])
    found = []
    for each in imports(file, text):
        if each.target is None:
            continue
        if each.target not in ARROWS[room] | {room}:
            found.append(f"{path}:{each.line}: {room} must not import {each.target} ({each.module})")
        if each.private and each.module != itself:
            found.append(f"{path}:{each.line}: {each.private} is private to another file ({each.module})")
    return found


SOURCES = {
    f"{tree}/{path.relative_to(ROOT / tree / 'headgate').as_posix()}": path
    for tree, suffixes in (("src", PYTHON), ("ext", CYTHON))
    for path in sorted((ROOT / tree / "headgate").rglob("*"))
    if path.suffix in suffixes
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_arrow_runs_back(source):
    """A room imports only what lies below it, and only the fronts of other files."""
    assert offences(source.split("/", 1)[1], SOURCES[source].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "target"),
    [("src/wire/coap.pyi", None), ("ext/wire/coap.pyx", "errors"), ("ext/wire/coap.pxd", "wire")],
)
def test_the_sources_are_really_read(source, target):
    """A reader that sees no import finds no offence: here is one of each kind, with an arrow we know."""
    seen = imports(PurePosixPath(source.split("/", 1)[1]), SOURCES[source].read_text(encoding="utf-8"))
    assert target in {each.target for each in seen}


def test_arrows_have_no_circle():
    """Following arrows from any room never leads back to it."""

    def ahead(room: str) -> set[str]:
        return ARROWS[room].union(*map(ahead, ARROWS[room]))  # a circle ends in RecursionError

    assert all(room not in ahead(room) for room in ARROWS)


def test_only_server_and_command_line_read_the_configuration():
    """All other rooms are handed their bounds."""
    assert {room for room, targets in ARROWS.items() if "config" in targets} == {"server", "cli"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wire/coap.py", "import headgate.engine.responder"),
        ("wire/links.py", "from headgate.model import X\nfrom headgate.lwm2m import objects"),
        ("engine/exchange.py", "def f():\n    from headgate.transport.udp import Udp\n"),
        ("engine/exchange.py", "if TYPE_CHECKING:\n    import headgate.server\n"),
        ("engine/exchange.py", "try:\n    import os, headgate.cli as c\nexcept ImportError:\n    pass"),
        ("engine/exchange.py", "from headgate import transport"),
        ("engine/exchange.py", "from headgate import Edge"),
        ("engine/exchange.py", "from headgate import edge"),
        ("engine/exchange.py", "from .. import edge"),
        ("engine/exchange.py", "from ..transport.udp import Udp"),
        ("engine/exchange.py", "importlib.import_module('headgate.transport.udp')"),
        ("engine/exchange.py", "__import__('headgate.cli')"),
        ("engine/exchange.pyi", "from headgate.edge import Edge"),
        ("transport/udp.py", "from headgate.config import Settings"),
        ("transport/udp.py", "from headgate.lwm2m.server import Lwm2m"),
        ("lwm2m/server.py", "from headgate.upgrade.campaign import Campaign"),
        ("lwm2m/server.py", "from headgate.store import tables"),
        ("store/tables.py", "from headgate.wire.coap import Message"),
        ("upgrade/campaign.py", "from headgate.web import api"),
        ("upgrade/campaign.py", "from headgate.config import Bounds"),
        ("web/api.py", "from headgate.server import Server"),
        ("web/api.py", "from headgate.transport import udp"),
        ("edge.py", "from headgate.lwm2m import server"),
        ("events.py", "from headgate.server import Server"),
        ("server.py", "from headgate.cli import main"),
        ("server.py", "import headgate"),
        ("fleet/device.py", "from headgate.engine.exchange import Exchange"),
        ("model.py", "from headgate.errors import HeadgateError"),
        ("errors.py", "from headgate.model import Progress"),
        ("__init__.py", "from headgate.cli import main"),
        ("__main__.py", "from headgate.server import Server"),
        ("attic/old.py", "import os"),
        ("attic.py", "import os"),
        ("wire/coap.py", "from headgate.wire.block import _block"),
        ("wire/coap.py", "from headgate.wire import _tables"),
        ("wire/coap.py", "import headgate.wire._tables"),
        ("wire/coap.py", "from ._tables import TABLE"),
        ("wire/coap.pyx", "from headgate.engine.catalog cimport Catalog"),
        ("wire/coap.pxd", "cimport headgate.engine.catalog"),
        ("wire/coap.pyx", "from libc.stdint cimport uint8_t\nimport os, headgate.edge"),
        ("wire/coap.pyx", "def f():\n    from headgate.edge import Edge\n"),
        ("wire/coap.pyx", "cimport headgate.transport.socket as socket  # why not"),
        (
            "engine/responder.pyx",
            "from headgate.transport.socket cimport (\n    iovec,  # one )\n    mmsghdr\n)",
        ),
        ("engine/responder.pyx", "from headgate.wire.coap cimport (\n    GET, CON,\n    _hidden,\n)"),
        ("engine/responder.pyx", "from headgate.wire.coap cimport GET, \\\n    _hidden"),
        ("engine/responder.pyx", "from ..transport.socket cimport iovec"),
        ("engine/responder.pyx", "from headgate.transport cimport socket"),
    ],
)
def test_an_offence_is_refused(path, text):
    """The checker can fail: each of these runs back, is private, or has no room."""
    found = offences(path, text)
    assert found
    assert all(offence.startswith(path) for offence in found)


def test_an_offence_is_reported_with_its_line():
    """The line of the statement, comments and strings before it counted."""
    text = '"""One\ntwo."""\n# four\nfrom headgate.edge cimport Edge\n'
    assert offences("wire/coap.pyx", text) == ["wire/coap.pyx:4: wire must not import edge (headgate.edge)"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wire/coap.py", "from __future__ import annotations\nfrom headgate import errors, model"),
        ("wire/coap.py", "from headgate.wire import block\nfrom . import tlv\nfrom .tlv import parse"),
        ("wire/coap.py", '"""Explains.\n\nfrom headgate.server import Server\n"""'),
        ("wire/coap.py", "import headgatekeeper\nfrom os import _exit"),
        ("engine/exchange.py", "from headgate.wire.coap import Message\nfrom headgate import wire"),
        (
            "edge/edge.py",
            "from headgate.edge import snapshot\nfrom headgate.edge.events import DownloadEvent",
        ),
        ("server.py", "from headgate import config, edge\nfrom headgate.web.api import app"),
        ("cli.py", "from headgate import __version__\nfrom headgate.fleet import runner\nimport headgate"),
        ("__init__.py", "from headgate.edge import Edge\nfrom headgate.server import Server"),
        ("__main__.py", "from headgate.cli import main"),
        ("store/migrations/versions/one.py", "from headgate.store.tables import metadata"),
        ("engine/responder.pyx", '"""\n    >>> from headgate.edge import E\nfrom headgate import edge\n"""'),
        (
            "engine/responder.pyx",
            "# from headgate.edge cimport E\nfrom headgate.wire.coap cimport GET  # (_x",
        ),
        ("engine/responder.pyx", 'cdef extern from "headgate.h":\n    """\n    import headgate.cli\n    """'),
        ("fleet/echo.pyx", "from headgate.wire.coap cimport GET\nfrom headgate.fleet.downloader cimport D"),
        ("wire/coap.pxd", "from libc.stdint cimport (\n    uint8_t,\n)\nfrom cpython cimport _x"),
    ],
)
def test_what_is_allowed_passes(path, text):
    """The checker can be content: it takes neither prose nor other people's modules for ours."""
    assert offences(path, text) == []
