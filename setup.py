"""Compiles ext/headgate/<room>/<name>.pyx into headgate.<room>.<name>.

HEADGATE_BUILD selects how: `release` (the default), `debug` (C assertions live, no optimisation
that hides them), `sanitize` (address and undefined-behaviour sanitizers; see `make sanitize`) or `none`
(nothing is compiled: the Makefile installs the package's names alone, and compiles in place by itself).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

BUILDS = {
    "release": (["-O3", "-DNDEBUG"], []),
    "debug": (["-Og", "-g", "-UNDEBUG"], []),
    "sanitize": (
        ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=address,undefined"],
        ["-fsanitize=address,undefined"],
    ),
    # What `make fuzz` links against libFuzzer; needs clang (CC=clang).
    "fuzz": (
        ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer", "-fsanitize=fuzzer-no-link,address,undefined"],
        ["-fsanitize=address,undefined", "-shared-libsan"],
    ),
}
BUILD = os.environ.get("HEADGATE_BUILD", "release")
if BUILD not in BUILDS | {"none": ()}:
    raise SystemExit(f"HEADGATE_BUILD={BUILD!r} is not one of {', '.join(BUILDS)}")
COMPILE, LINK = BUILDS.get(BUILD, ([], []))

# The directives are set here, once. A file that departs from them says why on its first line.
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}

extensions = [
    Extension(
        ".".join(source.relative_to("ext").with_suffix("").parts),
        [str(source)],
        extra_compile_args=["-std=gnu11", "-Wall", "-Wno-unused-function", *COMPILE],
        extra_link_args=LINK,
        libraries=["pthread"],
    )
    for source in sorted(Path("ext/headgate").glob("*/*.pyx"))
]
CORES = os.cpu_count() or 1

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["ext"],
        build_dir=f"build/{BUILD}/cython",
        compiler_directives=DIRECTIVES,
        nthreads=CORES,
        quiet=True,
    )
    if BUILD != "none"
    else [],
    options={"build_ext": {"parallel": CORES}},
)
