"""Read the files people keep probabilities and labels in. Nothing is unpickled; values are checked elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.core.errors import LabelError, ProbabilityError, UnreadableError
from auditor.core.files import load_npy, load_npz

__all__ = ["LoadedProbabilities", "load_labels", "load_probabilities", "one_column"]


@dataclass(frozen=True)
class LoadedProbabilities:
    """What a file of probabilities holds; only `values` (n, K) is always there."""

    values: np.ndarray
    labels: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    ids: np.ndarray | None = None


def load_probabilities(path: Path) -> LoadedProbabilities:
    """Load a file of probabilities by its suffix, without checking the values. Errors as `open_probabilities`."""
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _from_npz(path)
    if suffix == ".parquet":
        return _from_parquet(path)
    if suffix in (".npy", ".pkl", ".pickle", ""):
        # A pickle is handed to load_npy as well: it recognises and refuses one without opening it.
        return LoadedProbabilities(load_npy(path, mmap=True))
    raise UnreadableError(
        f"cannot read probabilities from {str(path)!r}.", "Save them as .npy, .npz (key 'pred_probs') or .parquet."
    )


def _from_npz(path: Path) -> LoadedProbabilities:
    arrays = load_npz(path)
    known: list[str] = [k for k in ("pred_probs", "probabilities", "probs") if k in arrays]
    if not known:
        plain = [k for k in arrays if arrays[k].ndim == 2]
        if len(plain) != 1:
            raise ProbabilityError(
                f"{str(path)!r} has no array 'pred_probs'; it holds: {', '.join(arrays) or 'nothing'}.",
                "Save with numpy.savez(path, pred_probs=p, labels=y).",
            )
        known = plain
    names = arrays.get("class_names", arrays.get("classes"))
    return LoadedProbabilities(
        arrays[known[0]], arrays.get("labels"), None if names is None else tuple(map(str, names)), arrays.get("ids")
    )


def _from_parquet(path: Path) -> LoadedProbabilities:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from auditor.data.columns import arrow_kind, parquet_file

    parquet_file(path)  # for its errors
    table = pq.ParquetFile(path).read()
    special = {"label", "labels", "id", "ids", "given_label"}
    columns = [f.name for f in table.schema if f.name not in special and pa.types.is_floating(f.type)]
    others = [f.name for f in table.schema if f.name not in special and arrow_kind(f.type) == "number"]
    columns = columns or others
    if len(columns) < 2:
        raise ProbabilityError(
            f"{str(path)!r} has {len(columns)} number columns: {', '.join(table.column_names)}.",
            "Write one float column per class, named by the class.",
        )
    values = np.column_stack([table.column(c).to_numpy(zero_copy_only=False) for c in columns])
    label = next((c for c in ("label", "labels", "given_label") if c in table.column_names), None)
    ids = next((c for c in ("id", "ids") if c in table.column_names), None)
    return LoadedProbabilities(
        values,
        None if label is None else np.array(table.column(label).to_pylist(), dtype=object),
        tuple(columns),
        None if ids is None else np.array(table.column(ids).to_pylist(), dtype=object),
    )


def load_labels(path: Path) -> np.ndarray:
    """One label per row from ``.npy``, ``.npz`` (``labels``), ``.parquet``, ``.csv`` or ``.txt``.

    Raises
    ------
    UnreadableError, UnsafeFileError, LabelError
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        arrays = load_npz(path)
        if "labels" not in arrays:
            raise LabelError(f"{str(path)!r} has no array 'labels'; it holds: {', '.join(arrays) or 'nothing'}.")
        values = arrays["labels"]
    elif suffix == ".txt":
        values = _lines(path)
    elif suffix in (".csv", ".parquet"):
        values = _label_column(path)
    else:
        values = load_npy(path)
    return one_column(values, repr(str(path)))


def one_column(values: np.ndarray, where: str) -> np.ndarray:
    """Labels as (n,); (n, 1) is accepted, one-hot rows are refused with `LabelError`."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise LabelError(
            f"labels in {where} have shape {values.shape}; one label per row is needed.",
            "From one-hot rows take argmax(axis=1).",
        )
    return values


def _lines(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableError(f"cannot read {str(path)!r}: {error}.") from error
    whole = all(line.strip().lstrip("-").isdigit() for line in lines)
    return np.array([int(line) if whole else line.strip() for line in lines], dtype=object)


def _label_column(path: Path) -> np.ndarray:
    from auditor.data.tables import read_table

    table = read_table(path)
    name = next((c for c in ("label", "labels", "given_label", "y") if c in table.column_names), None)
    if name is None:
        if table.num_columns != 1:
            raise LabelError(f"{str(path)!r} has no column 'label'; columns: {', '.join(table.column_names)}.")
        name = table.column_names[0]
    return np.array(table.column(name).to_pylist(), dtype=object)
