"""Hot functions are white: no line of a `noexcept nogil` function calls into Python.

The compiler lets a nogil function take the GIL for a moment (`with gil`, a check it adds itself), and only
its annotation tells. So all sources are annotated, as by `make annotate`, and the score of each line is read.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from Cython.Build import cythonize
from Cython.Compiler.Annotate import AnnotationCCodeWriter
from setuptools import Extension

ROOT = Path(__file__).parent.parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "ext/headgate").rglob("*.pyx"))

Scores = dict[str, dict[int, int]]  # of a source file: of a line: how much Python it costs; 0 is white


def directives() -> dict[str, object]:
    """The compiler directives of setup.py, which cannot be imported: it builds."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="DIRECTIVES")], value=value):
                return ast.literal_eval(value)
    raise AssertionError("setup.py has no DIRECTIVES")


LINE = re.compile(r'<pre class="cython line score-(\d+)".*?<span class="[^"]*">(\d+)</span>')


def annotate(root: Path, sources: list[str], out: Path) -> Scores:
    """The scores of `sources`, given from `root` on, and of the .pxd files whose functions they use."""
    scores: Scores = {}
    save = AnnotationCCodeWriter.save_annotation

    def save_all(writer, source, target, coverage_xml=None):
        # Cython writes a page for the .pyx only; the inline functions of a .pxd are lines of their own file.
        for name in {source, *(name for name in writer.code if name and name.endswith(".pxd"))}:
            if not Path(name).resolve().is_relative_to(root):
                continue  # a .pxd of Cython itself
            page = out / "page.html"
            save(writer, name, str(page), coverage_xml)
            lines = scores.setdefault(Path(name).resolve().relative_to(root).as_posix(), {})
            for score, line in LINE.findall(page.read_text(encoding="utf-8")):
                lines[int(line)] = max(int(score), lines.get(int(line), 0))

    with (
        contextlib.chdir(root),
        mock.patch.object(AnnotationCCodeWriter, "save_annotation", save_all),
    ):
        cythonize(
            [
                Extension(".".join(Path(source).with_suffix("").parts).removeprefix("ext."), [source])
                for source in sources
            ],
            include_path=["ext"],
            build_dir=str(out),
            compiler_directives=directives(),
            annotate=True,
            force=True,
            quiet=True,
        )
    return scores


class Function(NamedTuple):
    """A hot function: its name, and its lines from head to end, counted from 1."""

    name: str
    lines: range


BEGINNING = re.compile(r"(?P<indent>[ \t]*)cp?def\b")
ENDING = re.compile(r"\bnoexcept[ \t]+nogil[ \t]*:")


def hot_functions(text: str) -> Iterator[Function]:
    """Each function with a body that is declared `noexcept nogil`; its head may run over several lines."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if BEGINNING.match(line):
            first = number
        if not ENDING.search(line.split("#")[0]):
            continue
        indent = BEGINNING.match(lines[first])["indent"]
        inside = re.compile(rf"{indent}[ \t]+\S|[ \t]*$|[ \t]*#")
        last = number
        while last + 1 < len(lines) and inside.match(lines[last + 1]):
            last += 1
        name = re.search(r"(\w+)\(", " ".join(lines[first : number + 1]))
        yield Function(name[1], range(first + 1, last + 2))


def yellow_lines(source: str, text: str, scores: Scores) -> list[str]:
    """The lines of hot functions that call into Python, as a person would look for them."""
    lines = text.split("\n")
    return [
        f"{source}:{number}: score {scores[source][number]} in {function.name}: {lines[number - 1].strip()}"
        for function in hot_functions(text)
        for number in function.lines
        if scores[source].get(number, 0) > 0
    ]


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> Scores:
    """Of every source in ext/."""
    return annotate(ROOT, MODULES, tmp_path_factory.mktemp("annotation"))


HOT_FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "ext/headgate").rglob("*.p[yx][xd]")
    if any(hot_functions(path.read_text(encoding="utf-8")))
)


@pytest.mark.parametrize("source", HOT_FILES)
def test_hot_functions_are_white(source, scores):
    """No line of a `noexcept nogil` function calls into Python."""
    assert yellow_lines(source, (ROOT / source).read_text(encoding="utf-8"), scores) == []


@pytest.mark.parametrize(
    ("source", "function"),
    [
        ("ext/headgate/wire/coap.pyx", "message_parse"),
        ("ext/headgate/wire/coap.pyx", "head_write"),  # its head runs over several lines
        ("ext/headgate/wire/coap.pxd", "option_next"),
        ("ext/headgate/wire/block.pyx", "block_slice"),
        ("ext/headgate/wire/block.pxd", "block_size"),
        ("ext/headgate/wire/crc.pyx", "check_code_update"),
    ],
)
def test_hot_functions_are_found(source, function):
    """A reader that sees no function finds no yellow line: some of each kind that we know."""
    text = (ROOT / source).read_text(encoding="utf-8")
    assert source in HOT_FILES
    assert function in {found.name for found in hot_functions(text)}


def test_a_face_is_not_white(scores):
    """A Python function costs something: scores are really read."""
    assert max(scores["ext/headgate/wire/coap.pyx"].values()) > 0


SNIPPET_PXD = """\
cdef int declared(int number) noexcept nogil

cdef inline int white(int number) noexcept nogil:
    return number + 1

cdef inline int yellow_inline(int number) noexcept nogil:
    with gil:
        return len(str(number))
"""
SNIPPET = """\
cdef class Holder:
    cdef int white_method(
        self,
        int number,  # a comment: with a colon
    ) noexcept nogil:
        # A comment, and then a line

        if number:
            return 1
        return 2

    cdef int yellow_method(self) noexcept nogil:
        with gil:
            print("taken")
        return 1

cdef int declared(int number) noexcept nogil:
    return white(number) + yellow_inline(number)

cdef int index(const int[:] numbers, int at) noexcept nogil:
    return numbers[at]

cdef int checked(const int[:] numbers, int at) except -1 nogil:
    return numbers[at]

def face(number):
    return declared(number) + index(number, 1) + checked(number, 1) + Holder().white_method(number)
"""


def test_a_yellow_line_is_named(tmp_path):
    """The checker can fail: taking the GIL in a hot function is found, in a .pyx, a method and a .pxd.

    A function that may raise is not hot, nor is the Python face.
    """
    (tmp_path / "snippet.pxd").write_text(SNIPPET_PXD)
    (tmp_path / "snippet.pyx").write_text(SNIPPET)
    scores = annotate(tmp_path, ["snippet.pyx"], tmp_path)
    found = yellow_lines("snippet.pyx", SNIPPET, scores)
    assert any(line.startswith("snippet.pyx:14: score ") for line in found)
    assert all(" in yellow_method: " in line for line in found)
    assert any('print("taken")' in line for line in found)
    found = yellow_lines("snippet.pxd", SNIPPET_PXD, scores)
    assert any(line.startswith("snippet.pxd:8: score ") for line in found)
    assert all(" in yellow_inline: " in line for line in found)


def test_the_extent_of_a_hot_function():
    """From its head to the next thing, comments and empty lines included; declarations have no body."""
    assert list(hot_functions(SNIPPET_PXD)) == [
        Function("white", range(3, 6)),
        Function("yellow_inline", range(6, 10)),
    ]
    assert list(hot_functions(SNIPPET)) == [
        Function("white_method", range(2, 12)),
        Function("yellow_method", range(12, 17)),
        Function("declared", range(17, 20)),
        Function("index", range(20, 23)),
    ]
