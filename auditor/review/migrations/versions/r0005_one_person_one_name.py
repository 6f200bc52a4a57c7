"""Names are compared without regard to case and spaces. Who has judged under several spellings is one person now: shown
under the one with the most events, with one verdict on an item, and not counted as a second reviewer of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from auditor.review.people import person_key
from auditor.review.schema import CURRENT

revision = "0005"
down_revision = "0004"

_NAMES = """SELECT reviewer, SUM(n) AS n, MIN(first) AS first FROM (
    SELECT reviewer, COUNT(*) AS n, MIN(event) AS first FROM events GROUP BY reviewer
    UNION ALL SELECT reviewer, 0, NULL FROM assignments GROUP BY reviewer
    UNION ALL SELECT reviewer, 0, NULL FROM reviewers) AS named GROUP BY reviewer ORDER BY reviewer"""
#: States of an assignment, the one that says most first: judged, in the hand, let go.
_SAYS_MOST = {1: 0, 0: 1, 2: 2}


def upgrade() -> None:
    connection = op.get_bind()
    for name in ("key", "person"):
        op.add_column("reviewers", sa.Column(name, sa.Text))
    op.create_index("reviewers_key", "reviewers", ["key"], unique=True)
    people = defaultdict(list)
    for row in connection.execute(sa.text(_NAMES)):
        people[person_key(row.reviewer)].append(row)
    known = set(connection.scalars(sa.text("SELECT reviewer FROM reviewers")))
    for key, rows in people.items():
        shown, *others = [
            row.reviewer for row in sorted(rows, key=lambda row: (-row.n, row.first is None, row.first or 0))
        ]
        for name in (shown, *others):
            values = {"name": name, "key": key if name == shown else None, "person": None if name == shown else shown}
            if name not in known:
                _run("INSERT INTO reviewers VALUES (:name, 0, 0, 0, 0, :key, :person)", values)
            else:
                _run("UPDATE reviewers SET key = :key, person = :person WHERE reviewer = :name", values)
        if others:
            _join_assignments(shown, others)
    op.execute("DROP VIEW current_verdicts")
    op.execute(CURRENT)


def _run(statement: str, values: dict[str, Any]) -> Sequence[Any]:
    result = op.get_bind().execute(sa.text(statement), values)
    return result.all() if result.returns_rows else ()


def _join_assignments(shown: str, others: Sequence[str]) -> None:
    """Of several claims of one person on an item the one that says most stays; the item has a reviewer less then."""
    claims = defaultdict(list)
    for name in (shown, *others):
        for row in _run("SELECT * FROM assignments WHERE reviewer = :name", {"name": name}):
            claims[row.item].append(row)
    for item, rows in sorted(claims.items()):
        if [row.reviewer for row in rows] == [shown]:
            continue
        best = min(rows, key=lambda row: _SAYS_MOST[row.state])
        for row in rows:
            _run(
                "DELETE FROM assignments WHERE item = :item AND reviewer = :name", {"item": item, "name": row.reviewer}
            )
        _run(
            "INSERT INTO assignments VALUES (:item, :reviewer, :stream, :place, :state, :claimed_until)",
            {**best._mapping, "reviewer": shown},
        )
        if fewer := max(0, sum(row.state != 2 for row in rows) - 1):
            _run(
                "UPDATE queue SET taken = taken - :fewer, open = CASE WHEN taken - :fewer < wanted THEN 1 ELSE 0 END "
                "WHERE item = :item",
                {"item": item, "fewer": fewer},
            )
            # What is open again must not lie behind anybody's cursor.
            _run("UPDATE reviewers SET ranked_cursor = 0, audit_cursor = 0", {})
