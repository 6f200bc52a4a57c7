"""Every event carries a checksum: a changed verdict is noticed by whoever reads it, and the others are saved."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from auditor.core.errors import RunError
from auditor.review.carry_over import carry_over
from auditor.review.checksums import EVENTS, damaged_rows
from auditor.review.loading import QueuePlan
from auditor.review.store import VerdictStore
from tests.review.cases import TableRun, make_run, undo, verdict

PLAN = QueuePlan(overlap=0.0, audit_size=0, control_share=0.0)
#: Each leaves what could have been said.
PLAUSIBLE = (
    "UPDATE events SET verdict = 'unsure' WHERE event = 3",
    "UPDATE events SET reviewer = 'anm' WHERE event = 3",
    "UPDATE events SET server_time = server_time + 1 WHERE event = 3",
    "UPDATE events SET ms = 801 WHERE event = 3",
    "UPDATE events SET shown_suggested = NULL WHERE event = 3",
    "UPDATE events SET stream = 'direct', inclusion = 0.5 WHERE event = 3",
    "UPDATE events SET checksum = NULL WHERE event = 3",
    # The item it speaks of is another one now.
    "UPDATE items SET suggested = 'owl' WHERE item = (SELECT item FROM events WHERE event = 3)",
    "UPDATE items SET item_id = 'x' WHERE item = (SELECT item FROM events WHERE event = 3)",
)


def small_run() -> TableRun:
    """Eighty items: every test loads them several times."""
    return make_run(80, 30)


@pytest.fixture
def judged(where: str) -> str:
    """Where a store with ten verdicts of ann is."""
    with VerdictStore.open(where) as store:
        store.load_run(small_run(), PLAN)
        for item in store.next_batch("ann", 10):
            store.submit("ann", [verdict(item)])
    return where


def tamper(where: str, statement: str) -> None:
    """As damage does, past the triggers."""
    with VerdictStore.open(where) as store:
        off = ["DROP TRIGGER IF EXISTS events_no_update", "DROP TRIGGER IF EXISTS events_no_delete"]
        if "://" in where:
            off = ["ALTER TABLE events DISABLE TRIGGER events_append_only"]
        store.database.write(lambda c: [c.execute(sa.text(line)) for line in [*off, statement]])


@pytest.mark.parametrize("statement", PLAUSIBLE)
def test_a_changed_verdict_that_could_have_been_said_is_refused(statement: str, judged: str) -> None:
    tamper(judged, statement)
    with VerdictStore.open(judged) as store:
        for read in (lambda: store.load_run(small_run()), store.votes):
            with pytest.raises(RunError, match="event 3: it is not what was stored") as told:
                read()
            assert "import-verdicts RUN" in str(told.value)
        assert any("event 3" in fault or "not those of the run" in fault for fault in store.verify(small_run()))


def test_the_other_verdicts_are_saved_and_the_damaged_one_is_named(judged: str, tmp_path: Path) -> None:
    tamper(judged, PLAUSIBLE[0])
    with VerdictStore.open(judged, salvage=True) as old, VerdictStore.open(tmp_path / "new.sqlite") as new:
        new.load_run(small_run(), PLAN)
        done = carry_over(old, new)
        assert (done.judged, done.accepted, done.damaged) == (9, 9, ("event 3: it is not what was stored",))
        assert set(new.votes().verdicts) == {"given"}
        assert new.verify(small_run()) == []


@pytest.mark.parametrize(("gone", "told"), [("= 4", "event 4: it is gone"), (">= 8", "event 10: it is gone")])
def test_events_that_are_gone_are_noticed(gone: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with VerdictStore.open(path) as store:
        store.load_run(small_run(), PLAN)
        store.submit("ann", [verdict(item) for item in store.next_batch("ann", 10)])
    tamper(str(path), f"DELETE FROM events WHERE event {gone}")
    with VerdictStore.open(path) as store, pytest.raises(RunError, match=told):
        store.load_run(small_run())


def test_a_bit_flipped_in_any_verdict_of_the_file_is_noticed(tmp_path: Path) -> None:
    """At each place of the file where a verdict or a reviewer's name is written."""
    path, copy = tmp_path / "review.sqlite", tmp_path / "copy.sqlite"
    with VerdictStore.open(path) as store:
        store.load_run(small_run(), PLAN)
        events = [verdict(item, "suggested") for item in store.next_batch("annabel", 3)]
        store.submit("annabel", [*events, undo(events[0])])
    raw = path.read_bytes()
    places = [k for k in range(len(raw)) if raw.startswith((b"annabel" + b"suggested", b"annabel"), k)]
    noticed = 0
    for at in places:
        copy.write_bytes(raw[:at] + bytes([raw[at] ^ 2]) + raw[at + 1 :])
        try:
            with VerdictStore.open(copy) as store:
                store.load_run(small_run())
                votes = store.votes()
        except RunError:
            noticed += 1
            continue
        assert votes.reviewer_names == ("annabel",), at  # a page that is not in use, or the list of reviewers
    assert noticed >= 4


def test_events_of_before_get_their_checksum_when_the_store_is_brought_up_to_date(where: str) -> None:
    from tests.review.test_migrations import UNDO

    with VerdictStore.open(where) as store:
        store.load_run(small_run(), PLAN)
        store.submit("ann", [verdict(item) for item in store.next_batch("ann", 4)])
        assert store.checksum_note() == ""
        older = "DELETE FROM meta WHERE key = 'digest'", "UPDATE alembic_version SET version_num = '0002'"
        for line in (*UNDO["0006"], *UNDO["0005"], *UNDO["0004"], *UNDO["0003"], *older):
            store.database.write(lambda c, line=line: c.execute(sa.text(line)))  # type: ignore[misc]
    with VerdictStore.open(where) as store:
        store.load_run(small_run())
        assert "first 4 events" in store.checksum_note()
        store.submit("bea", [verdict(item) for item in store.next_batch("bea", 2)])
        assert store.database.read(lambda c: list(damaged_rows(c, EVENTS))) == []
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            store.database.write(lambda c: c.execute(sa.text("UPDATE events SET ms = 1")))
    tamper(where, "UPDATE events SET verdict = 'unsure' WHERE event = 2")
    with VerdictStore.open(where) as store, pytest.raises(RunError, match="event 2"):
        store.load_run(small_run())


@pytest.mark.parametrize(
    "change",
    ["SET value = '{' WHERE key = 'plan'", "SET value = '9' WHERE key = 'n_items'", "SET key = 'x' WHERE key = 'plan'"],
)
def test_damaged_facts_are_told(change: str, judged: str) -> None:
    tamper(judged, f"UPDATE meta {change}")
    with VerdictStore.open(judged) as store, pytest.raises(RunError, match="says of its run is damaged"):
        store.load_run(small_run())


def test_a_damaged_schema_is_told(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with VerdictStore.open(path) as store:
        store.load_run(small_run(), PLAN)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE queue RENAME COLUMN wanted TO wantee")
    with VerdictStore.open(path) as store, pytest.raises(RunError, match="damaged: no such column"):
        store.verify(small_run())


SAMPLE = QueuePlan(overlap=0.0, audit_size=30, control_share=0.0)
#: What damages the scores and the sample past what SQLite would notice.
OF_ITEMS = (
    "UPDATE items SET score = score + 1 WHERE item = 2",
    "UPDATE items SET p_given = 0.5 WHERE item = 2",
    "UPDATE items SET inclusion = inclusion / 2 WHERE item = 2",
    "UPDATE items SET message = 'x' WHERE item = 2",
    "UPDATE items SET checksum = NULL WHERE item = 2",
    "UPDATE queue SET audit = 1000 - audit WHERE audit IS NOT NULL",
)
OF_DRAWS = (
    "UPDATE audit_draws SET probability = probability * 2 WHERE draw = 3",
    "UPDATE audit_draws SET item = item + 1 WHERE draw = 3",
    "DELETE FROM audit_draws WHERE draw = 3",
    "UPDATE items SET inclusion = NULL WHERE item = 2",
)


@pytest.fixture
def sampled(where: str) -> str:
    """Where a store with a sample is."""
    with VerdictStore.open(where) as store:
        store.load_run(small_run(), SAMPLE)
    return where


@pytest.mark.parametrize("statement", OF_ITEMS)
def test_damaged_scores_and_probabilities_are_refused_by_what_reads_them(statement: str, sampled: str) -> None:
    tamper(sampled, statement)
    with VerdictStore.open(sampled) as store:
        assert any("not what was stored" in fault for fault in store.verify(small_run()))
        with pytest.raises(RunError, match="not what was stored"):
            store.audit_stream()
        with pytest.raises(RunError, match="not what was stored"):
            store.page(limit=200)
        with pytest.raises(RunError, match="not what was stored"):
            store.draw_audit(small_run().scores["id"].tolist(), np.linspace(3, -3, 80), 20)


@pytest.mark.parametrize("statement", OF_DRAWS)
def test_a_damaged_importance_sample_is_refused(statement: str, sampled: str) -> None:
    ids, margin = small_run().scores["id"].tolist(), np.linspace(3, -3, 80)
    with VerdictStore.open(sampled) as store:
        store.draw_audit(ids, margin, 20)
        assert len(store.draw_audit(ids, margin, 25).item_ids) == 25
        assert store.verify(small_run()) == []
    tamper(sampled, statement)
    with VerdictStore.open(sampled) as store, pytest.raises(RunError, match="is damaged"):
        store.audit_stream()


def test_a_verdict_is_not_taken_on_an_item_whose_probability_is_damaged(sampled: str) -> None:
    with VerdictStore.open(sampled) as store:
        item = store.page(limit=1).items[0]
    tamper(sampled, "UPDATE items SET inclusion = 0.123 WHERE item = 1")
    with VerdictStore.open(sampled) as store, pytest.raises(RunError, match="item 1"):
        store.submit("ann", [verdict(item)])


def test_items_of_before_get_their_checksum_when_the_store_is_brought_up_to_date(sampled: str) -> None:
    from tests.review.test_migrations import UNDO

    with VerdictStore.open(sampled) as store:
        for line in (*UNDO["0006"], *UNDO["0005"], *UNDO["0004"], "UPDATE alembic_version SET version_num = '0003'"):
            store.database.write(lambda c, line=line: c.execute(sa.text(line)))  # type: ignore[misc]
    with VerdictStore.open(sampled) as store:
        assert store.verify(small_run()) == []
        assert len(store.audit_stream().item_ids) == 30
        assert "items" in store.checksum_note()
