"""A checksum for every item with its scores and probability, and for every draw. They say nothing of before."""

from __future__ import annotations

import json
import time

import sqlalchemy as sa
from alembic import op

from auditor.review.checksums import ITEMS_BEFORE, row_checksum

revision = "0004"
down_revision = "0003"

_ITEMS = """SELECT i.item, i.item_id, i.content_hash, i."index", i.split, i.code, i.given, i.suggested, i.p_given,
    i.p_suggested, i.score, i.flagged, i.message, i.band, i.inclusion, q.audit
FROM items i LEFT JOIN queue q ON q.item = i.item WHERE i.item > :after ORDER BY i.item LIMIT 20000"""
_DRAWS = "SELECT draw, item, probability FROM audit_draws WHERE draw > :after ORDER BY draw LIMIT 20000"


def upgrade() -> None:
    connection = op.get_bind()
    for table, key, query in (("items", "item", _ITEMS), ("audit_draws", "draw", _DRAWS)):
        op.add_column(table, sa.Column("checksum", sa.Text))
        change = sa.text(f"UPDATE {table} SET checksum = :checksum WHERE {key} = :row")
        after = 0
        while rows := connection.execute(sa.text(query), {"after": after}).all():
            connection.execute(change, [{"row": row[0], "checksum": row_checksum(row)} for row in rows])
            after = rows[-1][0]
        if table == "items" and after:
            fact = sa.text("INSERT INTO meta (key, value) VALUES (:key, :value)")
            connection.execute(fact, {"key": ITEMS_BEFORE, "value": json.dumps(time.time())})
