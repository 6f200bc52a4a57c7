"""What a detector gets and what it gives back.

Conventions of the whole room: a score is float64, finite, and **higher means more suspicious**; equal scores
are ordered by item id; a flag mask is the detector's own count and is kept apart from its ranking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from auditor.core.errors import DataError, EmptyDataError, LabelError, ProbabilityError
from auditor.detect.ensemble import convex_weights
from auditor.detect.item_dynamics import ItemDynamics
from auditor.detect.margins import id_keys, rank_order
from auditor.detect.neighbours import nearest
from auditor.engine.mixture import MixtureSource, given_probabilities, normalised, source_step
from auditor.engine.sources import ProbabilitySource, as_source
from auditor.engine.validate import check_rows


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What people said about some items.

    Attributes
    ----------
    positions : int64 array (B,)
        Positions of the reviewed items; an item reviewed twice occurs twice.
    wrong : bool array (B,)
        True where the given label was found wrong. How ambiguous verdicts count is the caller's choice.
    weights : float64 array (B,), optional
        Inverse of the probability with which the item was drawn for review, up to a factor; default 1.
    """

    positions: np.ndarray
    wrong: np.ndarray
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions, dtype=np.int64)
        wrong = np.asarray(self.wrong, dtype=bool)
        weights = np.ones(len(positions)) if self.weights is None else np.asarray(self.weights, np.float64)
        if positions.ndim != 1 or wrong.shape != positions.shape or weights.shape != positions.shape:
            raise DataError(f"verdicts: {positions.shape} positions, {wrong.shape} outcomes, {weights.shape} weights.")
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise DataError("verdicts: weights must be finite and positive.")
        for name, value in (("positions", positions), ("wrong", wrong), ("weights", weights)):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, positions: np.ndarray, n_items: int) -> Verdicts:
        """The verdicts on the items at `positions` of `n_items`, renumbered to their new places."""
        new_place = np.full(n_items, -1, dtype=np.int64)
        new_place[positions] = np.arange(len(positions))
        moved = new_place[self.positions]
        here = moved >= 0
        return Verdicts(moved[here], self.wrong[here], np.asarray(self.weights)[here])


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything known about the items, without the truth. Rows of all arrays are the same items.

    Attributes
    ----------
    ids : str or int array (n,)
        Unique item ids.
    labels : int64 array (n,)
        Given labels, 0 .. n_classes - 1.
    n_classes : int
    class_names : tuple of str
        Empty: the class numbers are used.
    probabilities : array (n, K) or sequence of them
        **Out-of-sample** probabilities, one array per network and seed. Rows sum to 1 within 5e-3 (float16
        does) and are renormalised in float64. A `ProbabilitySource` (a file) is taken too: whoever opens it checks it.
    networks : tuple of str
        The network of each array; arrays of one network (seeds) are averaged, different networks are weighted
        by `convex_weights`. Empty: every array is a network of its own.
    dynamics : ItemDynamics or None
    embeddings : float array (n, d) or None
        One comparable space: a frozen encoder, or log-probabilities.
    class_embeddings : float array (K, d) or None
        The names of the classes in the space of `embeddings`, as an encoder of images and texts gives them.
    embedding_folds : array (n,) or None
        Items are compared within one value only. Give the fold where the embedding comes from the network
        that held the item out: embeddings of different networks are not comparable.
    duplicate_groups : array (n,) or None
        Items with equal value are (near) duplicates and never each other's neighbours: a copy with the same
        wrong label would hide the error.
    verdicts : Verdicts or None

    Raises
    ------
    EmptyDataError, LabelError, ProbabilityError, DataError
        With the first offending row.
    """

    ids: np.ndarray
    labels: np.ndarray
    n_classes: int
    class_names: tuple[str, ...] = ()
    probabilities: np.ndarray | Sequence[np.ndarray | ProbabilitySource] | None = None
    networks: tuple[str, ...] = ()
    dynamics: ItemDynamics | None = None
    embeddings: np.ndarray | None = None
    class_embeddings: np.ndarray | None = None
    embedding_folds: np.ndarray | None = None
    duplicate_groups: np.ndarray | None = None
    verdicts: Verdicts | None = None

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("ids", np.asarray(self.ids))
        put("labels", _checked_labels(self.ids, np.asarray(self.labels), self.n_classes))
        put("class_names", tuple(self.class_names) or tuple(str(k) for k in range(self.n_classes)))
        if len(self.class_names) != self.n_classes:
            raise LabelError(f"{len(self.class_names)} class names for {self.n_classes} classes.")
        if self.probabilities is not None:
            given = self.probabilities
            arrays = [given] if isinstance(given, np.ndarray) and given.ndim == 2 else list(given)
            put("probabilities", tuple(arrays) or None)
            names = tuple(self.networks) or tuple(f"network-{i}" for i in range(len(arrays)))
            if len(names) != len(arrays):
                raise ProbabilityError(f"{len(names)} network names for {len(arrays)} probability arrays.")
            put("networks", names)
            expected = (len(self.ids), self.n_classes)
            for name, array in zip(names, arrays, strict=True):
                # An array of integers is a mistake of the caller's; a file of zeros and ones was checked when opened.
                in_memory = isinstance(array, np.ndarray)
                if array.shape != expected or (in_memory and array.dtype.kind != "f"):
                    raise ProbabilityError(
                        f"probabilities of {name}: shape {array.shape}, dtype {array.dtype}; expected floating point "
                        f"{expected}.",
                        "One row per item and one column per class, in the order of the class names.",
                    )
                if in_memory:
                    step = source_step(as_source(array))
                    for start in range(0, len(array), step):
                        check_rows(array[start : start + step], start, f"probabilities of {name}")
        n = len(self)
        if self.embeddings is not None:
            embeddings = np.asarray(self.embeddings)
            if embeddings.ndim != 2 or len(embeddings) != n:
                raise DataError(f"embeddings of shape {embeddings.shape} for {n} items.")
            bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
            if len(bad):
                raise DataError(f"embedding of item {str(self.ids[bad[0]])!r} (row {bad[0]}) is not finite.")
        if self.class_embeddings is not None:
            rows = np.asarray(self.class_embeddings)
            expected = (self.n_classes, rows.shape[-1] if self.embeddings is None else self.embeddings.shape[1])
            if rows.shape != expected:
                raise DataError(f"embeddings of class names of shape {rows.shape}; expected {expected}.")
            if not np.isfinite(rows).all():
                raise DataError("embeddings of class names that are not finite.")
        if self.dynamics is not None and len(self.dynamics) != n:
            raise DataError(f"dynamics of {len(self.dynamics)} items for {n} items.")
        for name in ("embedding_folds", "duplicate_groups"):
            column = getattr(self, name)
            if column is not None and np.shape(column) != (n,):
                raise DataError(f"{name}: shape {np.shape(column)} for {n} items.")
        if self.verdicts is not None and len(self.verdicts):
            positions = self.verdicts.positions
            if positions.min() < 0 or positions.max() >= n:
                raise DataError(f"verdicts: position {positions.max()} is outside the {n} items.")

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _sources(self) -> tuple[ProbabilitySource, ...]:
        return tuple(as_source(p) for p in self.probabilities or ())

    @cached_property
    def source(self) -> ProbabilitySource:
        """The one source of probabilities to score: one array as it was given, several as their weighted mean."""
        if len(self._sources) == 1:
            return self._sources[0]
        seeds = Counter(self.networks)
        weights = [self.network_weights[name] / seeds[name] for name in self.networks]
        return MixtureSource(self._sources, weights)

    @cached_property
    def network_weights(self) -> dict[str, float]:
        """Convex weight of each network (1 for a single one), in order of first mention.

        Of what is read, only the probabilities of the given labels are kept.
        """
        given: dict[str, list[np.ndarray]] = {name: [] for name in self.networks}
        if len(given) == 1:
            return dict.fromkeys(given, 1.0)
        for name, source in zip(self.networks, self._sources, strict=True):
            given[name].append(given_probabilities(source, self.labels))
        weights = convex_weights(np.stack([np.mean(seeds, axis=0) for seeds in given.values()], axis=1))
        return dict(zip(given, weights.tolist(), strict=True))

    @cached_property
    def network_probabilities(self) -> dict[str, np.ndarray]:
        """Per network the mean over its seeds, float64 (n, K), rows sum to 1; in order of first mention."""
        groups: dict[str, list[np.ndarray]] = {}
        for name, source in zip(self.networks, self._sources, strict=True):
            groups.setdefault(name, []).append(normalised(source.read(0, len(self))))
        return {name: members[0] if len(members) == 1 else np.mean(members, axis=0) for name, members in groups.items()}

    @cached_property
    def mean_probabilities(self) -> np.ndarray:
        """The one probability array to score, float64 (n, K): seeds averaged, networks weighted."""
        return normalised(self.source.read(0, len(self)))

    def blocks(self, rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """`mean_probabilities` in pieces: pairs of (first row, float64 (rows, K)), in order and without gaps."""
        step = rows or source_step(self.source)
        for start in range(0, len(self), step):
            yield start, normalised(self.source.read(start, min(len(self), start + step)))

    def blocks_with(self, rows: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Those `blocks` that hold one of the ascending positions `rows`, as (first row, end, probabilities)."""
        step = source_step(self.source)
        for start in np.unique(rows // step * step).tolist():
            stop = min(len(self), start + step)
            yield start, stop, normalised(self.source.read(start, stop))

    @cached_property
    def by_id(self) -> tuple[Evidence, np.ndarray]:
        """The items in the order of their ids, and the positions they have here. Made once, for all detectors."""
        order = np.argsort(id_keys(self.ids), kind="stable")
        return (self, order) if (order[1:] > order[:-1]).all() else (self.take(order), order)

    def neighbours(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest items by embedding, see `auditor.detect.neighbours.nearest`.

        Kept: several detectors ask for the same ones, and the k nearest begin the list of more than k.

        Raises
        ------
        DataError
            Without embeddings.
        """
        if self.embeddings is None:
            raise DataError("there are no embeddings to find neighbours in.")
        closest: tuple[np.ndarray, np.ndarray] | None = self.__dict__.get("_neighbours")
        if closest is None or closest[0].shape[1] < k:
            closest = nearest(self.embeddings, k, self.embedding_folds, self.duplicate_groups)
            self.__dict__["_neighbours"] = closest
        return closest[0][:, :k], closest[1][:, :k]

    def take(self, positions: np.ndarray) -> Evidence:
        """The items at `positions`, in that order. Verdicts on items left out are dropped."""
        pick = lambda a: None if a is None else np.asarray(a)[positions]  # noqa: E731
        arrays = self.probabilities
        return replace(
            self,
            ids=self.ids[positions],
            labels=self.labels[positions],
            probabilities=None if arrays is None else [s.read(0, len(self))[positions] for s in self._sources],
            dynamics=None if self.dynamics is None else self.dynamics.take(positions),
            embeddings=pick(self.embeddings),
            embedding_folds=pick(self.embedding_folds),
            duplicate_groups=pick(self.duplicate_groups),
            verdicts=None if self.verdicts is None else self.verdicts.take(positions, len(self)),
        )


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector says about each item.

    Attributes
    ----------
    score : float64 array (n,)
        Higher is more suspicious.
    flagged : bool array (n,) or None
        The detector's own flag mask; None where it ranks only.
    suggested : int64 array (n,)
        The class the detector would give. Equal to the given label where it would keep it, never equal to it
        where it flags the item.
    meta : dict
        JSON-serialisable facts that belong beside the numbers (weights, parameters, warnings).
    """

    score: np.ndarray
    flagged: np.ndarray | None
    suggested: np.ndarray
    meta: dict[str, Any] = field(default_factory=dict)

    def order(self, ids: np.ndarray) -> np.ndarray:
        """Positions from most to least suspicious, ties by id."""
        return rank_order(self.score, ids)

    def take(self, positions: np.ndarray) -> Detection:
        """The rows at `positions`, in that order."""
        flagged = None if self.flagged is None else self.flagged[positions]
        return Detection(self.score[positions], flagged, self.suggested[positions], self.meta)


@dataclass(frozen=True)
class NotApplicable:
    """The detector could not run. An outcome, not an error: it is shown where its result would be.

    Attributes
    ----------
    detector : str
    reason : str
        What is missing and how to get it.
    """

    detector: str
    reason: str


@runtime_checkable
class Detector(Protocol):
    """Scores items from evidence.

    A detector is a frozen dataclass of its options. It is called through
    `auditor.detect.registry.run_detector`, which answers for it when an input in `needs` is missing and hands
    it the items sorted by id, so that sums are always taken in the same order.
    """

    #: Inputs without which it cannot run: of ``probabilities, dynamics, embeddings, class_embeddings, verdicts``.
    needs: ClassVar[tuple[str, ...]]

    def detect(self, evidence: Evidence) -> Detection | NotApplicable:
        """Score all items."""


def _checked_labels(ids: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    n = len(labels)
    if n == 0:
        raise EmptyDataError("no items to score.", "Check the split and the filters.")
    if labels.ndim != 1 or np.shape(ids) != (n,):
        raise LabelError(f"labels of shape {labels.shape} for ids of shape {np.shape(ids)}.")
    if labels.dtype.kind not in "iu":
        raise LabelError(f"labels of dtype {labels.dtype}.", "Labels are integers 0 .. classes - 1.")
    if n_classes < 2:
        raise LabelError(f"{n_classes} class: there is nothing a label could be confused with.")
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(outside):
        row = int(outside[0])
        label = f"label {labels[row]} of item {str(ids[row])!r} (row {row})"
        raise LabelError(f"{label} is outside the {n_classes} classes; {len(outside)} such labels.")
    # Not `np.unique`, which hashes: 3 s for a million row numbers that lie in order.
    in_order = np.sort(np.asarray(ids), kind="stable")
    if (in_order[1:] == in_order[:-1]).any():
        raise LabelError("item ids repeat.", "Ids must be unique: ties are ordered by them.")
    return labels.astype(np.int64)
