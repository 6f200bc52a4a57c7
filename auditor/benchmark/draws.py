"""Resampled accuracies of all models: over items and seeds, with fixed labels and with labels drawn from the votes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.benchmark.models import ComparedModels
from auditor.benchmark.sets import Sets
from auditor.benchmark.verdicts.judged import GIVEN, GUESSED, Judged
from auditor.core.seeds import generator
from auditor.stats.ranks import kendall_tau, min_ranks, pair_signs
from auditor.stats.resampling import resample_weights, row_patterns

#: Draws whose signs are held at once.
_BLOCK = 1000


@dataclass(frozen=True, eq=False)
class Draws:
    """Accuracies in every draw, float64 (draws, models), on the same resample of rows.

    Attributes
    ----------
    full_original :
        All rows, given labels.
    original, corrected :
        Pruned rows of the resample, given and corrected labels.
    original_drawn, corrected_drawn : arrays or None
        The same where in each draw the state of every judged row is drawn from its posterior too.
    """

    full_original: np.ndarray
    original: np.ndarray
    corrected: np.ndarray
    original_drawn: np.ndarray | None
    corrected_drawn: np.ndarray | None


def draw(compared: ComparedModels, sets: Sets, judged: Judged, draws: int, seed: int) -> Draws:
    """Resample rows (and seeds) `draws` times.

    Rows nobody judged are benign, so that only their pattern of right answers counts; judged rows are kept one by one,
    because their labels can be drawn.
    """
    n, networks = compared.given.shape[1], len(compared.given)
    rows = judged.rows
    code = np.empty(n, np.int64)
    plain = np.ones(n, bool)
    plain[rows] = False
    patterns = np.zeros((0, networks), bool)
    if plain.any():
        patterns, code[plain] = row_patterns(compared.given[:, plain].T)
    u = len(patterns)
    code[rows] = u + np.arange(len(rows))
    table = patterns.astype(np.float32)
    given, corrected = judged_right(compared, sets, judged)
    keeps = sets.pruned[rows].astype(np.float32)
    fixed = (sets.state[rows] == GUESSED).astype(np.float32)
    full, before, after = np.empty((3, draws, networks))
    posterior = judged.posterior
    drawn = None if posterior is None else np.empty((2, draws, networks))
    for start, weights in resample_weights(code, u + len(rows), draws, seed):
        stop = start + len(weights)
        shared, own = weights[:, :u] @ table, weights[:, u:]
        total = weights[:, :u].sum(axis=1, dtype=np.float64)
        full[start:stop] = (shared + own @ given) / n
        # A resample of a few rows can hold none that is kept; its accuracies are 0.
        size = np.maximum(total + (own * keeps).sum(axis=1, dtype=np.float64), 1)[:, None]
        before[start:stop] = (shared + (own * keeps) @ given) / size
        after[start:stop] = (shared + (own * (keeps - fixed)) @ given + (own * fixed) @ corrected) / size
        if drawn is not None and posterior is not None:
            benign, guessed = drawn_states(posterior, "labels", range(start, stop), seed)
            right, wrong = own * benign, own * guessed
            size = np.maximum(total + (right + wrong).sum(axis=1, dtype=np.float64), 1)[:, None]
            drawn[0][start:stop] = (shared + (right + wrong) @ given) / size
            drawn[1][start:stop] = (shared + right @ given + wrong @ corrected) / size
    mix = _mixer(compared, draws, seed)
    mixed = (None, None) if drawn is None else (mix(drawn[0]), mix(drawn[1]))
    return Draws(mix(full), mix(before), mix(after), *mixed)


def judged_right(compared: ComparedModels, sets: Sets, judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """Right by the given label and by the guess, float32 (judged rows, networks)."""
    given = compared.given[:, judged.rows].T.astype(np.float32)
    top = np.stack([prediction.top1[judged.rows] for prediction in compared.predictions])
    # A correction may be another label than the guess (a reviewer named a third class): what is corrected, counts.
    label = np.where(sets.correctable[judged.rows], sets.corrected[judged.rows], judged.guess)
    return given, (top == label).T.astype(np.float32)


def drawn_states(posterior: np.ndarray, name: str, draws: range, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Benign and corrected marks, bool (draws, judged rows); the rest of each row's probability removes it."""
    low, high = posterior[:, GIVEN], posterior[:, GIVEN] + posterior[:, GUESSED]
    u = np.stack([generator(seed, name, k).random(len(posterior)) for k in draws])
    return u < low, (u >= low) & (u < high)


def _mixer(compared: ComparedModels, draws: int, seed: int):  # type: ignore[no-untyped-def]
    """Mean over seeds, the seeds resampled too.

    k seeds resampled with replacement spread sqrt((k - 1) / k) too little; the deviations are stretched by the inverse.
    """
    weights: list[tuple[list[int], np.ndarray]] = []
    for row, model in enumerate(compared.models):
        k = len(model.networks)
        drawn = np.full((draws, k), 1 / k)
        if k > 1:
            counts = generator(seed, "seeds", row).multinomial(k, np.full(k, 1 / k), size=draws)
            drawn = 1 / k + np.sqrt(k / (k - 1)) * (counts / k - 1 / k)
        weights.append((list(model.networks), drawn))

    def mix(values: np.ndarray) -> np.ndarray:
        return np.stack([(values[:, at] * w).sum(axis=1) for at, w in weights], axis=1)

    return mix


def interval(values: np.ndarray, level: float = 0.95) -> np.ndarray:
    """Percentile limits along the first axis, float64 (2, ...)."""
    tail = 100 * (1 - level) / 2
    return np.percentile(values, [tail, 100 - tail], axis=0)


def rank_interval(values: np.ndarray) -> np.ndarray:
    """Percentile limits of the rank of each model, int64 (2, models)."""
    ranks = np.concatenate([min_ranks(values[k : k + _BLOCK]) for k in range(0, len(values), _BLOCK)])
    return np.percentile(ranks, [2.5, 97.5], axis=0, method="inverted_cdf").astype(np.int64)


def summary_of_signs(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of draws in which each pair has opposite order, float64 (pairs,); and Kendall's tau of every draw."""
    opposite = np.zeros(before.shape[1] * (before.shape[1] - 1) // 2)
    taus = []
    for k in range(0, len(before), _BLOCK):
        first, second = pair_signs(before[k : k + _BLOCK]), pair_signs(after[k : k + _BLOCK])
        opposite += (first * second < 0).sum(axis=0)
        taus.append(kendall_tau(first, second))
    return opposite / len(before), np.concatenate(taus)
