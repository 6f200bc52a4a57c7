"""From a consensus to records: every verdict, both treatments, copies, and the rule for test splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.config import Settings
from auditor.core.errors import DataError, RunError, UnknownNameError, UsageError
from auditor.core.hashing import hash_bytes
from auditor.data.open import open_dataset
from auditor.patch.create import create_patch, label_column_of, require_human_verdicts
from auditor.patch.records import PatchRecord, check_patch
from auditor.patch.rules import stored_consensus
from auditor.review.consensus import INCOMPLETE, NO_AGREEMENT, ItemConsensus
from auditor.runs.run import Run

CLASSES = ["cat", "dog", "horse"]
N = 8


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run over eight items of the test split; items 6 and 7 are copies of 0 and 1."""
    given = ["cat", "dog", "horse", "cat", "dog", "horse", "cat", "horse"]
    items = pd.DataFrame(
        {
            "id": [f"test/{k}" for k in range(N)],
            "index": range(N),
            "split": "test",
            "given": given,
            "label": [CLASSES.index(g) for g in given],
            "path": None,
            "content_hash": [hash_bytes(str(k % 6).encode()) for k in range(N)],
        }
    )
    manifest = {
        "data": {
            "name": "pets",
            "reference": "folder:///pets",
            "hash_scheme": "sha256-rgb-bytes",
            "class_names": CLASSES,
            "fingerprint": "-",
        }
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    made = Run(tmp_path, manifest)
    findings = pd.DataFrame({"id": ["test/3", "test/1"], "rank": [1, 2]})
    made.__dict__.update(items=items, findings=findings)
    return made


def _say(item: int, verdict: str, label: str | None = None, n: int = 3) -> ItemConsensus:
    return ItemConsensus(f"test/{item}", verdict, label, {verdict: n} if n else {}, n, None)


EVERY = [
    _say(0, "given", "cat"),
    _say(1, "suggested", "horse"),
    _say(2, "other:cat", "cat"),
    _say(3, "both", "dog"),
    _say(4, "neither"),
    _say(5, "bad_item"),
    _say(7, NO_AGREEMENT),
]


def test_every_verdict_becomes_its_operation(run: Run, settings: Settings) -> None:
    made = create_patch(run, EVERY, settings)
    said = {r.index: (r.op, r.from_label, r.to, r.reason) for r in made.patch.records}
    assert said == {
        1: ("relabel", "dog", ("horse",), None),
        2: ("relabel", "horse", ("cat",), None),
        3: ("multi", "cat", ("cat", "dog"), None),
        4: ("drop", "dog", (), "neither"),
        5: ("drop", "horse", (), "bad_item"),
    }
    assert made.left_out == {"given": 1, NO_AGREEMENT: 1}
    assert [r.index for r in made.patch.records][:2] == [3, 1], "ranked first"
    header = made.patch.header
    assert (header.split, header.n, header.label_column, header.classes) == ("test", N, "label", tuple(CLASSES))
    check_patch(header, made.patch.records, "x")


def test_lenient_takes_both_labels_for_right(run: Run, settings: Settings) -> None:
    made = create_patch(run, EVERY, settings, treatment="lenient")
    assert {r.op for r in made.patch.records} == {"relabel", "drop"}
    assert made.left_out["both"] == 1


def test_only_some_operations(run: Run, settings: Settings) -> None:
    made = create_patch(run, EVERY, settings, only=("relabel",))
    assert {r.op for r in made.patch.records} == {"relabel"}
    assert made.left_out["neither (drop)"] == 1


@pytest.mark.parametrize("verdict", ["given", "unsure", NO_AGREEMENT, INCOMPLETE])
def test_what_changes_nothing(verdict: str, run: Run, settings: Settings) -> None:
    assert not create_patch(run, [_say(0, verdict)], settings).patch.records


def test_copies_judged_differently_are_refused_or_left_out(run: Run, settings: Settings) -> None:
    contested = [_say(0, "suggested", "dog"), _say(6, "given", "cat"), _say(4, "neither")]
    with pytest.raises(DataError, match="test/0 and test/6"):
        create_patch(run, contested, settings)
    made = create_patch(run, contested, settings, leave_out_conflicts=True)
    assert [r.index for r in made.patch.records] == [4]
    assert len(made.conflicts) == 1
    agreed = [_say(0, "suggested", "dog"), _say(6, "other:dog", "dog")]
    assert len(create_patch(run, agreed, settings).patch.records) == 1


def test_no_copy_of_a_contested_item_is_corrected(run: Run, settings: Settings) -> None:
    run.items.loc[3, "content_hash"] = run.items.loc[0, "content_hash"]
    contested = [_say(0, "suggested", "dog"), _say(3, "suggested", "dog"), _say(6, "given", "cat")]
    made = create_patch(run, contested, settings, leave_out_conflicts=True)
    assert not made.patch.records, "the record of one copy would change all of them"


def test_no_record_of_a_test_split_without_a_human_verdict(run: Run, settings: Settings) -> None:
    with pytest.raises(DataError, match="no human verdict") as caught:
        create_patch(run, [_say(1, "suggested", "horse", n=0)], settings)
    assert "row 1" in caught.value.what
    run.items["split"] = "train"
    assert len(create_patch(run, [_say(1, "suggested", "horse", n=0)], settings).patch.records) == 1
    record = PatchRecord(hash_bytes(b""), "relabel", "a", ("b",), votes={"suggested": 0})
    for split in ("Test", "validation"):
        with pytest.raises(DataError):
            require_human_verdicts([(split, record)])


def test_unknown_items_and_verdicts_without_a_class(run: Run, settings: Settings) -> None:
    with pytest.raises(UnknownNameError):
        create_patch(run, [_say(99, "given")], settings)
    with pytest.raises(DataError, match="names no other class"):
        create_patch(run, [_say(1, "suggested")], settings)


def test_the_fingerprint_is_that_of_the_data(settings: Settings, tmp_path: Path) -> None:
    from auditor.patch.create import _header

    data = open_dataset("digits", settings)
    items = pd.DataFrame(
        {"id": data.ids, "content_hash": data.content_hashes, "label": data.labels, "split": data.items.splits}
    )
    manifest = {
        "data": {
            "name": "digits",
            "reference": "digits",
            "hash_scheme": data.hash_scheme,
            "class_names": list(data.class_names),
        }
    }
    (tmp_path / "manifest.json").write_text("{}")
    header = _header(Run(tmp_path, manifest), items, ["all"], settings, "CC0-1.0", "now")
    assert header.fingerprint == data.fingerprint
    assert header.split is None


def test_the_label_column_is_looked_up(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("size,category\n" + "".join(f"{k},{'ab'[k % 2]}\n" for k in range(6)))
    assert label_column_of(str(tmp_path / "x.csv"), settings) == "category"
    assert label_column_of(f"csv://{tmp_path}/x.csv?label=other", settings) == "other"
    assert label_column_of("cifake:class?split=test", settings) == "class"


def test_a_run_nobody_judged(run: Run) -> None:
    with pytest.raises(RunError, match="nobody has judged"):
        stored_consensus(run, "majority")
    assert not list(run.path.glob("review.sqlite*")), "looking must not make a store"


def test_unknown_rules(run: Run) -> None:
    from auditor.patch.rules import consensus_of
    from auditor.review.votes import votes_from

    votes = votes_from([(1, "a", "given", "direct", None, 0.0, "test/0", "cat", "dog")])
    assert [c.verdict for c in consensus_of(run, votes, "1-of-1")] == ["given"]
    assert [c.verdict for c in consensus_of(run, votes, "majority")] == ["given"]
    assert [c.verdict for c in consensus_of(run, votes, "dawid-skene")] == ["given"]
    run.__dict__.update(ids=np.array(["test/0"], dtype=object), pred_probs=np.array([[0.2, 0.7, 0.1]]))
    assert consensus_of(run, votes, "crowdlab")[0].posterior is not None
    with pytest.raises(UsageError, match="Known: k-of-n"):
        consensus_of(run, votes, "best")
