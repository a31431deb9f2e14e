"""Measurements: one file per question, ratios to the bare socket in the same run. `python -m bench`."""
