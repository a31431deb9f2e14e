"""What an Exchange counts, in all its files."""

from __future__ import annotations

COUNTED = (
    "received",
    # Messages taken.
    "requests",
    "notifications",
    "pings",
    # Copies, by what they are copies of.
    "repeated",
    "repeated while handled",
    "response repeated",
    "acknowledgement repeated",
    "message id used again",
    # Messages that nobody waits for.
    "notification unmatched",
    "response unmatched",
    "acknowledgement unmatched",
    "reset unmatched",
    # Messages that are wrong.
    "format error",
    "format error in CON",
    "bad option in response",
    "bad option in NON request",
    "refused by 4.00",
    "refused by 4.02",
    "refused by 4.05",
    "refused by 4.08",
    "refused by 4.13",
    "refused by 5.05",
    # What we did besides answering.
    "retransmitted",
    "waited for a message id",
    "notification superseded",
    "forgotten early",
    "upload abandoned",
    "upload dropped early",
)
