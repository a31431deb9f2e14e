"""A listener goes away in an unusual order."""

from __future__ import annotations

import gc
import socket

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from headgate.transport.listener import Listener


class Owner:
    """An application object that is part of a cycle, as an Edge with its callbacks is."""

    def __init__(self):
        self.held = None
        self.itself = self


@pytest.mark.parametrize("first", ["listener", "owner"])
def test_listener_is_collected_in_a_cycle(first):
    """The collector clears what it finds first; giving the reader back must not find the catalog gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        owner = Owner() if first == "owner" else None
        listener = Listener(udp.fileno(), Responder(Catalog(Ledger(1))))
        owner = owner or Owner()
        owner.held = listener
        del owner, listener
        assert gc.collect() >= 2
