"""Made-up models of one law, and whether a flip between them is declared: the null the rule must respect."""

from __future__ import annotations

import numpy as np

from auditor.benchmark.models import ComparedModels, Model
from auditor.benchmark.pairs import change_p, compare_pairs, real_flips


def equal_models(
    rng: np.random.Generator, models: int, benign: int, correctable: int, shared: float, seeds: int = 1
) -> ComparedModels:
    """Models of one law: on every row all are right with the same probability, whatever the label.

    Parameters
    ----------
    shared : float
        How far the models fail on the same rows: 0 = independently.
    """
    n = benign + correctable
    networks = models * seeds
    difficulty = rng.normal(size=n) * shared
    noise = rng.normal(size=(models, seeds, n)) * np.sqrt(1 - shared**2)
    right = (difficulty + noise > -1.2).reshape(networks, n)
    corrected = right.copy()
    # On correctable rows the model answers the given label, the corrected one, or neither.
    answer = rng.choice(3, size=(networks, correctable), p=[0.35, 0.45, 0.2])
    right[:, benign:], corrected[:, benign:] = answer == 0, answer == 1
    return ComparedModels(
        tuple(
            Model(f"m{k}", None, tuple(range(seeds)) if seeds > 1 else (), tuple(range(k * seeds, (k + 1) * seeds)))
            for k in range(models)
        ),
        (),
        right,
        corrected,
        corrected,
        np.zeros(n, np.int64),
    )


def declared(compared: ComparedModels, correctable: int) -> int:
    """Number of flips the rule calls real."""
    n = compared.given.shape[1]
    everything, on_c = np.ones(n, bool), np.arange(n) >= n - correctable
    before, after = (
        compare_pairs(compared, compared.given, everything),
        compare_pairs(compared, compared.corrected, everything),
    )
    return real_flips(before, after, change_p(compared, on_c))[1]
