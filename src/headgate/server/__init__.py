"""The one process: builds the rooms, and holds the one loop between them.

server       the one way in
status       how campaigns, tasks and the server stand
house        the rooms, built once and restored
pump         receive, store, then act
campaigns    made, edited, and tried again by hand
packages     files of the store, and what is said of them
downloads    packages, granted to devices by the edge
followers    who is told what happened
rooms        from settings to the values that the rooms take
desk         what the API is given of the server
http         the API on the server's loop
directory    the data directory: one server at a time, the secret of the URIs
clock        the one clock, seconds since the epoch and never back
logs         what the server says of itself
"""

from __future__ import annotations

from headgate.config import Config
from headgate.server.followers import Event, Follower
from headgate.server.packages import StoredPackage
from headgate.server.server import Server
from headgate.server.status import CampaignStatus, ServerStats, TaskStatus

__all__ = [
    "CampaignStatus",
    "Config",
    "Event",
    "Follower",
    "Server",
    "ServerStats",
    "StoredPackage",
    "TaskStatus",
]
