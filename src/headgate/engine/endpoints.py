"""How the peers of an Exchange are named: by the caller, in values of any kind; equal values are one peer."""

from __future__ import annotations

from collections.abc import Hashable

Remote = Hashable
"""Where a datagram comes from and goes to: an endpoint of RFC 7252 section 1.2."""

Device = Hashable
"""Whom a request is for, wherever it is now: e.g. a registration id. Message ids and turns go by it."""

MessageKey = tuple[Remote, int]
"""Who sent or shall receive a message, and its message id."""
