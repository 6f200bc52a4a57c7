"""The rules that turn an `Analysis` into flags, and the scores that rank them. Names as in cleanlab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from auditor.core.errors import UnknownNameError, UsageError
from auditor.engine.analysis import Analysis
from auditor.engine.finish import by_class, class_groups, class_means, confident_cells, cuts_for
from auditor.engine.joint import paper_count, prune_counts, prune_counts_for, rows_of
from auditor.engine.pairs import PairReader, Pairs
from auditor.engine.prune import noise_rate_rows
from auditor.engine.scan import clip_rows, standard_rows
from auditor.engine.scores import adjusted_rows, entropy_score, margin_score

#: Scores of the given label; low = suspicious.
SCORES: tuple[str, ...] = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def flag(
    analysis: Analysis,
    rule: str = "prune_by_noise_rate",
    *,
    min_examples_per_class: int = 1,
    frac_noise: float = 1.0,
    num_to_remove_per_class: Any = None,
) -> np.ndarray:
    """Items a rule calls wrongly labelled.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    min_examples_per_class, frac_noise, num_to_remove_per_class
        Of the three prune rules only; meaning as in cleanlab's ``find_label_issues``.

    Returns
    -------
    bool array (N,)

    Raises
    ------
    UnknownNameError
        No such rule.
    UsageError
        A prune option with another rule, or out of range.
    """
    if rule in _PRUNE_RULES:
        counts = _wanted(analysis, min_examples_per_class, frac_noise, num_to_remove_per_class)
        return _PRUNE_RULES[rule](analysis, counts, min_examples_per_class)
    if rule not in _OTHER_RULES:
        raise UnknownNameError("rule", rule, RULES)
    if (min_examples_per_class, frac_noise) != (1, 1.0) or num_to_remove_per_class is not None:
        raise UsageError(
            f"rule {rule!r} does not know min_examples_per_class, frac_noise or num_to_remove_per_class.",
            f"They belong to {', '.join(_PRUNE_RULES)}.",
        )
    return _OTHER_RULES[rule](analysis)


def _wanted(analysis: Analysis, least: int, frac_noise: float, remove: Any) -> csr_array:
    if least < 0 or not 0 <= frac_noise <= 1:
        raise UsageError("min_examples_per_class must be at least 0 and frac_noise lie between 0 and 1.")
    counts = prune_counts(analysis.calibrated, least, frac_noise)
    if remove is not None:
        counts = prune_counts_for(counts, analysis.class_counts, np.asarray(remove))
    return counts


def _prunable(analysis: Analysis, least: int) -> np.ndarray:
    # A class of one row is never pruned, even with min_examples_per_class=0.
    return np.asarray((analysis.class_counts > least) & (analysis.class_counts >= 2))


def _by_noise_rate(analysis: Analysis, counts: csr_array, least: int) -> np.ndarray:
    given, column = rows_of(counts), counts.indices.astype(np.int64)
    pairs = Pairs(given, column, counts.data, analysis.n_classes)
    pairs = pairs.take((counts.data > 0) & (given != column) & _prunable(analysis, least)[given])
    work = analysis.work
    reader = PairReader(work, analysis.labels, analysis.class_counts)
    flagged, _ = noise_rate_rows(reader, analysis.store, pairs, work.local)
    flagged &= analysis.candidates
    return flagged


def _by_class(analysis: Analysis, counts: csr_array, least: int) -> np.ndarray:
    flagged = np.zeros(analysis.n_items, np.bool_)
    remove = analysis.class_counts - counts.diagonal()
    classes = _prunable(analysis, least) & (remove > 0)
    for use in class_groups(analysis.class_counts * classes):
        order, offsets = by_class(None, analysis.labels, analysis.class_counts, analysis.work.local, use)
        for k in np.flatnonzero(use):
            rows = order[offsets[k] : offsets[k + 1]]
            flagged[rows[_lowest(analysis.self_confidence[rows], int(remove[k]))]] = True
    flagged &= analysis.candidates
    return flagged


def _paper(analysis: Analysis) -> np.ndarray:
    work, store = analysis.work, analysis.store
    means = class_means(analysis.self_confidence, analysis.labels, analysis.class_counts, work.local)
    cuts = cuts_for(np.where(np.isnan(means), np.inf, means).astype(means.dtype), means.dtype, epsilon=0.0)
    joint, _ = confident_cells(store, analysis.labels, cuts, False, work)
    margin = analysis.self_confidence - analysis.largest_other
    return _lowest_mask(margin, paper_count(joint, analysis.n_items))


_PRUNE_RULES: dict[str, Callable[[Analysis, csr_array, int], np.ndarray]] = {
    "prune_by_noise_rate": _by_noise_rate,
    "prune_by_class": _by_class,
    "both": lambda analysis, counts, least: (
        _by_noise_rate(analysis, counts, least) & _by_class(analysis, counts, least)
    ),
}
_OTHER_RULES: dict[str, Callable[[Analysis], np.ndarray]] = {
    "confident_learning": lambda analysis: analysis.off_diagonal & analysis.candidates,
    "predicted_neq_given": lambda analysis: analysis.candidates.copy(),
    "low_self_confidence": lambda analysis: _lowest_mask(analysis.self_confidence, analysis.n_issues),
    "low_normalized_margin": lambda analysis: _lowest_mask(analysis.normalized_margin, analysis.n_issues),
    "paper": _paper,
}
#: Names of the rules: cleanlab's ``filter_by`` names and ``paper``.
RULES: tuple[str, ...] = (*_PRUNE_RULES, *_OTHER_RULES)


def _lowest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` smallest values; ties as ``numpy.argsort`` leaves them, order unspecified."""
    if count >= len(values):
        return np.arange(len(values))
    if count <= 0:
        return np.empty(0, np.int64)
    v = np.partition(values, count - 1)[count - 1]
    reached = np.flatnonzero(values <= v)
    if len(reached) == count:
        return reached
    return np.argsort(values)[:count]  # a tie straddles the cut: the sort itself decides


def _lowest_mask(values: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(len(values), np.bool_)
    mask[_lowest(values, count)] = True
    return mask


def scores(analysis: Analysis, name: str = "self_confidence", *, adjusted: bool = False) -> np.ndarray:
    """Score of every given label; low = suspicious.

    Parameters
    ----------
    name : str
        One of `SCORES`.
    adjusted : bool
        Shift the probabilities by the class thresholds first (cleanlab's ``adjust_pred_probs``); not for the
        entropy score.

    Returns
    -------
    array (N,)
        Computing type; float64 for the entropy score, and for adjusted scores if a class has no items.

    Raises
    ------
    UnknownNameError, UsageError
    """
    if name not in SCORES:
        raise UnknownNameError("score", name, SCORES)
    if name == "confidence_weighted_entropy":
        if adjusted:
            raise UsageError("the entropy score cannot be adjusted.", "Use self_confidence or normalized_margin.")
        return _row_scores(analysis, _entropy_job, (), np.dtype(np.float64))
    if adjusted:
        thresholds = analysis.thresholds
        dtype = np.result_type(analysis.self_confidence.dtype, thresholds.dtype)
        return _row_scores(analysis, _adjusted_job, (thresholds, name == "normalized_margin"), dtype)
    return analysis.self_confidence.copy() if name == "self_confidence" else analysis.normalized_margin


def _row_scores(
    analysis: Analysis, job: Callable[..., np.ndarray], extra: tuple[Any, ...], dtype: np.dtype[Any]
) -> np.ndarray:
    """Scores that need the whole row: one more read."""
    work = analysis.work
    out = np.empty(analysis.n_items, dtype)
    ranges = list(work.row_ranges())
    jobs = ((start, stop, analysis.labels[start:stop], analysis.rows_clipped > 0, *extra) for start, stop in ranges)
    for (start, stop), part in zip(ranges, work.executor.run(job, work.source, jobs), strict=True):
        out[start:stop] = part
    return out


def _entropy_job(source: Any, start: int, stop: int, labels: np.ndarray, _: bool) -> np.ndarray:
    rows = clip_rows(standard_rows(source.read(start, stop)))
    return entropy_score(rows, rows[np.arange(len(rows)), labels])


def _adjusted_job(
    source: Any, start: int, stop: int, labels: np.ndarray, clip: bool, thresholds: np.ndarray, margin: bool
) -> np.ndarray:
    rows = standard_rows(source.read(start, stop))
    rows = adjusted_rows(clip_rows(rows) if clip else rows, thresholds)
    at = np.arange(len(rows))
    given = rows[at, labels]
    if not margin:
        return given
    rows[at, labels] = -np.inf
    return margin_score(given, rows.max(axis=1))


def rank(analysis: Analysis, mask: np.ndarray, score: np.ndarray | str = "self_confidence") -> np.ndarray:
    """Flagged items, most suspicious first.

    Parameters
    ----------
    mask : bool array (N,)
    score : str or array (N,)
        Name of a score, or scores; low = suspicious.

    Returns
    -------
    int64 array
        Positions; ties as ``numpy.argsort`` over the flagged items leaves them.
    """
    values = scores(analysis, score) if isinstance(score, str) else np.asarray(score)
    chosen = np.asarray(mask)
    if chosen.shape != analysis.labels.shape or values.shape != analysis.labels.shape:
        shapes = f"mask {chosen.shape} and score {values.shape}"
        raise UsageError(f"{shapes} must have one entry for each of the {analysis.n_items} items.")
    positions = np.flatnonzero(chosen)
    return positions[np.argsort(values[positions])]
