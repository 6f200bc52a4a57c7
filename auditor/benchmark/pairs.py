"""Every pair of models: is the difference real before, after, and its change? (detection-and-statistics, 11.6)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.benchmark.models import ComparedModels
from auditor.benchmark.result import records
from auditor.stats.paired import discordant_counts, holm, mcnemar, mcnemar_greater, seeded_greater, sign_flip

#: Family-wise level of every claim.
LEVEL = 0.05
#: Why a flip is called real.
BOTH_SIDES = "the order is significant before and after, in opposite directions"
CHANGE = "the change of the difference is significant"


@dataclass(frozen=True, eq=False)
class PairTests:
    """Tests of all pairs a < b of models on one set of rows with one set of labels. Arrays (pairs,).

    Attributes
    ----------
    a, b : int64
        Models.
    difference : float64
        Accuracy of a less that of b.
    a_only, b_only : float64
        Rows that only one has right; means over seeds.
    p : float64
        Two-sided: exact McNemar, or the t test over items and seeds.
    p_greater, p_less : float64
        One-sided, for "a is better" and "b is better".
    """

    a: np.ndarray
    b: np.ndarray
    difference: np.ndarray
    a_only: np.ndarray
    b_only: np.ndarray
    p: np.ndarray
    p_greater: np.ndarray
    p_less: np.ndarray

    def better(self, n_models: int) -> np.ndarray:
        """Which differences hold together at `LEVEL` (Holm over the two-sided tests), bool (m, m)."""
        table = np.zeros((n_models, n_models), bool)
        sure = holm(self.p) < LEVEL
        for winner, loser, ahead in ((self.a, self.b, self.difference > 0), (self.b, self.a, self.difference < 0)):
            table[winner[sure & ahead], loser[sure & ahead]] = True
        return table


def compare_pairs(compared: ComparedModels, right: np.ndarray, rows: np.ndarray) -> PairTests:
    """Test all pairs on `rows`.

    One network each: exact McNemar. With several seeds of either: paired differences of the mean over seeds, with the
    variance over items and over seeds.

    Parameters
    ----------
    compared : ComparedModels
    right : bool array (networks, n)
    rows : bool array (n,)
    """
    inside = right[:, rows]
    n = inside.shape[1]
    a, b = np.triu_indices(len(compared.models), 1)
    if n == 0:
        zeros, ones = np.zeros(len(a)), np.ones(len(a))
        return PairTests(a, b, zeros, zeros, zeros, ones, ones, ones)
    table = discordant_counts(inside)
    mixing = compared.mixing
    only = mixing @ table.astype(np.float64) @ mixing.T  # mean over pairs of seeds
    first, second = only[a, b], only[b, a]
    difference = (first - second) / n
    at = np.array([model.networks[0] for model in compared.models])
    wins, losses = table[at[a], at[b]], table[at[b], at[a]]
    p, greater, less = mcnemar(wins, losses), mcnemar_greater(wins, losses), mcnemar_greater(losses, wins)
    if compared.seeded:
        alone = np.array([len(model.networks) == 1 for model in compared.models])
        exact = alone[a] & alone[b]
        over_seeds = _seeded(compared, inside, a, b)
        p = np.where(exact, p, np.minimum(1.0, 2 * np.minimum(*over_seeds)))
        greater, less = np.where(exact, greater, over_seeds[0]), np.where(exact, less, over_seeds[1])
    return PairTests(a, b, difference, first, second, p, greater, less)


def _seeded(
    compared: ComparedModels, values: np.ndarray, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One-sided p-values both ways from values (networks, n) of any kind."""
    n = values.shape[1]
    mean = compared.mixing @ values.astype(np.float64)
    variances = compared.seed_variance(values.mean(axis=1, dtype=np.float64)).tolist()
    spread = [(variance, len(m.networks)) for variance, m in zip(variances, compared.models, strict=True)]
    greater, less = np.empty(len(a)), np.empty(len(a))
    for k, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        gap = mean[i] - mean[j]
        items = float(gap.var(ddof=1)) / n if n > 1 else 0.0
        greater[k] = seeded_greater(float(gap.mean()), items, [spread[i], spread[j]])
        less[k] = seeded_greater(-float(gap.mean()), items, [spread[i], spread[j]])
    return greater, less


def change_p(compared: ComparedModels, rows: np.ndarray) -> np.ndarray:
    """Two-sided p for all pairs that correcting the labels changes the difference of two models, float64 (pairs,).

    Only correctable rows can change it. One network each: exact, by random signs of the per-row changes
    (`stats.paired.sign_flip`), which two models of one law may be swapped under. Several seeds: as `compare_pairs`.

    Parameters
    ----------
    compared : ComparedModels
    rows : bool array (n,)
        Correctable rows.
    """
    a, b = np.triu_indices(len(compared.models), 1)
    change = compared.corrected[:, rows].astype(np.int8) - compared.given[:, rows].astype(np.int8)
    if change.shape[1] == 0:
        return np.ones(len(a))
    if compared.seeded:
        result = np.minimum(1.0, 2 * np.minimum(*_seeded(compared, change, a, b)))
    else:
        result = np.ones(len(a))
    for k, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        first, second = compared.models[i].networks, compared.models[j].networks
        if len(first) == len(second) == 1:
            result[k] = flip_p(change[first[0]] - change[second[0]])
    return result


def flip_p(changes: np.ndarray) -> float:
    """Exact p of `sign_flip` for what correcting the labels changes on each row, from -2 to 2."""
    count = np.bincount(changes + 2, minlength=5).tolist()
    return sign_flip(count[3], count[1], count[4], count[0])


def real_flips(before: PairTests, after: PairTests, change: np.ndarray) -> tuple[list[dict[str, Any]], int]:
    """Every flip with its tests, and the number of those that are real.

    Real: both one-sided p, each adjusted over all pairs (Holm), are below `LEVEL`; or the adjusted p of the change is.

    Parameters
    ----------
    before, after : PairTests
        Given and corrected labels on the same rows.
    change : float64 array (pairs,)
        From `change_p`.
    """
    if not len(before.a):
        return [], 0
    up = before.difference > 0
    first, second = np.where(up, before.p_greater, before.p_less), np.where(up, after.p_less, after.p_greater)
    tests = with_holm(original=first, corrected=second, change=change)
    sides = np.maximum(tests["p_original_holm"], tests["p_corrected_holm"]) < LEVEL
    moved = tests["p_change_holm"] < LEVEL
    table = pd.DataFrame(
        {
            "pair": np.arange(len(up)),
            "a": np.where(up, before.a, before.b),
            "b": np.where(up, before.b, before.a),
            "difference_original": np.abs(before.difference),
            "difference_corrected": -np.abs(after.difference),
            **tests,
            "real": sides | moved,
            "reason": np.select([sides, moved], [BOTH_SIDES, CHANGE], "not significant"),
        }
    )
    # A tie on either side is no flip.
    tie = (np.abs(before.difference) < 1e-12) | (np.abs(after.difference) < 1e-12)
    flips = table[~tie & (before.difference * after.difference < 0)]
    return flips.to_dict("records"), int(flips["real"].sum())


def pair_rows(
    names: Sequence[str], before: PairTests, after: PairTests, change: np.ndarray, p_flip: np.ndarray
) -> list[dict[str, Any]]:
    """Every pair with its tests; arguments as in `real_flips`, and the share of draws with opposite orders."""
    if not len(before.a):
        return []
    labels, sides = np.array(names, dtype=object), (("original", before), ("corrected", after))
    return records(
        a=labels[before.a],
        b=labels[before.b],
        **{f"difference_{side}": tests.difference for side, tests in sides},
        **{f"discordant_{side}": np.stack([tests.a_only, tests.b_only], 1).tolist() for side, tests in sides},
        **with_holm(original=before.p, corrected=after.p, change=change),
        p_flip=p_flip,
    )


def with_holm(**tests: np.ndarray) -> dict[str, np.ndarray]:
    """``p_NAME`` of each test of all pairs, and ``p_NAME_holm``, adjusted."""
    columns: dict[str, np.ndarray] = {}
    for name, p in tests.items():
        columns |= {f"p_{name}": p, f"p_{name}_holm": holm(p)}
    return columns
