"""Rows that are narrowed before they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.detect import neighbours
from auditor.detect.neighbours import is_costly, narrowed, nearest, unit_rows


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """1,500 rows of 400 numbers with 30 directions that matter, and noise."""
    rng = np.random.default_rng(3)
    signal = rng.normal(size=(1500, 30)) @ rng.normal(size=(30, 400))
    return (signal + 0.3 * rng.normal(size=signal.shape)).astype(np.float16)


def test_narrow_rows_have_nearly_the_same_neighbours(rows: np.ndarray) -> None:
    narrow = narrowed(rows)
    assert (narrow.shape, narrow.dtype) == ((1500, neighbours.NARROW), np.float16)
    np.testing.assert_allclose(np.linalg.norm(narrow.astype(float), axis=1), 1, atol=2e-3)
    unit = unit_rows(rows)
    np.testing.assert_allclose(
        narrow[:50].astype(float) @ narrow[50:100].astype(float).T, unit[:50] @ unit[50:100].T, atol=0.02
    )
    wide, less = nearest(rows, 10)[0], nearest(narrow, 10)[0]
    shared = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(wide, less, strict=True)])
    assert shared > 0.9
    # Not by chance: the 256 first columns alone keep fewer of them.
    cut = nearest(rows[:, :40], 10)[0]
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(wide, cut, strict=True)]) < shared - 0.2


def test_zero_rows_stay_zero(rows: np.ndarray) -> None:
    few = rows[:300].copy()
    few[7] = 0
    assert not narrowed(few)[7].any()


@pytest.mark.parametrize(
    ("n", "width", "costly"),
    [(50_000, 10, False), (50_000, 3824, True), (10_000, 3824, False), (1_000_000, 100, False), (1_000_000, 384, True)],
)
def test_what_is_narrowed(n: int, width: int, costly: bool) -> None:
    assert is_costly(n, width) is costly
