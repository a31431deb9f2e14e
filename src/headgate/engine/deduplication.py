"""Messages seen before, and what we answered. RFC 7252 sections 4.2, 4.3 and 4.5.

Invariants

1. A message is known by its sender and message id. The sender is the endpoint; for what has the token of an
   observation it is the device that was asked for it, whose address may change from one copy to the next.
2. While a message is being handled, whatever comes under its id is its copy. Once it is answered, a copy has
   the same code, options and payload: a device that counts its ids from the same number after each reboot (a
   firmware upgrade ends with one) is heard, not answered with what we said before. The token may differ:
   some devices draw a new one for each retransmission.
3. Handles are remembered in the order of their arrival, all for the same time; the oldest is forgotten first.
   A forgotten handle still answers its message, but a copy of it is new.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from headgate.engine.bounds import Bounds
from headgate.engine.endpoints import MessageKey, Remote
from headgate.wire.block import Block

if TYPE_CHECKING:
    from headgate.engine.responses import Separate

FORGET_PER_MESSAGE = 4  # outdated handles that the arrival of one message may clear away


class Handle:
    """A CON or NON of a peer that we may answer. Opaque to the caller, who hands it back."""

    __slots__ = (
        "answer",
        "block1",
        "code",
        "confirmable",
        "content",
        "key",
        "message_id",
        "remembered_until_s",
        "remote",
        "responded",
        "separate",
        "token",
    )

    def __init__(
        self, key: MessageKey, remote: Remote, code: int, token: bytes, confirmable: bool, content: int
    ) -> None:
        self.key = key
        """Sender and message id: see invariant 1."""
        self.message_id = key[1]
        self.remote = remote
        """The endpoint that the message, or its last copy, came from: answers go there."""
        self.code = code
        self.token = token
        self.confirmable = confirmable
        self.content = content
        """Hash of what two copies have in common: code, options and payload."""
        self.answer: bytes | None = None
        """What a copy is answered with; None while the message is being handled."""
        self.responded = False
        """Whether a request has had its response, piggybacked or separate."""
        self.block1: Block | None = None
        """The block that ended the request's body; its response names it."""
        self.separate: Separate | None = None
        """The separate response or notification that is not acknowledged yet."""
        self.remembered_until_s = 0.0

    def __repr__(self) -> str:
        return f"<Handle {self.message_id:#06x} of {self.remote!r}>"


class Deduplication:
    """The messages of the last while, from all peers."""

    def __init__(self, bounds: Bounds, counts: dict[str, int]) -> None:
        self._bounds = bounds
        self._counts = counts
        self._handles: dict[MessageKey, Handle] = {}
        self._oldest: deque[Handle] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Handles kept."""
        return len(self._oldest)

    @property
    def answer_bytes(self) -> int:
        """Bytes of the answers kept with them."""
        return self._bytes

    def find(self, key: MessageKey, content: int, now: float) -> Handle | None:
        """The handle of an earlier copy of this message, if it is remembered."""
        handle = self._handles.get(key)
        if handle is None or handle.remembered_until_s <= now:
            return None
        if handle.content != content and handle.answer is not None:
            self._counts["message id used again"] += 1
            return None
        return handle

    def remember(self, handle: Handle, now: float) -> None:
        """Recognise copies of this message from now on."""
        oldest = self._oldest
        handle.remembered_until_s = now + self._bounds.remembered_s
        self._handles[handle.key] = handle
        oldest.append(handle)
        for _ in range(FORGET_PER_MESSAGE):
            if oldest[0].remembered_until_s > now:
                break
            self._forget_oldest()
        if len(oldest) > self._bounds.remembered_max:
            self._counts["forgotten early"] += 1
            self._forget_oldest()

    def store(self, handle: Handle, answer: bytes) -> None:
        """Answer copies of this message with `answer` from now on."""
        if handle.remembered_until_s > 0.0:
            self._bytes += len(answer) - (len(handle.answer) if handle.answer is not None else 0)
        handle.answer = answer
        while self._bytes > self._bounds.remembered_bytes_max:
            self._counts["forgotten early"] += 1
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        handle = self._oldest.popleft()
        if self._handles.get(handle.key) is handle:
            del self._handles[handle.key]
        if handle.answer is not None:
            self._bytes -= len(handle.answer)
        handle.remembered_until_s = 0.0
