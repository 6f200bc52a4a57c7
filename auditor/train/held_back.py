"""What a finished network may look at once: test items or their labels, with a count of who looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property

import numpy as np

from auditor.core.errors import UsageError


class HeldBack:
    """Owns features or labels of a test split, opens them when first asked, and hands them out once per network.

    Selection, calibration and early stopping never see this object; what is measured on the test split is measured on
    a network that is final.

    Parameters
    ----------
    load : callable
        Gives the array, in the order of the predictions.
    what : str
        For messages.
    """

    def __init__(self, load: Callable[[], np.ndarray], what: str = "test items") -> None:
        self._load, self.what = load, what
        self.accesses: Counter[str] = Counter()

    @cached_property
    def _values(self) -> np.ndarray:
        return self._load()

    def take(self, network: str) -> np.ndarray:
        """The array, for the one evaluation of the final network called `network`.

        Raises
        ------
        UsageError
            At the second look of the same network: what it saw first is the result.
        """
        self.accesses[network] += 1
        if self.accesses[network] > 1:
            raise UsageError(
                f"network {network!r} asks for the {self.what} a second time.",
                "Choose on validation items; the test split is for the one final evaluation.",
            )
        return self._values
