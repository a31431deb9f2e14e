"""`python -m fuzz TARGET [libFuzzer options and folders]`: what run.sh starts, in the right surroundings."""

from __future__ import annotations

import os
import shlex
import sys

import harness  # compiled by run.sh

from fuzz.served import served

if __name__ == "__main__":
    target, *arguments = sys.argv[1:]
    # libFuzzer starts itself again (-merge, -fork) by handing its first argument to a shell.
    itself = shlex.join([sys.executable, "-m", "fuzz", target])
    harness.run(target, [os.fsencode(argument) for argument in (itself, *arguments)], *served())
