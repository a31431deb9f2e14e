"""The schema, for SQLite and PostgreSQL alike. Each table is headed by the events that change it.

Times are seconds since the epoch. JSON and lists are text that only their writer reads. What refers to
another table does so by value, without a foreign key: rows of one commit come in any order, an event outlives
its task, and no commit pays for a check that the orchestrator has already made. An index is there for a
question that is asked of the database; what only the memory of the process is asked (which deadline is next,
which registration expires, whose token this is) has none, since each commit would pay for it.

A change here is a change in `migrations/versions` too: tests/store/test_migrations.py compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself only in a key that is called INTEGER; it holds 64 bits there too. What devices
# say may be any number that they can write: 64 bits again.
Serial = BigInteger().with_variant(Integer(), "sqlite")
# Ordered by its bytes, in SQLite anyway.
String = Text().with_variant(Text(collation="C"), "postgresql")
# Of a column that a put writes into a new row alone. SQLite rewrites the entry of every index whose column is
# named in an update, whether it changes or not: naming these would double what a task costs.
FIXED = {"fixed": True}

# A Register puts a row. An Update changes it, as do a message from a new address and what the upgrade learns
# of a device (version, cell, class). Deregistered and Expired delete it.
devices = Table(
    "devices",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("location", String, nullable=False),  # after `rd` in its Location-Path; of one device alone
    Column("registered_s", Double, nullable=False),
    Column("expires_s", Double, nullable=False),
    Column("lifetime_s", BigInteger, nullable=False),
    Column("lwm2m_version", String, nullable=False, server_default=""),
    Column("binding", String, nullable=False, server_default=""),
    Column("queue_mode", Boolean, nullable=False, server_default=false()),
    Column("sms", String),
    Column("links", String, nullable=False, server_default=""),  # its objects and instances, as registered
    Column("address", LargeBinary),  # where it was heard last, and on which of our addresses: as received
    Column("control", LargeBinary),
    Column("heard_s", Double),
    Column("formats", String, nullable=False, server_default=""),  # JSON: which content formats worked
    Column("version", String),  # the last that it reported
    Column("cell", String),
    Column("radio_class", String),
    Column("product", String),
    Column("group_name", String),
    Index("devices_location", "location", unique=True),
)
# Operators set these two: a device without them costs nothing here.
for label in (devices.c.group_name, devices.c.product):
    Index(
        f"devices_{label.name}",
        label,
        devices.c.endpoint,
        sqlite_where=label.is_not(None),
        postgresql_where=label.is_not(None),
    )

# Adding a package puts a row once its file is on disk; removing it deletes the row before the file.
packages = Table(
    "packages",
    metadata,
    Column("pid", String, primary_key=True),  # 8 bytes as hex: the ETag of every block
    Column("sha256", String, nullable=False),  # which names the file
    Column("kind", String, nullable=False),
    Column("version", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("segment_size_bytes", Integer, nullable=False, server_default=text("0")),  # 0: blocks only
    Column("name", String, nullable=False, server_default=""),
    Column("product", String, nullable=False, server_default=""),
    Column("source_versions", String, nullable=False, server_default=""),  # JSON: what may be upgraded from
    Column("added_s", Double, nullable=False),
    Column("check_code", Integer),  # versionCheckCode
)

# Creating a campaign puts a row; starting, pausing, editing, stopping and ending it put it anew, as do a
# stage that begins and a window that opens.
campaigns = Table(
    "campaigns",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, server_default=""),
    Column("kind", String, nullable=False),
    Column("pid", String, nullable=False),
    Column("plan", String, nullable=False, server_default=""),  # JSON
    Column("retry", String, nullable=False, server_default=""),  # JSON
    Column("state", String, nullable=False),
    Column("created_s", Double, nullable=False),
    Column("started_s", Double),
    Column("ended_s", Double),
    Column("stages", String, nullable=False, server_default=""),  # JSON: how many devices, and what gate
    Column("gate", String, nullable=False, server_default=""),  # JSON: of stages without one of their own
    Column("confirm", String, nullable=False, server_default="none"),
    Column("start_s", Double),
    Column("windows", String, nullable=False, server_default=""),  # JSON
    Column("timezone", String, nullable=False, server_default="UTC"),
    Column("stage", Integer, nullable=False, server_default=text("0")),  # that began last
    Column("confirmed", Integer, nullable=False, server_default=text("0")),
    Column("hold", String),  # what paused it
    Column("reason", String, nullable=False, server_default=""),  # of the pause
    Column("released_s", Double),
    Column("revision", Integer, nullable=False, server_default=text("1")),
)

# Creating a campaign puts the list of its devices beside its row. When all its tasks are there, or it is
# stopped before, the list is deleted with that. From one that stands here a restart goes on making tasks.
campaign_lists = Table(
    "campaign_lists",
    metadata,
    Column("campaign_id", String, primary_key=True),
    Column("packed", LargeBinary, nullable=False),
)

# Starting a campaign puts a row per device. An event that `advance` answers by another task puts that one in
# the event's transaction. The end of a task puts `ended_s`, and takes `active` away unless it is retried.
tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("campaign_id", String, nullable=False, info=FIXED),
    Column("endpoint", String, nullable=False, info=FIXED),
    Column("attempt", Integer, nullable=False, server_default=text("1")),
    Column("state", String, nullable=False),
    Column("entered_s", Double, nullable=False),
    Column("stage_s", Double, nullable=False),
    Column("deadline_s", Double),
    Column("uri", String, nullable=False, server_default=""),
    Column("cell_id", BigInteger),
    Column("smcc", BigInteger),
    Column("smnc", BigInteger),
    Column("rsrp_dbm", Double),
    Column("sinr_db", Double),
    Column("radio_class", String),
    Column("measured_s", Double, nullable=False, server_default=text("0")),
    Column("waiting_s", Double, nullable=False, server_default=text("0")),
    Column("queued_s", Double, nullable=False, server_default=text("0")),
    Column("version", String),  # before the upgrade
    Column("state_seen_s", Double, nullable=False, server_default=text("0")),
    Column("reading", String, nullable=False, server_default=""),  # JSON
    Column("refused", String, nullable=False, server_default=""),
    Column("marks", String, nullable=False, server_default=""),  # words
    Column("failure", String),  # its published text
    Column("detail_at", String),
    Column("detail_code", String),
    Column("detail_note", String),
    Column("created_s", Double, nullable=False, info=FIXED),
    Column("ended_s", Double),
    Column("active", Boolean, nullable=False),
    Index("tasks_campaign", "campaign_id", "id"),  # the pages of a campaign
    Index("tasks_endpoint", "endpoint", "id"),
)
Index(
    "tasks_active",
    tasks.c.id,
    sqlite_where=tasks.c.active.is_(True),
    postgresql_where=tasks.c.active.is_(True),
)  # a restart's
# The pages of those that failed, by any cause or by one; a task that does not fail costs nothing here.
for name, columns in (
    ("tasks_failed", (tasks.c.campaign_id, tasks.c.id)),
    ("tasks_failure", (tasks.c.campaign_id, tasks.c.failure, tasks.c.id)),
):
    failed = tasks.c.failure.is_not(None)
    Index(name, *columns, sqlite_where=failed, postgresql_where=failed)

# What a task asks for is put in the transaction that stores the task. The answer to it, or the task's end,
# deletes it in the transaction that stores that. What stands here after a restart is to be done again.
effects = Table(
    "effects",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("task_id", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("effect", String, nullable=False),
    Column("arguments", String, nullable=False, server_default=""),  # JSON
    Column("asked_s", Double, nullable=False),
    Column("due_s", Double),  # not to be done before; null: at once
)

# An Observe of a task puts its token before it leaves, with 0 in `made_s`; its answer puts the time. A device
# that ends it, and a task that no longer wants it, delete it.
# They outlive registrations: a device reports the result of an update with the token from before its reboot.
observations = Table(
    "observations",
    metadata,
    Column("token", LargeBinary, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("path", String, nullable=False),
    Column("task_id", String),
    Column("made_s", Double, nullable=False),
)

# PCP 20 puts a row, or another version into it. The end of its task writes `ended_s`, and takes the version
# out of it where the device runs it now; such a row goes a day later. It outlives registrations and tasks.
notices = Table(
    "notices",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("version", String, nullable=False),  # that the device may name without running it
    Column("ended_s", Double),
)

# Everything that happened appends a row; none is changed. In the order in which it was stored.
# The events of a task are those of its endpoint that name it.
events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at_s", Double, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("task_id", String),
    Column("campaign_id", String),
    Column("step", Integer),  # of the published flow
    Column("what", String, nullable=False),
    Column("detail", String, nullable=False, server_default=""),
    Index("events_endpoint", "endpoint", "id"),
    sqlite_autoincrement=True,  # an id is never used again, even when the newest events are deleted
)

# How many tasks of a campaign are in each state and ended by each failure, and how its stages stand: added to
# in the transaction that changes the tasks, so that they are always what counting would give.
counters = Table(
    "counters",
    metadata,
    Column("campaign_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Every transaction writes its number into the only row. A writer that did not hear what became of its last
# commit reads here whether it was done.
commits = Table(
    "commits",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)

# Making an access token puts a row, revoking it deletes the row. The token itself is kept nowhere.
tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False),  # of the token, as hex
    Column("name", String, nullable=False, server_default=""),
    Column("scope", String, nullable=False),
    Column("created_s", Double, nullable=False),
)

# A request that is to be done once puts a row in the transaction that does it. Who repeats it is told what
# was made; a day later the row is deleted.
requests = Table(
    "requests",
    metadata,
    Column("key", String, primary_key=True),  # of its Idempotency-Key and the token that sent it, hashed
    Column("fingerprint", String, nullable=False),  # of what was asked for
    Column("resource", String, nullable=False),  # the id of what was made
    Column("at_s", Double, nullable=False),
    Index("requests_at", "at_s", "key"),
)

# Making a web hook puts a row, removing it deletes it. An event that finds no room changes the last columns.
hooks = Table(
    "hooks",
    metadata,
    Column("id", String, primary_key=True),
    Column("url", String, nullable=False),
    Column("events", String, nullable=False),  # JSON: the names of those that it wants
    Column("secret", String, nullable=False),  # which signs: it is needed as it is
    Column("created_s", Double, nullable=False),
    Column("lost", BigInteger, nullable=False, server_default=text("0")),  # events that found no room
    Column("overflowed_s", Double),  # since when events find none; null: they do
)

# What a hook is to be told is put in the transaction that stores what it tells. Its delivery deletes the row;
# an attempt that fails changes it, and the last one makes it `dead`. A replay makes it `pending` again.
outbox = Table(
    "outbox",
    metadata,
    Column("hook_id", String, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # in the order of the events
    Column("event_id", String, nullable=False, info=FIXED),  # the same in every attempt
    Column("event", String, nullable=False, info=FIXED),
    Column("endpoint", String, nullable=False, info=FIXED),  # empty where a campaign as a whole is meant
    Column("campaign_id", String, nullable=False, info=FIXED),
    Column("body", String, nullable=False, info=FIXED),  # JSON, as it is sent
    Column("at_s", Double, nullable=False, info=FIXED),
    Column("since_s", Double, nullable=False),  # from when on its attempts count: it, or its replay
    Column("state", String, nullable=False),  # pending, dead
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error", String),  # of the last attempt
    Index("outbox_state", "hook_id", "state", "number"),
)
