"""The columns of a run are in the order of its verdict store, and count what the store counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import sqlalchemy as sa

from auditor.review.readout import PageFilter, ReviewItem
from auditor.review.store import VerdictStore
from auditor.runs import layout
from auditor.runs.run import open_run
from auditor.runs.tables import read_table, write_table
from auditor.ui.catalogue import NONE, Catalogue
from auditor.ui.workspace import Workspace
from benchmarks.review_app import write_run
from tests.ui.events import events_on


def _all(store: VerdictStore) -> list[ReviewItem]:
    items: list[ReviewItem] = []
    page = store.page(limit=1000)
    items += page.items
    while page.after is not None:
        page = store.page(after=page.after, limit=1000)
        items += page.items
    return items


def _same(catalogue: Catalogue, items: list[ReviewItem]) -> None:
    name = lambda codes: [None if c == NONE else catalogue.class_names[c] for c in codes]  # noqa: E731
    assert catalogue.ids.to_pylist() == [i.item_id for i in items]
    assert name(catalogue.given) == [i.given for i in items]
    assert name(catalogue.suggested) == [i.suggested for i in items]
    assert catalogue.flagged.tolist() == [i.flagged for i in items]
    assert np.array_equal(catalogue.score, np.array([i.score for i in items], float), equal_nan=True)


def test_columns_are_in_the_order_of_the_store(ws: Workspace) -> None:
    _same(ws.catalogue, _all(ws.store))


def test_the_store_decides_where_another_run_of_the_same_items_is_opened(tmp_path: Path) -> None:
    """Findings without a score, and another order than that of the run that is open."""
    write_run(tmp_path / "run", 60)
    run, table = open_run(tmp_path / "run"), tmp_path / "run" / layout.FINDINGS
    findings = read_table(table)[:40]
    broken = findings.iloc[:1].assign(id="broken", score=np.nan, suggested=None, code="DQ001")
    write_table(table, pd.concat([findings.iloc[5:], broken, findings.iloc[:7]]), "auditor.findings/1")
    with VerdictStore.open(tmp_path / "run") as store:
        store.load_run(run)
        before = Catalogue(store)
        _same(before, _all(store))
        assert before.ids.index("broken").as_py() == 35
        write_table(table, findings, "auditor.findings/1")
        store.load_run(open_run(tmp_path / "run"))
        assert Catalogue(store).ids.equals(before.ids)


def test_pairs_are_those_of_the_flagged_items(ws: Workspace) -> None:
    flagged = [item for item in _all(ws.store) if item.flagged]
    counts = Counter((item.given, item.suggested) for item in flagged)
    first = ws.catalogue.pairs(np.empty(0, np.int64))
    assert {(p.given, p.suggested): p.flagged for p in first} == counts
    assert [p.flagged for p in first] == sorted(counts.values(), reverse=True)
    assert sum(p.judged for p in first) == 0
    of_first = [i for i in flagged if (i.given, i.suggested) == (first[0].given, first[0].suggested)][:2]
    unflagged = list(ws.store.page(PageFilter(flagged=False), limit=3).items)
    ws.store.submit("ann", events_on([*of_first, *unflagged], "given"))
    again = ws.catalogue.pairs(ws.store.judged_places())
    assert again[0].judged == len(of_first)
    assert sum(p.judged for p in again) == len(of_first)
    assert ws.store.judged_places("ANN").tolist() == sorted(i.place for i in (*of_first, *unflagged))
    assert ws.store.judged_places("bob").tolist() == []


def test_the_columns_are_kept_in_the_run_folder_and_made_anew_where_they_are_damaged(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 60)
    run = open_run(tmp_path / "run")
    with VerdictStore.open(tmp_path / "run") as store, VerdictStore.open(tmp_path / "other.sqlite") as other:
        for one in (store, other):
            one.load_run(run)
        wanted, kept = Catalogue(store), tmp_path / "run" / layout.CATALOGUE.format(store.list_id)
        assert not kept.exists()  # without a folder nothing is kept
        columns = ("ids", "given", "suggested", "score", "flagged")
        equal = lambda a: all(np.array_equal(getattr(a, c), getattr(wanted, c)) for c in columns)  # noqa: E731
        assert equal(Catalogue(store, run.path))
        whole = kept.read_bytes()
        damage = {"absent": None, "cut off": whole[: len(whole) // 2], "of another kind": b""}
        for name, content in damage.items():
            if content is None:
                kept.unlink()
            else:
                kept.write_bytes(content)
            assert equal(Catalogue(store, run.path)), name
            assert kept.read_bytes() == whole, name
        for at in range(4, len(whole), 151):
            kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert equal(Catalogue(store, run.path)), at
        kept.write_bytes(whole)
        # It is read: the store is not asked for its million rows again.
        with patch.object(VerdictStore, "columns", side_effect=AssertionError):
            assert equal(Catalogue(store, run.path))
        assert other.list_id != store.list_id  # another store may list other items under the same run
        assert layout.WRITTEN.fullmatch(str(kept.relative_to(run.path)))
        # A store of before has no name for its list until it is asked for.
        store.database.write(lambda c: c.execute(sa.text("DELETE FROM meta WHERE key = 'list'")))
    with VerdictStore.open(tmp_path / "run") as store:
        name = store.list_id
        assert equal(Catalogue(store, run.path))
    with VerdictStore.open(tmp_path / "run") as store:
        assert store.list_id == name
        assert store.verify(run) == []
