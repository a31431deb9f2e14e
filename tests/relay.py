"""Stands between a client and a server on Unix sockets, and cuts their connection when it is told to."""

from __future__ import annotations

import selectors
import socket
import threading
from pathlib import Path

BOUND_S = 30.0


class Relay:
    """Passes bytes both ways until a word comes from a client; then that connection is cut, once.

    Either the server gets the word and does what it asks, but the client hears nothing of it; or the server
    does not get it.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self._target = str(target)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._word: bytes | None = None
        self._passes = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._clients: set[socket.socket] = set()
        self._awake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for each in (self._listener, self._awake):
            self._selector.register(each, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut_at(self, word: bytes, *, passes: bool) -> None:
        """Cut when the word comes from a client; `passes`: the server gets it, and the client no answer."""
        self._passes = passes
        self._word = word

    def close(self) -> None:
        """Cut everything."""
        self._waker.close()
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with self._awake, self._listener, self._selector:
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._awake:
                        for end in list(self._clients):
                            self._cut(end)
                        return
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:  # else it was cut just now
                        self._pass(key.fileobj)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.settimeout(BOUND_S)
        server.connect(self._target)
        self._clients.add(client)
        for end, peer in ((client, server), (server, client)):
            self._peers[end] = peer
            self._selector.register(end, selectors.EVENT_READ)

    def _pass(self, end: socket.socket) -> None:
        peer = self._peers[end]
        try:
            data = end.recv(65536)
            if end in self._clients and self._word is not None and self._word in data:
                self._word = None
                if self._passes:
                    peer.sendall(data)
                    peer.recv(65536)  # the server has done it
                data = b""
            if data:
                peer.sendall(data)
        except OSError:  # one side is gone
            data = b""
        if not data:
            self._cut(end)

    def _cut(self, end: socket.socket) -> None:
        for each in (end, self._peers[end]):
            self._selector.unregister(each)
            del self._peers[each]
            self._clients.discard(each)
            each.close()
