"""Test items that a finished network may look at once, and that count who looked."""

from __future__ import annotations

from collections import Counter

import numpy as np

from auditor.core.errors import UsageError

__all__ = ["HeldBack"]


class HeldBack:
    """Owns the features of a test split and hands them out once per network.

    Selection, calibration and early stopping never see this object; what is measured on the test split is measured on
    a network that is final. The labels are not in it.

    Parameters
    ----------
    features : array (n, ...)
        Of the test items, in the order the predictions will have.
    """

    def __init__(self, features: np.ndarray) -> None:
        self._features = features
        self.accesses: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._features)

    def take(self, network: str) -> np.ndarray:
        """The features, for the one prediction of the final network called `network`.

        Raises
        ------
        UsageError
            At the second look of the same network: its first predictions are the result.
        """
        self.accesses[network] += 1
        if self.accesses[network] > 1:
            raise UsageError(
                f"network {network!r} asks for the test items a second time.",
                "Choose on validation items; the test items are for the one final prediction.",
            )
        return self._features
