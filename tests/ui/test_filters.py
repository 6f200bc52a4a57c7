"""What the gallery's filters match, by every condition, compared with the items one by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auditor.data.kinds import TextDataset
from auditor.review.readout import ReviewItem
from auditor.review.store import VerdictStore
from auditor.runs.run import open_run
from auditor.ui.catalogue import Catalogue
from auditor.ui.filters import GalleryFilter, matching, read_filter
from auditor.ui.rows import RunRows
from auditor.ui.search import WordSearch
from auditor.ui.workspace import Workspace
from benchmarks.review_app import write_run
from tests.ui.events import events_on

Condition = Callable[[ReviewItem], bool]


def _items(ws: Workspace) -> list[ReviewItem]:
    return ws.store.at(range(1, ws.store.facts["n_items"] + 1))


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        (GalleryFilter(), lambda i: i.flagged),
        (GalleryFilter(items="unflagged"), lambda i: not i.flagged),
        (GalleryFilter(items="all", given="3"), lambda i: i.given == "3"),
        (GalleryFilter(items="all", given="3", suggested="8"), lambda i: (i.given, i.suggested) == ("3", "8")),
        (GalleryFilter(items="all", words="DIGIT 17"), lambda i: "17" in i.item_id),
        (GalleryFilter(items="all", state="judged"), lambda i: bool(i.verdicts)),
        (GalleryFilter(state="open"), lambda i: i.flagged and not i.verdicts),
        (GalleryFilter(state="todo"), lambda i: i.flagged and "ann" not in i.verdicts),
        (GalleryFilter(items="all", judged_by="ben"), lambda i: "ben" in i.verdicts),
        (GalleryFilter(items="all", state="discuss"), lambda i: i.item_id == "digit-0007"),
    ],
)
def test_every_condition(ws: Workspace, wanted: GalleryFilter, holds: Condition) -> None:
    flagged = [item for item in _items(ws) if item.flagged]
    ws.store.submit("ann", events_on(flagged[:3], "given"))
    ws.store.submit("ben", events_on(flagged[2:6], "neither"))
    mark = {"kind": "remark", "item_id": "digit-0007", "comment": None, "discuss": True, "uuid": "d" * 12}
    assert not ws.store.submit("ben", [mark]).refused
    expected = [item.place for item in _items(ws) if holds(item)]
    assert expected
    assert matching(ws, wanted, "Ann").tolist() == expected
    address = wanted.address()
    assert read_filter(ws, address) == (wanted, [])
    assert {name for name, _ in wanted.chips()} == set(address) - {"order"}


def test_items_of_a_check_and_of_one_of_its_groups(ws: Workspace) -> None:
    checks = {c["code"]: c for c in ws.run.quality["checks"]}
    ids = [["digit-0003", "digit-0001"], ["digit-0001", "digit-0009", "digit-0011"]]
    groups = [{"kind": "slice", "ids": members, "parts": [], "labels": []} for members in ids]
    checks["DQ701"] |= {"status": "found", "groups": groups, "n_groups": 2}
    place = {item.item_id: item.place for item in _items(ws)}
    for number, members in enumerate(ids, 1):
        wanted = GalleryFilter(items="all", check=f"DQ701.{number}")
        assert matching(ws, wanted, "ann").tolist() == sorted(place[i] for i in members)
        assert read_filter(ws, wanted.address()) == (wanted, [])
    named = ws.run.get_issues("DQ207")["id"]
    wanted = GalleryFilter(items="all", check="DQ207")
    assert matching(ws, wanted, "ann").tolist() == sorted(place[i] for i in named)
    for unknown in ("DQ999", "DQ701.3", "DQ701.0", "DQ701.x", "DQ001.1", "LE001"):
        assert read_filter(ws, {"check": unknown})[1], unknown


def test_limits_of_the_score(ws: Workspace) -> None:
    scores = np.array([item.score for item in _items(ws)])
    low, high = (float(limit) for limit in np.quantile(scores, [0.3, 0.6]))
    wanted = GalleryFilter(items="all", score_from=low, score_to=high)
    assert matching(ws, wanted, "ann").tolist() == (np.flatnonzero((scores >= low) & (scores <= high)) + 1).tolist()
    assert read_filter(ws, wanted.address()) == (wanted, [])  # to the last digit


def test_orders(ws: Workspace) -> None:
    scores = {item.place: item.score for item in _items(ws)}
    found = [scores[p] for p in matching(ws, GalleryFilter(items="all", order="suspicious"), "ann").tolist()]
    assert found == sorted(scores.values(), reverse=True)
    found = [scores[p] for p in matching(ws, GalleryFilter(items="all", order="sure"), "ann").tolist()]
    assert found == sorted(scores.values())
    given = [item.given for item in ws.store.at(matching(ws, GalleryFilter(order="given"), "ann").tolist())]
    assert given == sorted(given)
    assert set(map(len, given)) == {1}


def test_verdicts_change_what_matches(ws: Workspace) -> None:
    wanted = GalleryFilter(state="open")
    before = matching(ws, wanted, "ann")
    ws.store.submit("ben", events_on(ws.store.at([int(before[0])]), "given"))
    assert matching(ws, wanted, "ann").tolist() == before[1:].tolist()


def test_what_an_address_says_wrongly_is_ignored_and_told(ws: Workspace) -> None:
    address = {
        "given": "none",
        "items": "x",
        "score_from": "nan",
        "judged_by": " ",
        "selection": "gone",
        "order": "list",
    }
    wanted, ignored = read_filter(ws, address | {"suggested": "4", "page": "2"})
    assert wanted == GalleryFilter(suggested="4")
    assert [line.split(":")[0] for line in ignored] == ["given", "items", "judged_by", "score_from", "selection"]


class _Texts:
    """A stand-in for `Contents` with texts."""

    kind = "text"

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def letters(self, start: int, stop: int) -> list[str]:
        return self.texts[start:stop]


def test_words_are_searched_in_texts_and_ids(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 6000)
    run = open_run(tmp_path / "run")
    with VerdictStore.open(tmp_path / "run") as store:
        store.load_run(run)
        catalogue, rows = Catalogue(store), RunRows(run)
    texts = [f"Text number {row} \ud800 of the SHIP" if row % 7 == 0 else f"other {row}" for row in range(6000)]
    search = WordSearch(catalogue, rows, _Texts(texts))  # type: ignore[arg-type]
    ids = np.array(catalogue.ids.to_pylist())
    row_of = rows.rows_in_order(catalogue.ids)
    found = search.find("ship text", patience=60.0)
    assert np.flatnonzero(found).tolist() == [k for k, row in enumerate(row_of) if row % 7 == 0]
    assert ids[search.find("train/5999")].tolist() == ["train/5999"]
    assert ids[search.find("other 4001")].tolist() == ["train/4001"]  # in one text, "train/4001" holds no "other"
    assert not search.find("ship other").any()
    assert search.note() == ""


def test_texts_and_rows_of_real_data_are_searched(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ws.contents._dataset
    texts = np.array([f"digit number {k}" for k in range(len(dataset))], object)
    written = TextDataset(dataset.name, dataset.reference, dataset.class_names, dataset.items, column=texts)
    monkeypatch.setitem(ws.contents.__dict__, "_dataset", written)
    monkeypatch.setattr(ws.contents, "kind", "text")
    found = ws.search.find("number 1234", patience=60.0)
    assert ws.catalogue.ids.filter(found).to_pylist() == ["digit-1234"]
