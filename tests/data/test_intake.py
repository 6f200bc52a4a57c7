from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from auditor.core.errors import (
    ClassOrderError,
    EmptyDataError,
    LabelError,
    ProbabilityError,
    UnreadableError,
    UnsafeFileError,
    UsageError,
)
from auditor.data.intake import check_probabilities, open_probabilities
from auditor.data.kinds import ProbabilityDataset
from auditor.data.open import open_dataset


def probabilities(n: int = 60, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mostly right probabilities and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    p = rng.dirichlet(np.ones(k), n)
    p[np.arange(n), labels] += 1.5
    return p / p.sum(axis=1, keepdims=True), labels


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    p, y = probabilities()
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y.astype(np.uint16))
    return tmp_path / "p.npy", tmp_path / "y.npy"


def test_npy_is_memory_mapped_and_reopens_by_reference(saved: tuple[Path, Path], settings) -> None:
    data = open_probabilities(*saved, class_names=("a", "b", "c"))
    assert isinstance(data.probabilities, np.memmap)
    assert data.class_names == ("a", "b", "c")
    again = open_dataset(data.reference, settings)
    assert again.fingerprint == data.fingerprint
    assert data.item(0).keys() == {"a", "b", "c"}


def test_npz_with_labels_and_names(tmp_path: Path) -> None:
    p, y = probabilities()
    np.savez(tmp_path / "p.npz", pred_probs=p, labels=y, class_names=np.array(["a", "b", "c"]))
    data = open_probabilities(tmp_path / "p.npz")
    assert data.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(data.labels, y)


def test_parquet_with_labels_by_name_and_ids(tmp_path: Path) -> None:
    p, y = probabilities()
    frame = pd.DataFrame(p, columns=["cat", "dog", "emu"])
    frame["label"] = [("cat", "dog", "emu")[k] for k in y]
    frame["id"] = [f"item {k}" for k in range(len(y))]
    frame.to_parquet(tmp_path / "p.parquet")
    data = open_probabilities(tmp_path / "p.parquet")
    assert data.class_names == ("cat", "dog", "emu")
    assert data.ids[1] == "item 1"
    np.testing.assert_array_equal(data.labels, y)


def test_named_columns_follow_the_given_class_order(tmp_path: Path) -> None:
    p, y = probabilities()
    pd.DataFrame(p[:, [2, 0, 1]], columns=["c", "a", "b"]).to_parquet(tmp_path / "p.parquet")
    data = open_probabilities(tmp_path / "p.parquet", y, ("a", "b", "c"))
    np.testing.assert_array_equal(data.probabilities, p)
    assert any("reordered" in note for note in data.notes)


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".parquet", ".txt"])
def test_labels_from_other_files(tmp_path: Path, suffix: str) -> None:
    p, y = probabilities()
    path = tmp_path / f"y{suffix}"
    if suffix == ".npz":
        np.savez(path, labels=y)
    elif suffix == ".txt":
        path.write_text("\n".join(map(str, y)))
    else:
        frame = pd.DataFrame({"label": y, "other": 1})
        frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    np.testing.assert_array_equal(open_probabilities(p, path).labels, y)


def test_arrays_in_memory(saved: tuple[Path, Path]) -> None:
    p, y = probabilities()
    data = open_probabilities(p, y, ("a", "b", "c"), name="mine")
    assert data.name == "mine"
    assert data.fingerprint == open_probabilities(*saved, ("a", "b", "c")).fingerprint


def test_values_slightly_outside_are_clipped_and_said() -> None:
    p, _ = probabilities()
    p[3] = [1.00001, -0.00001, 0.0]
    before = p.copy()
    checked, notes = check_probabilities(p)
    assert checked.min() >= 0
    assert checked.max() <= 1
    np.testing.assert_array_equal(p, before)
    np.testing.assert_array_equal(np.delete(checked, 3, axis=0), np.delete(p, 3, axis=0))
    assert "1 rows" in notes[0]


def test_clean_values_are_handed_through_uncopied() -> None:
    p, _ = probabilities()
    checked, notes = check_probabilities(p)
    assert checked is p
    assert notes == []


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ([np.nan, 0.5, 0.5], "row 7 holds nan"),
        ([np.inf, 0.0, 0.0], "row 7 holds inf"),
        ([-0.2, 0.6, 0.6], "row 7 holds -0.2, which is negative"),
        ([1.2, 0.0, 0.0], "row 7 holds 1.2, which is above 1"),
        ([0.5, 0.3, 0.1], "row 7 sums to 0.9"),
        ([0.5, 0.5, 0.5], "row 7 sums to 1.5"),
    ],
)
@pytest.mark.parametrize("block", [1 << 26, 24 * 4])
def test_bad_values_name_the_row(row: list[float], match: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.data.intake._BLOCK_BYTES", block)
    p, _ = probabilities()
    p[7] = row
    with pytest.raises(ProbabilityError, match=match) as caught:
        check_probabilities(p)
    assert caught.value.exit_code == 3


def test_percentages_and_logits_get_their_own_hint() -> None:
    p, _ = probabilities()
    with pytest.raises(ProbabilityError, match="divide by 100"):
        check_probabilities(p * 100)
    with pytest.raises(ProbabilityError, match="softmax"):
        check_probabilities(np.log(p))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.full(4, 0.25), "shape"),
        (np.full((2, 2, 2), 0.5), "shape"),
        (np.ones((5, 1)), "1 columns"),
        (np.eye(3, dtype=int), "one-hot"),
        (np.array([["a", "b"]]), "not numbers"),
    ],
)
def test_wrong_shape_or_type(array: np.ndarray, match: str) -> None:
    with pytest.raises(ProbabilityError, match=match):
        check_probabilities(array)
    with pytest.raises((ProbabilityError, LabelError)):
        open_probabilities(array, np.arange(len(array)) % 2)


def test_no_rows() -> None:
    with pytest.raises(EmptyDataError):
        check_probabilities(np.empty((0, 3)))


def test_columns_must_be_the_classes() -> None:
    p, y = probabilities()
    with pytest.raises(ProbabilityError, match="3 columns for 4 class names"):
        open_probabilities(p, y, ("a", "b", "c", "d"))
    with pytest.raises(ProbabilityError, match="3 columns for 2 class names"):
        open_probabilities(p, y, ("a", "b"))


def test_wrong_length() -> None:
    p, y = probabilities()
    with pytest.raises(ProbabilityError, match=r"60 rows of probabilities.*59 labels"):
        open_probabilities(p, y[:-1])


@pytest.mark.parametrize("bad", [3, -2])
def test_labels_outside_the_classes(bad: int) -> None:
    p, y = probabilities()
    y[5] = bad
    with pytest.raises(LabelError, match=f"label {bad} in row 5 is outside the 3 classes"):
        open_probabilities(p, y)


def test_missing_labels_are_skipped_with_their_rows() -> None:
    p, y = probabilities()
    given = y.astype(float)
    given[2] = np.nan
    data = open_probabilities(p, given)
    assert len(data) == 59
    np.testing.assert_array_equal(data.probabilities[2], p[3])
    assert data.ids[2] == "3"
    assert any("1 rows without a label" in n for n in data.notes)


def test_one_hot_labels_are_refused() -> None:
    p, y = probabilities()
    with pytest.raises(LabelError, match="argmax"):
        open_probabilities(p, np.eye(3, dtype=int)[y])


def test_no_labels(saved: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="--labels"):
        open_probabilities(saved[0])


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["p.npy", "p.npz", "p.pkl"])
def test_a_pickle_is_never_unpickled(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(UnsafeFileError) as caught:
        open_probabilities(tmp_path / name, np.zeros(3, int))
    assert caught.value.exit_code == 3
    np.save(tmp_path / "o.npy", np.array([_Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(UnsafeFileError):
        open_probabilities(tmp_path / "o.npy", np.zeros(3, int))
    with pytest.raises(UnsafeFileError):
        open_probabilities(probabilities()[0], tmp_path / "o.npy")
    assert not (tmp_path / "exploded").exists()


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        open_probabilities(tmp_path / "gone.npy", [0, 1])
    (tmp_path / "p.docx").write_text("x")
    with pytest.raises(UnreadableError, match="npy"):
        open_probabilities(tmp_path / "p.docx", [0, 1])
    np.savez(tmp_path / "e.npz", a=np.ones(3))
    with pytest.raises(ProbabilityError, match="no array 'pred_probs'; it holds: a"):
        open_probabilities(tmp_path / "e.npz", [0, 1])


def test_swapped_columns_are_refused_with_both_orders() -> None:
    p, y = probabilities()
    with pytest.raises(ClassOrderError, match=r"given: +a, b, c\n.*fits: +c, b, a") as caught:
        open_probabilities(p[:, [2, 1, 0]], y, ("a", "b", "c"))
    assert caught.value.exit_code == 3
    kept = open_probabilities(p[:, [2, 1, 0]], y, ("a", "b", "c"), check_order=False)
    assert len(kept) == 60


def test_imdb_values_above_one_are_clipped(data_dir: Path) -> None:
    folder = data_dir / "label_errors" / "imdb"
    data = open_probabilities(folder / "pyx.npy", folder / "original_labels.npy", ("Negative", "Positive"))
    assert len(data) == 25_000
    assert any(note.startswith("2,744 rows") for note in data.notes)
    np.testing.assert_array_equal(data.probabilities, np.clip(np.load(folder / "pyx.npy"), 0, 1))


def test_published_out_of_sample_files_pass(data_dir: Path) -> None:
    paths = sorted((data_dir / "oof" / "cifar10n_aggre").glob("*.npz"))
    assert len(paths) >= 5
    for path in paths:
        data = open_probabilities(path)
        assert isinstance(data, ProbabilityDataset)
        assert data.probabilities.shape == (50_000, 10)
