"""A process that commits is killed at any instant: what it was told to be stored is there, and nothing half.

Invariants 1 and 2 of database.py. CRASHES=200 tries harder.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from headgate.store.database import Database
from headgate.store.tables import commits, effects, events, tasks
from store_process import CAMPAIGN, TASKS

CRASHES = int(os.environ.get("CRASHES") or 8)
COMMITTER = Path(__file__).parent.parent / "store_process.py"


def killed(url: str, chance: random.Random) -> int:
    """The number of the last batch that a process said to be stored, before it was killed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, COMMITTER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        said = [process.stdout.readline() for _ in range(chance.randrange(1, 60))]
        for _ in range(chance.randrange(20_000)):  # to be somewhere in the commit that follows
            pass
        process.kill()
        said += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL, "the process ended by itself"
    return int(said[-1])


def test_killed_while_it_commits(url):
    """Every commit that returned is there, the one under way is there as a whole or not at all."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    Database.open(url).close()
    for _ in range(CRASHES):
        acknowledged = killed(url, chance)
        database = Database.open(url)
        stored = database.counters(CAMPAIGN).get("batches", 0)
        assert acknowledged <= stored
        assert database.rows(commits, limit=2) == [{"id": 1, "number": stored}]
        assert [row["step"] for row in database.rows(events, limit=10_000)] == list(range(1, stored + 1))
        assert [row["id"] for row in database.rows(effects, limit=10)] == [stored]
        assert database.counted(tasks, "state") == {str(stored): TASKS}
        database.close()
