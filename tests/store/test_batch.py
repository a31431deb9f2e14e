"""A batch: at most one change of a kind per key, the last one wins, nothing is done yet."""

from __future__ import annotations

import pytest

from headgate.store.batch import Batch
from headgate.store.tables import campaigns, counters, effects, events, observations


def effect(id: int, **columns: object) -> dict[str, object]:
    """An effect row, whole."""
    row = {"id": id, "task_id": "t", "endpoint": "e", "effect": "ReadRadio", "arguments": "", "asked_s": 1.0}
    return row | {"due_s": None} | columns


def test_an_empty_batch_is_false():
    """A turn in which nothing changed needs no transaction."""
    assert not Batch()
    assert len(Batch()) == 0


def test_the_last_put_of_a_key_wins():
    """A task that passes through three states in one turn is written once."""
    batch = Batch()
    batch.put(effects, effect(1, effect="first"))
    batch.put(effects, effect(1, effect="second"))
    batch.put(effects, effect(2))
    assert [row["effect"] for row in batch.puts[effects].values()] == ["second", "ReadRadio"]
    assert len(batch) == 2


def test_a_put_of_some_columns_keeps_the_others():
    """What a later put leaves out stays as the earlier one had it, and neither row given is changed."""
    batch = Batch()
    whole = effect(1, arguments="{}")
    batch.put(effects, whole)
    batch.put(effects, {"id": 1, "due_s": 5.0})
    assert batch.puts[effects][(1,)] == whole | {"due_s": 5.0}
    assert whole["due_s"] is None


def test_a_delete_after_a_put_is_a_delete():
    """The effect asked for and answered in one turn: the row may be there from before, so it is deleted."""
    batch = Batch()
    batch.put(effects, effect(1))
    batch.delete(effects, (1,))
    assert batch.puts[effects] == {}
    assert batch.deletes == {effects: {(1,): None}}
    assert len(batch) == 1


def test_a_put_after_a_delete_is_a_new_row():
    """Deletes are done first, so that nothing of the old row shines through."""
    batch = Batch()
    batch.delete(effects, (1,))
    batch.put(effects, effect(1, effect="new"))
    assert batch.deletes[effects] == {(1,): None}
    assert batch.puts[effects][(1,)]["effect"] == "new"


def test_a_change_follows_a_put():
    """A row that is new in this turn takes its changes along; the put stays a put."""
    batch = Batch()
    batch.put(effects, effect(1))
    batch.change(effects, {"id": 1, "due_s": 5.0})
    assert batch.puts[effects][(1,)]["due_s"] == 5.0
    assert batch.changes == {}


def test_a_put_follows_a_change():
    """Both are done, in this order: whether there was a row to change is known to the database alone."""
    batch = Batch()
    batch.change(effects, {"id": 1, "due_s": 5.0})
    batch.put(effects, effect(1))
    assert batch.changes[effects] == {(1,): {"id": 1, "due_s": 5.0}}
    assert batch.puts[effects] == {(1,): effect(1)}


def test_changes_of_one_row_become_one():
    """An Update and a new address in one turn are one statement."""
    batch = Batch()
    batch.change(effects, {"id": 1, "due_s": 5.0})
    batch.change(effects, {"id": 1, "due_s": 6.0, "effect": "e"})
    assert batch.changes == {effects: {(1,): {"id": 1, "due_s": 6.0, "effect": "e"}}}


def test_a_deleted_row_is_not_changed():
    """Nor does the change make it anew, or find its way into a row that is put later."""
    batch = Batch()
    batch.change(effects, {"id": 1, "due_s": 5.0})
    batch.delete(effects, (1,))
    batch.change(effects, {"id": 1, "due_s": 6.0})
    batch.put(effects, effect(1))
    assert batch.deletes == {effects: {(1,): None}}
    assert batch.changes == {effects: {}}
    assert batch.puts == {effects: {(1,): effect(1)}}


def test_keys_of_bytes_and_of_two_columns():
    """A token is a key as it came; a counter's key has two columns."""
    batch = Batch()
    batch.put(observations, {"token": b"\0\1", "endpoint": "e", "path": "5/0/3", "made_s": 1.0})
    batch.put(counters, {"name": "n", "campaign_id": "c", "value": 3})
    assert list(batch.puts[observations]) == [(b"\0\1",)]
    assert list(batch.puts[counters]) == [("c", "n")]


def test_events_keep_their_order_and_are_not_coalesced():
    """The log says what happened, also when it happened twice."""
    batch = Batch()
    for what in ("a", "b", "a"):
        batch.append(events, {"at_s": 1.0, "endpoint": "e", "what": what})
    assert [row["what"] for row in batch.events] == ["a", "b", "a"]
    assert len(batch) == 3


def test_only_the_log_is_appended_to():
    """A row with a key is put; appending it would be refused by the database at the second time."""
    with pytest.raises(ValueError, match="campaigns has keys"):
        Batch().append(campaigns, {})


def test_counters_add_up():
    """A task leaves one state and enters another: two counters change, by the sum of the turn."""
    batch = Batch()
    for _ in range(3):
        batch.add(("c", "created"), -1)
        batch.add(("c", "wait_online"), 1)
    assert batch.counters == {("c", "created"): -3, ("c", "wait_online"): 3}
