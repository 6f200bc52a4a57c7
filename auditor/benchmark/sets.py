"""Benign, correctable and unknown rows at one threshold (corrected-benchmark, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from auditor.benchmark.given_labels import GivenLabels
from auditor.benchmark.verdicts.judged import AMBIGUOUS, BOTH, GIVEN, GUESSED, Judged


@dataclass(frozen=True, eq=False)
class Sets:
    """What each row counts as.

    Attributes
    ----------
    k : int
        Threshold.
    state : int8 array (n,)
        `GIVEN` for rows nobody judged.
    corrected : int64 array (n,)
        Corrected label: another one on correctable rows, the given one elsewhere.
    several : dict of int to tuple of int
        Accepted labels of the rows where more than one is right.
    """

    k: int
    state: np.ndarray
    corrected: np.ndarray
    several: dict[int, tuple[int, ...]]

    @cached_property
    def benign(self) -> np.ndarray:
        """Not flagged, or kept by the reviewers; bool (n,)."""
        return self.state == GIVEN

    @cached_property
    def correctable(self) -> np.ndarray:
        """Another label is right; bool (n,)."""
        return self.state == GUESSED

    @cached_property
    def pruned(self) -> np.ndarray:
        """Benign and correctable; bool (n,). The others are removed (strict)."""
        return self.benign | self.correctable

    @cached_property
    def lenient(self) -> np.ndarray:
        """Pruned, and rows without agreement (given label kept) or with several labels (each accepted); bool (n,)."""
        return self.pruned | (self.state == AMBIGUOUS) | (self.state == BOTH)

    @property
    def n_benign(self) -> int:
        return int(self.benign.sum())

    @property
    def n_correctable(self) -> int:
        return int(self.correctable.sum())

    @property
    def n_pruned(self) -> int:
        return int(self.pruned.sum())

    @property
    def prevalence(self) -> float:
        """N0 = |C| / |P|; 0 where nothing is left."""
        return self.n_correctable / self.n_pruned if self.n_pruned else 0.0

    def sizes(self) -> dict[str, Any]:
        """``n_benign, n_correctable, n_pruned, prevalence``."""
        return {name: getattr(self, name) for name in ("n_benign", "n_correctable", "n_pruned", "prevalence")}


def make_sets(judged: Judged, given_labels: GivenLabels, k: int) -> Sets:
    """Sets at threshold `k`; rows are carried by number, never by their position in a list."""
    decision = judged.decide(k)
    state = np.full(len(given_labels), GIVEN, np.int8)
    state[judged.rows] = decision.state
    corrected = given_labels.labels.copy()
    changed = decision.state == GUESSED
    corrected[judged.rows[changed]] = decision.label[changed]
    several = {int(judged.rows[j]): judged.accepted[int(j)] for j in np.flatnonzero(decision.state == BOTH)}
    return Sets(k, state, corrected, several)
