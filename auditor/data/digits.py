"""scikit-learn's handwritten digits: 1,797 real 8x8 images that come with the installation."""

from __future__ import annotations

import numpy as np

from auditor.core.config import Settings
from auditor.data.base import ItemTable
from auditor.data.kinds import RGB_SCHEME, ImageDataset
from auditor.data.reference import Reference
from auditor.data.sources import ArraySource


class Digits:
    """Adapter of ``digits``."""

    summary = "1,797 handwritten digits, 8x8 grey, 10 classes; ships with scikit-learn"
    example = "digits"
    options: frozenset[str] = frozenset()

    def open(self, reference: Reference, settings: Settings) -> ImageDataset:
        """All images; ids are ``digit-0000`` .. ``digit-1796``, in scikit-learn's order."""
        from sklearn.datasets import load_digits

        bunch = load_digits()
        n = len(bunch.target)
        # 0..16 -> 0..255; 16 is full ink. round() keeps the 17 levels evenly spaced.
        grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
        ids = np.array([f"digit-{i:04d}" for i in range(n)])
        items = ItemTable(ids, bunch.target.astype(np.int64), np.full(n, "all"), np.arange(n))
        source = ArraySource(np.repeat(grey[..., None], 3, axis=3))
        return ImageDataset("digits", "digits", tuple("0123456789"), items, source=source, hash_scheme=RGB_SCHEME)

    def status(self, settings: Settings) -> tuple[str, str]:
        """Always there."""
        return "found", "installed with scikit-learn"
