"""A process that commits one batch after the other and says so, until it is killed. See test_crash.py.

Each batch holds a change of every kind, all of which tell its number: the database shows whether one is half.
"""

from __future__ import annotations

import sys

from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import effects, events, tasks
from rows import effect, event, task

TASKS = 50
CAMPAIGN = "c"


def batch_of(number: int) -> Batch:
    """The batch of that number, 1 being the first."""
    batch = Batch()
    for each in range(TASKS):
        batch.put(tasks, task(each, CAMPAIGN, state=str(number)))
    batch.append(events, event(number, step=number))
    batch.put(effects, effect(number))
    batch.delete(effects, (number - 1,))
    batch.add((CAMPAIGN, "batches"), 1)
    return batch


def main() -> None:
    """Go on where an earlier process was killed."""
    database = Database.open(sys.argv[1])
    number = database.counters(CAMPAIGN).get("batches", 0)
    print(number, flush=True)
    while True:
        number += 1
        database.commit(batch_of(number))
        print(number, flush=True)


if __name__ == "__main__":
    main()
