"""From data sets to what the checks look at: the items examined, those they are compared with, and the one pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor.core.errors import DataError, UsageError
from auditor.core.progress import Progress
from auditor.data.base import Dataset
from auditor.data.kinds import ImageDataset, TableDataset, TextDataset
from auditor.detect.neighbours import is_exact, nearest
from auditor.quality.distances import MOST_PAIRS, column_vectors, nearest_among
from auditor.quality.measures import joined_measures, measure_images
from auditor.quality.subject import Neighbours, Subject

if TYPE_CHECKING:
    import pandas as pd

#: Neighbours of each item that the checks see.
K_NEIGHBOURS = 10


def reference_part(dataset: Dataset) -> str | None:
    """The split that others are compared with: the one that is trained on, else the first; None where there is one."""
    splits = list(dict.fromkeys(map(str, dataset.items.splits)))
    if len(splits) < 2:
        return None
    return min(splits, key=lambda s: (s.lower() != "train", not s.lower().startswith("train")))


def make_subject(
    dataset: Dataset,
    against: Dataset | None,
    progress: Progress,
    decoded: Path | None = None,
    workers: int | None = None,
) -> Subject:
    """Read, decode and measure every item once.

    Parameters
    ----------
    dataset : Dataset
        Its items are examined.
    against : Dataset, optional
        What they are compared with. Without it the splits of `dataset` are compared with its training split.
    progress : Progress
    decoded : Path, optional
        Pixels of the items of `dataset`, decoded before; only without `against`.
    workers : int, optional

    Raises
    ------
    UsageError
        If the two hold different kinds of items.
    """
    both = [dataset] if against is None else [dataset, against]
    if against is not None and against.modality != dataset.modality:
        raise UsageError(f"{dataset.name!r} holds {dataset.modality} items and {against.name!r} {against.modality}.")
    names = tuple(dict.fromkeys(name for data in both for name in data.class_names))
    number = {name: k for k, name in enumerate(names)}
    labels = [np.array([number[name] for name in data.class_names], dtype=np.int64)[data.labels] for data in both]
    part, reference = _parts(dataset, against)
    texts = [data.column for data in both if isinstance(data, TextDataset)]
    frames = [data.frame for data in both if isinstance(data, TableDataset)]
    images, pixels = None, decoded if against is None else None
    if isinstance(dataset, ImageDataset):
        sources = [data.source for data in both if isinstance(data, ImageDataset)]
        images = joined_measures([measure_images(source, progress, pixels, workers) for source in sources])
        # Where there is no file (arrays), the pixels are all there is.
        content = np.where(images.file_hash == b"", images.pixel_hash, images.file_hash)
    else:
        content = np.concatenate([data.content_hashes for data in both])
    return Subject(
        modality=dataset.modality,
        ids=np.concatenate([data.ids for data in both]),
        labels=np.concatenate(labels),
        class_names=names,
        part=part,
        index=np.concatenate([data.items.index for data in both]),
        examined=np.arange(len(content)) < len(dataset),
        reference=reference,
        content=content,
        images=images,
        texts=np.concatenate(texts) if texts else None,
        frame=_joined_frames(frames) if len(frames) > 1 else next(iter(frames), None),
        order=_why_no_order(dataset),
        bad={} if images is None else images.reasons,
        classes=all(data.form is None for data in both),
        paths=_paths(both),
    )


def _paths(parts: list[Dataset]) -> np.ndarray | None:
    """File names of the items, None where one part has none."""
    named = [data.items.paths for data in parts]
    known = [paths for paths in named if paths is not None]
    return np.concatenate([paths.astype("U") for paths in known]) if len(known) == len(named) else None


def _parts(dataset: Dataset, against: Dataset | None) -> tuple[np.ndarray, str | None]:
    """The part of every item, and which is the reference."""
    own = dataset.items.splits.astype("U")
    if against is None:
        return own, reference_part(dataset)
    other = against.items.splits.astype("U")
    names = set(other.tolist())
    reference = names.pop() if len(names) == 1 else against.name
    if reference in set(own.tolist()):
        # Two versions with splits of one name: the reference says which version it is.
        reference = f"{against.name}:{reference} (compared with)"
    return np.concatenate([own, np.full(len(other), reference)]), reference


def _joined_frames(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The columns that two tables have in common, one below the other."""
    import pandas as pd

    shared = [c for c in frames[0].columns if c in set(frames[1].columns)]
    if not shared:
        raise UsageError("the two tables have no column in common.")
    joined = {}
    for name in shared:
        a, b = (frame[name] for frame in frames)
        if (a.dtype == "category") != (b.dtype == "category"):
            raise UsageError(f"column {name!r} holds numbers in one table and categories in the other.")
        values = pd.concat([a.astype(object), b.astype(object)], ignore_index=True)
        joined[name] = values.astype("category") if a.dtype == "category" else values.astype("float64")
    return pd.DataFrame(joined)


def _why_no_order(dataset: Dataset) -> str | None:
    if dataset.reference.startswith("folder:"):
        return "class folders are read one after the other, so the order says nothing about the data"
    if dataset.name.startswith("cifake"):
        return "the published files are sorted by name, so the order says nothing about the data"
    return None


def table_neighbours(subject: Subject) -> Neighbours | None:
    """The nearest rows of a table by its standardised columns; None where it is no table, or no column varies.

    Of more than 50,000 rows each is compared with a sample.
    """
    if subject.frame is None or len(subject) < 2:
        return None
    vectors, rows = column_vectors(subject.frame), np.arange(len(subject))
    if not vectors.shape[1]:
        return None
    k = min(K_NEIGHBOURS, len(rows) - 1)
    positions, distances = nearest_among(vectors, vectors, rows, rows, k, cosine=False)
    away, exact = np.nan_to_num(distances), len(rows) ** 2 <= MOST_PAIRS
    return Neighbours(rows, positions, np.zeros_like(away), exact, "standardised columns", vectors, away)


def neighbours_of(name: str, embeddings: np.ndarray, rows: np.ndarray, n: int) -> Neighbours:
    """The nearest items of the embedded ones.

    Parameters
    ----------
    name : str
        What embedded them.
    embeddings : float array (m, d)
    rows : int64 array (m,)
        Ascending positions of the embedded items.
    n : int
        Items in all.

    Raises
    ------
    DataError
        If there are not as many embeddings as rows, or they are not finite.
    """
    if embeddings.ndim != 2 or len(embeddings) != len(rows):
        raise DataError(f"embeddings of shape {embeddings.shape} for {len(rows):,} of {n:,} items.")
    if not np.isfinite(embeddings).all():
        raise DataError("the embeddings are not finite.", "Leave broken items out, or give them zeros.")
    closest, cosines = nearest(embeddings, min(K_NEIGHBOURS, max(1, len(rows) - 1)))
    positions = np.where(closest >= 0, rows[closest], -1)
    return Neighbours(rows, positions, cosines, is_exact(len(rows)), name, embeddings)
