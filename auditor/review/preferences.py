"""How a reviewer wants to work, such as keys of their own; kept with the run, wherever they open it."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from auditor.review import schema
from auditor.review.database import upsert
from auditor.review.people import person_key

#: Whom settings of the whole review belong to; nobody has an empty name.
EVERYBODY = ""


def read(connection: sa.Connection, reviewer: str, name: str) -> Any:
    """A setting as it was written; None where it was not."""
    table = schema.preferences.c
    query = sa.select(table.value).where(table.person == person_key(reviewer), table.name == name)
    value = connection.scalar(query)
    return None if value is None else json.loads(value)


def write(connection: sa.Connection, reviewer: str, name: str, value: Any) -> None:
    """Keep a setting, any JSON value; the last one holds."""
    row = {"person": person_key(reviewer), "name": name, "value": json.dumps(value)}
    connection.execute(upsert(connection, schema.preferences, ("person", "name"), ("value",)), row)
