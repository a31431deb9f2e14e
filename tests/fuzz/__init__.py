"""Fuzzing of the compiled rooms; see README.md beside this file."""
