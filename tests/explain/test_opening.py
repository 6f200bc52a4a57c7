"""The items of a run, opened again: by every door the same one, also where the run holds one split; never another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.audit.find_errors import find_errors
from auditor.audit.why import save_item
from auditor.core.config import Settings
from auditor.core.errors import DataError, UnknownNameError, UnreadableError, UsageError
from auditor.data.open import open_dataset
from auditor.explain.opening import item_content
from auditor.patch.applying import apply_patch
from auditor.patch.create import create_patch
from auditor.review.consensus import ItemConsensus
from auditor.runs.run import Run, open_run
from auditor.ui.contents import Contents
from auditor.ui.rows import RunRows


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Supplied probabilities for the test split of pictures in folders: rows 0 to 5 are not those of the data set."""
    for split in ("train", "test"):
        for k in range(6):
            path = tmp_path / "pets" / split / f"class{k % 2}" / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (40 * k, 10 if split == "train" else 200, 0)).save(path)
    probabilities = np.full((6, 2), 0.2) + 0.6 * np.eye(2)[[0, 0, 0, 1, 1, 1]]
    return find_errors(str(tmp_path / "pets"), pred_probs=probabilities, out=tmp_path / "run", quality=False)


def test_every_door_opens_the_item_the_run_saw(run: Run, tmp_path: Path) -> None:
    settings, contents = Settings(), Contents(run, RunRows(run), Settings())
    assert len(run.items) == 6
    for item, content_hash in zip(run.items["id"], run.items["content_hash"], strict=True):
        pixels = np.asarray(Image.open(tmp_path / "pets" / item))
        assert np.array_equal(np.asarray(item_content(run, item, settings)), pixels)
        assert np.array_equal(np.asarray(contents.content(content_hash)), pixels)
        save_item(run, item, tmp_path / "saved.png", settings)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "saved.png")), pixels)


def test_a_changed_or_lost_item_is_not_shown(run: Run, tmp_path: Path) -> None:
    changed, lost = run.items["id"].iloc[:2]
    Image.new("RGB", (8, 8), "white").save(tmp_path / "pets" / changed)
    (tmp_path / "pets" / lost).unlink()
    contents = Contents(run, RunRows(run), Settings())
    for row, item in enumerate((changed, lost)):
        with pytest.raises(DataError, match="no longer the one"):
            item_content(run, item, Settings())
        with pytest.raises(DataError, match="no longer the one"):
            contents.content(run.items["content_hash"].iloc[row])
    with pytest.raises(UnknownNameError, match="nobody"):
        item_content(run, "nobody", Settings())


def test_probabilities_alone_hold_no_items(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    run = find_errors(pred_probs=0.2 + 0.6 * np.eye(2)[labels], labels=labels, out=tmp_path / "run")
    with pytest.raises(UsageError, match="probabilities only"):
        item_content(run, str(run.ids[0]), Settings())


PIXELS = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 3), dtype=np.uint8)
HELD = {
    "pictures": PIXELS,
    "texts": [f"the text of number {k}" for k in range(20)],
    "table": pd.DataFrame({"u": PIXELS[:, 0, 0, 0].astype(float), "kind": list("pq") * 10}),
}


@pytest.mark.parametrize("kind", HELD)
def test_data_that_were_in_memory_are_shown_judged_and_corrected_from_the_run_folder(kind: str, tmp_path: Path) -> None:
    labels = pd.Series(np.array(["cat", "dog"])[np.arange(20) % 2], name="species")
    likely = np.where((labels == "cat").to_numpy()[:, None], [[0.9, 0.1]], [[0.1, 0.9]])
    likely[3] = [0.9, 0.1]
    find_errors((HELD[kind], labels), pred_probs=likely, out=tmp_path / "made", quality=False)
    (tmp_path / "made").rename(tmp_path / "moved")  # nothing but the folder is left
    run, settings = open_run(tmp_path / "moved"), Settings()
    data = open_dataset((HELD[kind], labels))
    seen, contents = item_content(run, "3", settings), Contents(run, RunRows(run), settings)
    digest = run.items["content_hash"][3]
    if kind == "pictures":
        np.testing.assert_array_equal(np.asarray(seen), PIXELS[3])
        assert contents.picture(digest, None)[:4] == b"RIFF"
    else:
        assert seen == data.item(3)
        assert set(contents.words(digest)) == {"text" if kind == "texts" else "row", "cut"}
    judged = ItemConsensus("3", "suggested", "cat", {"suggested": 3}, 3, None)
    patch = create_patch(run, [judged], settings).patch
    assert patch.header.label_column == "species"
    assert patch.header.fingerprint == data.fingerprint
    apply_patch(patch, str(run.path), settings, mapping=tmp_path / "corrections.csv")
    assert pd.read_csv(tmp_path / "corrections.csv")[["id", "from", "to"]].to_numpy().tolist() == [[3, "dog", "cat"]]
    with pytest.raises(UsageError, match="--mapping"):
        apply_patch(patch, str(run.path), settings, out=tmp_path / "copy")
    with pytest.raises(DataError, match=r"were in memory(.|\n)*Name the run folder"):
        open_dataset(run.manifest["data"]["reference"], settings)
    (run.path / "data.parquet").unlink()
    with pytest.raises(UnreadableError, match="call find_errors with them again"):
        item_content(run, "3", settings)
