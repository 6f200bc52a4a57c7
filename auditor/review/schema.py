"""Tables of the verdict store as a new one gets them; `migrations` brings those of earlier versions to this state."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

#: States of an assignment.
CLAIMED: Final = 0  # in a reviewer's hand until `claimed_until`
DONE: Final = 1  # judged
EXPIRED: Final = 2  # the claim ran out; kept because it says in which stream the item was shown

metadata = sa.MetaData()
#: SQLite numbers rows itself only for INTEGER keys.
Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

meta = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))

#: What the store knows about every item. Never changed once loaded, but for `inclusion` when an audit
#: stream is drawn. `item` is the place in the list.
items = sa.Table(
    "items",
    metadata,
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
    sa.Index("items_id", "item_id", unique=True),
    sa.Index("items_hash", "content_hash"),
    sa.Index("items_pair", "given", "suggested", "item"),
    *(sa.Index(f"items_{name}", name, "item") for name in ("suggested", "score", "code", "split")),
)

detections = sa.Table(
    "detections",
    metadata,
    sa.Column("detector", sa.Text, primary_key=True),
    sa.Column("item", Big, primary_key=True, autoincrement=False),
)

#: Where an item stands in the streams, how many reviewers it wants and has. `open` = taken < wanted.
queue = sa.Table(
    "queue",
    metadata,
    sa.Column("item", Big, primary_key=True, autoincrement=False),
    sa.Column("ranked", Big),
    sa.Column("audit", Big),
    sa.Column("wanted", sa.SmallInteger, nullable=False),
    sa.Column("taken", sa.Integer, nullable=False),
    sa.Column("open", sa.SmallInteger, nullable=False),
)
for _stream in (queue.c.ranked, queue.c.audit):
    _present = _stream.is_not(None)
    sa.Index(f"queue_{_stream.name}", queue.c.open, _stream, sqlite_where=_present, postgresql_where=_present)

#: Draws of the audit stream with replacement, in order; empty where the stream is the one drawn at loading.
audit_draws = sa.Table(
    "audit_draws",
    metadata,
    sa.Column("draw", Big, primary_key=True, autoincrement=False),
    sa.Column("item", Big, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
)

controls = sa.Table(
    "controls",
    metadata,
    sa.Column("item", Big, primary_key=True, autoincrement=False),
    sa.Column("expected", sa.Text, nullable=False),
)

#: Before the cursor of a stream there is no open item this reviewer could still get.
reviewers = sa.Table(
    "reviewers",
    metadata,
    sa.Column("reviewer", sa.Text, primary_key=True),
    sa.Column("since", sa.Double, nullable=False),
    sa.Column("served", Big, nullable=False),
    sa.Column("ranked_cursor", Big, nullable=False),
    sa.Column("audit_cursor", Big, nullable=False),
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("item", Big, primary_key=True, autoincrement=False),
    sa.Column("reviewer", sa.Text, primary_key=True),
    sa.Column("stream", sa.Text, nullable=False),
    sa.Column("place", Big, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("claimed_until", sa.Double, nullable=False),
    sa.Index("assignments_hand", "reviewer", "state", "place"),
    sa.Index("assignments_expiry", "state", "claimed_until"),
)

#: Append-only; triggers refuse changes.
events = sa.Table(
    "events",
    metadata,
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
    # A verdict is taken back once.
    sa.Index("events_target", "target_uuid", unique=True),
    sa.Index("events_item", "item", "reviewer", "event"),
    sa.Index("events_reviewer", "reviewer", "item"),
    sa.Index("events_verdict", "verdict", "item"),
    sqlite_autoincrement=True,
)

#: The view of the verdicts that hold: not taken back, and the reviewer's last on that item.
current = sa.table(
    "current_verdicts", *(sa.column(c.name, c.type) for c in events.columns if c.name not in ("kind", "target_uuid"))
)

_CURRENT: Final = """
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
_APPEND_ONLY: Final = {
    "sqlite": [
        f"CREATE TRIGGER events_no_{change.lower()} BEFORE {change} ON events"
        " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        for change in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$",
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events"
        " FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()",
    ],
}


def create(connection: sa.Connection) -> None:
    """Make everything in an empty database."""
    metadata.create_all(connection)
    for statement in (_CURRENT, *_APPEND_ONLY[connection.dialect.name]):
        connection.execute(sa.text(statement))
