"""What is checked: the items of one data set, and of the part or version they are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from auditor.data.base import Modality
from auditor.quality.groups import components, equal_pairs
from auditor.quality.measures import ImageMeasures
from auditor.quality.near import NearPairs, near_image_pairs, near_texts

if TYPE_CHECKING:
    import pandas as pd

#: Nearest items by embedding that are proposed. Of planted copies on CIFAR-10 (EfficientNet-Lite0, 48 px) the original
#: is among them for 99 % of the mirrored, 96 % of the crops of 80 % and 84 % of the crops of 70 % of the width.
PROPOSED = 3


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Nearest items by embedding.

    Attributes
    ----------
    rows : int64 array (m,)
        Ascending positions of the items that were embedded.
    positions : int64 array (m, k)
        Positions of the nearest others among `rows`, nearest first; -1 where there are fewer.
    cosines : float32 array (m, k)
    exact : bool
        False where the search was approximate.
    name : str
        What embedded them.
    vectors : float array (m, d)
        The embeddings.
    distances : float32 array (m, k), optional
        To the nearest, where it is no cosine that is compared (columns of a table).
    """

    rows: np.ndarray
    positions: np.ndarray
    cosines: np.ndarray
    exact: bool
    name: str
    vectors: np.ndarray
    distances: np.ndarray | None = None

    @property
    def away(self) -> np.ndarray:
        """Distance to each of the nearest, float64 (m, k): 1 - cosine, or `distances`."""
        return 1.0 - self.cosines.astype(np.float64) if self.distances is None else self.distances.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of items that it was not trained on.

    Attributes
    ----------
    rows : int64 array (m,)
        Ascending positions of the items that were predicted.
    probabilities : float array (m, K)
        Columns in the order of the class names.
    flagged : bool array (m,), optional
        Items whose label is suspected to be wrong.
    """

    rows: np.ndarray
    probabilities: np.ndarray
    flagged: np.ndarray | None = None

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class, int64 (m,)."""
        return self.probabilities.argmax(axis=1).astype(np.int64)


@dataclass(eq=False)
class Subject:
    """Everything the checks may look at. Rows of all arrays are the same n items.

    Attributes
    ----------
    modality : str
        ``"image"``, ``"text"``, ``"table"`` or ``"probabilities"``.
    ids : str array (n,)
    labels : int64 array (n,)
        Positions in `class_names`.
    class_names : tuple of str
    part : str array (n,)
        The split, or the version, an item belongs to.
    index : int64 array (n,)
        0-based row in its part, in the source's order.
    examined : bool array (n,)
        The items that are checked; the others are there to be compared with.
    reference : str or None
        The part that the examined items are compared with: training data, or an older version. None where there
        is one part only.
    content : str array (n,)
        Hash of the content as stored; items of equal hash are the same.
    images : ImageMeasures or None
    texts : object array of str (n,) or None
    frame : DataFrame (n rows) or None
    neighbours : Neighbours or None
    predictions : Predictions or None
    paths : str array (n,) or None
        File names inside the source.
    metadata : DataFrame (n rows) or None
        What else is known of the items; missing for those that are there to be compared with.
    order : str or None
        Why the order of the items says nothing (class folders are read one after the other); None where it may.
    bad : dict of int to str
        Items without content, and why.
    classes : bool
        Whether labels are classes; else `class_names` are the labels that occur, each as its text, and hardly two items
        share one.
    """

    modality: Modality
    ids: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    part: np.ndarray
    index: np.ndarray
    examined: np.ndarray
    reference: str | None
    content: np.ndarray
    images: ImageMeasures | None = None
    texts: np.ndarray | None = None
    frame: pd.DataFrame | None = None
    neighbours: Neighbours | None = None
    order: str | None = None
    bad: dict[int, str] = field(default_factory=dict)
    classes: bool = True
    predictions: Predictions | None = None
    paths: np.ndarray | None = None
    metadata: pd.DataFrame | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def usable(self) -> np.ndarray:
        """Items with content, bool (n,)."""
        usable = np.ones(len(self), bool)
        usable[list(self.bad)] = False
        return usable

    @cached_property
    def looked_at(self) -> np.ndarray:
        """Positions of the examined items with content, ascending."""
        return np.flatnonzero(self.examined & self.usable)

    @cached_property
    def exact(self) -> np.ndarray:
        """Smallest position of the items with the same content, int64 (n,); an item without copies has its own.

        The same content: equal bytes, or equal decoded pixels.
        """
        rows = np.flatnonzero(self.usable)
        keys = [self.content] if self.images is None else [self.content, self.images.pixel_hash]
        return components(len(self), np.concatenate([equal_pairs(key[rows], rows) for key in keys]))

    @cached_property
    def near_pairs(self) -> NearPairs:
        """Pairs of near copies and of mirror images, one item per content; none where they cannot be sought."""
        rows = np.flatnonzero(self.usable & (self.exact == np.arange(len(self))))
        if self.images is not None:
            return near_image_pairs(self.images, rows, self._proposed())
        return NearPairs() if self.texts is None else near_texts(self.texts.tolist(), rows)

    def _proposed(self) -> np.ndarray | None:
        """Each embedded item with its `PROPOSED` nearest, one item per content, int64 (p, 2)."""
        if self.neighbours is None:
            return None
        nearest = self.neighbours.positions[:, :PROPOSED]
        pairs = np.column_stack([np.repeat(self.neighbours.rows, nearest.shape[1]), nearest.ravel()])
        return self.exact[pairs[pairs[:, 1] >= 0]]

    @cached_property
    def near(self) -> np.ndarray:
        """As `exact`, with near copies joined."""
        return self._joined(self.near_pairs.pairs)

    @cached_property
    def verified(self) -> np.ndarray:
        """As `exact`, with the near copies joined that agree everywhere."""
        return self._joined(self.near_pairs.pairs[self.near_pairs.same])

    @cached_property
    def mirrored(self) -> np.ndarray:
        """As `exact`, with mirror images joined."""
        return self._joined(self.near_pairs.mirrored)

    def _joined(self, pairs: np.ndarray) -> np.ndarray:
        own = np.column_stack([self.exact, np.arange(len(self))])
        return components(len(self), np.concatenate([own, pairs]))
