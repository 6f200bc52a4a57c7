"""What every data set keeps, whatever opens it: one parametrised contract over all adapters."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from auditor.core.config import Settings
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, ProbabilityDataset, TableDataset, TextDataset
from auditor.data.open import DATASETS, open_dataset
from auditor.data.stored import STORED, write_stored

N = 200
#: Adapter -> how the contract opens it. Test below: every registered adapter is here.
CASES = (
    "cifar10",
    "cifake",
    "cifake:class",
    "digits",
    "folder",
    "hf",
    "csv",
    "csv-images",
    "jsonl",
    "conll",
    "parquet",
    "probs",
    "memory",
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> dict[str, str]:
    """A reference for every case, over real data where the adapter reads files."""
    root = tmp_path_factory.mktemp("contract")
    settings = Settings(data_dirs=(data_dir,), cache_dir=root / "cache", offline=True)
    part = open_dataset("cifar10?split=test", settings).subset(np.arange(60))
    rows = []
    for k in range(len(part)):
        path = root / "pictures" / part.class_names[part.labels[k]] / f"{part.items.index[k]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        part.item(k).save(path)
        rows.append({"path": str(path.relative_to(root)), "y": path.parent.name})
    pd.DataFrame(rows).to_csv(root / "pictures.csv", index=False)
    texts = pd.read_csv(data_dir / "text" / "noisy_agnews_10k.csv").head(N)
    (root / "texts.jsonl").write_text(
        "\n".join(json.dumps({"text": t, "y": int(y)}) for t, y in zip(texts["text"], texts["label"], strict=True))
    )
    numbers = pd.DataFrame(
        {"long": texts["text"].str.len(), "comma": texts["text"].str.contains(","), "y": texts["label"]}
    )
    numbers.to_csv(root / "numbers.csv", index=False)
    sentences = [f"Ann {'B-PER' if k % 3 else 'O'}\nsees O\nnumber{k} O\n" for k in range(N)]
    (root / "tagged.conll").write_text("\n".join(sentences))
    errors = data_dir / "label_errors" / "imdb"
    (root / "run").mkdir()
    write_stored(open_dataset((texts["text"].tolist(), texts["label"].tolist())), root / "run" / STORED)
    return {
        "memory": f"memory://{root / 'run'}",
        "cifar10": "cifar10?split=test",
        "cifake": "cifake?split=test",
        "cifake:class": "cifake:class?split=test",
        "digits": "digits",
        "folder": f"folder://{root / 'pictures'}",
        "hf": f"hf://{data_dir / 'cifar10'}?split=test",
        "csv": f"csv://{root / 'numbers.csv'}?label=y",
        "csv-images": f"csv://{root / 'pictures.csv'}?image=path&label=y",
        "conll": f"conll://{root / 'tagged.conll'}",
        "jsonl": f"jsonl://{root / 'texts.jsonl'}?text=text&label=y",
        "parquet": f"parquet://{data_dir / 'cifake' / 'test-00000-of-00001.parquet'}?image=image&label=label",
        "probs": f"probs://{errors / 'pyx.npy'}?labels={errors / 'original_labels.npy'}&classes=Negative,Positive",
    }


@pytest.fixture(scope="module")
def open_case(
    places: dict[str, str], data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Dataset]:
    settings = Settings(data_dirs=(data_dir,), cache_dir=tmp_path_factory.mktemp("cache"), offline=True)
    return lambda case: open_dataset(places[case], settings)


def small(data: Dataset) -> Dataset:
    """A spread of items, both ends included."""
    return data.subset(np.unique(np.linspace(0, len(data) - 1, N).astype(int)))


def test_every_adapter_is_in_the_contract() -> None:
    assert set(DATASETS) == {case.partition("-")[0] for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_items(case: str, open_case: Callable[[str], Dataset]) -> None:
    data = open_case(case)
    items = data.items
    assert len(np.unique(items.ids)) == len(data) > 0
    assert items.ids.dtype.kind == "U"
    assert items.labels.dtype == np.int64
    assert items.labels.min() >= 0
    assert items.labels.max() < len(data.class_names)
    assert len(set(data.class_names)) == len(data.class_names) >= 2
    for split in np.unique(items.splits):
        rows = items.index[items.splits == split]
        assert len(np.unique(rows)) == len(rows)
    assert data.name
    assert all(isinstance(note, str) for note in data.notes)


@pytest.mark.parametrize("case", CASES)
def test_items_decode(case: str, open_case: Callable[[str], Dataset]) -> None:
    data = small(open_case(case))
    if isinstance(data, ImageDataset):
        pixels, bad = data.load_images()
        assert pixels.dtype == np.uint8
        assert pixels.shape[0] == len(data)
        assert pixels.shape[3] == 3
        assert not bad
        image = data.item(3)
        assert isinstance(image, Image.Image)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels[3])
    elif isinstance(data, TextDataset):
        assert data.item(3) == data.texts[3]
        assert len(data.texts) == len(data)
    elif isinstance(data, TableDataset):
        assert len(data.frame) == len(data)
        assert all(t == np.float64 or isinstance(t, pd.CategoricalDtype) for t in data.frame.dtypes)
    else:
        assert isinstance(data, ProbabilityDataset)
        assert data.probabilities.shape == (len(data), len(data.class_names))


@pytest.mark.parametrize("case", CASES)
def test_two_openings_agree(case: str, open_case: Callable[[str], Dataset]) -> None:
    first, second = small(open_case(case)), small(open_case(case))
    assert first.reference == second.reference
    assert list(first.ids) == list(second.ids)
    assert first.fingerprint == second.fingerprint
    assert first.fingerprint.startswith("sha256:")
    assert all(h.startswith("sha256:") and len(h) == 71 for h in first.content_hashes)


@pytest.mark.parametrize("case", CASES)
def test_canonical_reference_opens_the_same(
    case: str, open_case: Callable[[str], Dataset], data_dir: Path, tmp_path: Path
) -> None:
    data = open_case(case)
    again = open_dataset(data.reference, Settings(data_dirs=(data_dir,), cache_dir=tmp_path, offline=True))
    assert again.reference == data.reference
    assert small(again).fingerprint == small(data).fingerprint


@pytest.mark.parametrize("case", CASES)
def test_subset_keeps_identity(case: str, open_case: Callable[[str], Dataset]) -> None:
    data = small(open_case(case))
    positions = np.array([len(data) - 1, 0, 7])
    part = data.subset(positions)
    assert type(part) is type(data)
    assert part.class_names == data.class_names
    for column in ("ids", "labels", "splits", "index"):
        np.testing.assert_array_equal(getattr(part.items, column), getattr(data.items, column)[positions])
    np.testing.assert_array_equal(part.content_hashes, data.content_hashes[positions])
    assert part.subset(np.array([2])).content_hashes[0] == data.content_hashes[7]
    assert len(data) == len(data.items.ids)  # the whole is untouched
    part.notes.append("only here")
    assert "only here" not in data.notes


@pytest.mark.parametrize("case", CASES)
def test_another_label_is_another_fingerprint(case: str, open_case: Callable[[str], Dataset]) -> None:
    data = small(open_case(case))
    changed = data.subset(np.arange(len(data)))
    changed.items.labels[0] = (changed.items.labels[0] + 1) % len(data.class_names)
    assert changed.fingerprint != data.fingerprint


def _in_worker(data: Dataset) -> tuple[str, str]:
    return data.fingerprint, repr(np.asarray(data.item(0)) if isinstance(data, ImageDataset) else data.item(0))


@pytest.mark.parametrize("case", CASES)
def test_pickles(case: str, open_case: Callable[[str], Dataset]) -> None:
    data = small(open_case(case))
    _ = data.item(0)  # whatever this opened must not hinder
    back = pickle.loads(pickle.dumps(data))
    assert _in_worker(back) == _in_worker(data)


def test_goes_to_a_worker_process(open_case: Callable[[str], Dataset]) -> None:
    sets = [small(open_case(case)) for case in ("cifar10", "cifake", "folder", "csv", "jsonl", "probs")]
    expected = [_in_worker(data) for data in sets]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_in_worker, sets) == expected


def test_fingerprint_does_not_depend_on_the_hash_seed(
    places: dict[str, str], open_case: Callable[[str], Dataset], data_dir: Path
) -> None:
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom auditor.core.config import Settings\n"
        "from auditor.data.open import open_dataset\n"
        "s = Settings(data_dirs=(Path(sys.argv[1]),), offline=True)\n"
        "for r in sys.argv[2:]:\n    d = open_dataset(r, s)\n"
        f"    print(d.subset(np.unique(np.linspace(0, len(d) - 1, {N}).astype(int))).fingerprint)\n"
    )
    cases = ["cifar10", "folder", "csv", "jsonl", "hf"]
    out = subprocess.run(
        [sys.executable, "-c", code, str(data_dir), *(places[c] for c in cases)],
        env={**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.split() == [small(open_case(c)).fingerprint for c in cases]
