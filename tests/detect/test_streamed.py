"""Streaming the default findings changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from auditor.detect.base import Evidence
from auditor.detect.findings import default_findings
from auditor.detect.streamed import default_findings_streamed


def _problem(n: int, k: int, dtype: type, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.3), size=n).astype(dtype)
    labels = np.where(rng.random(n) < 0.8, p.argmax(axis=1), rng.integers(k, size=n))
    return p, labels.astype(np.int64), rng.permutation(n).astype(str)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(300, 2), (500, 7), (200, 40)])
@pytest.mark.parametrize("step", [1, 64, 10_000])
def test_equal_to_the_whole_array(dtype: type, n: int, k: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.detect.findings.IN_MEMORY_VALUES", 0)
    p, labels, ids = _problem(n, k, dtype, seed=n + k)

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, n, step):
            yield start, p[start : start + step]

    whole = default_findings(Evidence(ids=ids, labels=labels, n_classes=k, probabilities=(p,)))
    streamed = default_findings_streamed(blocks, labels, ids, k)
    np.testing.assert_array_equal(streamed.score, whole.score)
    np.testing.assert_array_equal(streamed.flagged, whole.flagged)
    np.testing.assert_array_equal(streamed.suggested, whole.suggested)
    assert streamed.meta == whole.meta
    assert streamed.flagged.any()
