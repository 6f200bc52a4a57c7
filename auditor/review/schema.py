"""Tables of the verdict store as a new one gets them; `migrations` brings those of earlier versions to this state."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final

import sqlalchemy as sa

#: States of an assignment.
CLAIMED: Final = 0  # in a reviewer's hand until `claimed_until`
DONE: Final = 1  # judged
EXPIRED: Final = 2  # the claim ran out; kept because it says in which stream the item was shown

metadata = sa.MetaData()
#: SQLite numbers rows itself only for INTEGER keys.
Big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, Big, primary_key=True, autoincrement=False)


def _filled(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


meta = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))

#: What the store knows about every item. Never changed once loaded, but for `inclusion` when an audit
#: stream is drawn. `item` is the place in the list. `checksum` covers the row and its place in the audit stream.
items = sa.Table(
    "items",
    metadata,
    _key("item"),
    _filled("item_id", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("index", Big),
    sa.Column("split", sa.Text),
    sa.Column("code", sa.Text),
    _filled("given", sa.Text),
    sa.Column("suggested", sa.Text),
    sa.Column("p_given", sa.Double),
    sa.Column("p_suggested", sa.Double),
    sa.Column("score", sa.Double),
    _filled("flagged", sa.SmallInteger),
    sa.Column("message", sa.Text),
    sa.Column("band", sa.SmallInteger),
    sa.Column("inclusion", sa.Double),
    sa.Column("checksum", sa.Text),
    sa.Index("items_id", "item_id", unique=True),
    sa.Index("items_hash", "content_hash"),
    sa.Index("items_pair", "given", "suggested", "item"),
    *(sa.Index(f"items_{name}", name, "item") for name in ("suggested", "score", "code", "split")),
)

detections = sa.Table("detections", metadata, sa.Column("detector", sa.Text, primary_key=True), _key("item"))

#: Where an item stands in the streams, how many reviewers it wants and has. `open` = taken < wanted.
queue = sa.Table(
    "queue",
    metadata,
    _key("item"),
    sa.Column("ranked", Big),
    sa.Column("audit", Big),
    _filled("wanted", sa.SmallInteger),
    _filled("taken", sa.Integer),
    _filled("open", sa.SmallInteger),
)
for _stream in (queue.c.ranked, queue.c.audit):
    _present = _stream.is_not(None)
    sa.Index(f"queue_{_stream.name}", queue.c.open, _stream, sqlite_where=_present, postgresql_where=_present)

#: Draws of the audit stream with replacement, in order; empty where the stream is the one drawn at loading.
audit_draws = sa.Table(
    "audit_draws",
    metadata,
    _key("draw"),
    _filled("item", Big),
    _filled("probability", sa.Double),
    sa.Column("checksum", sa.Text),
)

controls = sa.Table("controls", metadata, _key("item"), _filled("expected", sa.Text))

#: Before the cursor of a stream there is no open item this reviewer could still get. `key` is `people.person_key` of
#: the name; stores of before knew some people under several spellings: the others have `person`, the one that is shown.
reviewers = sa.Table(
    "reviewers",
    metadata,
    sa.Column("reviewer", sa.Text, primary_key=True),
    _filled("since", sa.Double),
    _filled("served", Big),
    _filled("ranked_cursor", Big),
    _filled("audit_cursor", Big),
    sa.Column("key", sa.Text),
    sa.Column("person", sa.Text),
    sa.Index("reviewers_key", "key", unique=True),
)

assignments = sa.Table(
    "assignments",
    metadata,
    _key("item"),
    sa.Column("reviewer", sa.Text, primary_key=True),
    _filled("stream", sa.Text),
    _filled("place", Big),
    _filled("state", sa.SmallInteger),
    _filled("claimed_until", sa.Double),
    sa.Index("assignments_hand", "reviewer", "state", "place"),
    sa.Index("assignments_expiry", "state", "claimed_until"),
)

#: Append-only; triggers refuse changes. `checksum` covers the row and its item (`auditor.review.checksums`).
events = sa.Table(
    "events",
    metadata,
    sa.Column("event", Big, primary_key=True, autoincrement=True),
    _filled("event_uuid", sa.Text),
    _filled("kind", sa.Text),
    sa.Column("target_uuid", sa.Text),
    sa.Column("item", Big, sa.ForeignKey("items.item"), nullable=False),
    _filled("reviewer", sa.Text),
    sa.Column("verdict", sa.Text),
    sa.Column("shown_label", sa.Text),
    sa.Column("shown_suggested", sa.Text),
    sa.Column("ms", Big),
    sa.Column("client_time", sa.Double),
    _filled("server_time", sa.Double),
    _filled("stream", sa.Text),
    sa.Column("inclusion", sa.Double),
    sa.Column("checksum", sa.Text),
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

#: Comments on items and the flag "discuss"; what is NULL stays as it was said before. Append-only.
remarks = sa.Table(
    "remarks",
    metadata,
    sa.Column("remark", Big, primary_key=True, autoincrement=True),
    _filled("uuid", sa.Text),
    sa.Column("item", Big, sa.ForeignKey("items.item"), nullable=False),
    _filled("reviewer", sa.Text),
    sa.Column("comment", sa.Text),
    sa.Column("discuss", sa.SmallInteger),
    sa.Column("client_time", sa.Double),
    _filled("server_time", sa.Double),
    sa.Column("checksum", sa.Text),
    sa.UniqueConstraint("uuid", name="remarks_uuid"),
    sa.Index("remarks_item", "item", "remark"),
    sqlite_autoincrement=True,
)

#: Every version of the guideline of every class; `exemplars` are item ids as JSON. Append-only.
guidelines = sa.Table(
    "guidelines",
    metadata,
    sa.Column("class_name", sa.Text, primary_key=True),
    _key("version"),
    _filled("definition", sa.Text),
    _filled("exemplars", sa.Text),
    _filled("reviewer", sa.Text),
    _filled("server_time", sa.Double),
    sa.Column("checksum", sa.Text),
)

#: Settings by `people.person_key` and name, as JSON.
preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    _filled("value", sa.Text),
)

#: The view of the verdicts that hold: not taken back, and the reviewer's last on that item.
current = sa.table(
    "current_verdicts",
    *(sa.column(c.name, c.type) for c in events.columns if c.name not in ("kind", "target_uuid", "checksum")),
)

#: Whatever the spelling of a name, one person has one verdict on an item.
CURRENT: Final = """
CREATE VIEW current_verdicts AS
SELECT e.event, e.event_uuid, e.item, COALESCE(p.person, e.reviewer) AS reviewer, e.verdict, e.shown_label,
       e.shown_suggested, e.ms, e.client_time, e.server_time, e.stream, e.inclusion
FROM events e LEFT JOIN reviewers p ON p.reviewer = e.reviewer
WHERE e.kind = 'verdict'
  AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = e.event_uuid)
  AND NOT EXISTS (
    SELECT 1 FROM events l LEFT JOIN reviewers q ON q.reviewer = l.reviewer
    WHERE l.item = e.item AND l.kind = 'verdict' AND l.event > e.event
      AND COALESCE(q.person, l.reviewer) = COALESCE(p.person, e.reviewer)
      AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = l.event_uuid))
"""


def append_only(table: str, dialect: str) -> list[str]:
    """Statements that make the database refuse changes of a table's rows."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            for change in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} are append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ]


def create(connection: sa.Connection) -> None:
    """Make everything in an empty database."""
    metadata.create_all(connection)
    refusals = [append_only(table, connection.dialect.name) for table in ("events", "remarks", "guidelines")]
    for statement in (CURRENT, *chain(*refusals)):
        connection.execute(sa.text(statement))
