"""Probabilities somebody already has: load, check row by row, and refuse columns that stand in another order.

All checks run over row blocks, so a memory map larger than memory is never read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, LabelError, ProbabilityError, UnreadableError, UsageError
from auditor.core.files import load_npy, load_npz
from auditor.data.base import ItemTable
from auditor.data.class_order import check_class_order
from auditor.data.kinds import ProbabilityDataset
from auditor.data.labels import encode_labels, split_names
from auditor.data.reference import Reference

__all__ = ["TOLERANCE", "Probabilities", "check_probabilities", "load_probabilities", "open_probabilities"]

#: How far a value may lie outside [0, 1] and a row's sum from 1. Rounding of float16 softmax outputs reaches
#: 5e-4; published float64 files reach 2e-5 (IMDB).
TOLERANCE = 1e-3
#: Sums further from 1 than this are worth a note.
_NOTED = 1e-5
_BLOCK_BYTES = 64 << 20


class Probabilities:
    """Adapter of ``probs://FILE?labels=FILE&classes=a,b`` and of plain paths of .npy and .npz files."""

    summary = "your own predicted probabilities: .npy, .npz or parquet, with labels and class names"
    example = "probs:///data/pred_probs.npy?labels=/data/labels.npy&classes=cat,dog"
    options = frozenset({"labels", "classes", "check_order"})

    def open(self, reference: Reference, settings: Settings) -> ProbabilityDataset:
        """Open through `open_probabilities`."""
        options = reference.options
        return open_probabilities(
            reference.path,
            Path(options["labels"]).expanduser() if "labels" in options else None,
            split_names(options.get("classes")),
            check_order=options.get("check_order", "true").lower() not in ("0", "false", "no", "off"),
        )

    def status(self, settings: Settings) -> tuple[str, str]:
        """A form of reference, not a set."""
        return "form", "any path"


def open_probabilities(
    pred_probs_path: Path | str,
    labels_path: Path | str | None = None,
    class_names: Sequence[str] | None = None,
    *,
    name: str | None = None,
    check_order: bool = True,
) -> ProbabilityDataset:
    """A data set of supplied out-of-sample probabilities and labels.

    Parameters
    ----------
    pred_probs_path : path
        ``.npy`` (memory-mapped), ``.npz`` with ``pred_probs`` (and perhaps ``labels``, ``class_names``, ``ids``)
        or ``.parquet`` with one number column per class (and perhaps ``label``, ``id``).
    labels_path : path, optional
        ``.npy``, ``.npz`` (``labels``), ``.parquet``, ``.csv`` or ``.txt`` with one label per row; needed
        unless the first file holds them. Integers are positions in the class names.
    class_names : sequence of str, optional
        In the order of the columns. Default: the file's own, else ``"0"`` .. ``"K-1"`` with a note.
    name : str, optional
        Default: the file name without its suffix.
    check_order : bool
        Refuse columns that fit the labels far better in another order.

    Raises
    ------
    ProbabilityError
        Not finite, negative, above 1, not summing to 1, wrong shape or length; with the first row.
    ClassOrderError
        See `auditor.data.class_order.check_class_order`.
    LabelError
        Labels outside the classes, of one class, or missing.
    UnsafeFileError
        For a pickle. It is never loaded.
    """
    path = Path(pred_probs_path).expanduser()
    loaded = load_probabilities(path)
    notes: list[str] = []
    names = _names(class_names, loaded, path, notes)
    probabilities = _by_name(loaded, names, notes)
    values = loaded.labels
    if labels_path is not None:
        values = load_labels(Path(labels_path).expanduser())
    if values is None:
        raise UsageError(
            f"{str(path)!r} holds no labels.", "Give them with --labels y.npy, or save them as 'labels' in the .npz."
        )
    if len(values) != len(probabilities):
        raise ProbabilityError(
            f"{len(probabilities)} rows of probabilities in {str(path)!r}, but {len(values)} labels"
            f"{'' if labels_path is None else f' in {str(labels_path)!r}'}.",
            "Row i of both must be the same item.",
        )
    encoded = encode_labels(values, names, f"labels of {path.name!r}")
    checked, more = check_probabilities(probabilities, where=repr(str(path)))
    ids = np.arange(len(values)).astype(str) if loaded.ids is None else np.asarray(loaded.ids).astype(str)
    items = ItemTable(
        ids=ids, labels=encoded.codes, splits=np.full(len(ids), "all"), index=np.arange(len(ids), dtype=np.int64)
    )
    keep = encoded.present
    if len(keep) < len(ids):
        items, checked = items.take(keep), checked[keep]
    if check_order:
        check_class_order(checked, items.labels, names)
    return ProbabilityDataset(
        name=name or path.stem, reference=_canonical(path, labels_path, class_names, check_order), class_names=names,
        items=items, notes=[*notes, *more, *encoded.notes], probabilities=checked,
    )  # fmt: skip


class LoadedProbabilities:
    """What a file of probabilities holds; only `values` (n, K) is always there."""

    def __init__(
        self,
        values: np.ndarray,
        labels: np.ndarray | None = None,
        names: tuple[str, ...] | None = None,
        ids: np.ndarray | None = None,
    ) -> None:
        self.values = values
        self.labels = labels
        self.names = names
        self.ids = ids


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
    known = [k for k in ("pred_probs", "probabilities", "probs") if k in arrays]
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
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise LabelError(
            f"labels in {str(path)!r} have shape {values.shape}; one label per row is needed.",
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


def check_probabilities(
    probabilities: np.ndarray, n_classes: int | None = None, where: str = "probabilities"
) -> tuple[np.ndarray, list[str]]:
    """Check an array of probabilities, and clip values that lie outside [0, 1] by rounding only.

    Parameters
    ----------
    probabilities : float array (n, K)
    n_classes : int, optional
        Required K.
    where : str
        For messages.

    Returns
    -------
    checked : float array (n, K)
        The input itself, or a clipped copy. Rows are not rescaled, so that published results are reproduced.
    notes : list of str

    Raises
    ------
    ProbabilityError
    """
    p = probabilities
    if p.ndim != 2:
        raise ProbabilityError(
            f"{where} has shape {p.shape}; (items, classes) is needed.",
            "Give one row per item and one column per class.",
        )
    if len(p) == 0:
        raise EmptyDataError(f"{where} has no rows.")
    if p.shape[1] < 2 or (n_classes is not None and p.shape[1] != n_classes):
        wanted = "at least 2" if n_classes is None else str(n_classes)
        raise ProbabilityError(f"{where} has {p.shape[1]} columns; there are {wanted} classes.")
    if not np.issubdtype(p.dtype, np.floating):
        if np.issubdtype(p.dtype, np.integer) or p.dtype == bool:
            raise ProbabilityError(
                f"{where} holds {p.dtype} values: labels or one-hot rows, not probabilities.",
                "Give the probabilities a model predicts.",
            )
        raise ProbabilityError(f"{where} holds values of type {p.dtype}, not numbers.")
    clipped_rows, worst_sum = 0, 0.0
    for start, block in _blocks(p):
        clipped_rows += _check_block(block, start, where)
        worst_sum = max(worst_sum, float(np.abs(np.clip(block, 0, 1).sum(axis=1, dtype=np.float64) - 1).max()))
    notes = []
    if clipped_rows:
        p = np.clip(p, 0, 1)
        notes.append(f"{clipped_rows:,} rows had values outside [0, 1] by at most {TOLERANCE}; clipped")
    if worst_sum > _NOTED:
        notes.append(f"rows sum to 1 within {worst_sum:.1e}; left as they are")
    return p, notes


def _blocks(p: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    step = max(1, _BLOCK_BYTES // max(1, p.shape[1] * 8))
    for start in range(0, len(p), step):
        yield start, np.asarray(p[start : start + step])


def _check_block(block: np.ndarray, start: int, where: str) -> int:
    """Raise for the first bad row; return how many rows need clipping."""
    finite = np.isfinite(block).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        value = block[row][~np.isfinite(block[row])][0]
        raise ProbabilityError(
            f"{where}: row {start + row} holds {value}; {int((~finite).sum())} such rows from row {start} on.",
            "Predict these items again or leave them out.",
        )
    low, high = block.min(axis=1), block.max(axis=1)
    for bad, word in ((low < -TOLERANCE, "negative"), (high > 1 + TOLERANCE, "above 1")):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            value = low[row] if word == "negative" else high[row]
            raise ProbabilityError(
                f"{where}: row {start + row} holds {value:.6g}, which is {word}; {int(bad.sum())} such rows from "
                f"row {start} on.",
                _scale_hint(block),
            )
    sums = np.clip(block, 0, 1).sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > TOLERANCE
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ProbabilityError(
            f"{where}: row {start + row} sums to {sums[row]:.6g}, not 1 (tolerance {TOLERANCE}); "
            f"{int(off.sum())} such rows from row {start} on.",
            "Give one probability per class, all classes, softmax outputs rather than independent sigmoids.",
        )
    return int(((low < 0) | (high > 1)).sum())


def _scale_hint(block: np.ndarray) -> str:
    if block.min() >= 0 and np.allclose(block.sum(axis=1), 100, atol=1):
        return "These look like percentages: divide by 100."
    return "These look like logits: apply softmax over the classes first."


def _names(given: Sequence[str] | None, loaded: LoadedProbabilities, path: Path, notes: list[str]) -> tuple[str, ...]:
    if loaded.values.ndim != 2:
        raise ProbabilityError(
            f"{str(path)!r} has shape {loaded.values.shape}; (items, classes) is needed.",
            "Give one row per item and one column per class.",
        )
    columns = loaded.values.shape[1]
    names = tuple(given) if given is not None else loaded.names
    if names is None:
        notes.append(f"no class names given: the {columns} classes are called 0 to {columns - 1}")
        return tuple(str(k) for k in range(columns))
    if len(names) != columns:
        raise ProbabilityError(
            f"{str(path)!r} has {columns} columns for {len(names)} class names.", "One column per class is needed."
        )
    return names


def _by_name(loaded: LoadedProbabilities, names: tuple[str, ...], notes: list[str]) -> np.ndarray:
    """Bring columns that carry the class names into the order of `names`."""
    if loaded.names is None or loaded.names == names or set(loaded.names) != set(names):
        return loaded.values
    notes.append("columns were reordered by their names to the given class order")
    return loaded.values[:, [loaded.names.index(name) for name in names]]


def _canonical(path: Path, labels: Path | str | None, names: Sequence[str] | None, check_order: bool) -> str:
    options = {}
    if labels is not None:
        options["labels"] = str(Path(labels).expanduser().absolute())
    if names is not None:
        options["classes"] = ",".join(names)
    if not check_order:
        options["check_order"] = "false"
    return str(Reference("probs", str(path.absolute()), options))
