"""Slow codecs, written straight from the standards. They import nothing of Headgate."""
