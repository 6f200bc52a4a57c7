"""Accuracy against prevalence: curves with bands, crossovers with intervals, and the simulation that checks them."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations
from typing import Any, Final

import numpy as np

from auditor.benchmark.models import ComparedModels
from auditor.benchmark.pairs import LEVEL, PairTests
from auditor.benchmark.sets import Sets
from auditor.core.seeds import generator
from auditor.stats.paired import holm
from auditor.stats.prevalence import Crossover, accuracy_at, benign_left, crossover, simulate, simulated_sd
from auditor.stats.resampling import resample_weights

#: Prevalences every curve is given at, besides N0.
GRID: Final = tuple(k / 1000 for k in (1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100, 150, *range(200, 1001, 100)))
#: Prevalences the closed form is checked at.
CHECKED: Final = (0.01, 0.02, 0.05, 0.06, 0.1, 0.2)
#: Standard errors a simulated mean may be away from the closed form.
TOLERANCE: Final = 4.0


def exact_counts(compared: ComparedModels, right: np.ndarray, rows: np.ndarray) -> list[Fraction]:
    """Right answers of every model on `rows`, means over seeds as fractions."""
    counts = compared.counts(right, rows).tolist()
    return [Fraction(sum(counts[k] for k in m.networks), len(m.networks)) for m in compared.models]


def find_crossovers(compared: ComparedModels, sets: Sets, right: np.ndarray) -> dict[tuple[int, int], Crossover]:
    """All pairs a < b whose curves cross between N0 and 1, with the labels that made `right`."""
    benign = exact_counts(compared, compared.given, sets.benign)
    correctable = exact_counts(compared, right, sets.correctable)
    crossed = {}
    for a, b in combinations(range(len(compared.models)), 2):
        at = crossover((benign[a], benign[b]), sets.n_benign, (correctable[a], correctable[b]), sets.n_correctable)
        if at is not None:
            crossed[a, b] = at
    return crossed


def curves(compared: ComparedModels, sets: Sets, draws: int, seed: int) -> dict[str, Any] | None:
    """Accuracies of all models at each prevalence; None without correctable rows.

    Keys: ``prevalence`` (g,), and ``models``: by name ``corrected``, ``original``, and the 95 % band of the first,
    ``low`` and ``high``, all float64 (g,).

    Bands: accuracy on B normal with its standard error (items and seeds), on C drawn from Beta(c + 1/2, |C| - c + 1/2),
    so that a handful of rows never looks certain.
    """
    if not sets.n_correctable or not sets.n_benign:
        return None
    base = sets.prevalence
    grid = np.array([base, *[g for g in GRID if g > base]])
    benign = _shares(compared, compared.given, sets.benign)
    right = np.array([float(c) for c in exact_counts(compared, compared.corrected, sets.correctable)])
    original = _shares(compared, compared.given, sets.correctable)
    error = np.sqrt(benign * (1 - benign) / sets.n_benign + _seed_variance(compared, compared.given, sets.benign))
    models = {}
    for m, name in enumerate(compared.names):
        rng = generator(seed, "band", m)
        on_benign = rng.normal(benign[m], error[m], draws)
        on_correctable = rng.beta(right[m] + 0.5, sets.n_correctable - right[m] + 0.5, draws)
        values = accuracy_at(grid[None, :], on_benign[:, None], on_correctable[:, None])
        low, high = np.percentile(values, [2.5, 97.5], axis=0)
        models[name] = {
            "corrected": accuracy_at(grid, benign[m], right[m] / sets.n_correctable),
            "original": accuracy_at(grid, benign[m], original[m]),
            "low": low,
            "high": high,
        }
    return {"prevalence": grid, "models": models}


def _shares(compared: ComparedModels, right: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.array([float(c) for c in exact_counts(compared, right, rows)]) / int(rows.sum())


def _seed_variance(compared: ComparedModels, right: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Variance of each model's mean over seeds."""
    networks = [len(m.networks) for m in compared.models]
    return compared.seed_variance(compared.counts(right, rows) / int(rows.sum())) / networks


def crossovers(
    compared: ComparedModels, sets: Sets, on_benign: PairTests, on_correctable: PairTests, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Every crossover, the earliest first, with its bootstrap interval and the tests of both of its sides.

    `a` leads above the crossover, `b` below. Interval: paired differences resampled on C, normal on B (variance over
    items and seeds); conditional on the draws that have a crossover, whose share is given.
    """
    crossed = find_crossovers(compared, sets, compared.corrected)
    if not crossed:
        return []
    position = {pair: k for k, pair in enumerate(zip(on_benign.a.tolist(), on_benign.b.tolist(), strict=True))}
    n_c, n_b = sets.n_correctable, sets.n_benign
    right = compared.corrected[:, sets.correctable].astype(np.float32)
    sums = [w @ right.T for _, w in resample_weights(np.arange(n_c), n_c, draws, seed)]
    share = (np.concatenate(sums) / n_c).astype(np.float64) @ compared.mixing.T
    spread = _seed_variance(compared, compared.given, sets.benign)
    p_benign, p_correctable = holm(on_benign.p), holm(on_correctable.p)
    rows = []
    for (i, j), at in crossed.items():
        k = position[i, j]
        a, b = (i, j) if on_benign.difference[k] < 0 else (j, i)
        gap = -abs(float(on_benign.difference[k]))
        only = ((float(tests.a_only[k]), float(tests.b_only[k])) for tests in (on_benign, on_correctable))
        (wins, losses), (wins_c, losses_c) = (pair if a == i else pair[::-1] for pair in only)
        error = math.sqrt(max(0.0, (wins + losses) / n_b - gap**2) / n_b + spread[i] + spread[j])
        below = generator(seed, "crossover", compared.models[a].name, compared.models[b].name).normal(gap, error, draws)
        above = share[:, a] - share[:, b]
        crossing = (above > 1e-12) & (below < 0)
        stars = below[crossing] / (below[crossing] - above[crossing])
        limits = np.percentile(stars, [2.5, 50, 97.5]).tolist() if len(stars) else [None, None, None]
        interval = dict(zip(("low", "median", "high"), limits, strict=True))
        rows.append(
            {
                "a": compared.models[a].name,
                "b": compared.models[b].name,
                "prevalence": float(at.prevalence),
                "exact": f"{at.prevalence.numerator}/{at.prevalence.denominator}",
                "increase_points": 100 * float(at.increase),
                "benign_left": float(at.benign_left),
                "benign_removed": 1 - float(at.benign_left) / n_b,
                "n_correctable": n_c,
                "interval": {**interval, "share_of_draws": float(crossing.mean())},
                "correctable_a_only": wins_c,
                "correctable_b_only": losses_c,
                "benign_a_only": wins,
                "benign_b_only": losses,
                "p_correctable": float(on_correctable.p[k]),
                "p_benign": float(on_benign.p[k]),
                "p_correctable_holm": float(p_correctable[k]),
                "p_benign_holm": float(p_benign[k]),
                "significant": bool(p_correctable[k] < LEVEL and p_benign[k] < LEVEL),
            }
        )
    return sorted(rows, key=lambda row: row["prevalence"])


def check_by_simulation(compared: ComparedModels, sets: Sets, draws: int, seed: int) -> dict[str, Any] | None:
    """Remove benign rows at random and compare the mean accuracy with the closed form at the realised prevalence."""
    if not sets.n_correctable or not sets.n_benign:
        return None
    right = compared.given[:, sets.benign]
    on_c = compared.counts(compared.corrected, sets.correctable)
    benign = right.mean(axis=1)
    worst, points = 0.0, []
    for wanted in CHECKED:
        if wanted <= sets.prevalence:
            continue
        left = benign_left(wanted, sets.n_benign, sets.n_correctable)
        if not left:
            continue
        simulated = simulate(right, on_c, sets.n_correctable, left, draws, generator(seed, "simulation", str(wanted)))
        share = sets.n_correctable / (sets.n_correctable + left)
        closed = accuracy_at(np.array(share), benign, on_c / sets.n_correctable)
        error = [simulated_sd(float(b), sets.n_benign, sets.n_correctable, left) / math.sqrt(draws) for b in benign]
        away = np.abs(simulated.mean(axis=0) - closed)
        z = float(np.max(np.divide(away, error, out=np.zeros_like(away), where=np.array(error) > 0)))
        worst = max(worst, z)
        points.append({"prevalence": share, "benign_kept": left, "largest_deviation_in_standard_errors": z})
    return {"draws": draws, "points": points, "largest": worst, "tolerance": TOLERANCE, "agrees": worst <= TOLERANCE}
