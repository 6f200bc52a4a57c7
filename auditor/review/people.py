"""Who is who: names are compared without regard to case and spaces, and each person is shown under one spelling."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa

from auditor.core.errors import UsageError
from auditor.review import schema
from auditor.review.database import upsert


def checked_reviewer(name: object) -> str:
    """A reviewer's name, trimmed.

    Raises
    ------
    UsageError
        If it is empty, longer than 200 characters or not printable.
    """
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > 200 or not text.isprintable():
        raise UsageError("a reviewer needs a printable name of 1 to 200 characters.")
    return text


def person_key(name: str) -> str:
    """Equal for all spellings of one person's name: ``Ann``, ``ann`` and ``" ANN"``."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split()) or name


def known_as(connection: sa.Connection, name: str) -> str:
    """The spelling a store shows a person under; `name` where it does not know them yet."""
    return _shown(connection, name) or name


def _shown(connection: sa.Connection, name: str) -> str | None:
    people = schema.reviewers.c
    return connection.scalar(sa.select(people.reviewer).where(people.key == person_key(name)))


def enter(connection: sa.Connection, name: str, now: float) -> str:
    """Enter a person where the store does not know them yet; returns the spelling they are shown under."""
    shown = _shown(connection, name)
    if shown is None:
        new = {"reviewer": name, "since": now, "served": 0, "ranked_cursor": 0, "audit_cursor": 0}
        # Two servers may enter the same person at once: the key is unique, and the first spelling stays.
        connection.execute(upsert(connection, schema.reviewers, (), ()), new | {"key": person_key(name)})
        shown = known_as(connection, name)
    return shown


def spellings(connection: sa.Connection, shown: str) -> set[str]:
    """Every spelling under which events of a person are stored; more than one only in stores of before."""
    people = schema.reviewers.c
    return {shown, *connection.scalars(sa.select(people.reviewer).where(people.person == shown))}


def confused(connection: sa.Connection) -> list[str]:
    """Names that a damaged store takes for those of other people, one line for each."""
    people = schema.reviewers.c
    rows = connection.execute(sa.select(people.reviewer, people.key, people.person).order_by(people.reviewer)).all()
    return [
        f"the reviewer {name!r} is taken for another person"
        for name, key, person in rows
        if person_key(name if person is None else person) != (key if person is None else person_key(name))
    ]
