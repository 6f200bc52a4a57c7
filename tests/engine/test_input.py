"""Bad input is refused by name of the row; odd but valid input is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auditor.core.errors import (
    EmptyDataError,
    LabelError,
    MemoryGuardError,
    ProbabilityError,
    UnknownNameError,
    UsageError,
)
from auditor.engine import api
from auditor.engine.kernels import scan_kernel
from auditor.engine.semantics import ROW_SUM_TOLERANCE
from tests.parity.problems import Problem, compare_all, make_problem


@pytest.mark.parametrize("k", [5, 100])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "holds nan"), (np.inf, "inf"), (-np.inf, "inf"), (-0.1, "negative"), (1.5, "above 1"), (0.9, "sums to")],
)
def test_bad_probability_names_the_row(k: int, dtype: str, value: float, message: str) -> None:
    p = np.full((300, k), 1 / k).astype(dtype)
    y = np.arange(300) % k
    p[217, 3] = value
    for chunk_rows in (None, 10):
        with pytest.raises(ProbabilityError, match="row 217") as caught:
            api.analyze(p, y, chunk_rows=chunk_rows)
        # float16 infinity is converted to 65536 on the way: refused as a value all the same.
        if not (dtype == "float16" and np.isinf(value)) and not (dtype == "float16" and np.isnan(value)):
            assert message in str(caught.value)


def test_first_bad_row_is_named_for_any_threads() -> None:
    p = np.full((5000, 4), 0.25, np.float32)
    p[[4100, 37, 2000], 1] = np.nan
    for threads in (1, 2):
        with pytest.raises(ProbabilityError, match="row 37 holds"):
            api.analyze(p, np.arange(5000) % 4, chunk_rows=16, threads=threads)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([0, 1, 2, 5], "label 5 in row 3"),
        ([0, -1, 2, 1], "label -1 in row 1"),
        ([1, 1, 1, 1], "one class"),
        ([0, 0, 0, 0], "one class"),
        ([0, 1.5, 0, 1], "row 1 is not a whole"),
        (["a", "b", "a", "b"], "positions"),
        ([[0, 1], [1, 0], [0, 1], [1, 0]], "shape"),
        ([0, 1, 0], "3 labels for 4 rows"),
        (np.array([0, 1, 2**64 - 1, 1], np.uint64), "row 2"),
    ],
)
def test_bad_labels(labels, match: str) -> None:
    with pytest.raises(LabelError, match=match):
        api.analyze(np.full((4, 3), 1 / 3), labels)


def test_shapes() -> None:
    with pytest.raises(ProbabilityError, match="shape"):
        api.analyze(np.ones(5), np.zeros(5))
    with pytest.raises(ProbabilityError, match="two classes"):
        api.analyze(np.ones((5, 1)), np.zeros(5))
    with pytest.raises(EmptyDataError):
        api.analyze(np.ones((0, 3)), np.zeros(0))
    with pytest.raises(ProbabilityError, match="type"):
        api.analyze(np.array([["a", "b"]]), [0])


def test_options() -> None:
    p, y = np.full((4, 2), 0.5), [0, 1, 0, 1]
    with pytest.raises(UsageError):
        api.analyze(p, y, clip=0.5)
    with pytest.raises(UsageError):
        api.analyze(p, y, chunk_rows=0)
    with pytest.raises(UsageError):
        api.analyze(p, y, row_sum_tolerance=0)
    analysis = api.analyze(p, y)
    with pytest.raises(UnknownNameError, match="prune_by_class"):
        api.flag(analysis, "prune_by_clas")
    with pytest.raises(UsageError):
        api.flag(analysis, "confident_learning", frac_noise=0.5)
    with pytest.raises(UnknownNameError):
        api.scores(analysis, "margin")
    with pytest.raises(UsageError):
        api.scores(analysis, "confidence_weighted_entropy", adjusted=True)


def test_memory_is_checked_before_the_run() -> None:
    problem = make_problem(0, 100, 4, "float32")
    with pytest.raises(MemoryGuardError, match="GiB are available"):
        api.analyze(problem.probabilities, problem.labels, memory_limit=1000)
    plan = api.plan_memory(50_000_000, 345, 4)
    assert 1e9 < plan.total < 3e9
    assert "50,000,000 x 345" in plan.describe()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("k", [2, 3, 70])
def test_clip(k: int, dtype: str) -> None:
    problem = make_problem(2, 400, k, dtype, sharpness=6)
    p = problem.probabilities.copy()
    rows = np.arange(5, 400, 9)
    p[rows] = np.eye(k, dtype=dtype)[rows % k]
    p[rows, p[rows].argmax(axis=1)] = 1.00005
    p[rows[::2], p[rows[::2]].argmin(axis=1)] = -0.00003
    with pytest.raises(ProbabilityError, match=r"negative|above 1"):
        api.analyze(p, problem.labels)
    for chunk_rows in (3, None):
        ours = api.analyze(p, problem.labels, clip=1e-4, chunk_rows=chunk_rows)
        plain = api.analyze(np.clip(p, 0, 1), problem.labels)
        assert ours.rows_clipped == len(rows)
        for rule in api.RULES:
            np.testing.assert_array_equal(api.flag(ours, rule), api.flag(plain, rule))
        for score in api.SCORES:
            np.testing.assert_array_equal(api.scores(ours, score), api.scores(plain, score))


def _problems() -> dict[str, Problem]:
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    base = make_problem(4, 200, 4, "float32").probabilities
    tiny = base.copy()
    tiny[::3, 2] = -5e-7
    zero = base.copy()
    zero[:, 1] = -0.0
    over = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 200)]
    over[::2, 0] = 1.0000005
    return {
        "all equal": Problem(np.full((200, 4), 0.25, np.float32), y),
        "one-hot": Problem(np.eye(4, dtype=np.float32)[rng.integers(0, 4, 200)], y),
        "one-hot, right": Problem(np.eye(4, dtype=np.float32)[y], y),
        "one-hot, all wrong": Problem(np.eye(4, dtype=np.float32)[(y + 1) % 4], y),
        "rows of sum 3": Problem(np.clip(base * 3, 0, 1), y),
        "rows of sum 0": Problem(np.zeros((200, 4), np.float32), y),
        "rows of ones": Problem(np.ones((200, 4), np.float32), y),
        "slightly negative": Problem(tiny, y),
        "minus zero": Problem(zero, y),
        "slightly above one": Problem(over, y),
        "two classes": Problem(np.stack([base[:, 0], 1 - base[:, 0]], axis=1), y % 2),
        "two rows": Problem(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])),
        "no confident row": Problem(np.full((4, 2), 0.5) + np.array([[0.1, -0.1]]), np.array([1, 1, 1, 0])),
        "ties between top classes": Problem(np.tile([0.4, 0.4, 0.1, 0.1], (200, 1)).astype(np.float32), y),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(_problems()))
def test_odd_but_valid_input_equals_cleanlab(name: str) -> None:
    problem = _problems()[name]
    if name in {"rows of sum 0", "slightly negative", "slightly above one"}:
        # cleanlab refuses these for the entropy score, or divides 0 by 0 in it.
        from tests.parity.problems import reference_masks

        analysis = api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None)
        for rule, mask in reference_masks(problem).items():
            np.testing.assert_array_equal(api.flag(analysis, rule), mask, err_msg=rule)
        return
    assert compare_all(problem) == []


def test_two_confident_classes_take_the_argmax_of_the_whole_row() -> None:
    """p = (.5, .3, .2) with thresholds (.6, .2, .1): classes 1 and 2 are confident, the guess is class 0."""
    p = np.array([[0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.8, 0.1, 0.1], [0.9, 0.0, 0.1]])
    y = np.array([0, 1, 1, 2])
    analysis = api.analyze(p, y)
    np.testing.assert_allclose(analysis.thresholds, [0.6, 0.2, 0.1])
    # Row 1 (label 1) has classes 1 and 2 confident; its argmax is 0, below its own threshold.
    assert analysis.off_diagonal.tolist() == [False, True, True, True]
    assert analysis.confident_joint[1, 0] == 2


def test_documented_differences_are_complete_and_hold_the_tolerance() -> None:
    text = (Path(__file__).parents[2] / "docs" / "engine.md").read_text(encoding="utf-8")
    table = text.partition("## Differences to cleanlab")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"][2:]
    assert len({row[0] for row in rows}) == len(rows) >= 12
    assert all(len(row) == 4 and all(row) for row in rows)
    assert f"accepted within {ROW_SUM_TOLERANCE:g} (row_sum_tolerance)" in table


@pytest.mark.parametrize(("n", "k"), [(300, 4), (300, 70), (21_000, 2)])
def test_a_kernel_compiled_for_an_array_serves_a_read_only_one(n: int, k: int) -> None:
    """As a mapped file is."""
    problem = make_problem(k, n, k, "float32")
    analysis = api.analyze(problem.probabilities, problem.labels)
    compiled = scan_kernel(k, n).signatures  # type: ignore[attr-defined]
    problem.probabilities.flags.writeable = False
    again = api.analyze(problem.probabilities, problem.labels)
    assert scan_kernel(k, n).signatures == compiled  # type: ignore[attr-defined]
    np.testing.assert_array_equal(again.confident_joint, analysis.confident_joint)
