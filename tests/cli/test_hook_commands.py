"""`headgate hook`, against a server that runs; nothing is sent here: tests/server/test_hooks.py does that."""

from __future__ import annotations

TARGET = "https://hooks.example/headgate"


def test_a_hook_is_made_shown_and_removed(operator):
    """Its secret is shown once; what waits for it is a list."""
    add = ("hook", "add", TARGET, "--event", "stage.held", "--event", "campaign.stopped")
    made = operator.get(*add, "--json").json
    assert made["secret"]
    fields = dict(operator.get(*add, "--secret", "0123456789abcdef").fields)
    assert (fields["url"], fields["secret"]) == (TARGET, "0123456789abcdef")
    assert fields["events"] == "campaign.stopped, stage.held"
    listed = {each["id"]: each for each in operator.get("hook", "list", "--json").jsons}
    assert set(listed) == {made["id"], fields["id"]}
    assert all("secret" not in each for each in listed.values())
    assert dict(operator.get("hook", "show", made["id"]).fields)["pending"] == "0"
    assert operator.get("hook", "show", made["id"], "--json").json == listed[made["id"]]
    for state in ("pending", "dead"):
        assert operator.get("hook", "show", made["id"], "--deliveries", state).out == ""
    assert operator.get("hook", "replay", made["id"]).out == "0 events are sent again\n"
    assert operator.get("hook", "replay", made["id"], "--json").json == {"replayed": 0}
    assert operator.get("hook", "remove", made["id"]).out == ""
    assert "there is no hook" in operator.refused("hook", "show", made["id"], code=1)
    operator.get("hook", "remove", fields["id"])


def test_a_hook_that_is_none_is_wrong_usage(operator):
    """The message names the events that there are, and who may be told."""
    said = operator.refused("hook", "add", TARGET, "--event", "melted", code=2)
    assert "campaign.paused" in said
    assert "stage.held" in said  # the last one: the list is whole
    said = operator.refused("hook", "add", "hooks.example", "--event", "task.ended", code=2)
    assert "URL is https://" in said
    said = operator.refused("hook", "add", "http://127.0.0.1:9/", "--event", "task.ended", code=2)
    assert "not a public address" in said
    assert operator.say("hook", "add", TARGET).code == 2
