"""The first schema: items, queue, append-only events, and the view of the verdicts that hold.

Written out in full: a migration must not change when `auditor.review.schema` does.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

CURRENT = """
CREATE VIEW current_verdicts AS
SELECT e.event, e.event_uuid, e.item, e.reviewer, e.verdict, e.shown_label, e.shown_suggested, e.ms, e.client_time,
       e.server_time, e.stream, e.inclusion
FROM events e
WHERE e.kind = 'verdict'
  AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = e.event_uuid)
  AND NOT EXISTS (
    SELECT 1 FROM events l
    WHERE l.item = e.item AND l.reviewer = e.reviewer AND l.kind = 'verdict' AND l.event > e.event
      AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = l.event_uuid))
"""


def upgrade() -> None:
    _item_tables()
    _people_tables()
    _events()


def _item_tables() -> None:
    op.create_table("meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))
    op.create_table(
        "items",
        sa.Column("item", Big, primary_key=True, autoincrement=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text),
        sa.Column("index", Big),
        sa.Column("split", sa.Text),
        sa.Column("code", sa.Text),
        sa.Column("given", sa.Text, nullable=False),
        sa.Column("suggested", sa.Text),
        sa.Column("p_given", sa.Double),
        sa.Column("p_suggested", sa.Double),
        sa.Column("score", sa.Double),
        sa.Column("flagged", sa.SmallInteger, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("band", sa.SmallInteger),
        sa.Column("inclusion", sa.Double),
    )
    op.create_index("items_id", "items", ["item_id"], unique=True)
    op.create_index("items_hash", "items", ["content_hash"])
    op.create_index("items_pair", "items", ["given", "suggested", "item"])
    op.create_index("items_suggested", "items", ["suggested", "item"])
    op.create_index("items_score", "items", ["score", "item"])
    op.create_index("items_code", "items", ["code", "item"])
    op.create_index("items_split", "items", ["split", "item"])
    op.create_table(
        "detections",
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("item", Big, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "queue",
        sa.Column("item", Big, primary_key=True, autoincrement=False),
        sa.Column("ranked", Big),
        sa.Column("audit", Big),
        sa.Column("wanted", sa.SmallInteger, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("open", sa.SmallInteger, nullable=False),
    )
    for stream in ("ranked", "audit"):
        present = sa.text(f"{stream} IS NOT NULL")
        op.create_index(f"queue_{stream}", "queue", ["open", stream], sqlite_where=present, postgresql_where=present)
    op.create_table(
        "controls",
        sa.Column("item", Big, primary_key=True, autoincrement=False),
        sa.Column("expected", sa.Text, nullable=False),
    )


def _people_tables() -> None:
    op.create_table(
        "reviewers",
        sa.Column("reviewer", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("served", Big, nullable=False),
        sa.Column("ranked_cursor", Big, nullable=False),
        sa.Column("audit_cursor", Big, nullable=False),
    )
    op.create_table(
        "assignments",
        sa.Column("item", Big, primary_key=True, autoincrement=False),
        sa.Column("reviewer", sa.Text, primary_key=True),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("place", Big, nullable=False),
        sa.Column("state", sa.SmallInteger, nullable=False),
        sa.Column("claimed_until", sa.Double, nullable=False),
    )
    op.create_index("assignments_hand", "assignments", ["reviewer", "state", "place"])
    op.create_index("assignments_expiry", "assignments", ["state", "claimed_until"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("event", Big, primary_key=True, autoincrement=True),
        sa.Column("event_uuid", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target_uuid", sa.Text),
        sa.Column("item", Big, sa.ForeignKey("items.item"), nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text),
        sa.Column("shown_label", sa.Text),
        sa.Column("shown_suggested", sa.Text),
        sa.Column("ms", Big),
        sa.Column("client_time", sa.Double),
        sa.Column("server_time", sa.Double, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("inclusion", sa.Double),
        sa.UniqueConstraint("event_uuid", name="events_uuid"),
        sa.CheckConstraint(
            "(kind = 'verdict' AND verdict IS NOT NULL AND shown_label IS NOT NULL AND target_uuid IS NULL)"
            " OR (kind = 'retract' AND target_uuid IS NOT NULL)",
            name="events_kind",
        ),
        sqlite_autoincrement=True,
    )
    # A verdict is taken back once.
    op.create_index("events_target", "events", ["target_uuid"], unique=True)
    op.create_index("events_item", "events", ["item", "reviewer", "event"])
    op.create_index("events_reviewer", "events", ["reviewer", "item"])
    op.create_index("events_verdict", "events", ["verdict", "item"])
    op.execute(CURRENT)
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_no_{change.lower()} BEFORE {change} ON events"
                " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
    else:
        op.execute(
            "CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events"
            " FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()"
        )
