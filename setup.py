"""Compiles ext/headgate/<room>/<name>.pyx into headgate.<room>.<name>.

HEADGATE_BUILD selects how: `release` (the default), `debug` (C assertions live, no optimisation
that hides them), `sanitize` (address and undefined-behaviour sanitizers; see `make sanitize`), `fuzz` (the
same by clang, with the coverage that libFuzzer steers by; see `make fuzz`) or `none` (nothing is compiled:
the Makefile installs the package's names alone, and compiles in place by itself).
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# A finding of either sanitizer ends the process: nothing runs on after it, no test passes over it.
# CPython's own flags have -fwrapv, which makes overflow defined, and so no finding; ours must do without.
SANITIZE = [
    "-O1",
    "-g",
    "-UNDEBUG",
    "-fno-omit-frame-pointer",
    "-fno-wrapv",
    "-fno-sanitize-recover=undefined",
]
BUILDS = {
    "release": (["-O3", "-DNDEBUG"], []),
    "debug": (["-Og", "-g", "-UNDEBUG"], []),
    "sanitize": ([*SANITIZE, "-fsanitize=address,undefined"], ["-fsanitize=address,undefined"]),
    # What `make fuzz` runs under libFuzzer; needs clang (CC=clang).
    "fuzz": (
        [
            *SANITIZE,
            "-fsanitize=fuzzer-no-link,address,undefined",
            "-fsanitize-ignorelist=tests/fuzz/ignorelist.txt",
        ],
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

SOURCES = {
    ".".join(source.relative_to("ext").with_suffix("").parts): source
    for source in sorted(Path("ext/headgate").glob("*/*.pyx"))
}
if BUILD == "fuzz":  # the harness, which no other build knows
    SOURCES["harness"] = Path("tests/fuzz/harness.pyx")

extensions = [
    Extension(
        name,
        [str(source)],
        extra_compile_args=["-std=gnu11", "-Wall", "-Wno-unused-function", *COMPILE],
        extra_link_args=LINK,
        libraries=["pthread"],
        depends=["setup.py"],  # whose flags are in every object
    )
    for name, source in SOURCES.items()
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
