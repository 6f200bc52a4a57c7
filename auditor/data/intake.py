"""The one intake of probabilities and labels that somebody already has: every accepted form, read the same way.

``find-errors --pred-probs``, ``flag``, ``benchmark``, the Python API and ``probs://`` all read through here;
`docs/data.md` has the table of forms. Values are checked over row blocks, so a memory map larger than memory is
never read whole, and nothing is unpickled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.core.config import Settings
from auditor.core.errors import DataError, EmptyDataError, LabelError, ProbabilityError, UsageError
from auditor.core.files import load_npy, load_npz
from auditor.core.reading import local_path, reading, usable_paths
from auditor.data.base import FormOfReference, ItemTable
from auditor.data.class_order import check_class_order
from auditor.data.kinds import ProbabilityDataset
from auditor.data.labels import EncodedLabels, encode_labels, is_missing, listed, number_of, split_names
from auditor.data.reference import Reference
from auditor.data.tables import csv_form, read_table, table_suffix
from auditor.engine.files import NpySource, ParquetSource, class_columns
from auditor.engine.files import open_probabilities as open_source
from auditor.engine.kernels import widened
from auditor.engine.semantics import ID_KEYS, LABEL_KEYS, MAX_CLIP
from auditor.engine.sources import ArraySource, ProbabilitySource, ReorderedSource, as_source
from auditor.engine.validate import check_columns, check_rows

#: Columns that name the rows of a table, best first.
ROW_NAME_KEYS = (
    *("id", "item_id", "image_id", "row", "index", "ids", "file", "file_name", "filename", "image", "image_path"),
    *("path", "name", "url", "uuid"),
)
#: Sums further from 1 than this are worth a note.
_NOTED = 1e-5
_BLOCK_BYTES = 64 << 20
CLASS_NAME_KEYS = ("class_names", "classes")
#: Highest label that is taken for a class where no class has a name.
_MOST_CLASSES = 1 << 20
_TEXT_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")


class Probabilities(FormOfReference):
    """Adapter of ``probs://FILE?labels=FILE&classes=a,b`` and of plain paths of .npy and .npz files."""

    summary = "your own predicted probabilities, with labels and class names: .npy, .npz, parquet or a table"
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


@dataclass(frozen=True, eq=False)
class LabelColumn:
    """Labels as a file holds them, numbers or texts (n,), and what its rows are called where a table says so."""

    values: np.ndarray
    row_names: list[Any] | None = None


@dataclass(frozen=True, eq=False)
class Supplied:
    """Probabilities and labels of the same items. The values of the probabilities are not checked yet.

    Attributes
    ----------
    sources : tuple of ProbabilitySource
        One per set of probabilities, columns in the order of the class names.
    labels : EncodedLabels
        Its `names` are the class names.
    ids : str array (n,) or None
    notes : list of str
    labels_path : Path or None
        The file of labels, if there is one of its own.
    """

    sources: tuple[ProbabilitySource, ...]
    labels: EncodedLabels
    ids: np.ndarray | None
    notes: list[str]
    labels_path: Path | None


@dataclass(frozen=True, eq=False)
class _Contents:
    """What one file, table or array of probabilities holds."""

    source: ProbabilitySource
    class_names: tuple[str, ...] | None = None
    labels: Any = None
    ids: Any = None


def open_supplied(pred_probs: Sequence[Any], labels: Any = None, class_names: Sequence[str] | None = None) -> Supplied:
    """Open probabilities and the labels of the same items.

    Parameters
    ----------
    pred_probs : sequence
        One or more sets of probabilities: paths (``.npy``, ``.npz``, ``.parquet`` or a folder of such files,
        ``.zarr``, ``.csv``, ``.tsv``, ``.jsonl``, or fsspec URIs), float arrays (n, K), data frames with a column
        per class, tensors or lists.
    labels : path or sequence (n,), optional
        ``.npy``, ``.npz``, ``.parquet``, ``.csv``, ``.tsv``, ``.jsonl`` or ``.txt`` with one label per row; needed
        unless the probabilities come with labels. Integers are positions in the class names.
    class_names : sequence of str, optional
        In the order of the columns. Default: the names the probabilities come with; else, where labels are texts,
        these sorted (the order of scikit-learn's ``classes_``); else ``"0"`` .. ``"K-1"``. Said in a note.

    Raises
    ------
    ProbabilityError
        Wrong shape, type or length.
    LabelError
        Labels outside the classes or all of one class.
    UsageError
        No labels.
    UnsafeFileError
        For a pickle. It is never loaded.
    """
    contents = [_contents(given) for given in pred_probs]
    first = contents[0]
    where, (n_rows, n_classes) = first.source.name, first.source.shape
    for content in contents:
        _check_form(content.source)
    labels_path = None
    if labels is None:
        labels = next((content.labels for content in contents if content.labels is not None), None)
        if labels is None:
            raise UsageError(
                f"{where} holds no labels.",
                "Give them with --labels FILE, or save them beside the probabilities: "
                "numpy.savez(path, pred_probs=p, labels=y).",
            )
    elif isinstance(labels, Path | str):
        labels_path = Path(local_path(str(labels))).expanduser()
        labels = read_labels(labels_path).values
    values = one_column(labels, f"labels of {where}" if labels_path is None else repr(str(labels_path)))
    if len(values) != n_rows:
        raise ProbabilityError(
            f"{n_rows} rows of probabilities in {where}, but {len(values)} labels"
            f"{'' if labels_path is None else f' in {str(labels_path)!r}'}.",
            "Row i of both must be the same item.",
        )
    notes: list[str] = []
    names = tuple(class_names) if class_names is not None else first.class_names
    if class_names is None and names == tuple(map(str, range(n_classes))):
        names = None  # numbered columns are not named: labels may be texts
    if names is not None and len(names) != n_classes:
        raise ProbabilityError(
            f"{where} has {n_classes} columns for {len(names)} class names.", "One column per class is needed."
        )
    encoded = encode_supplied(values, names, f"labels of {where}", n_classes)
    if names is None:
        names = encoded.names
        called = (
            f"called 0 to {n_classes - 1}" if names[0] == "0" else f"the labels in sorted order: {listed(names, 20)}"
        )
        notes.append(f"no class names given: the {n_classes} classes are {called}")
    if not ((encoded.codes >= 0) & (encoded.codes != encoded.codes.max())).any():
        raise LabelError(
            f"labels of {where} are all of one class: there is nothing a label could be confused with.",
            "Give data with at least two classes.",
        )
    sources = tuple(_by_name(content, names, notes) for content in contents)
    ids = None if first.ids is None else np.asarray(first.ids).astype(str)
    if ids is not None and len(ids) != n_rows:
        raise ProbabilityError(f"{where} holds {len(ids)} ids for {n_rows} rows.")
    return Supplied(sources, encoded, ids, [*notes, *encoded.notes], labels_path)


@usable_paths()
def open_probabilities(
    pred_probs: Any,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    *,
    name: str | None = None,
    check_order: bool = True,
) -> ProbabilityDataset:
    """A data set of supplied out-of-sample probabilities and labels.

    Parameters
    ----------
    pred_probs, labels, class_names :
        As `open_supplied`, one set of probabilities. Rows without a label are left out, with a note.
    name : str, optional
        Default: the file name without its suffix; ``"probabilities"`` for an array.
    check_order : bool
        Refuse columns that fit the labels far better in another order.

    Raises
    ------
    ProbabilityError
        As `open_supplied`, and for values that are not finite, negative, above 1 or do not sum to 1; with the row.
    ClassOrderError
        See `auditor.data.class_order.check_class_order`.
    LabelError, UsageError, UnsafeFileError
        As `open_supplied`.
    """
    supplied = open_supplied([pred_probs], labels, class_names)
    (source,), encoded = supplied.sources, supplied.labels
    array = source.mapped() if isinstance(source, NpySource) else source.read(0, source.shape[0])
    checked, notes = check_probabilities(array, source.name)
    rows = np.arange(len(checked), dtype=np.int64)
    ids = rows.astype(str) if supplied.ids is None else supplied.ids
    items = ItemTable(ids=ids, labels=encoded.codes.astype(np.int64), splits=np.full(len(ids), "all"), index=rows)
    if len(encoded.present) < len(ids):
        items, checked = items.take(encoded.present), checked[encoded.present]
    if check_order:
        check_class_order(checked, items.labels, encoded.names)
    path = Path(local_path(str(pred_probs))).expanduser() if isinstance(pred_probs, Path | str) else None
    name, notes = name or (path.stem if path else "probabilities"), [*supplied.notes, *notes]
    reference = _canonical(path, supplied.labels_path, class_names, check_order)
    return ProbabilityDataset(name, reference, encoded.names, items, notes, probabilities=checked)


def check_probabilities(probabilities: np.ndarray, where: str = "pred_probs") -> tuple[np.ndarray, list[str]]:
    """Check the values of an array of probabilities, and clip those that lie outside [0, 1] by rounding only.

    Returns
    -------
    checked : float array (n, K)
        The input itself, or a clipped copy. Rows are not rescaled, so that published results are reproduced.
    notes : list of str

    Raises
    ------
    ProbabilityError
        Naming the first bad row.
    """
    p = probabilities
    _check_form(ArraySource(p, where))
    clipped_rows, worst_sum = 0, 0.0
    step = max(1, _BLOCK_BYTES // (p.shape[1] * 8))
    for start in range(0, len(p), step):
        block = np.asarray(p[start : start + step])
        clipped_rows += check_rows(block, start, where)
        worst_sum = max(worst_sum, float(np.abs(np.clip(widened(block), 0, 1).sum(axis=1, dtype=np.float64) - 1).max()))
    notes = []
    if clipped_rows:
        p = np.clip(p, 0, 1)
        notes.append(f"{clipped_rows:,} rows had values outside [0, 1] by at most {MAX_CLIP:g}; clipped")
    if worst_sum > _NOTED:
        notes.append(f"rows sum to 1 within {worst_sum:.1e}; left as they are")
    return p, notes


@usable_paths()
def open_matrix(
    given: Any, where: str, error: type[DataError] = ProbabilityError
) -> tuple[ProbabilitySource, tuple[str, ...] | None]:
    """Rows of numbers, in any form that `open_supplied` takes for probabilities, and what the columns are called.

    Parameters
    ----------
    given : path, array, data frame, tensor or list of rows
    where : str
        What it is called in messages, if it is no file.
    error : type
        Of the error where these are no rows of numbers.

    Returns
    -------
    source : ProbabilitySource
        (n, K); read in ranges of rows. The values are not checked.
    names : tuple of str or None

    Raises
    ------
    ProbabilityError, or what `error` says
        No rows of numbers.
    UnreadableError, UnsafeFileError
    """
    try:
        contents = _contents(given)
    except ProbabilityError as refused:
        raise error(refused.what.replace("pred_probs", where, 1), refused.way_out) from refused
    if not isinstance(given, Path | str):
        contents.source.name = where
    return contents.source, contents.class_names


@usable_paths()
def read_numbers(given: Any, where: str) -> np.ndarray:
    """One finite number a row, float64 (n,).

    Parameters
    ----------
    given : path or sequence (n,)
        Files as in `read_labels`; numbers may be written as texts.
    where : str
        What it is called in messages, if it is no file.

    Raises
    ------
    EmptyDataError
        No rows.
    LabelError
        Several columns, or a row that is no finite number; with the first such row.
    UnreadableError, UnsafeFileError
    """
    if isinstance(given, Path | str):
        path = Path(local_path(str(given))).expanduser()
        given, where = read_labels(path).values, repr(str(path))
    values = one_column(given, where)
    if not len(values):
        raise EmptyDataError(f"{where} has no rows.")
    numbers = values.astype(np.float64) if values.dtype.kind in "fiub" else _numbers(values.tolist())
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise LabelError(
            f"{where}: {values[bad[0]]} in row {bad[0]} is no finite number; {len(bad):,} such rows.",
            "Leave these rows out, here and in whatever else is given.",
        )
    return numbers


def _numbers(cells: list[Any]) -> np.ndarray:
    """Cells as float64, NaN where one is no number."""
    return np.array([np.nan if (number := number_of(cell)) is None else number for cell in cells], np.float64)


def read_labels(path: Path) -> LabelColumn:
    """One label per row of a file.

    A ``.csv`` of one column may come with a header or without: the first line is a header if it is called like a
    label column, or is no number and no label of another row.

    Raises
    ------
    UnreadableError, UnsafeFileError, LabelError
    """
    suffix = table_suffix(path)
    if suffix == ".npz":
        arrays = load_npz(path)
        name = next((key for key in LABEL_KEYS if key in arrays), next(iter(arrays)) if len(arrays) == 1 else None)
        if name is None:
            raise LabelError(f"{str(path)!r} has no array 'labels'; it holds: {', '.join(arrays) or 'nothing'}.")
        return LabelColumn(arrays[name])
    if suffix == ".txt" or (suffix in (".csv", ".tsv") and path.suffix.lower() == suffix):
        lines = _lines(path, "\t" if suffix == ".tsv" else ",")
        if lines is not None:
            return LabelColumn(lines)
    if suffix not in (*_TEXT_TABLES, ".parquet"):
        return LabelColumn(load_npy(path, mmap=True))
    table = read_table(path)
    name = next((key for key in LABEL_KEYS if key in table.column_names), None)
    if name is None:
        if table.num_columns != 1:
            raise LabelError(f"{str(path)!r} has no column 'label'; columns: {', '.join(table.column_names)}.")
        name = table.column_names[0]
    called = next((key for key in ROW_NAME_KEYS if key in table.column_names and key != name), None)
    values = np.array(table.column(name).to_pylist(), dtype=object)
    return LabelColumn(values, None if called is None else table.column(called).to_pylist())


def _lines(path: Path, delimiter: str) -> np.ndarray | None:
    """Labels of a text file with one a line; None where a line holds several fields."""
    with reading(path, "text"):
        text = path.read_text(encoding="utf-8-sig").rstrip()
    if not text:
        raise EmptyDataError(f"{str(path)!r} is empty.")
    if path.suffix.lower() == ".txt":
        cells = [line.strip() for line in text.split("\n")]
    else:
        text = text.split("\n", before := csv_form(path, {}).before)[before]
        with reading(path, "CSV"):
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
        if any(len(row) > 1 for row in rows):
            return None
        cells = [row[0].strip() if row else "" for row in rows]
        if number_of(cells[0]) is None and not is_missing(cells[0]) and cells[0] not in cells[1:]:
            cells = cells[1:]
    if cells and cells[0].lower() in LABEL_KEYS:
        cells = cells[1:]
    return np.array(cells, dtype=object)


def one_column(values: Any, where: str) -> np.ndarray:
    """Labels as an array (n,); (n, 1) is accepted, one-hot rows and what is no label are refused with `LabelError`."""
    array = np.asarray(values)
    if array.dtype.kind in "cV":
        raise LabelError(f"labels in {where} have the type {array.dtype}.", "Labels are whole numbers or texts.")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise LabelError(
            f"labels in {where} have shape {array.shape}; one label per row is needed.",
            "From one-hot rows take argmax(axis=1).",
        )
    return array


def encode_supplied(
    values: np.ndarray, class_names: Sequence[str] | None, where: str, n_classes: int | None = None
) -> EncodedLabels:
    """Labels, as `read_labels` and callers give them, as positions in the class names.

    Whole numbers may be written as floats or texts; texts that are class names are these. `n_classes` is the number of
    classes where it is known although their names are not.

    Raises
    ------
    LabelError
        As `encode_labels`; and where texts without class names are not as many as the classes.
    """
    names = tuple(class_names or map(str, range(n_classes or 0)))
    if values.dtype.kind in "iu" and len(values) and values.min() >= 0 and values.max() < len(names):
        return EncodedLabels(values, names, [])  # labels of many millions of rows stay where they are
    cells = values.tolist()
    if not {str(cell) for cell in cells if isinstance(cell, bool)} <= set(class_names or ()):
        cells = [int(cell) if isinstance(cell, bool) else cell for cell in cells]
    if class_names is None:
        numbers = {number_of(cell) for cell in cells if not is_missing(cell)}
        if None not in numbers and numbers != {-1, 1}:  # -1 and 1 are two classes, in this order
            highest = max(
                (int(number) for number in numbers if number is not None and abs(number) < 1 << 31), default=0
            )
            if n_classes is None and highest > _MOST_CLASSES:
                raise LabelError(
                    f"{where} hold the number {highest:,}: ids or measurements, not classes.",
                    "If it is a class, name the classes (--class-names).",
                )
            class_names = tuple(map(str, range(n_classes or highest + 1)))
    encoded = encode_labels(cells, class_names, where)
    if n_classes is not None and len(encoded.names) != n_classes:
        raise LabelError(
            f"{where} are {len(encoded.names)} different texts for {n_classes} columns of probabilities.",
            "Name the classes in the order of the columns (--class-names).",
        )
    return encoded


def _contents(given: Any) -> _Contents:
    if isinstance(given, Path | str):
        given = local_path(str(given))
        path = Path(given).expanduser()
        if "://" not in str(given) and table_suffix(path) in _TEXT_TABLES:
            header = {"header": "none"} if _is_headless(path) else {}
            return _of_table(read_table(path, **header), repr(str(path)))
        source = open_source(given if "://" in str(given) else path)
        if isinstance(source, ParquetSource):
            return _Contents(source, source.class_names, source.column(LABEL_KEYS), source.column(ID_KEYS))
        if path.suffix.lower() != ".npz":
            return _Contents(source)
        members = load_npz(path, {*LABEL_KEYS, *ID_KEYS, *CLASS_NAME_KEYS})
        names, labels, ids = (
            next((members[key] for key in keys if key in members), None)
            for keys in (CLASS_NAME_KEYS, LABEL_KEYS, ID_KEYS)
        )
        return _Contents(source, None if names is None else tuple(map(str, names)), labels, ids)
    if hasattr(given, "columns") and hasattr(given, "to_numpy"):
        import pandas as pd
        import pyarrow as pa

        is_pandas = isinstance(given, pd.DataFrame)
        if is_pandas and all(isinstance(name, int | np.integer) for name in given.columns):
            return _Contents(ArraySource(given.to_numpy(), "pred_probs"))  # numbered, not named
        table = pa.Table.from_pandas(given, preserve_index=False) if is_pandas else pa.table(given)
        return _of_table(table, "pred_probs")
    if isinstance(given, list | tuple) or getattr(getattr(given, "dtype", None), "kind", "") == "O":
        try:
            given = np.asarray(given)
            given = given.astype(np.float64) if given.dtype == object else given
        except (TypeError, ValueError) as error:
            raise ProbabilityError(
                f"pred_probs cannot be read as a table of numbers: {error}.",
                "Give one row of floats per item, all of one length.",
            ) from error
    return _Contents(as_source(given))


def _is_headless(path: Path) -> bool:
    """Whether the first line of a table of probabilities is a row of them, as numpy.savetxt writes it, and no names."""
    if table_suffix(path) not in (".csv", ".tsv"):
        return False
    cells = csv_form(path, {}).names
    values = [number_of(cell) for cell in cells]
    if len(set(cells)) < len(cells) and None not in values:
        return True  # names differ; rows of zeros and ones do not
    numbers = [value for value in values if value is not None and 0 <= value <= 1]
    # Classes called 0 and 1 are written without a point.
    written = all("." in cell or "e" in cell.lower() for cell in cells)
    return written and len(numbers) == len(cells) > 1 and abs(sum(numbers) - 1) < 0.01


def named_classes(pred_probs: Any) -> tuple[str, ...] | None:
    """The class names that probabilities come with, if they do. Errors as `open_supplied`."""
    return _contents(pred_probs).class_names


def _of_table(table: Any, where: str) -> _Contents:
    columns = class_columns(table.schema, where)
    values = np.column_stack([table.column(name).to_numpy() for name in columns])
    labels, ids = (
        next((table.column(key).to_pylist() for key in keys if key in table.column_names), None)
        for keys in (LABEL_KEYS, ID_KEYS)
    )
    labels = None if labels is None else np.array(labels, dtype=object)
    return _Contents(ArraySource(values, where), tuple(columns), labels, ids)


def _check_form(source: ProbabilitySource) -> None:
    if source.dtype.kind in "iub":
        raise ProbabilityError(
            f"{source.name} holds {source.dtype} values: labels or one-hot rows, not probabilities.",
            "Give the probabilities a model predicts.",
        )
    check_columns(source.shape[0], source.shape[0], source.shape[1], source.name)


def column_order(own: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Positions in `own` of the class names `wanted`; None where the two are not the same names."""
    listed = list(map(str, own))
    if sorted(listed) != sorted(wanted) or len(set(listed)) != len(listed):
        return None
    return [listed.index(name) for name in wanted]


def _by_name(contents: _Contents, names: tuple[str, ...], notes: list[str]) -> ProbabilitySource:
    """Bring columns that carry the class names into the order of `names`."""
    order = None if contents.class_names in (None, names) else column_order(contents.class_names or (), names)
    if order is None:
        return contents.source
    notes.append("columns were reordered by their names to the given class order")
    return ReorderedSource(contents.source, order)


def _canonical(path: Path | None, labels: Path | None, names: Sequence[str] | None, check_order: bool) -> str:
    """The reference that opens this again; arrays handed over in memory have none but the bare scheme."""
    if path is None:
        return "probs"
    options = {} if check_order else {"check_order": "false"}
    options |= {} if labels is None else {"labels": str(labels.absolute())}
    options |= {} if names is None else {"classes": ",".join(names)}
    return str(Reference("probs", str(path.absolute()), options))
