"""What people did in a run folder outlives every command that starts a run there anew."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")

from auditor.audit.find_errors import find_errors
from auditor.audit.folder import close_store, holds_verdicts
from auditor.core.errors import RunError
from auditor.core.files import write_json
from auditor.review.store import VerdictStore
from auditor.runs import layout
from auditor.runs.run import Run, open_run
from tests.review.cases import verdict


def make(folder: Path, seed: int = 0, fresh: bool = False) -> Run:
    """A run over supplied probabilities."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(3, 0.5), 60)
    return find_errors(pred_probs=probabilities, labels=rng.integers(0, 3, 60), out=folder, fresh=fresh)


def judge(run: Run, n: int = 5) -> None:
    """Judge items of a run in its own store."""
    with VerdictStore.open(run.path) as store:
        store.load_run(run)
        assert len(store.submit("ann", [verdict(item) for item in store.next_batch("ann", n)]).accepted) == n


def test_starting_anew_moves_verdicts_aside_and_says_where(tmp_path: Path) -> None:
    judge(make(tmp_path / "run"))
    again = make(tmp_path / "run", seed=1, fresh=True)
    (note,) = [note for note in again.manifest["notes"] if "moved to" in note]
    (aside,) = (tmp_path / "run").glob("review-*.sqlite")
    assert re.fullmatch(r"review-\d{8}T\d{6}\.sqlite", aside.name)
    assert str(aside) in note
    with VerdictStore.open(aside) as store:
        assert store.progress().verdicts == 5
    judge(again)
    make(tmp_path / "run", seed=2, fresh=True)
    assert len(list((tmp_path / "run").glob("review-*.sqlite"))) == 2


def test_starting_anew_under_a_live_review_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    judge(run)
    before = {path: path.read_bytes() for path in run.path.rglob("*.*") if path.suffix in (".parquet", ".json", ".npy")}
    with VerdictStore.open(run.path) as store:
        with pytest.raises(RunError, match="a review is running"):
            make(tmp_path / "run", seed=1, fresh=True)
        assert store.submit("ann", [verdict(store.next_batch("ann", 1)[0])]).accepted
        assert store.progress().verdicts == 6
    assert {path: path.read_bytes() for path in before} == before
    assert make(tmp_path / "run", seed=1, fresh=True).counts["n_items"] == 60


@pytest.mark.parametrize(
    "name", ["notes.txt", "report.md", "work/mine.txt", "stages/notes", "ann/verdicts.csv", "more.sqlite", ".x.tmp-old"]
)
def test_starting_anew_leaves_what_the_run_did_not_write(name: str, tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).write_text("mine")
    (run.path / layout.P_WRONG).write_text("of the run before")
    make(tmp_path / "run", seed=1, fresh=True)
    assert (run.path / name).read_text() == "mine"
    assert not (run.path / layout.P_WRONG).exists()
    assert open_run(run.path).counts["n_items"] == 60


@pytest.mark.parametrize("content", ['{"model_type": "bert"}', "not JSON", "[]"])
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_the_config_of_another_tool_is_refused(content: str, fresh: bool, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in {"config.json": content, "weights.bin": "w", "findings.parquet": "f"}.items():
        (folder / name).write_text(text)
    with pytest.raises(RunError, match="not a run folder"):
        make(folder, fresh=fresh)
    assert (folder / "config.json").read_text() == content
    assert (folder / "findings.parquet").read_text() == "f"


def test_a_damaged_store_is_moved_too(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    judge(run)
    store = run.path / "review.sqlite"
    store.write_bytes(store.read_bytes()[:5000])
    make(tmp_path / "run", fresh=True)
    (aside,) = run.path.glob("review-*.sqlite")
    assert aside.stat().st_size == 5000
    with pytest.raises(sqlite3.DatabaseError), sqlite3.connect(aside) as connection:
        connection.execute("SELECT * FROM events").fetchall()


def test_messages_advise_to_start_anew_only_where_nothing_would_go(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    with pytest.raises(RunError, match="--fresh"):
        make(run.path, seed=1)
    judge(run)
    with pytest.raises(RunError) as refused:
        make(run.path, seed=1)
    assert "--fresh" not in str(refused.value)
    write_json(run.path / layout.CONFIG, {"schema": layout.RUN_SCHEMA})
    with pytest.raises(RunError, match=r"damaged config\.json") as damaged:
        make(run.path)
    assert "--fresh" not in str(damaged.value)
    assert json.loads((run.path / layout.CONFIG).read_text()) == {"schema": layout.RUN_SCHEMA}


def test_a_folder_holds_verdicts_where_people_judged_or_nobody_can_tell(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    assert not holds_verdicts(run.path)
    with VerdictStore.open(run.path) as store:
        store.load_run(run)
    assert not holds_verdicts(run.path)  # a review that was opened
    judge(run)
    judged = (run.path / "review.sqlite").read_bytes()
    assert holds_verdicts(run.path)
    assert (run.path / "review.sqlite").read_bytes() == judged
    (run.path / "review.sqlite").rename(run.path / "review-20260101T000000.sqlite")
    assert holds_verdicts(run.path)
    (run.path / "review-20260101T000000.sqlite").unlink()
    for damaged in (b"", b"no database", judged[:5000]):
        (run.path / "review.sqlite").write_bytes(damaged)
        assert holds_verdicts(run.path), len(damaged)
    (run.path / "review.sqlite").unlink()
    with VerdictStore.open(run.path) as store:
        store.load_run(run)
        assert holds_verdicts(run.path)  # what is said there may lie in its log alone


@pytest.mark.parametrize("name", ["review.sqlite", "review-20260101T000000.sqlite"])
def test_a_store_whose_schema_is_no_text_is_taken_to_hold_verdicts(name: str, tmp_path: Path) -> None:
    """SQLite repeats the damaged bytes in its message, which Python then cannot decode."""
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute("CREATE TABLE events (id INTEGER)")
        database.execute("PRAGMA writable_schema=1")
        damaged = "sql = CAST(x'4352454154452054f4ff20' AS TEXT), name = CAST(x'f4ff' AS TEXT)"
        database.execute(f"UPDATE sqlite_master SET {damaged}")
        database.commit()
    assert holds_verdicts(tmp_path)
    close_store(tmp_path, "Stop it.")
    assert holds_verdicts(tmp_path)
