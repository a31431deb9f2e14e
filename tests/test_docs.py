"""Examples in docstrings are run: those of compiled modules too, which pytest does not collect."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType

import pytest

import headgate

MODULES = [
    "headgate",
    *(
        found.name
        for found in pkgutil.walk_packages(headgate.__path__, "headgate.")
        if not found.name.endswith(".__main__")  # importing it runs it
    ),
]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """The docstrings of a module that hold examples."""
    return [test for test in doctest.DocTestFinder().find(module) if test.examples]


def report(module: ModuleType) -> str:
    """What doctest says of the examples of a module: nothing when all of them hold."""
    lines: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in examples(module):
        runner.run(test, out=lines.append)
    return "".join(lines)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name):
    """Every example in every docstring gives what it says."""
    assert report(importlib.import_module(name)) == ""


@pytest.mark.parametrize("name", ["headgate.wire.coap", "headgate.wire.block", "headgate.wire.crc"])
def test_examples_of_a_compiled_codec_are_found(name):
    """A codec's docstring holds a worked example, and compiling does not hide it."""
    module = importlib.import_module(name)
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES))
    assert examples(module)


def test_an_example_that_does_not_hold_is_reported():
    """The checker can fail."""
    module = ModuleType("wrong", ">>> 1 + 1\n3\n")
    assert "Expected:\n    3\nGot:\n    2\n" in report(module)
    assert report(ModuleType("right", ">>> 1 + 1\n2\n")) == ""
