"""A log that was cut off or damaged is never taken for one that ended there."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from auditor.core.errors import RunError
from auditor.review.log import log_of, lost_pages
from auditor.review.store import VerdictStore
from tests.review.cases import make_run, verdict

PAGE = 24 + 4096


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a store with 8 verdicts, one sent after the other, as a killed process leaves it: all in the log."""
    live, left = tmp_path_factory.mktemp("live"), tmp_path_factory.mktemp("killed") / "store"
    VerdictStore.open(live / "review.sqlite").close()
    with VerdictStore.open(live / "review.sqlite") as store:
        store.load_run(make_run(40, 20))
        for item in store.next_batch("ann", 8):
            store.submit("ann", [verdict(item)])
        shutil.copytree(live, left)
    return left


@pytest.fixture
def store(killed: Path, tmp_path: Path) -> Path:
    shutil.copytree(killed, tmp_path / "store")
    return tmp_path / "store" / "review.sqlite"


def change(store: Path, what: str) -> None:
    log = log_of(store)
    raw = bytearray(log.read_bytes())
    if what.startswith("flip"):
        at = {"flip page": -PAGE // 2, "flip frame": -PAGE + 9, "flip header": 17, "flip early": 32 + PAGE + 500}[what]
        raw[at] ^= 1
        log.write_bytes(raw)
    elif what == "gone":
        log.unlink()
    elif what == "zeroed":
        log.write_bytes(bytes(len(raw)))
    else:
        cut = {
            "cut to nothing": 0,
            "cut in header": 9,
            "cut at a page": len(raw) - PAGE,
            "cut in a page": len(raw) - 99,
        }
        log.write_bytes(raw[: cut[what]])


DAMAGE = ("flip page", "flip frame", "flip header", "flip early", "gone", "zeroed")
CUT = ("cut to nothing", "cut in header", "cut at a page", "cut in a page")


@pytest.mark.parametrize("what", [*DAMAGE, *CUT])
def test_what_was_committed_and_is_lost_is_told_before_the_store_is_opened(what: str, store: Path) -> None:
    assert lost_pages(store) == ""
    change(store, what)
    before = {path.name: path.read_bytes() for path in store.parent.iterdir()}
    for _ in range(2):  # nothing is touched, so that it is told again
        with pytest.raises(RunError, match="damaged or cut off") as told:
            VerdictStore.open(store)
    assert "import-verdicts" in str(told.value)
    assert {path.name: path.read_bytes() for path in store.parent.iterdir()} == before
    with VerdictStore.open(store, salvage=True) as whole:
        assert whole.progress().verdicts < 8 if whole.loaded else True
    if "log" in before:
        assert Path(f"{log_of(store)}-damaged").read_bytes() == before[log_of(store).name]


@pytest.mark.parametrize("what", ["flip early", "flip header"])
def test_without_its_index_a_log_still_tells_of_damage_before_later_transactions(what: str, store: Path) -> None:
    Path(f"{store}-shm").unlink()
    change(store, what)
    with pytest.raises(RunError, match="damaged or cut off"):
        VerdictStore.open(store)


@pytest.mark.parametrize("what", ["whole", "cut in a page"])
def test_what_a_killed_process_or_a_power_cut_leaves_is_no_damage(what: str, store: Path) -> None:
    """A page of which only a part was written was never acknowledged; an index does not survive a power cut."""
    if what != "whole":
        Path(f"{store}-shm").unlink()
        change(store, what)
    with VerdictStore.open(store) as opened:
        assert opened.progress().verdicts == (8 if what == "whole" else 7)
        assert opened.verify(make_run(40, 20)) == []


def test_a_live_store_is_opened_beside_its_reviewers(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    with VerdictStore.open(path) as server:
        server.load_run(make_run(40, 20))
        for item in server.next_batch("ann", 10):
            server.submit("ann", [verdict(item)])
            assert lost_pages(path) == ""
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert lost_pages(path) == ""
    assert lost_pages(path) == ""
