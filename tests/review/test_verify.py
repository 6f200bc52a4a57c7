"""A damaged store is never taken for one in which nothing was judged."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.core.errors import AuditorError, RunError
from auditor.review.store import VerdictStore
from tests.review.cases import make_run, verdict


@pytest.fixture
def store_file(tmp_path: Path) -> Path:
    """A closed store with verdicts."""
    path = tmp_path / "review.sqlite"
    with VerdictStore.open(path) as store:
        store.load_run(make_run())
        store.submit("ann", [verdict(item) for item in store.next_batch("ann", 20)])
    return path


@pytest.mark.parametrize("size", [0, 1, 99, 4096, 0.5, 0.99])
def test_a_store_that_was_cut_off_is_refused(size: float, store_file: Path) -> None:
    raw = store_file.read_bytes()
    store_file.write_bytes(raw[: int(size * len(raw)) if 0 < size < 1 else int(size)])
    with pytest.raises(RunError, match="damaged"):
        VerdictStore.open(store_file)


def test_a_zeroed_store_and_a_stranger_s_database_are_refused(store_file: Path, tmp_path: Path) -> None:
    store_file.write_bytes(bytes(store_file.stat().st_size))
    with pytest.raises(RunError, match="damaged"):
        VerdictStore.open(store_file)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    before = (tmp_path / "shop.db").read_bytes()
    with pytest.raises(RunError, match="no verdict store: it holds the table 'orders'"):
        VerdictStore.open(tmp_path / "shop.db")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("orders",)]
    assert before


def test_a_new_store_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with VerdictStore.open(tmp_path / "review.sqlite") as store:
        assert not store.loaded
    assert [path.name for path in tmp_path.iterdir()] == ["review.sqlite"]
    assert (tmp_path / "review.sqlite").stat().st_size > 4096


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("events", "verdict = 'gives'", "unknown verdict"),
        ("events", "shown_label = 'bird'", "the label shown"),
        ("events", "item = 999999", "its item is not in the store"),
        ("items", "given = 'bird'", "not those of the run"),
        ("items", "content_hash = 'x'", "not those of the run"),
    ],
)
def test_what_cannot_have_been_said_is_named(table: str, change: str, message: str, store_file: Path) -> None:
    with VerdictStore.open(store_file) as store:
        assert store.verify(make_run()) == []
    with sqlite3.connect(store_file) as connection:
        connection.execute("DROP TRIGGER events_no_update")
        connection.execute(f"UPDATE {table} SET {change} WHERE rowid = 3")
    with VerdictStore.open(store_file) as store:
        (fault,) = store.verify(make_run())
    assert message in fault


def test_pages_overwritten_are_never_silent(store_file: Path) -> None:
    raw = store_file.read_bytes()
    for start in range(4096, len(raw), 4096):
        store_file.write_bytes(raw[:start] + bytes(4096) + raw[start + 4096 :])
        try:
            with VerdictStore.open(store_file) as store:
                assert store.verify(make_run()), start
        except AuditorError:
            pass


def test_opening_a_store_twice_leaves_the_log_of_the_first_to_it(store_file: Path) -> None:
    """Closing a file drops all locks of its process on it: another process would then delete the log under a review."""
    with VerdictStore.open(store_file) as server:
        VerdictStore.open(store_file).close()
        elsewhere = "import sys; from auditor.review.store import VerdictStore; VerdictStore.open(sys.argv[1]).close()"
        subprocess.run([sys.executable, "-c", elsewhere, str(store_file)], check=True)
        assert len(server.submit("bea", [verdict(item) for item in server.next_batch("bea", 1)]).accepted) == 1
        asked = elsewhere.replace(
            "VerdictStore.open(sys.argv[1]).close()", "print(VerdictStore.open(sys.argv[1]).progress())"
        )
        done = subprocess.run(
            [sys.executable, "-c", asked, str(store_file)], check=True, capture_output=True, text=True
        )
        assert "'bea': 1" in done.stdout
