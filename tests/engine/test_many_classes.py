"""Memory and time follow the items: nothing has a cell for every pair of classes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_array

from auditor.core.errors import MemoryGuardError
from auditor.detect.base import Evidence
from auditor.detect.findings import find
from auditor.engine import api, joint

#: An array of a byte for each pair would take 400 MB.
CLASSES, ITEMS = 20_000, 120


def _problem() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    p = np.full((ITEMS, CLASSES), 1e-5, np.float32)
    truth = random.integers(0, CLASSES, ITEMS // 4).repeat(4)
    given = np.where(random.random(ITEMS) < 0.3, np.roll(truth, 4), truth)
    p[np.arange(ITEMS), truth] += np.float32(0.8)
    return p, given


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("rule", ["default", *api.RULES])
def test_class_pairs_follow_the_items(rule: str) -> None:
    p, given = _problem()
    find(Evidence(np.arange(ITEMS), given, CLASSES, probabilities=(p,)), rule)  # compiles
    findings = []
    peak = _peak(lambda: findings.append(find(Evidence(np.arange(ITEMS), given, CLASSES, probabilities=(p,)), rule)))
    assert findings[0].flagged.any()
    assert peak < 100 << 20


def test_the_memory_that_is_asked_for_follows_the_items() -> None:
    assert api.plan_memory(2_000, 10_000, 4).total < 1 << 30
    assert api.plan_memory(2_000, 1_000_000, 4).pairs < 200 << 20
    p, given = _problem()
    api.analyze(p, given, memory_limit=100 << 20)
    with pytest.raises(MemoryGuardError):
        api.analyze(p, given, memory_limit=1 << 20)


@pytest.mark.parametrize("seed", range(40))
def test_sparse_sums_are_those_of_the_full_row(seed: int) -> None:
    """To the last bit, for lengths around the blocks of NumPy's sum."""
    random = np.random.default_rng(seed)
    rows, columns = 5, int(random.choice([1, 7, 8, 9, 127, 128, 129, 136, 137, 1000, 4099]))
    full = random.random((rows, columns)) * 10.0 ** random.integers(-9, 9, (rows, columns))
    full *= random.random((rows, columns)) < random.choice([0.02, 0.3, 1.0])
    assert joint.row_sums(csr_array(full)).tolist() == full.sum(axis=1).tolist()
