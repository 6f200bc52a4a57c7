"""A checksum for every event. Those of before get theirs now, and the store says which these are."""

from __future__ import annotations

import json
import time

import sqlalchemy as sa
from alembic import op

from auditor.review.checksums import BEFORE, checksum, digest

revision = "0003"
down_revision = "0002"

_COVERED = """SELECT e.event, e.event_uuid, e.kind, e.target_uuid, e.item, e.reviewer, e.verdict, e.shown_label,
    e.shown_suggested, e.ms, e.client_time, e.server_time, e.stream, e.inclusion,
    i.item_id, i.content_hash, i.given, i.suggested
FROM events e LEFT JOIN items i ON i.item = e.item ORDER BY e.event"""
_NO_UPDATE = (
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
)


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    op.add_column("events", sa.Column("checksum", sa.Text))
    fact = sa.text("INSERT INTO meta (key, value) VALUES (:key, :value)")
    if facts := {key: json.loads(value) for key, value in connection.execute(sa.text("SELECT key, value FROM meta"))}:
        connection.execute(fact, {"key": "digest", "value": json.dumps(digest(facts))})
    rows = connection.execute(sa.text(_COVERED)).all()
    if not rows:
        return
    op.execute("DROP TRIGGER events_no_update" if sqlite else "ALTER TABLE events DISABLE TRIGGER events_append_only")
    change = sa.text("UPDATE events SET checksum = :checksum WHERE event = :event")
    connection.execute(change, [{"event": row.event, "checksum": checksum(row)} for row in rows])
    op.execute(_NO_UPDATE if sqlite else "ALTER TABLE events ENABLE TRIGGER events_append_only")
    before = {"last": rows[-1].event, "count": len(rows), "time": time.time()}
    connection.execute(fact, {"key": BEFORE, "value": json.dumps(before)})
