"""The engine equals cleanlab 2.9, run in this process: tie order depends on the processor."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import cleanlab
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.engine import api
from tests.parity.problems import CLEANLAB_RULES, Problem, compare_all, make_problem, reference_masks

#: Cases per rule; every case checks every rule, joint, count and score.
CASES = int(os.environ.get("AUDITOR_PARITY_CASES", "100"))


def test_reference_version() -> None:
    assert cleanlab.__version__.startswith("2.9.")


@settings(max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(40, 320),
    k=st.integers(2, 24),
    dtype=st.sampled_from(["float32", "float32", "float64", "float16"]),
    decimals=st.sampled_from([None, None, None, None, 1, 2]),
    missing=st.booleans(),
    lonely=st.booleans(),
)
def test_random_problems(seed, n, k, dtype, decimals, missing, lonely) -> None:
    problem = make_problem(seed, n, k, dtype, decimals, missing, lonely)
    assert compare_all(problem) == []


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("n", "k"), [(3000, 3), (400, 64), (400, 65), (500, 129), (700, 1000)])
def test_sizes_at_the_edges_of_the_kernels(n: int, k: int, dtype: str) -> None:
    assert compare_all(make_problem(n + k, n, k, dtype)) == []


@pytest.mark.parametrize("k", [2, 3, 10])
def test_specialised_kernel(k: int) -> None:
    """From 20,000 rows on, the kernel compiled for this number of columns runs."""
    assert compare_all(make_problem(k, 21_000, k, "float32", 2 if k == 3 else None)) == []


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("least", [0, 1, 5])
def test_prune_options(seed: int, least: int) -> None:
    k = 150 if seed >= 20 else 2 + seed % 7  # sums of many values are added in another order
    problem = make_problem(seed, 80 + 12 * seed, k, "float32", [None, 1, 2][seed % 3], lonely=seed % 2 == 0)
    analysis = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None)
    for frac in (1.0, 0.7, 0.3):
        masks = reference_masks(problem, CLEANLAB_RULES[:3], min_examples_per_class=least, frac_noise=frac)
        for rule, mask in masks.items():
            ours = api.flag(analysis, rule, min_examples_per_class=least, frac_noise=frac)
            np.testing.assert_array_equal(ours, mask, err_msg=f"{rule} {frac}")


def test_single_row_class_is_never_pruned() -> None:
    """One row in a class, min_examples_per_class=0: the row must not be flagged by the prune rules."""
    seen = 0
    for seed in range(300):
        if seen == 20:
            break
        problem = make_problem(seed, 60, 3, "float32", lonely=True)
        row = np.flatnonzero(problem.labels == 1)
        if len(row) != 1:
            continue
        analysis = api.analyze(problem.probabilities, problem.labels)
        masks = reference_masks(problem, CLEANLAB_RULES[:3], min_examples_per_class=0)
        for rule, mask in masks.items():
            ours = api.flag(analysis, rule, min_examples_per_class=0)
            np.testing.assert_array_equal(ours, mask)
            assert not ours[row].any()
        # The case only bites where the row is a candidate that the counts would prune.
        seen += bool(analysis.candidates[row][0])
    assert seen == 20


@pytest.mark.parametrize("seed", range(30))
def test_num_to_remove_per_class(seed: int) -> None:
    k = 2 + seed % 5 if seed < 20 else 6 * (seed - 18)
    problem = make_problem(seed, 150 if seed < 20 else 4000, k, "float32", [None, 1][seed % 2])
    analysis = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None)
    toward = api.prune_counts(analysis.calibrated).toarray().T
    if ((toward.sum(axis=1) - toward.diagonal()) == 0).any() or (toward.sum(axis=1) == 0).any():
        return  # cleanlab divides by zero and rounds NaN to an arbitrary integer
    remove = np.random.default_rng(seed).integers(1, 6, k).tolist()
    for rule, mask in reference_masks(problem, CLEANLAB_RULES[:3], num_to_remove_per_class=remove).items():
        ours = api.flag(analysis, rule, num_to_remove_per_class=remove)
        np.testing.assert_array_equal(ours, mask, err_msg=rule)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("method", ["cnt", "eqn", "marginal", "marginal_ps"])
def test_noise_matrices(seed: int, method: str) -> None:
    from cleanlab.count import estimate_joint, estimate_latent

    problem = make_problem(seed, 300, 2 + seed % 6, "float64", missing=seed % 3 == 0)
    analysis = api.analyze(problem.probabilities, problem.labels)
    joint = analysis.calibrated_joint
    if method == "eqn" and seed % 3 == 0:
        joint = analysis.confident_joint  # the calibrated joint of a missing class cannot be inverted
    for converge in (False, True):
        theirs = estimate_latent(joint, problem.labels, py_method=method, converge_latent_estimates=converge)
        ours = api.latent(joint, analysis.class_counts, method, converge)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=0)
    theirs = estimate_joint(problem.labels, problem.reference)
    np.testing.assert_allclose(
        api.estimate_joint(analysis.calibrated, analysis.class_counts).toarray(), theirs, rtol=1e-15
    )


def test_ranking_equals_cleanlab() -> None:
    from cleanlab.filter import find_label_issues

    problem = make_problem(3, 2000, 10, "float32", 2)
    analysis = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None)
    for score in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        theirs = find_label_issues(problem.labels, problem.reference, return_indices_ranked_by=score, n_jobs=1)
        np.testing.assert_array_equal(api.rank(analysis, api.flag(analysis), score), theirs)


@pytest.mark.parametrize("name", ["cifar10", "imdb"])
def test_published_probabilities(data_dir: Path, name: str) -> None:
    folder = data_dir / "label_errors" / name
    p, y = np.load(folder / "pyx.npy"), np.load(folder / "original_labels.npy").astype(np.int64)
    clipped = Problem(np.clip(p, 0, 1), y)
    assert compare_all(clipped) == []
    # imdb reaches 1.00001: read as published, with clipping, it gives the same.
    analysis = api.analyze(p, y, clip=1e-4)
    for rule, mask in reference_masks(clipped).items():
        np.testing.assert_array_equal(api.flag(analysis, rule), mask, err_msg=rule)
    assert analysis.rows_clipped == {"cifar10": 0, "imdb": 2744}[name]


@pytest.mark.parametrize(
    ("name", "count", "trace", "total"), [("cifar10", 275, 8608, 8852), ("imdb", 1310, 19456, 20532)]
)
def test_papers_rule_gives_the_published_set(data_dir: Path, name: str, count: int, trace: int, total: int) -> None:
    import json

    folder = data_dir / "label_errors" / name
    p, y = np.load(folder / "pyx.npy"), np.load(folder / "original_labels.npy").astype(np.int64)
    analysis = api.analyze(p, y, clip=1e-4)
    flagged = np.flatnonzero(api.flag(analysis, "paper"))
    assert len(flagged) == count
    assert (int(analysis.confident_joint.trace()), int(analysis.confident_joint.sum())) == (trace, total)
    verdicts = json.loads((folder / "mturk.json").read_text())
    ids = {int(v["id"]) for v in verdicts} if str(verdicts[0].get("id", "")).isdigit() else None
    if ids is not None:
        assert set(flagged.tolist()) == ids


@pytest.mark.parametrize(
    "net", ["efficientnet_b1", "resnet18", "resnet50d", "swin_base_patch4_window7_224", "twins_pcpvt_base"]
)
def test_out_of_fold_networks(data_dir: Path, net: str) -> None:
    """float16 files: parity with cleanlab on the float32 copy."""
    with np.load(data_dir / "oof" / "cifar10n_aggre" / f"{net}.npz") as archive:
        problem = Problem(archive["pred_probs"], archive["labels"].astype(np.int64))
    assert problem.probabilities.dtype == np.float16
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert compare_all(problem) == []
