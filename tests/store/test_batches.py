"""Any sequence of changes in any division into batches does to the rows what a dictionary says."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import devices, events

ENDPOINTS = st.sampled_from(["a", "b", "c"])
TEXTS = st.one_of(st.none(), st.text(max_size=3).filter(lambda text: "\0" not in text))
LEARNED = st.fixed_dictionaries({}, optional={"version": TEXTS, "cell": TEXTS, "heard_s": st.floats(0, 1e10)})
NEW: dict[str, Any] = {
    "lwm2m_version": "",
    "binding": "",
    "queue_mode": False,
    "sms": None,
    "links": "",
    "address": None,
    "control": None,
    "heard_s": None,
    "formats": "",
    "version": None,
    "cell": None,
    "radio_class": None,
    "product": None,
    "group_name": None,
}


class Turns(RuleBasedStateMachine):
    """What was put, changed and deleted, in a dictionary and in a batch; now and then it is committed."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.database = Database.open(self.url)
        batch = Batch()
        for row in self.database.rows(devices, limit=10):
            batch.delete(devices, (row["endpoint"],))
        self.database.commit(batch)
        self.database.forget_events(before_s=1e12, keep=1_000_000, limit=1_000_000)
        self.batch = Batch()
        self.rows: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.total = self.database.counters("c").get("n", 0)

    @rule(endpoint=ENDPOINTS, lifetime_s=st.integers(-(2**63), 2**63 - 1), learned=LEARNED)
    def put(self, endpoint, lifetime_s, learned):
        """A device registers."""
        needed = {"endpoint": endpoint, "location": f"of {endpoint}", "registered_s": 1.0, "expires_s": 2.0}
        row = needed | {"lifetime_s": lifetime_s} | learned
        self.batch.put(devices, row)
        self.rows[endpoint] = NEW | self.rows.get(endpoint, {}) | row

    @rule(endpoint=ENDPOINTS, learned=LEARNED.filter(bool))
    def change(self, endpoint, learned):
        """Something is learned of a device."""
        self.batch.change(devices, {"endpoint": endpoint} | learned)
        if endpoint in self.rows:
            self.rows[endpoint] |= learned

    @rule(endpoint=ENDPOINTS)
    def delete(self, endpoint):
        """A device goes."""
        self.batch.delete(devices, (endpoint,))
        self.rows.pop(endpoint, None)

    @rule(what=st.sampled_from("xyz"), delta=st.integers(-5, 5))
    def append(self, what, delta):
        """Something happens, and is counted."""
        self.batch.append(events, {"at_s": 1.0, "endpoint": "e", "what": what})
        self.batch.add(("c", "n"), delta)
        self.log.append(what)
        self.total += delta

    @rule()
    def commit(self):
        """A turn ends."""
        self.database.commit(self.batch)
        self.batch = Batch()

    @invariant()
    def the_rows_are_those_of_the_dictionary(self):
        """After a commit, or where nothing is to be committed."""
        if self.batch:
            return
        found = {row["endpoint"]: row for row in self.database.rows(devices, limit=10)}
        assert found == self.rows
        assert [row["what"] for row in self.database.rows(events, limit=1000)] == self.log
        assert self.database.counters("c").get("n", 0) == self.total

    def teardown(self):
        """What is left is committed and looked at."""
        try:
            self.commit()
            self.the_rows_are_those_of_the_dictionary()
        finally:
            self.database.close()


def test_batches_do_what_a_dictionary_says(url):
    """Coalescing loses nothing and mixes nothing up."""
    machine = type("Turns", (Turns,), {"url": url})
    profile = settings.get_profile("headgate")
    run_state_machine_as_test(
        machine,
        settings=settings(
            profile,
            max_examples=max(10, profile.max_examples // 4),
            stateful_step_count=20,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
