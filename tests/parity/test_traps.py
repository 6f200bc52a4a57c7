"""The parity problems notice every known trap: each rule is broken on purpose and must be caught."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from auditor.engine import analysis as analysis_module
from auditor.engine import api, finish, joint, kernels, pairs, rules, scores
from tests.parity.problems import Problem, compare_all, make_problem

#: Problems tried per trap; the mix of the random parity test. The rarest trap shows in 5 of 480 problems.
TRIES = 400


def _problems():
    for seed in range(TRIES):
        rng = np.random.default_rng(seed)
        yield make_problem(
            seed,
            int(rng.integers(40, 320)),
            int(rng.integers(2, 24)),
            ["float32", "float32", "float64", "float16"][seed % 4],
            [None, None, 1, 2][int(rng.integers(0, 4))],
            missing=bool(rng.random() < 0.4),
            lonely=bool(rng.random() < 0.4),
        )


def _stable(monkeypatch, module) -> None:
    class Numpy:
        def __getattr__(self, name):
            if name == "argsort":
                return lambda values, kind=None: np.argsort(values, kind="stable")
            return getattr(np, name)

    monkeypatch.setattr(module, "np", Numpy())


def no_tolerance(m) -> None:
    m.setattr(analysis_module, "cuts_for", lambda t, dtype: finish.cuts_for(t, dtype, 0.0))


def argmax_of_confident_only(m) -> None:
    original = finish.confident_cells
    m.setattr(analysis_module, "confident_cells", lambda s, y, c, whole, e: original(s, y, c, False, e))


def diagonal_not_raised(m) -> None:
    m.setattr(analysis_module, "raise_diagonal", lambda c: c)


def means_in_float64(m) -> None:
    original = finish.class_means

    def means(given, labels, counts, executor):
        return original(given.astype(np.float64), labels, counts, executor).astype(given.dtype)

    m.setattr(analysis_module, "class_means", means)


def missing_class_in_input_type(m) -> None:
    original = finish.thresholds_from
    m.setattr(analysis_module, "thresholds_from", lambda means: original(means).astype(means.dtype))


def stable_sort_in_rounding(m) -> None:
    _stable(m, joint)


def stable_sort_in_noise_rate(m) -> None:
    _stable(m, pairs)


def stable_sort_in_lowest(m) -> None:
    _stable(m, rules)


def positive_margins_only(m) -> None:
    m.setattr(pairs.PairReader, "flag_pairs", lambda *a: None)


def prune_counts_rounded(m) -> None:
    original = joint.prune_counts

    def rounded(calibrated, least=1, frac=1.0):
        exact = original(calibrated * 1000, least * 1000, frac)
        return csr_array(np.rint(exact.toarray() / 1000).astype(np.int64))

    m.setattr(rules, "prune_counts", rounded)


def unflag_without_epsilon(m) -> None:
    m.setattr(kernels, "EPSILON", 0.0)


def multiply_before_dividing(m) -> None:
    def calibrate(cells, counts):
        c = cells.toarray()
        scaled = (np.asarray(c, order="F").T * counts / np.clip(c.sum(axis=1), 1e-100, None)).T
        return joint.round_rows(csr_array(scaled / np.clip(np.sum(scaled), 1e-100, None) * int(counts.sum())))

    m.setattr(analysis_module, "calibrate", calibrate)


def summed_in_c_order(m) -> None:
    def calibrate(cells, counts):
        c = cells.toarray()
        scaled = np.ascontiguousarray((c.T / np.clip(c.sum(axis=1), 1e-100, None) * counts).T)
        return joint.round_rows(csr_array(scaled / np.clip(np.sum(scaled), 1e-100, None) * int(counts.sum())))

    m.setattr(analysis_module, "calibrate", calibrate)


def low_rules_unflagged_too(m) -> None:
    original = rules._OTHER_RULES["low_self_confidence"]
    m.setitem(rules._OTHER_RULES, "low_self_confidence", lambda a: original(a) & a.candidates)


def low_rules_count_before_unflag(m) -> None:
    m.setattr(api.Analysis, "n_issues", property(lambda a: int(a.off_diagonal.sum())))


def prune_rules_not_unflagged(m) -> None:
    original = rules._PRUNE_RULES["prune_by_class"]

    def broken(a, counts, least):
        import dataclasses

        return original(dataclasses.replace(a, candidates=np.ones(a.n_items, bool)), counts, least)

    m.setitem(rules._PRUNE_RULES, "prune_by_class", broken)


def margin_in_another_order(m) -> None:
    m.setattr(analysis_module, "margin_score", lambda s, o: ((s + 1) - o) / 2)


def entropy_in_input_type(m) -> None:
    original = scores.entropy_score
    m.setattr(rules, "entropy_score", lambda rows, given: original(rows, given).astype(rows.dtype))


TRAPS: list[Callable[..., None]] = [
    no_tolerance,
    argmax_of_confident_only,
    diagonal_not_raised,
    means_in_float64,
    missing_class_in_input_type,
    stable_sort_in_rounding,
    stable_sort_in_noise_rate,
    stable_sort_in_lowest,
    positive_margins_only,
    unflag_without_epsilon,
    multiply_before_dividing,
    summed_in_c_order,
    low_rules_unflagged_too,
    low_rules_count_before_unflag,
    prune_rules_not_unflagged,
    margin_in_another_order,
    entropy_in_input_type,
]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.__name__)
def test_a_broken_rule_is_caught(trap, monkeypatch) -> None:
    trap(monkeypatch)
    assert any(compare_all(problem) for problem in _problems()), f"{trap.__name__} went unnoticed"


def test_rounded_prune_counts_are_caught(monkeypatch) -> None:
    """Truncation shows with a share of the noise only."""
    from tests.parity.problems import reference_masks

    prune_counts_rounded(monkeypatch)

    def differs(problem: Problem) -> bool:
        a = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None)
        masks = reference_masks(problem, ("prune_by_noise_rate",), frac_noise=0.7)
        return not np.array_equal(api.flag(a, frac_noise=0.7), masks["prune_by_noise_rate"])

    assert any(differs(problem) for problem in _problems())
