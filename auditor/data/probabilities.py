"""Probabilities somebody already has: load, check row by row, and refuse columns that stand in another order.

All checks run over row blocks, so a memory map larger than memory is never read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import EmptyDataError, ProbabilityError, UsageError
from auditor.data.base import ItemTable
from auditor.data.class_order import check_class_order
from auditor.data.kinds import ProbabilityDataset
from auditor.data.labels import encode_labels, split_names
from auditor.data.probability_files import LoadedProbabilities, load_labels, load_probabilities, one_column
from auditor.data.reference import Reference

__all__ = ["TOLERANCE", "Probabilities", "check_probabilities", "open_probabilities"]

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
    pred_probs: Path | str | np.ndarray,
    labels: Path | str | np.ndarray | Sequence[int] | Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    *,
    name: str | None = None,
    check_order: bool = True,
) -> ProbabilityDataset:
    """A data set of supplied out-of-sample probabilities and labels.

    Parameters
    ----------
    pred_probs : path or float array (n, K)
        ``.npy`` (memory-mapped), ``.npz`` with ``pred_probs`` (and perhaps ``labels``, ``class_names``, ``ids``)
        or ``.parquet`` with one number column per class (and perhaps ``label``, ``id``).
    labels : path or sequence (n,), optional
        ``.npy``, ``.npz`` (``labels``), ``.parquet``, ``.csv`` or ``.txt`` with one label per row; needed
        unless the first file holds them. Integers are positions in the class names.
    class_names : sequence of str, optional
        In the order of the columns. Default: the file's own, else ``"0"`` .. ``"K-1"`` with a note.
    name : str, optional
        Default: the file name without its suffix; ``"probabilities"`` for an array.
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
    if isinstance(pred_probs, np.ndarray):
        path, where, loaded = None, "pred_probs", LoadedProbabilities(pred_probs)
    else:
        path = Path(pred_probs).expanduser()
        where, loaded = repr(str(path)), load_probabilities(path)
    notes: list[str] = []
    names = _names(class_names, loaded, where, notes)
    probabilities = _by_name(loaded, names, notes)
    values, labels_path = _given_labels(labels, loaded, where)
    if len(values) != len(probabilities):
        raise ProbabilityError(
            f"{len(probabilities)} rows of probabilities in {where}, but {len(values)} labels"
            f"{'' if labels_path is None else f' in {str(labels_path)!r}'}.",
            "Row i of both must be the same item.",
        )
    encoded = encode_labels(values, names, f"labels of {where}")
    checked, more = check_probabilities(probabilities, where=where)
    rows = np.arange(len(values), dtype=np.int64)
    ids = rows.astype(str) if loaded.ids is None else np.asarray(loaded.ids).astype(str)
    if len(ids) != len(rows):
        raise ProbabilityError(f"{where} holds {len(ids)} ids for {len(rows)} rows.")
    items = ItemTable(ids=ids, labels=encoded.codes, splits=np.full(len(ids), "all"), index=rows)
    keep = encoded.present
    if len(keep) < len(ids):
        items, checked = items.take(keep), checked[keep]
    if check_order:
        check_class_order(checked, items.labels, names)
    return ProbabilityDataset(
        name=name or (path.stem if path else "probabilities"),
        reference=_canonical(path, labels_path, class_names, check_order),
        class_names=names,
        items=items,
        notes=[*notes, *more, *encoded.notes],
        probabilities=checked,
    )


def _given_labels(
    labels: Path | str | np.ndarray | Sequence[int] | Sequence[str] | None, loaded: LoadedProbabilities, where: str
) -> tuple[np.ndarray, Path | None]:
    """The labels, and the file they came from, if any."""
    if labels is None:
        if loaded.labels is None:
            raise UsageError(
                f"{where} holds no labels.", "Give them with --labels y.npy, or save them as 'labels' in the .npz."
            )
        return one_column(loaded.labels, where), None
    if isinstance(labels, Path | str):
        path = Path(labels).expanduser()
        return load_labels(path), path
    return one_column(np.asarray(labels), "labels"), None


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
            f"{where}: row {start + row} holds {value} (bad rows here: {int((~finite).sum())}).",
            "Predict these items again or leave them out.",
        )
    low, high = block.min(axis=1), block.max(axis=1)
    for bad, word in ((low < -TOLERANCE, "negative"), (high > 1 + TOLERANCE, "above 1")):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            value = low[row] if word == "negative" else high[row]
            raise ProbabilityError(
                f"{where}: row {start + row} holds {value:.6g}, which is {word} (bad rows here: {int(bad.sum())}).",
                _scale_hint(block),
            )
    sums = np.clip(block, 0, 1).sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > TOLERANCE
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ProbabilityError(
            f"{where}: row {start + row} sums to {sums[row]:.6g}, not 1 (tolerance {TOLERANCE}); "
            f"bad rows here: {int(off.sum())}.",
            "Give one probability per class, all classes, softmax outputs rather than independent sigmoids.",
        )
    return int(((low < 0) | (high > 1)).sum())


def _scale_hint(block: np.ndarray) -> str:
    if block.min() >= 0 and np.allclose(block.sum(axis=1), 100, atol=1):
        return "These look like percentages: divide by 100."
    return "These look like logits: apply softmax over the classes first."


def _names(given: Sequence[str] | None, loaded: LoadedProbabilities, where: str, notes: list[str]) -> tuple[str, ...]:
    if loaded.values.ndim != 2:
        raise ProbabilityError(
            f"{where} has shape {loaded.values.shape}; (items, classes) is needed.",
            "Give one row per item and one column per class.",
        )
    columns = loaded.values.shape[1]
    names = tuple(given) if given is not None else loaded.names
    if names is None:
        notes.append(f"no class names given: the {columns} classes are called 0 to {columns - 1}")
        return tuple(str(k) for k in range(columns))
    if len(names) != columns:
        raise ProbabilityError(
            f"{where} has {columns} columns for {len(names)} class names.", "One column per class is needed."
        )
    return names


def _by_name(loaded: LoadedProbabilities, names: tuple[str, ...], notes: list[str]) -> np.ndarray:
    """Bring columns that carry the class names into the order of `names`."""
    if loaded.names is None or loaded.names == names or set(loaded.names) != set(names):
        return loaded.values
    notes.append("columns were reordered by their names to the given class order")
    return loaded.values[:, [loaded.names.index(name) for name in names]]


def _canonical(path: Path | None, labels: Path | None, names: Sequence[str] | None, check_order: bool) -> str:
    """The reference that opens this again; arrays handed over in memory have none but the bare scheme."""
    if path is None:
        return "probs"
    options = {}
    if labels is not None:
        options["labels"] = str(labels.absolute())
    if names is not None:
        options["classes"] = ",".join(names)
    if not check_order:
        options["check_order"] = "false"
    return str(Reference("probs", str(path.absolute()), options))
