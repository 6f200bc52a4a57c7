"""Verdict sources and their traps: doubled votes, missing answers, file numbers, names, lists of labels, patches."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.benchmark.given_labels import load_given_labels
from auditor.benchmark.inputs import load_inputs, verdict_facts
from auditor.benchmark.readers.base import Prediction
from auditor.benchmark.run import benchmark, count_sets
from auditor.benchmark.sets import make_sets
from auditor.benchmark.verdicts.judged import Decision, Judged
from auditor.core.config import Settings
from auditor.core.errors import AuditorError, DataError, LabelError, UnsafeFileError, UsageError
from auditor.data.label_lists import load_label_lists
from auditor.patch.files import write_patch
from auditor.patch.records import Patch, PatchHeader, PatchRecord

Make = Callable[..., dict[str, Any]]


def facts(path: Path, items: list[dict[str, Any]], k: int = 3, labels: np.ndarray | None = None) -> dict[str, Any]:
    (path / "mturk.json").write_text(json.dumps(items))
    file = None
    if labels is not None:
        file = path / "labels.npy"
        np.save(file, labels)
    return verdict_facts(path / "mturk.json", k, file, None, None, None)


@pytest.mark.parametrize(("votes", "k", "right"), [(5, 3, 1), (5, 5, 1), (4, 3, 1), (4, 4, 1), (4, 5, 0)])
def test_given_equal_to_guessed_counts_once(votes: int, k: int, right: int, item: Make, tmp_path: Path) -> None:
    doubled = item(1, 1, 1, (votes, votes, 5 - votes))
    found = facts(tmp_path, [doubled], k, np.array([0, 1, 2, 3]))
    assert found["counts"]["non_errors"] == right
    assert found["counts"]["non_agreement"] == 1 - right
    assert found["counts"]["correctable"] == 0
    inputs = load_inputs(Settings(), labels=tmp_path / "labels.npy", verdicts=tmp_path / "mturk.json")
    assert inputs.judged.guess.tolist() == [-1]
    assert sum(inputs.judged.votes[0].values()) == 5


def test_missing_both_is_zero(item: Make, tmp_path: Path) -> None:
    found = facts(tmp_path, [item(0, 0, 1, (1, 3, 1))], labels=np.array([0, 1]))
    assert found["counts"]["correctable"] == 1


def test_an_item_judged_twice_is_refused(item: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than once"):
        facts(tmp_path, [item(0, 0, 1, (1, 3, 1, 0)), item(0, 0, 1, (3, 1, 1, 0))])


def test_labels_of_other_data_are_refused(item: Make, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="do not fit"):
        facts(tmp_path, [item(0, 0, 1, (1, 3, 1, 0))], labels=np.array([1, 0]))
    with pytest.raises(LabelError, match="no row"):
        facts(tmp_path, [item(7, 0, 1, (1, 3, 1, 0))], labels=np.array([0, 1]))


def test_no_majority_and_unknown_thresholds(small: Path) -> None:
    inputs = load_inputs(Settings(), labels=small / "labels.npy", verdicts=small / "mturk.json")
    assert count_sets(inputs.judged, inputs.given_labels).counts == {
        "checked": 6,
        "non_errors": 1,
        "errors": 5,
        "non_agreement": 1,
        "correctable": 2,
        "multi_label": 1,
        "neither": 1,
    }
    assert count_sets(inputs.judged, inputs.given_labels, 5).n_correctable == 1
    with pytest.raises(UsageError, match="--agreement 2"):
        count_sets(inputs.judged, inputs.given_labels, 2)
    with pytest.raises(AuditorError):
        verdict_facts(small / "mturk.json", 6, None, None, None, None)


def test_imagenet_ids_are_file_numbers(item: Make, tmp_path: Path) -> None:
    numbers = [4, 7, 1, 6, 2, 3, 5]
    (tmp_path / "index.json").write_text(json.dumps([f"val/n0/ILSVRC2012_val_{n:08d}.JPEG" for n in numbers]))
    labels = np.arange(7)
    np.save(tmp_path / "labels.npy", labels)
    url = "https://x/ILSVRC2012_val_00000007.JPEG"
    (tmp_path / "mturk.json").write_text(json.dumps([item(7, 1, 3, (0, 5, 0, 0), url=url)]))
    given = {"labels": tmp_path / "labels.npy", "verdicts": tmp_path / "mturk.json"}
    inputs = load_inputs(Settings(), **given, index=tmp_path / "index.json")
    assert inputs.judged.rows.tolist() == [1]
    with pytest.raises(DataError, match="list of its files"):
        load_inputs(Settings(), **given)
    # Read as a row, the id would land on another label (here: outside).
    (tmp_path / "plain.json").write_text(json.dumps([item(7, 1, 3, (0, 5, 0, 0))]))
    with pytest.raises(LabelError):
        load_inputs(Settings(), labels=tmp_path / "labels.npy", verdicts=tmp_path / "plain.json")


def test_class_names_that_repeat_are_no_obstacle(item: Make, tmp_path: Path) -> None:
    """ImageNet has two cranes: labels are compared by number."""
    crane = {"given_original_label_name": "crane", "our_guessed_label_name": "crane"}
    found = facts(tmp_path, [item(0, 0, 1, (0, 5, 0, 0), **crane)], labels=np.array([0, 1]))
    assert (found["n_benign"], found["n_correctable"]) == (1, 1)


def review(identity: str, given: str = "Negative", votes: tuple[int, int, int, int] = (0, 5, 0, 0)) -> dict[str, Any]:
    guess = "Positive" if given == "Negative" else "Negative"
    answers = dict(zip(("given", "guessed", "neutral", "off-topic"), votes, strict=True))
    return {"id": identity, "url": "", "given_original_label": given, "our_guessed_label": guess, "mturk": answers}


def test_imdb_names_repeated_only_where_nobody_asks(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.array([0, 0, 1, 1]))
    (tmp_path / "index.json").write_text(json.dumps(["neg/1_2.txt", "neg/9_9.txt", "pos/1_2.txt", "pos/1_2.txt"]))
    for identity, fine in (("test/neg/1_2", True), ("test/pos/1_2", False)):
        given = "Negative" if "neg" in identity else "Positive"
        (tmp_path / "mturk.json").write_text(json.dumps([review(identity, given)]))
        if fine:
            found = verdict_facts(
                tmp_path / "mturk.json", 3, tmp_path / "labels.npy", tmp_path / "index.json", None, None
            )
            assert found["n_correctable"] == 1
        else:
            with pytest.raises(DataError, match="2 times"):
                verdict_facts(tmp_path / "mturk.json", 3, tmp_path / "labels.npy", tmp_path / "index.json", None, None)


def test_off_topic_and_third_class_are_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([review("a", votes=(1, 0, 1, 3)), review("b", votes=(0, 1, 3, 1))]))
    found = verdict_facts(tmp_path / "a.json", 3, None, None, None, None)
    assert found["counts"]["non_agreement"] == 2
    assert found["non_agreement_split"] == {"no_majority": 0, "other_class_or_neutral": 1, "off_topic": 1}
    amazon = {
        "id": 3,
        "url": "",
        "given_original_label": "Positive",
        "our_guessed_label": "Neutral",
        "mturk": {"positive": 1, "negative": 4, "neutral": 0, "off-topic": 0},
    }
    (tmp_path / "b.json").write_text(json.dumps([amazon]))
    assert verdict_facts(tmp_path / "b.json", 3, None, None, None, None)["counts"]["non_agreement"] == 1


def test_multi_label_items_are_counted_by_set_equality_and_never_ranked(tmp_path: Path) -> None:
    def sound(row: int, votes: dict[str, int]) -> dict[str, Any]:
        return {
            "id": row,
            "url": str(row),
            "given_original_labels": ["a", "b"],
            "our_guessed_labels": ["c"],
            "mturk": votes,
        }

    items = [sound(0, {"a": 5, "b": 3, "c": 0}), sound(1, {"a": 5, "b": 2, "c": 0}), sound(2, {"a": 5, "b": 5, "c": 3})]
    (tmp_path / "mturk.json").write_text(json.dumps(items))
    lists = np.empty(3, dtype=object)
    for k in range(3):
        lists[k] = np.array([1, 2], np.uint16)
    np.save(tmp_path / "labels.npy", lists, allow_pickle=True)
    found = verdict_facts(tmp_path / "mturk.json", 3, tmp_path / "labels.npy", None, None, None)
    assert (found["counts"]["non_errors"], found["counts"]["errors"]) == (1, 2)
    np.save(tmp_path / "plain.npy", np.zeros(3, int))
    with pytest.raises(DataError, match="several labels"):
        load_inputs(Settings(), labels=tmp_path / "plain.npy", verdicts=tmp_path / "mturk.json")


def test_label_lists_that_would_run_code_are_refused(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    evil = np.empty(1, dtype=object)
    evil[0] = Bad()
    np.save(tmp_path / "evil.npy", evil, allow_pickle=True)
    with pytest.raises(UnsafeFileError):
        load_label_lists(tmp_path / "evil.npy")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "evil2.npy").write_bytes(pickle.dumps([1]))
    with pytest.raises(AuditorError):
        load_label_lists(tmp_path / "evil2.npy")


def test_lists_of_accepted_labels(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 3, 0, 1])
    np.save(tmp_path / "labels.npy", labels)
    lists = [[0], [2], [], [3, 1], [1, 2], [1]]
    (tmp_path / "real.json").write_text(json.dumps(lists))
    inputs = load_inputs(Settings(), labels=tmp_path / "labels.npy", verdicts=tmp_path / "real.json")
    sets = make_sets(inputs.judged, inputs.given_labels, 3)
    assert sets.benign.tolist() == [True, False, False, False, False, True]
    assert sets.correctable.tolist() == [False, True, False, False, False, False]
    assert sets.several == {3: (1, 3), 4: (1, 2)}
    top = np.array([0, 2, 2, 1, 0, 1])
    result = benchmark([Prediction("m", top, "")], inputs.judged, inputs.given_labels, draws=100)
    (model,) = result.models
    assert result.n_lenient == 5
    # Rows 0, 1, 3 and 5 have an accepted label; row 4 has none of [1, 2]; row 2 is out.
    assert model.lenient["corrected"] == pytest.approx(4 / 5)
    assert not result.label_uncertainty["applicable"]


def patch_of(records: list[PatchRecord], n: int, path: Path) -> Path:
    header = PatchHeader("d", "test", n, "sha256:" + "0" * 64, "sha256-utf8", ("c0", "c1", "c2", "c3"))
    write_patch(Patch(header, tuple(records)), path)
    return path


def test_a_patch_without_the_data_needs_rows_that_fit(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.arange(8) % 4)
    identity = ["sha256:" + f"{k:064x}" for k in range(4)]
    records = [
        PatchRecord(identity[0], "relabel", "c1", ("c2",), index=1, votes={"suggested": 3, "given": 2}, n=5),
        PatchRecord(identity[1], "multi", "c2", ("c2", "c3"), index=6),
        PatchRecord(identity[2], "drop", "c0", reason="neither", index=4),
    ]
    path = patch_of(records, 8, tmp_path / "p.labelpatch.jsonl")
    inputs = load_inputs(Settings(), labels=tmp_path / "labels.npy", patch=path)
    sets = make_sets(inputs.judged, inputs.given_labels, 3)
    assert (sets.n_benign, sets.n_correctable, sets.n_pruned, sets.several) == (5, 1, 6, {6: (2, 3)})
    assert int(sets.corrected[1]) == 2
    assert make_sets(inputs.judged, inputs.given_labels, 4).n_correctable == 0
    assert any("row numbers" in note for note in inputs.judged.notes)
    np.save(tmp_path / "other.npy", (np.arange(8) + 1) % 4)
    with pytest.raises(LabelError, match="has the label"):
        load_inputs(Settings(), labels=tmp_path / "other.npy", patch=path)
    np.save(tmp_path / "short.npy", np.arange(7) % 4)
    with pytest.raises(DataError, match="8 rows"):
        load_inputs(Settings(), labels=tmp_path / "short.npy", patch=path)


def test_a_row_is_judged_once_whatever_the_source(tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.arange(4))
    records = [PatchRecord("sha256:" + f"{k:064x}", "relabel", "c1", ("c2",), index=1) for k in range(2)]
    path = patch_of(records, 4, tmp_path / "p.labelpatch.jsonl")
    with pytest.raises(DataError, match="row 1 was judged twice"):
        load_inputs(Settings(), labels=tmp_path / "labels.npy", patch=path)
    decision = Decision(np.zeros(3, np.int8), np.zeros(3, np.int64))
    for kind in ("published", "run", "lists"):
        with pytest.raises(DataError, match="row 7 was judged twice"):
            Judged(kind, "", np.array([7, 2, 7]), np.full(3, -1), lambda k: decision, {})


@pytest.mark.parametrize("given", [{}, {"verdicts": Path("a"), "run": "b"}])
def test_exactly_one_source(given: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="says which"):
        load_inputs(Settings(), labels=tmp_path / "x.npy", **given)


def test_labels_from_a_table_with_ids(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\na.png,cat\nb.png,dog\nc.png,cat\n")
    found = load_given_labels(tmp_path / "labels.csv")
    assert (found.labels.tolist(), found.class_names, found.names) == (
        [0, 1, 0],
        ("cat", "dog"),
        ("a.png", "b.png", "c.png"),
    )
    (tmp_path / "bad.csv").write_text("id,label\n0,1\n1,\n")
    with pytest.raises(LabelError):
        load_given_labels(tmp_path / "bad.csv")
