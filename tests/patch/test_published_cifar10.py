"""The whole way on real data: 275 published verdicts, a patch of 18 relabels, a corrected CIFAR-10, and back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from auditor.audit.find_errors import find_errors
from auditor.core.config import Settings
from auditor.core.errors import DataError, LabelError
from auditor.data.open import open_dataset
from auditor.patch.applying import apply_patch, revert_patch, verify_patch
from auditor.patch.create import create_patch
from auditor.patch.files import read_patch, write_patch
from auditor.patch.importing import import_verdicts
from auditor.patch.rules import open_store, stored_consensus
from auditor.review.consensus import count_errors
from auditor.runs.run import Run

DATA = "cifar10?split=test"


@pytest.fixture(scope="module")
def here(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dirs=(data_dir,), cache_dir=tmp_path_factory.mktemp("cache"), offline=True)


@pytest.fixture(scope="module")
def run(here: Settings, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over the test split with the published probabilities: nothing is trained."""
    out = tmp_path_factory.mktemp("runs") / "cifar10"
    probabilities = data_dir / "label_errors" / "cifar10" / "pyx.npy"
    return find_errors(DATA, pred_probs=probabilities, out=out, settings=here, near_duplicates=False, quality=False)


def test_verdicts_to_patch_to_corrected_copy_and_back(run: Run, here: Settings, data_dir: Path, tmp_path: Path) -> None:
    verdicts = data_dir / "label_errors" / "cifar10" / "mturk.json"
    with open_store(run.path) as store:
        store.load_run(run)
        first = import_verdicts(run, verdicts, store)
        again = import_verdicts(run, verdicts, store)
    assert (first.items, first.accepted, again.accepted, again.repeated) == (275, 1375, 0, 1375)

    for k, wanted in {3: (221, 22, 32, 18), 4: (167, 10, 98, 7), 5: (82, 3, 190, 3)}.items():
        consensus = stored_consensus(run, f"{k}-of-5")
        counts = count_errors(consensus)
        correctable = sum(c.verdict == "suggested" or c.verdict.startswith("other:") for c in consensus)
        assert (counts.right, counts.wrong, counts.ambiguous, correctable) == wanted
        assert counts.strict == 275 - wanted[0]

    consensus = stored_consensus(run, "3-of-5")
    made = create_patch(run, consensus, here)
    assert Counter(r.op for r in made.patch.records) == {"relabel": 18, "drop": 4}
    made = create_patch(run, consensus, here, only=("relabel",))
    assert len(made.patch.records) == 18
    published = {i["id"]: i for i in json.loads(verdicts.read_text())}
    for record in made.patch.records:
        item = published[record.index]
        assert (record.from_label, record.to) == (item["given_original_label_name"], (item["our_guessed_label_name"],))
        assert (record.votes or {}).get("given", 0) == item["mturk"]["given"]
        assert record.n == 5
    write_patch(made.patch, tmp_path / "p.labelpatch.jsonl")
    patch = read_patch(tmp_path / "p.labelpatch.jsonl")

    done = apply_patch(patch, DATA, here, out=tmp_path / "copy")
    assert (done.changed["relabel"], done.warnings, done.other) == (18, [], [])
    assert verify_patch(patch, str(tmp_path / "copy"), here).done == 18
    revert_patch(patch, str(tmp_path / "copy"), here, out=tmp_path / "back")

    name = "test-00000-of-00001.parquet"
    source = pq.read_table(data_dir / "cifar10" / name)
    copy, back = (pq.read_table(tmp_path / place / "cifar10" / name) for place in ("copy", "back"))
    changed = np.flatnonzero(source["label"].to_numpy() != copy["label"].to_numpy())
    assert changed.tolist() == sorted(r.index for r in patch.records if r.index is not None)
    assert copy["img"].equals(source["img"])
    assert back["label"].to_numpy().tobytes() == source["label"].to_numpy().tobytes()
    assert back.equals(source, check_metadata=True)
    # The copy opens as cifar10 from the folder it lies in.
    opened = open_dataset(DATA, Settings(data_dirs=(tmp_path / "copy",), cache_dir=here.cache_dir, offline=True))
    assert opened.labels.tobytes() == copy["label"].to_numpy().astype(np.int64).tobytes()


def test_verdicts_on_other_data_are_refused_before_anything_is_stored(run: Run, data_dir: Path, tmp_path: Path) -> None:
    items = json.loads((data_dir / "label_errors" / "cifar10" / "mturk.json").read_text())
    moved = [{**item, "id": item["id"] - 1} for item in items]
    (tmp_path / "m.json").write_text(json.dumps(moved))
    with open_store(tmp_path / "store.sqlite") as store:
        store.load_run(run)
        with pytest.raises(LabelError, match="do not fit this data"):
            import_verdicts(run, tmp_path / "m.json", store)
        for name in ("audioset", "cifar100"):
            with pytest.raises(DataError):
                import_verdicts(run, data_dir / "label_errors" / name / "mturk.json", store)
        assert len(store.votes().items) == 0
