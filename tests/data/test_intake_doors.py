"""Each accepted form of probabilities and labels gives the same through every door; each refused one the same error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auditor.audit.find_errors import _open
from auditor.audit.flagging import flag_inputs, inputs_from_files
from auditor.benchmark.given_labels import load_given_labels
from auditor.benchmark.readers.registry import read_predictions
from auditor.core.config import Settings
from auditor.core.errors import AuditorError
from auditor.data.open import open_dataset

N, NAMES = 40, ("ant", "bee", "cow")
LABELS = np.arange(N) % 3
P = np.round(np.full((N, 3), 0.1) + 0.7 * np.eye(3)[np.where(np.arange(N) < 4, (LABELS + 1) % 3, LABELS)], 3)
TEXTS = np.array(NAMES)[LABELS]

Door = Callable[[Path, Path | None, tuple[str, ...] | None, Settings], tuple[np.ndarray, np.ndarray]]


def find_errors(
    p: Path, y: Path | None, names: tuple[str, ...] | None, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """``find-errors --pred-probs`` and `auditor.find_errors`."""
    data, supplied = _open(None, p, y, names, "all", settings)
    assert supplied is data
    return np.asarray(supplied.probabilities), data.labels


def reference(
    p: Path, y: Path | None, names: tuple[str, ...] | None, settings: Settings
) -> tuple[np.ndarray, np.ndarray]:
    """``probs://``, by which ``check`` and every command opens data."""
    options = {"labels": None if y is None else str(y), "classes": names}
    data: Any = open_dataset(f"probs://{p}", settings, **options)
    return np.asarray(data.probabilities), data.labels


def flag(p: Path, y: Path | None, names: tuple[str, ...] | None, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """``flag --pred-probs``, which streams."""
    inputs = inputs_from_files([str(p)], None if y is None else str(y), names)
    flag_inputs(inputs, rule="confident_learning")  # reads, and so checks, every row
    (source,) = inputs.sources
    return np.clip(source.read(0, source.shape[0]), 0, 1), np.asarray(inputs.labels)


DOORS = [find_errors, reference, flag]


def saved(suffix: str, **more: Any) -> Callable[[Path, np.ndarray], Path]:
    """A writer of a table or an archive of probabilities."""

    def write(folder: Path, p: np.ndarray) -> Path:
        path = folder / f"p{suffix}"
        frame = lambda: pd.DataFrame(p, columns=list(NAMES)).assign(**more)  # noqa: E731
        if suffix == ".npy":
            np.save(path, p)
        elif suffix == ".npz":
            np.savez(path, **{"pred_probs": p, **more})
        elif suffix == ".parquet":
            frame().to_parquet(path)
        elif suffix == ".jsonl":
            frame().to_json(path, orient="records", lines=True)
        else:
            frame().to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        return path

    return write


def folder_of_parquet(folder: Path, p: np.ndarray) -> Path:
    (folder / "parts").mkdir()
    for k, part in enumerate(np.split(p, [15])):
        pd.DataFrame(part, columns=list(NAMES)).to_parquet(folder / "parts" / f"{k}.parquet")
    return folder / "parts"


def other_key(folder: Path, p: np.ndarray) -> Path:
    np.savez_compressed(folder / "p.npz", probs=p, given_label=LABELS, extra=np.zeros(3))
    return folder / "p.npz"


def csv_of(header: bool, index: bool = False) -> Callable[[Path, np.ndarray], Path]:
    """A CSV file whose columns are numbered, as pandas makes it of an array, or not named at all."""

    def write(folder: Path, p: np.ndarray) -> Path:
        pd.DataFrame(p).to_csv(folder / "p.csv", header=header, index=index)
        return folder / "p.csv"

    return write


def numpy_csv(folder: Path, p: np.ndarray) -> Path:
    np.savetxt(folder / "p.csv", p, delimiter=",")
    return folder / "p.csv"


PROBABILITIES = {
    "npy": saved(".npy"),
    "npy, float16": lambda folder, p: saved(".npy")(folder, p.astype(np.float16)),
    "npy, by columns": lambda folder, p: saved(".npy")(folder, np.asfortranarray(p)),
    "npz": saved(".npz"),
    "npz, other names, compressed": other_key,
    "npz, columns reordered by name": lambda folder, p: saved(".npz", class_names=np.array(NAMES[::-1]))(
        folder, p[:, ::-1]
    ),
    "parquet": saved(".parquet", label=LABELS, id=np.arange(N)),
    "folder of parquet files": folder_of_parquet,
    "csv": saved(".csv"),
    "csv, numbered columns": csv_of(header=True),
    "csv, numbered columns and rows": csv_of(header=True, index=True),
    "csv, no header": csv_of(header=False),
    "csv of numpy.savetxt": numpy_csv,
    "tsv": saved(".tsv"),
    "jsonl": saved(".jsonl"),
}


def text(name: str, lines: Any, header: str = "") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(header + "".join(f"{line}\n" for line in lines))
        return folder / name

    return write


def array(values: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.save(folder / "y.npy", values)
        return folder / "y.npy"

    return write


def archive(**arrays: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "y.npz", **arrays)
        return folder / "y.npz"

    return write


def parquet(**columns: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pd.DataFrame(columns).to_parquet(folder / "y.parquet")
        return folder / "y.parquet"

    return write


LABEL_FORMS = {
    "npy": array(LABELS.astype(np.uint8)),
    "npy, floats": array(LABELS.astype(float)),
    "npy, (n, 1)": array(LABELS[:, None]),
    "npy, names": array(TEXTS),
    "npy, numbers as texts": array(LABELS.astype(str)),
    "npz": archive(labels=LABELS),
    "npz, the only array": archive(anything=LABELS),
    "npz, one of several": archive(y=LABELS, other=np.zeros(2)),
    "txt": text("y.txt", LABELS),
    "txt, floats of numpy.savetxt": text("y.txt", [f"{y:.18e}" for y in LABELS]),
    "txt, names": text("y.txt", TEXTS),
    "csv, header": text("y.csv", LABELS, "label\n"),
    "csv, other header": text("y.csv", LABELS, "what I chose\n"),
    "csv, no header": text("y.csv", LABELS),
    "csv, names, header": text("y.csv", TEXTS, "label\n"),
    "csv, names, no header": text("y.csv", TEXTS),
    "csv, quoted, byte order mark": text("y.csv", [f'"{t}"' for t in TEXTS], "\ufefflabel\n"),
    "csv, two columns": text("y.csv", [f"{k},{y}" for k, y in enumerate(LABELS)], "id,label\n"),
    "tsv": text("y.tsv", [f"{k}\t{y}" for k, y in enumerate(TEXTS)], "id\tlabel\n"),
    "jsonl": text("y.jsonl", [f'{{"label": "{t}"}}' for t in TEXTS]),
    "parquet": parquet(label=LABELS, other=1),
    "parquet, names": parquet(target=TEXTS, other=1),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("form", PROBABILITIES)
def test_probabilities(form: str, door: Door, tmp_path: Path, settings: Settings) -> None:
    found, labels = door(PROBABILITIES[form](tmp_path, P), array(LABELS)(tmp_path), NAMES, settings)
    np.testing.assert_allclose(found, P, atol=5e-4 if "float16" in form else 0)
    assert labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("form", LABEL_FORMS)
def test_labels(form: str, tmp_path: Path, settings: Settings) -> None:
    p, y = saved(".npy")(tmp_path, P), LABEL_FORMS[form](tmp_path)
    for names in (NAMES, None):  # without names texts are in sorted order, as here
        for door in DOORS:
            assert door(p, y, names, settings)[1].tolist() == LABELS.tolist()
        assert load_given_labels(y, class_names=names).labels.tolist() == LABELS.tolist()


def test_labels_that_come_with_the_probabilities(tmp_path: Path, settings: Settings) -> None:
    for write in (saved(".npz", labels=TEXTS), saved(".parquet", label=TEXTS), saved(".csv", given_label=TEXTS)):
        p = write(tmp_path, P)
        for door in DOORS:
            assert door(p, None, None, settings)[1].tolist() == LABELS.tolist()


@pytest.mark.parametrize("form", PROBABILITIES)
def test_stored_predictions_take_the_same_forms(form: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    path = PROBABILITIES[form](tmp_path / "m", P)
    given = load_given_labels(array(LABELS)(tmp_path), class_names=NAMES)
    if path.is_dir() or form == "parquet" or "no header" in form or "numpy" in form or "rows" in form:
        return  # a folder holds one file for each model there, and a column of labels holds the predicted ones
    (prediction,) = read_predictions(path, given)
    assert prediction.top1.tolist() == P.argmax(axis=1).tolist()


def bad(row: int, *values: float) -> np.ndarray:
    p = P.copy()
    p[row] = values
    return p


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (bad(7, np.nan, 0.5, 0.5), "row 7 holds nan"),
        (bad(7, np.inf, 0, 0), "row 7 holds inf"),
        (bad(7, -0.002, 0.5, 0.502), "row 7 holds -0.002, which is negative"),
        (bad(7, 1.002, 0, 0), "row 7 holds 1.002, which is above 1"),
        (bad(7, 0.5, 0.5, 0.5), "row 7 sums to 1.5, not 1 (tolerance 0.01)"),
        (P * 100, "row 0 holds 80, which is above 1"),
        (P[:, 0], "has shape (40,); (items, classes) is expected"),
        (P[:, :1], "has 1 columns"),
        (P[:0], "has no rows"),
        (np.eye(3, dtype=int)[LABELS], "labels or one-hot rows"),
        (P[:-1], "39 rows of probabilities"),
        (P[:, [0, 1, 2, 2]] * [1, 1, 0.5, 0.5], "has 4 columns for 3 class names"),
    ],
)
def test_refused_probabilities(p: np.ndarray, message: str, tmp_path: Path, settings: Settings) -> None:
    path, y = saved(".npy")(tmp_path, p), array(LABELS)(tmp_path)
    errors = set()
    for door in DOORS:
        with pytest.raises(AuditorError) as caught:
            door(path, y, NAMES, settings)
        errors.add((type(caught.value), str(caught.value)))
    ((_, told),) = errors
    assert message in told


@pytest.mark.parametrize("p", [bad(7, 1.0009, -0.0009, 0), bad(7, 0.33, 0.33, 0.335)])
def test_rounding_is_accepted_by_every_door(p: np.ndarray, tmp_path: Path, settings: Settings) -> None:
    path, y = saved(".npy")(tmp_path, p), array(LABELS)(tmp_path)
    for door in DOORS:
        np.testing.assert_array_equal(door(path, y, NAMES, settings)[0], np.clip(p, 0, 1))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (array(np.where(np.arange(N) == 5, 3, LABELS)), "label 3 in row 5 is outside the 3 classes"),
        (array(np.where(np.arange(N) == 5, -2, LABELS)), "label -2 in row 5 is outside the 3 classes"),
        (array(LABELS + 0.5), "not whole: 0.5 in row 0"),
        (array(np.where(np.arange(N) == 5, "cat", TEXTS)), "label 'cat' in row 5 is outside the 3 classes"),
        (array(np.eye(3, dtype=int)[LABELS]), "one label per row is needed"),
        (array(LABELS[:-1]), "but 39 labels"),
        (array(np.zeros(N, int)), "all of one class"),
        (array(np.array([{}] * N, dtype=object)), "Python objects"),
        (archive(a=LABELS, b=LABELS), "no array 'labels'; it holds: a, b"),
        (text("y.csv", ["1,2"] * N, "a,b\n"), "no column 'label'; columns: a, b"),
        (text("y.csv", []), "is empty"),
    ],
)
def test_refused_labels(write: Callable[[Path], Path], message: str, tmp_path: Path, settings: Settings) -> None:
    p, y = saved(".npy")(tmp_path, P), write(tmp_path)
    errors = set()
    for door in DOORS:
        with pytest.raises(AuditorError) as caught:
            door(p, y, NAMES, settings)
        errors.add((type(caught.value), str(caught.value)))
    ((_, told),) = errors
    assert message in told


@pytest.mark.parametrize("marker", ["", -1, "nan", "None"])
def test_a_row_without_a_label(marker: object, tmp_path: Path, settings: Settings) -> None:
    """`find-errors` leaves it out and says so; where answers go by row number it is refused."""
    p = saved(".npy")(tmp_path, P)
    y = text("y.csv", [*LABELS[:5], marker, *LABELS[6:]], "label\n")(tmp_path)
    data, _ = _open(None, p, y, None, "all", settings)
    assert len(data) == N - 1
    assert any("row 5" in note for note in data.notes)
    for refuse in (lambda: inputs_from_files([str(p)], str(y)), lambda: load_given_labels(y)):
        with pytest.raises(AuditorError, match="the label of row 5 is missing"):
            refuse()


def test_frames_and_lists_in_memory(settings: Settings) -> None:
    frame = pd.DataFrame(P, columns=list(NAMES))
    for given in (P, P.tolist(), frame, pd.DataFrame(P), P.astype(object), frame.astype(object)):
        for labels in (TEXTS.tolist(), TEXTS, TEXTS.astype(object), pd.Series(TEXTS), pd.Categorical(TEXTS)):
            data, _ = _open(None, given, labels, None, "all", settings)
            np.testing.assert_array_equal(data.probabilities, P)  # type: ignore[attr-defined]
            assert data.class_names == NAMES


@pytest.mark.parametrize("form", ["csv", "csv, numbered columns", "csv, no header", "csv of numpy.savetxt"])
def test_labels_that_are_texts_need_no_class_names(form: str, tmp_path: Path, settings: Settings) -> None:
    p, y = PROBABILITIES[form](tmp_path, P), LABEL_FORMS["csv, names, header"](tmp_path)
    for door in DOORS:
        found, labels = door(p, y, None, settings)
        np.testing.assert_allclose(found, P)
        assert labels.tolist() == LABELS.tolist()
    (tmp_path / "y.csv").write_text("label\n" + "".join(f"{['ant', 'bee'][k % 2]}\n" for k in range(N)))
    if form == "csv":  # its columns are named: a class may be without labels
        assert find_errors(p, tmp_path / "y.csv", None, settings)[1].max() == 1
        return
    with pytest.raises(AuditorError, match="2 different texts for 3 columns") as refused:
        find_errors(p, tmp_path / "y.csv", None, settings)
    assert "--class-names" in (refused.value.way_out or "")


@pytest.mark.parametrize(
    "given",
    [[[0.5, 0.5], [0.5]], [["a", "b"]] * 4, np.array([[0.5, None]] * 4, object)],
    ids=["ragged", "texts", "none"],
)
def test_what_is_no_table_of_numbers_is_refused_in_words(given: object, settings: Settings) -> None:
    with pytest.raises(AuditorError):
        _open(None, given, [0, 1, 0, 1], None, "all", settings)
