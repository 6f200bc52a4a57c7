"""Stores of every earlier schema open, keep their events, and work."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from auditor.core.errors import RunError
from auditor.review import database as database_module
from auditor.review import schema
from auditor.review.database import HEAD, Database, alembic_config
from auditor.review.store import VerdictStore
from tests.review.cases import verdict

FIXTURES = Path(__file__).parent / "fixtures"


def _revisions() -> list[str]:
    """All revisions, oldest first."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
        return [r.revision for r in script.walk_revisions()][::-1]


REVISIONS = _revisions()


def test_head_is_the_newest_migration() -> None:
    assert REVISIONS[-1] == HEAD


def test_every_schema_has_its_fixture() -> None:
    """A new migration needs a dump of a store as the version before wrote it (`dump_fixture` makes one)."""
    assert {p.stem.removeprefix("schema_") for p in FIXTURES.glob("schema_*.sql")} == set(REVISIONS)


def dump_fixture(store: Path) -> None:
    """Write the store's dump as the fixture of its schema. Run by hand when the schema gets a new revision."""
    with sqlite3.connect(store) as connection:
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        FIXTURES.mkdir(exist_ok=True)
        (FIXTURES / f"schema_{revision}.sql").write_text("\n".join(connection.iterdump()) + "\n")


def _restore(revision: str, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript((FIXTURES / f"schema_{revision}.sql").read_text())


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_store_of_each_schema_opens_and_works(revision: str, tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    _restore(revision, path)
    with sqlite3.connect(path) as connection:
        before = connection.execute("SELECT event_uuid, item, reviewer, verdict FROM events ORDER BY event").fetchall()
    assert len(before) >= 5
    with VerdictStore.open(path) as store:
        assert store.database.revision() == HEAD
        events = store.database.read(lambda c: c.execute(sa.select(schema.events).order_by(schema.events.c.event)))
        assert [(e.event_uuid, e.item, e.reviewer, e.verdict) for e in events] == before
        progress = store.progress()
        assert (progress.items, progress.verdicts, progress.by_reviewer) == (13, 4, {"ann": 3, "bob": 1})
        assert [d.place for d in store.disagreements()] == [1]
        hand = store.next_batch("eve", 3)
        assert store.submit("eve", [verdict(item) for item in hand]).refused == ()
        assert store.progress().verdicts == 4 + len(hand)
    _same_schema(path, tmp_path / "new.sqlite")


def _same_schema(migrated: Path, fresh: Path) -> None:
    """A migrated store has the very tables, indexes, views and triggers of a new one."""
    VerdictStore.open(fresh).close()
    found = []
    for path in (migrated, fresh):
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL")
            found.append({(name, kind): " ".join(sql.split()) for name, kind, sql in rows})
    assert found[0] == found[1]


#: What takes each step back: so a store of an earlier schema is made on either database.
UNDO = {
    "0002": ["DROP TABLE audit_draws"],
    "0003": ["ALTER TABLE events DROP COLUMN checksum"],
    "0005": [
        "DROP VIEW current_verdicts",
        "DROP INDEX reviewers_key",
        "ALTER TABLE reviewers DROP COLUMN key",
        "ALTER TABLE reviewers DROP COLUMN person",
        """CREATE VIEW current_verdicts AS SELECT e.event, e.event_uuid, e.item, e.reviewer, e.verdict, e.shown_label,
        e.shown_suggested, e.ms, e.client_time, e.server_time, e.stream, e.inclusion FROM events e
        WHERE e.kind = 'verdict' AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = e.event_uuid)
        AND NOT EXISTS (SELECT 1 FROM events l WHERE l.item = e.item AND l.reviewer = e.reviewer AND l.kind = 'verdict'
        AND l.event > e.event AND NOT EXISTS (SELECT 1 FROM events r WHERE r.target_uuid = l.event_uuid))""",
    ],
    "0006": [f"DROP TABLE {table}" for table in ("remarks", "guidelines", "preferences")],
    "0004": ["ALTER TABLE items DROP COLUMN checksum", "ALTER TABLE audit_draws DROP COLUMN checksum"],
}


def make_old(where: str, revision: str) -> None:
    """Take a store's schema back to an earlier one."""
    database = Database(where)
    steps = [step for later in reversed(REVISIONS[REVISIONS.index(revision) + 1 :]) for step in UNDO[later]]
    for step in [*steps, f"UPDATE alembic_version SET version_num = '{revision}'"]:
        database.write(lambda c, step=step: c.execute(sa.text(step)))  # type: ignore[misc]
    assert database.revision() == revision
    database.close()


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_step_runs_on_both_databases(revision: str, where: str) -> None:
    make_old(where, revision)
    database = Database(where)
    assert database.revision() == HEAD

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema.metadata))

    assert database.read(differences) == []
    database.close()


def test_a_newer_store_is_refused_and_untouched(where: str) -> None:
    database = Database(where)
    database.write(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    database.close()
    with pytest.raises(RunError, match="'9999'"):
        VerdictStore.open(where)


@pytest.mark.parametrize("step", ["stamp", "upgrade"])
def test_a_failed_migration_leaves_nothing_behind(step: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def work_then_fail(config: object, target: str) -> None:
        original(config, target)
        raise RuntimeError("power cut")

    if step == "upgrade":
        make_old(where, "0001")
    original = getattr(command, step)
    monkeypatch.setattr(command, step, work_then_fail)
    with pytest.raises(RuntimeError, match="power cut"):
        Database(where)
    if step == "stamp" and "://" not in where:
        assert list(Path(where).parent.iterdir()) == []  # a file appears whole or not at all
    else:
        monkeypatch.setattr(Database, "_bring_up_to_date", lambda self: None)
        database = Database(where)
        assert database.revision() == ("0001" if step == "upgrade" else None)
        database.close()
    monkeypatch.undo()
    with VerdictStore.open(where) as store:
        assert not store.loaded


def test_opening_a_store_at_the_newest_schema_needs_no_alembic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "review.sqlite"
    VerdictStore.open(path).close()
    monkeypatch.setattr(database_module, "alembic_config", None)
    VerdictStore.open(path).close()
