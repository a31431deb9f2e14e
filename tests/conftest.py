"""Shared by all rooms: how hard hypothesis looks."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A failure prints the blob that reproduces it. Builds differ in speed (sanitizers), so no deadline.
# Hypothesis would take the same examples each time where it sees CI; ours looks further with every run.
settings.register_profile("local", print_blob=True, deadline=None, derandomize=False)
settings.register_profile(
    "ci",
    print_blob=True,
    deadline=None,
    derandomize=False,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")
