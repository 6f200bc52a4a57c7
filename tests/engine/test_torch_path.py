"""Tensors give the same result as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.core.errors import ProbabilityError
from auditor.engine import api
from tests.engine.test_streaming import assert_same, everything
from tests.parity.problems import make_problem

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("k", "decimals"), [(2, None), (9, 1), (80, None)])
def test_tensor_equals_array(dtype: str, k: int, decimals: int | None) -> None:
    problem = make_problem(k, 600, k, dtype, decimals, missing=True)
    expected = everything(api.analyze(problem.probabilities, problem.labels, row_sum_tolerance=None))
    for chunk_rows in (None, 41):
        ours = api.analyze(
            torch.from_numpy(problem.probabilities), problem.labels, row_sum_tolerance=None, chunk_rows=chunk_rows
        )
        assert_same(everything(ours), expected)


def test_clip_and_errors() -> None:
    p = np.full((50, 2), 0.5, np.float32)
    p[7] = [1.00005, 0]
    y = np.arange(50) % 2
    expected = everything(api.analyze(p, y, clip=1e-4))
    ours = api.analyze(torch.from_numpy(p), y, clip=1e-4)
    assert ours.rows_clipped == 1
    assert_same(everything(ours), expected)
    with pytest.raises(ProbabilityError, match="row 7"):
        api.analyze(torch.from_numpy(p), y)
    p[33, 0] = np.nan
    with pytest.raises(ProbabilityError, match="row 33"):
        api.analyze(torch.from_numpy(p), y, clip=1e-4)
    with pytest.raises(ProbabilityError, match="type"):
        api.analyze(torch.from_numpy(p).bfloat16(), y)


@pytest.mark.gpu
def test_tensor_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    problem = make_problem(1, 5000, 100, "float32")
    expected = everything(api.analyze(problem.probabilities, problem.labels))
    assert_same(everything(api.analyze(torch.from_numpy(problem.probabilities).cuda(), problem.labels)), expected)
