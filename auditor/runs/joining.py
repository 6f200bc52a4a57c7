"""The results of a run beside the rows of the data frame it audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from auditor.core.errors import DataError, UnknownNameError, UsageError
from auditor.data.frames import cells, column_names, with_columns
from auditor.data.label_kinds import columns_of
from auditor.data.labels import is_missing, number_of
from auditor.data.open import DATASETS, open_dataset
from auditor.data.reference import is_held, parse_reference
from auditor.data.roles import COLUMN_OPTIONS, ROLE_OPTIONS
from auditor.data.stored import stored_features
from auditor.runs.issues import issue_table

if TYPE_CHECKING:
    from auditor.data.base import Dataset
    from auditor.runs.run import Run

_WAY_OUT = "Give the frame as it was audited; Run.join(..., contents=False) compares rows and labels only."


def join_results(run: Run, frame: Any, split: str | None, contents: bool, prefix: str) -> Any:
    """See `Run.join`."""
    names = column_names(frame)
    item_of = rows_in_frame(run, frame, split=split, contents=contents)
    results = issue_table(run).drop(columns=["id", "split", "index"]).add_prefix(prefix)
    if taken := [name for name in results if name in names]:
        raise UsageError(
            f"the frame has a column called {taken[0]!r} already.", "Give a prefix: run.join(frame, prefix='auditor_')."
        )
    placed = results.take(np.maximum(item_of, 0)).reset_index(drop=True)
    without = item_of < 0
    if without.any():
        for name in placed:
            empty = False if placed[name].dtype == bool else np.nan if placed[name].dtype == float else None
            placed.loc[without, name] = empty
    return with_columns(frame, placed)


def rows_in_frame(run: Run, frame: Any, *, split: str | None = None, contents: bool = True) -> np.ndarray:
    """Row in `Run.items` of each row of a frame, int64 (rows,); -1 for rows that are no items, such as those without a
    label.

    Rows are found by their ids where the data set has a column of ids, else by their position.

    Raises
    ------
    UsageError
        If it is no frame, or the split it holds must be named.
    DataError
        If it has other rows, labels or contents than the run saw.
    """
    n_rows, items = (len(frame) if column_names(frame) else 0), run.items
    splits = list(dict.fromkeys(items["split"]))
    if split is not None and split not in splits:
        raise UnknownNameError("split", split, splits)
    of_split = np.ones(len(items), bool) if split is None else (items["split"] == split).to_numpy()
    if run.manifest["data"]["modality"] == "probabilities":
        index = items["index"].to_numpy()[of_split]
        return _by_position(run, items, of_split, index, n_rows, len(index) if len(index) == n_rows else -1)
    dataset, has_labels = _opened(run, frame)
    rows = dataset.items.rows
    if rows is None:
        raise UsageError("the frame holds no rows that could be told apart.", _WAY_OUT)
    if np.array_equal(dataset.ids, rows.astype(str)):  # no column of ids
        index = source_rows(items[of_split])
        if index is None:
            raise UsageError(
                f"the run {run.id!r} has the splits {', '.join(splits)}: which of them the frame holds must be said.",
                f"Name it: split={splits[0]!r}.",
            )
        place = _by_position(run, items, of_split, index, n_rows, len(dataset))
    else:
        place = _by_id(run, items, dataset.ids, rows, n_rows)
    at = place[rows]
    known = at >= 0
    _compare(run, dataset.subset(np.flatnonzero(known)), at[known], rows[known], has_labels, contents)
    return place


def _opened(run: Run, frame: Any) -> tuple[Dataset, bool]:
    """The frame as a data set, by the options that the run's data were opened with, and whether it holds the labels."""
    names, reference = column_names(frame), run.manifest["data"]["reference"]
    asked = parse_reference(reference, DATASETS.names()).options
    options: dict[str, Any] = {
        name: value
        for name, value in asked.items()
        if name in COLUMN_OPTIONS and (name not in ROLE_OPTIONS or name == "columns" or columns_of(value, names))
    }
    features = stored_features(run.path) if is_held(reference) else []
    if features and set(features) <= set(names):
        options["columns"] = features
    if "label" in asked and "label" not in options:
        # The labels were beside the frame, (X, y) or label=y: its items are compared by their contents.
        options["label"] = np.resize(run.items["given"].to_numpy(), len(frame))
        return open_dataset(frame, **options), False
    if run.form is None and (label := options.get("label")) is not None:
        labels = [cell for cell in cells(frame, label) if not is_missing(cell)]
        numbers = [None if isinstance(cell, str | bool | np.bool_) else number_of(cell) for cell in labels]
        # Numbers that are no names of classes are positions in them; others would be taken for positions.
        if None in numbers or not {str(number) for number in numbers} <= set(run.class_names):
            options["classes"] = list(run.class_names)
    return open_dataset(frame, **options), True


def source_rows(items: pd.DataFrame) -> np.ndarray | None:
    """Row in the one table that items of a run come from, int64; None where their splits had a table each."""
    splits = set(items["split"])
    if splits != {"all"} and items["id"].str.fullmatch(r"\d+").all():
        return items["id"].to_numpy().astype(np.int64)  # a table with a column of splits
    return items["index"].to_numpy() if len(splits) == 1 else None


def _by_position(
    run: Run, items: pd.DataFrame, of_split: np.ndarray, index: np.ndarray, n_rows: int, n_items: int
) -> np.ndarray:
    whole = len(set(items["split"][of_split])) == 1
    if index.max(initial=-1) >= n_rows or (whole and n_items != len(index)):
        raise DataError(
            f"the frame has {n_rows:,} rows; the run {run.id!r} saw {len(index):,} items"
            f"{'' if index.max(initial=-1) < n_rows else f', the last in row {index.max():,}'}.",
            "Give the frame as it was audited: the same rows in the same order.",
        )
    place = np.full(n_rows, -1, np.int64)
    place[index] = np.flatnonzero(of_split)
    return place


def _by_id(run: Run, items: pd.DataFrame, ids: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    at = pd.Index(items["id"]).get_indexer(ids)
    # A run of supplied probabilities, or of one split, knows some of the rows only.
    if (at < 0).all() or ((at < 0).any() and len(ids) <= len(items)):
        unknown = ids[int(at.argmin())]
        raise DataError(f"the run {run.id!r} has no item {str(unknown)!r}; {(at < 0).sum():,} such rows.", _WAY_OUT)
    place = np.full(n_rows, -1, np.int64)
    place[rows] = at
    return place


def _compare(run: Run, dataset: Dataset, at: np.ndarray, rows: np.ndarray, has_labels: bool, contents: bool) -> None:
    """Refuse a frame of which a row is not the item of the run at `at`."""
    items = run.items.iloc[at]
    if has_labels:
        labels = np.array(dataset.class_names, dtype=object)[dataset.labels]
        if (other := np.flatnonzero(labels != items["given"].to_numpy())).size:
            k = int(other[0])
            raise DataError(
                f"row {rows[k]} of the frame is labelled {labels[k]!r}, and {items['given'].iloc[k]!r} in the run "
                f"{run.id!r}; {len(other):,} such rows.",
                "Give the frame as it was audited: the same rows in the same order, before labels are corrected.",
            )
    if contents and dataset.hash_scheme == run.manifest["data"]["hash_scheme"]:
        other = np.flatnonzero(dataset.content_hashes.astype(object) != items["content_hash"].to_numpy())
        if len(other):
            raise DataError(
                f"row {rows[int(other[0])]} of the frame has another content than the run {run.id!r} saw; "
                f"{len(other):,} such rows.",
                _WAY_OUT,
            )
