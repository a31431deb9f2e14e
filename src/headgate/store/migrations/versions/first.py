"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STRING = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "campaigns",
        sa.Column("id", STRING, nullable=False),
        sa.Column("name", STRING, server_default="", nullable=False),
        sa.Column("kind", STRING, nullable=False),
        sa.Column("pid", STRING, nullable=False),
        sa.Column("plan", STRING, server_default="", nullable=False),
        sa.Column("retry", STRING, server_default="", nullable=False),
        sa.Column("state", STRING, nullable=False),
        sa.Column("created_s", sa.Double(), nullable=False),
        sa.Column("started_s", sa.Double(), nullable=True),
        sa.Column("ended_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "commits",
        sa.Column("id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "counters",
        sa.Column("campaign_id", STRING, nullable=False),
        sa.Column("name", STRING, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "name"),
    )
    op.create_table(
        "devices",
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("location", STRING, nullable=False),
        sa.Column("registered_s", sa.Double(), nullable=False),
        sa.Column("expires_s", sa.Double(), nullable=False),
        sa.Column("lifetime_s", sa.BigInteger(), nullable=False),
        sa.Column("lwm2m_version", STRING, server_default="", nullable=False),
        sa.Column("binding", STRING, server_default="", nullable=False),
        sa.Column("queue_mode", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("sms", STRING, nullable=True),
        sa.Column("links", STRING, server_default="", nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("control", sa.LargeBinary(), nullable=True),
        sa.Column("heard_s", sa.Double(), nullable=True),
        sa.Column("formats", STRING, server_default="", nullable=False),
        sa.Column("version", STRING, nullable=True),
        sa.Column("cell", STRING, nullable=True),
        sa.Column("radio_class", STRING, nullable=True),
        sa.Column("product", STRING, nullable=True),
        sa.Column("group_name", STRING, nullable=True),
        sa.PrimaryKeyConstraint("endpoint"),
    )
    op.create_index("devices_location", "devices", ["location"], unique=True)
    for label in ("group_name", "product"):
        op.create_index(
            f"devices_{label}",
            "devices",
            [label, "endpoint"],
            unique=False,
            sqlite_where=sa.text(f"{label} IS NOT NULL"),
            postgresql_where=sa.text(f"{label} IS NOT NULL"),
        )
    op.create_table(
        "effects",
        sa.Column("id", SERIAL, autoincrement=False, nullable=False),
        sa.Column("task_id", STRING, nullable=False),
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("effect", STRING, nullable=False),
        sa.Column("arguments", STRING, server_default="", nullable=False),
        sa.Column("asked_s", sa.Double(), nullable=False),
        sa.Column("due_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "events",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("task_id", STRING, nullable=True),
        sa.Column("campaign_id", STRING, nullable=True),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("what", STRING, nullable=False),
        sa.Column("detail", STRING, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_endpoint", "events", ["endpoint", "id"], unique=False)
    op.create_table(
        "observations",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("path", STRING, nullable=False),
        sa.Column("task_id", STRING, nullable=True),
        sa.Column("made_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_table(
        "packages",
        sa.Column("pid", STRING, nullable=False),
        sa.Column("sha256", STRING, nullable=False),
        sa.Column("kind", STRING, nullable=False),
        sa.Column("version", STRING, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("segment_size_bytes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("name", STRING, server_default="", nullable=False),
        sa.Column("product", STRING, server_default="", nullable=False),
        sa.Column("source_versions", STRING, server_default="", nullable=False),
        sa.Column("added_s", sa.Double(), nullable=False),
        sa.Column("check_code", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("pid"),
    )
    op.create_table(
        "requests",
        sa.Column("key", STRING, nullable=False),
        sa.Column("fingerprint", STRING, nullable=False),
        sa.Column("resource", STRING, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("requests_at", "requests", ["at_s", "key"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", STRING, nullable=False),
        sa.Column("campaign_id", STRING, nullable=False),
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", STRING, nullable=False),
        sa.Column("entered_s", sa.Double(), nullable=False),
        sa.Column("stage_s", sa.Double(), nullable=False),
        sa.Column("deadline_s", sa.Double(), nullable=True),
        sa.Column("uri", STRING, server_default="", nullable=False),
        sa.Column("cell_id", sa.BigInteger(), nullable=True),
        sa.Column("smcc", sa.BigInteger(), nullable=True),
        sa.Column("smnc", sa.BigInteger(), nullable=True),
        sa.Column("rsrp_dbm", sa.Double(), nullable=True),
        sa.Column("sinr_db", sa.Double(), nullable=True),
        sa.Column("radio_class", STRING, nullable=True),
        sa.Column("measured_s", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("waiting_s", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("queued_s", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("version", STRING, nullable=True),
        sa.Column("state_seen_s", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("reading", STRING, server_default="", nullable=False),
        sa.Column("refused", STRING, server_default="", nullable=False),
        sa.Column("marks", STRING, server_default="", nullable=False),
        sa.Column("failure", STRING, nullable=True),
        sa.Column("detail_at", STRING, nullable=True),
        sa.Column("detail_code", STRING, nullable=True),
        sa.Column("detail_note", STRING, nullable=True),
        sa.Column("created_s", sa.Double(), nullable=False),
        sa.Column("ended_s", sa.Double(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "tasks_active",
        "tasks",
        ["id"],
        unique=False,
        sqlite_where=sa.text("active IS 1"),
        postgresql_where=sa.text("active IS true"),
    )
    op.create_index("tasks_campaign", "tasks", ["campaign_id", "id"], unique=False)
    op.create_index("tasks_endpoint", "tasks", ["endpoint", "id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", STRING, nullable=False),
        sa.Column("sha256", STRING, nullable=False),
        sa.Column("name", STRING, server_default="", nullable=False),
        sa.Column("scope", STRING, nullable=False),
        sa.Column("created_s", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
