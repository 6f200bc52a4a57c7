"""Training dynamics per item: what several folds and seeds saw of each item, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from auditor.core.errors import DataError


@dataclass(frozen=True, eq=False)
class ItemDynamics:
    """Logits per item, epoch and model. Each array has shape (models, epochs, n), floating point.

    Axis 0 of `train_*` counts the models that had the item in their training part (with K folds: K - 1 per
    seed), axis 0 of `heldout_*` the models that held it out (one per seed). Which model stands in which row
    may differ from item to item; only means over the axis are used. NaN where an item was not visited, or
    where it has fewer models than others. An array (epochs, n) is read as one model.

    Attributes
    ----------
    train_given, train_other, train_logsumexp : arrays
        Logit of the given class, largest other logit, log-sum-exp over all classes, in sample.
    heldout_given, heldout_other, heldout_logsumexp : arrays
        The same, out of sample.

    Raises
    ------
    DataError
        Shapes that do not fit each other, or infinite logits.
    """

    train_given: np.ndarray
    train_other: np.ndarray
    train_logsumexp: np.ndarray
    heldout_given: np.ndarray
    heldout_other: np.ndarray
    heldout_logsumexp: np.ndarray

    def __post_init__(self) -> None:
        for field in fields(self):
            array = np.asarray(getattr(self, field.name))
            if array.ndim == 2:
                array = array[None]
            if array.ndim != 3 or array.dtype.kind != "f":
                given = f"dynamics {field.name!r}: shape {array.shape}, dtype {array.dtype}"
                raise DataError(f"{given}; expected floating point (models, epochs, items).")
            if np.isinf(array).any():
                raise DataError(
                    f"dynamics {field.name!r} holds infinite logits.",
                    "float16 overflows above 65504: training has diverged; lower the learning rate.",
                )
            object.__setattr__(self, field.name, array)
        for part in ("train", "heldout"):
            shapes = {getattr(self, f"{part}_{kind}").shape for kind in ("given", "other", "logsumexp")}
            if len(shapes) != 1:
                raise DataError(f"dynamics: the three {part} arrays have different shapes {sorted(shapes)}.")
        train, heldout = self.train_given.shape[2], self.heldout_given.shape[2]
        if train != heldout:
            raise DataError(
                f"dynamics: {train} items in the training part and {heldout} in the held-out part.",
                "Give both over the same items, with NaN where an item was not visited.",
            )

    def __len__(self) -> int:
        return self.train_given.shape[2]

    @property
    def has_train(self) -> bool:
        """Whether any item was seen in training."""
        return bool(np.isfinite(self.train_given).any())

    @property
    def has_heldout(self) -> bool:
        """Whether any item was seen held out."""
        return bool(np.isfinite(self.heldout_given).any())

    def take(self, positions: np.ndarray) -> ItemDynamics:
        """The items at `positions`, in that order."""
        return ItemDynamics(*(getattr(self, field.name)[:, :, positions] for field in fields(self)))

    @classmethod
    def merge(
        cls, n_items: int, fits: Iterable[tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]]
    ) -> ItemDynamics:
        """Put the dynamics of several fitted models into per-item arrays.

        Parameters
        ----------
        n_items : int
        fits : iterable of (train positions, held-out positions, arrays)
            Arrays (epochs, items of that part) by the names of the attributes, as one fitted model recorded them
            (`auditor.train.base.Dynamics`). In a fixed order (folds, then seeds). Models may have trained for
            different numbers of epochs: shorter ones are aligned at their **last** epoch, because the late epochs
            are the ones compared.

        Returns
        -------
        ItemDynamics
            float16 arrays.
        """
        parts = list(fits)
        arrays: list[np.ndarray] = []
        for part in ("train", "heldout"):
            epochs = max((len(fit[2][f"{part}_given"]) for fit in parts), default=0)
            visits = np.zeros(n_items, dtype=np.int64)
            places = [np.asarray(fit[0] if part == "train" else fit[1]) for fit in parts]
            for positions in places:
                visits[positions] += 1
            models = max(1, int(visits.max(initial=0)))
            for kind in ("given", "other", "logsumexp"):
                merged = np.full((models, epochs, n_items), np.nan, dtype=np.float16)
                row = np.zeros(n_items, dtype=np.int64)
                for positions, fit in zip(places, parts, strict=True):
                    logits = fit[2][f"{part}_{kind}"]
                    if logits.shape[1:] != positions.shape:
                        raise DataError(f"dynamics {part}_{kind}: {logits.shape} for {len(positions)} positions.")
                    start = epochs - len(logits)
                    for epoch in range(len(logits)):
                        merged[row[positions], start + epoch, positions] = logits[epoch]
                    row[positions] += 1
                arrays.append(merged)
        return cls(*arrays)
